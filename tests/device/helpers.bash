# SPDX-License-Identifier: MIT
# What every device test shares: a clean start, an end that leaves nothing, and the things that
# tests make. A test file loads this; one that has a setup or teardown of its own, after that, calls
# device_setup and device_teardown.
# shellcheck shell=bash

bats_require_minimum_version 1.5.0

# shellcheck source=tests/lib/common.sh
. "${BASH_SOURCE[0]%/*}/../lib/common.sh"
# shellcheck source=tests/lib/klog.sh
. "$TOP/tests/lib/klog.sh"

UBLK=${UBLK:-$TOP/build/ublk}
DEADLINE=${UBLK%/*}/deadline
NULLB=/sys/kernel/config/nullb

export NO_COLOR=1

# ublk ARGS...: the program under test; one that hangs fails, after two minutes.
ublk()
{
	local status=0
	"$DEADLINE" 120 "$UBLK" "$@" || status=$?
	((status != 142)) || keep_evidence "ublk $* did not end"
	return "$status"
}

# ublk_in_background ARGS...: without what the test itself has open as 7, and with SIGINT, which a shell has its jobs
# ignore; leaves its process in $del.
ublk_in_background()
{
	env --default-signal=INT "$UBLK" "$@" 7<&- &
	# shellcheck disable=SC2034 # whoever calls it looks at it
	del=$!
}

# jq ARGS...: of the two that there are, the one that begins in a fifth of the time, which under emulation is
# most of it. It sorts the keys of objects.
jq()
{
	gojq "$@"
}

# keep_evidence REASON...: of what is seen now; told at the end of the test.
keep_evidence()
{
	"$TOP/tests/lib/evidence" "${BATS_TEST_FILENAME##*/} $BATS_TEST_NUMBER" \
		"$* ($BATS_TEST_DESCRIPTION)" >>"$BATS_TEST_TMPDIR/evidence.txt" 2>&1 3>&- || true
}

device_setup()
{
	trace_the_test_only
	requires "$UBLK"
	undo=()
	cd "$BATS_TEST_TMPDIR" || return
	export ASAN_OPTIONS=log_path=$PWD/sanitizer UBSAN_OPTIONS=log_path=$PWD/sanitizer
	export TSAN_OPTIONS=log_path=$PWD/sanitizer
	export LSAN_OPTIONS=suppressions=$TOP/tests/lib/leaks:print_suppressions=0
	[[ -e /dev/ublk-control ]] || modprobe ublk_drv
	# As on any machine whose system disk has it.
	[[ -e /sys/module/mq_deadline ]] || modprobe mq-deadline
	nothing_left || { what_is_left; return 1; }
	klog_marker="test $BATS_TEST_NUMBER of ${BATS_TEST_FILENAME##*/}: $BATS_TEST_DESCRIPTION"
	printf '%s\n' "$klog_marker" >/dev/kmsg
}

# Undoes what the test made, and fails it if a device, server or record is left, or if the kernel
# or a sanitizer complained. Whatever it finds, the next test starts from nothing.
device_teardown()
{
	local result=0 i again=()
	# Also where no device is to be seen: a number may be taken all the same.
	[[ -n ${BATS_TEST_COMPLETED-} ]] || keep_evidence 'the test failed'
	end_jobs
	# Out of the way of umount.
	cd /
	for ((i = ${#undo[@]} - 1; i >= 0; i--)); do
		eval "${undo[i]}" || { result=1; again+=("${undo[i]}"); }
	done
	if ! wait_for 5 nothing_left; then
		what_is_left
		keep_evidence 'something is left'
		remove_what_is_left
		result=1
	fi
	# What a device that was left was in the way of.
	for i in "${again[@]}"; do
		eval "$i" || true
	done
	remove_ram_disks || result=1
	check_klog || result=1
	check_sanitizer || result=1
	[[ -n ${BATS_TEST_COMPLETED-} ]] || klog_since_setup | tail -n 20
	[[ ! -e $BATS_TEST_TMPDIR/evidence.txt ]] || cat "$BATS_TEST_TMPDIR/evidence.txt"
	return "$result"
}

setup()
{
	device_setup
}

teardown()
{
	device_teardown
}

# end_jobs: of the test's own, and lets go what it has open as 7, so that nobody holds a device.
end_jobs()
{
	local pid
	exec 7<&-
	for pid in $(jobs -p); do
		kill -KILL "$pid" 2>/dev/null || true
	done
}

# at_end CMD...: run by the teardown, the last one first, before it looks for devices.
at_end()
{
	undo+=("$(printf '%q ' "$@")")
}

nothing_left()
{
	! compgen -G '/dev/ublk[bc]*' >/dev/null && ! compgen -G '/run/ublk/[0-9]*' >/dev/null &&
		! compgen -G '/run/ublk/.index/*/*' >/dev/null && [[ -z $(servers) ]]
}

# servers: the processes that serve. pgrep would take a tenth of a second under emulation.
servers()
{
	local dir name
	for dir in /proc/[0-9]*; do
		if read -r name 2>/dev/null <"$dir/comm" && [[ $name == ublk-server ]]; then
			printf '%s\n' "${dir#/proc/}"
		fi
	done
}

what_is_left()
{
	echo 'devices, records or servers left:'
	compgen -G '/dev/ublk[bc]*' || true
	compgen -G '/run/ublk/[0-9]*' || true
	compgen -G '/run/ublk/.index/*/*' || true
	servers | xargs -r ps -o pid,stat,args -p
}

remove_what_is_left()
{
	timeout -k 5 20 "$UBLK" del --all --force || true
	servers | xargs -r kill -KILL || true
	timeout -k 5 20 "$UBLK" del --all --force || true
	rm -f /run/ublk/[0-9]* /run/ublk/.index/*/*
	wait_for 5 nothing_left || echo 'and it does not go'
}

# klog_since_setup [PATTERN]: the lines that match.
klog_since_setup()
{
	dmesg | awk -v marker="$klog_marker" -v pattern="${1-.}" \
		'found && $0 ~ pattern { print } index($0, marker) { found = 1 }'
}

check_klog()
{
	local complaints
	complaints=$(klog_since_setup "$KLOG_BAD") && [[ -n $complaints ]] || return 0
	complaints=$(klog_complaints <<<"$complaints") || return 0
	printf 'the kernel complained:\n%s\n' "$complaints"
	return 1
}

check_sanitizer()
{
	compgen -G "$BATS_TEST_TMPDIR/sanitizer.*" >/dev/null || return 0
	# A server opens its file of reports at the start.
	[[ -n $(find "$BATS_TEST_TMPDIR" -maxdepth 1 -name 'sanitizer.*' -size +0) ]] || return 0
	cat "$BATS_TEST_TMPDIR"/sanitizer.*
	return 1
}

# to_be_validated FILE: JSON of a test, against its schema, when all tests of the file are over: Python takes
# eight seconds of an emulated processor to begin, and more beside others.
to_be_validated()
{
	cp "$1" "$(mktemp "$BATS_FILE_TMPDIR/json.XXXXXX")"
}

teardown_file()
{
	! compgen -G "$BATS_FILE_TMPDIR/json.*" >/dev/null || "$TOP/tests/cli/validate" "$BATS_FILE_TMPDIR"/json.*
}

# requires CMD...: fails with the names of those that are missing.
requires()
{
	local cmd result=0
	for cmd; do
		command -v "$cmd" >/dev/null || { echo "missing: $cmd"; result=1; }
	done
	return "$result"
}

# kernel_at_least X.Y
kernel_at_least()
{
	local major minor
	IFS=.-+ read -r major minor _ </proc/sys/kernel/osrelease
	((major * 1000 + minor >= ${1%.*} * 1000 + ${1#*.}))
}

# only_on_kernel X.Y FEATURE: skips the rest of the test where the kernel is older than the feature.
# The runner knows the words and takes no other reason for a skip.
only_on_kernel()
{
	kernel_at_least "$1" || skip "kernel: $2 came with Linux $1"
}

# only_before_kernel X.Y FEATURE: for what holds only where the feature is missing.
only_before_kernel()
{
	! kernel_at_least "$1" || skip "kernel: $2 is there since Linux $1"
}

# make_image FILE SIZE: an empty file, without blocks.
make_image()
{
	truncate -s "$2" "$1"
}

# make_ram_disk MEGABYTES [BLOCK SIZE [ATTRIBUTE=VALUE...]]: prints /dev/NAME. A real block device
# with direct I/O (tmpfs answers O_DIRECT in its own way). Goes at the teardown. The attributes are
# those of null_blk in configfs.
make_ram_disk()
{
	local n=0 dir attribute
	[[ -d $NULLB ]] || modprobe null_blk nr_devices=0 || return
	until mkdir "$NULLB/ubram$n" 2>/dev/null; do
		((n++ < 64)) || return
	done
	dir=$NULLB/ubram$n
	echo "$1" >"$dir/size" &&
		echo "${2:-512}" >"$dir/blocksize" &&
		echo 1 >"$dir/memory_backed" || return
	for attribute in "${@:3}"; do
		echo "${attribute#*=}" >"$dir/${attribute%%=*}" || return
	done
	echo 1 >"$dir/power" && printf '/dev/ubram%s\n' "$n"
}

remove_ram_disks()
{
	local dir
	for dir in "$NULLB"/ubram*/; do
		[[ ! -d $dir ]] || { echo 0 >"$dir/power" && rmdir "$dir"; } || return
	done
}

# fs_on DEV ext4|xfs DIR: makes the file system and mounts it; the teardown unmounts it.
fs_on()
{
	local quiet_force=-qF
	[[ $2 != xfs ]] || quiet_force=-qf
	modprobe "$2" && "mkfs.$2" "$quiet_force" "$1" && mkdir -p "$3" && mount -t "$2" "$1" "$3" || return
	at_end unmount "$(realpath "$3")"
}

# unmount DIR: also if the test has done so itself. Of a device that has no server that does not end, nor by
# a signal: the teardown, which would wait for ever, goes on, and calls it again without the device.
unmount()
{
	local pid
	mountpoint -q "$1" || return 0
	umount "$1" 3>&- &
	pid=$!
	wait_for 20 is_gone "$pid" && wait "$pid"
}

# is_gone PID: it has ended (a zombie has).
is_gone()
{
	local stat
	read -r stat 2>/dev/null <"/proc/$1/stat" || return 0
	[[ ${stat##*) } == Z* ]]
}

# fio_verify DEV [FIO OPTION...]: random writes to the first 4 MiB, read back and compared.
fio_verify()
{
	local dev=$1 size
	size=$(blockdev --getsize64 "$dev") || return
	fio --name=verify --filename="$dev" --size=$((size < 4194304 ? size : 4194304)) \
		--rw=randwrite --bs=4k --direct=1 --ioengine=io_uring --iodepth=16 \
		--verify=crc32c --do_verify=1 --verify_fatal=1 "${@:2}" >fio.out 2>&1 ||
		{ cat fio.out; return 1; }
}

# column_of DEV COLUMN: what `ublk list` says of a device, named by its path or number; fails if
# there is none. Not by way of JSON: jq needs a third of a second to start on an emulated processor,
# and tests ask often.
column_of()
{
	local id value
	while read -r id value; do
		if [[ $id == "${1#/dev/ublk[bc]}" ]]; then
			printf '%s\n' "$value"
			return
		fi
	done < <(ublk list -o "ID,$2")
	return 1
}

# state_of DEV: `gone` if there is none.
state_of()
{
	column_of "$1" STATE || echo gone
}
