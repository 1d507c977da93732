# SPDX-License-Identifier: MIT
# Mistakes, attacks and machines that lack something: each is one clear line, the right exit status,
# and nothing is left behind.
# kernels: newest
# long kernels: 6.12

# shellcheck disable=SC2154 # bats sets stderr

load helpers
load servers
load backings

PYTHON=/usr/bin/python3

# fails STATUS PATTERN ARGS...: `ublk ARGS`, with one error line that the pattern is in; no device,
# server or record is there afterwards.
fails()
{
	local wanted=$1 pattern=$2
	shift 2
	run --separate-stderr ublk "$@"
	printf 'ublk %s: %s %s\n' "$*" "$status" "$stderr"
	[ "$status" -eq "$wanted" ]
	[ -z "$output" ]
	[ "$(grep -c '^ublk: error: ' <<<"$stderr")" -eq 1 ]
	[ "$(grep -vc '^ublk: error: \|^hint: \|^ublk: note: ' <<<"$stderr")" -eq 0 ]
	[[ $stderr == *"$pattern"* ]]
	nothing_left
}

@test "files that cannot be served are refused by what is wrong with them" {
	mkdir dir
	mkfifo fifo
	: >empty
	make_image short 100
	make_image a.img 16M
	fails 1 'No such file' add -t loop -f missing
	fails 1 'directory' add -t loop -f dir
	fails 1 'character device' add -t loop -f /dev/zero
	fails 1 'FIFO' add -t loop -f fifo
	fails 1 'it is empty' add -t loop -f empty
	fails 1 'logical block' add -t loop -f short
	fails 1 'it has 16777216 bytes' add -t loop -f a.img --offset 16M
	fails 1 'it has 16777216' add -t loop -f a.img --size 17M
	fails 1 'No such file' add -t loop -f missing/new.img --create 1M
}

@test "a size that is no multiple of the block is rounded down, and that is told" {
	head -c $((1048576 + 700)) /dev/urandom >a.img
	run --separate-stderr ublk add -t loop -f a.img
	[ "$status" -eq 0 ]
	[[ $stderr == *'note: the last 188 of 1049276 bytes are not served'* ]]
	[ "$(blockdev --getsize64 /dev/ublkb0)" -eq $((1048576 + 512)) ]
	ublk del 0
	[ "$(stat -c %s a.img)" -eq $((1048576 + 700)) ]
}

@test "extremes that are allowed work: depth 1 and 4096, requests of 4K and 32M" {
	for args in '-d 1 -b 4K' '-d 4096 -b 4K' '-d 2 -b 32M'; do
		# Several words.
		# shellcheck disable=SC2086
		dev=$(ublk add -t mem --size 64M $args)
		dd if=/dev/urandom of=data bs=1M count=4 status=none
		dd if=data of="$dev" bs=4M oflag=direct status=none
		cmp -n 4M data "$dev"
		ublk del "$dev"
	done
}

@test "an add that fails late removes the file that --create made" {
	ublk add -t null -n 3
	run ublk add -t loop -f new.img --create 1M -n 3
	[ "$status" -eq 5 ]
	[ ! -e new.img ]
	ublk del 3
}

@test "a result that cannot be written is a failure, and the device is taken back" {
	run bash -c '"$0" add -t null >/dev/full' "$UBLK"
	[ "$status" -eq 1 ]
	[[ $output == *'ublk: error: '*'No space left on device'* ]]
	wait_for 10 nothing_left
	run bash -c '"$0" add -t null >&-' "$UBLK"
	[ "$status" -eq 1 ]
	wait_for 10 nothing_left
	run bash -c '"$0" add -t null --json >/dev/full' "$UBLK"
	[ "$status" -eq 1 ]
	wait_for 10 nothing_left
	# Nobody reads it any more.
	run bash -c 'mkfifo pipe && exec 8<>pipe 9>pipe 8<&- && "$0" add -t null >&9' "$UBLK"
	[ "$status" -eq 1 ]
	[[ $output == *'Broken pipe'* ]]
	wait_for 10 nothing_left
	run bash -c '"$0" list >/dev/full' "$UBLK"
	[ "$status" -eq 1 ]
	ublk del --all
}

@test "a log that cannot be written does not stop the device" {
	tmpfs_on full 1
	dd if=/dev/zero of=full/fill bs=64K status=none || true
	dev=$(ublk add -t mem --size 1M --log-file full/log)
	write_block "$dev"
	ublk del "$dev"
	dev=$(ublk add -t mem --size 1M --log-file /dev/full)
	ublk del "$dev"
	fails 1 'missing/log' add -t null --log-file missing/log
}

@test "a full /run is told, and nothing is left" {
	mkdir -p /run/ublk
	mount -t tmpfs -o size=4k,nr_inodes=1,mode=755 tmpfs /run/ublk
	at_end unmount /run/ublk
	fails 1 'record' add -t null
}

# as_user ARGS...: `ublk ARGS` by nobody, who has no runtime directory, and who may not enter the
# folder of a clone in root's home: the programs are copied to where anyone may run them, and a
# sanitizer's reports are there.
as_user()
{
	local reports=log_path=/tmp/programs/sanitizer
	mkdir -p /tmp/programs
	chmod 1777 /tmp/programs
	cp -u "$(dirname "$UBLK")"/{ublk,ublk-server} /tmp/programs
	setpriv --reuid=65534 --regid=65534 --clear-groups --inh-caps=-all \
		env -u XDG_RUNTIME_DIR ASAN_OPTIONS=$reports UBSAN_OPTIONS=$reports \
		/tmp/programs/ublk "$@"
}

@test "an ordinary user is told so, by one line, and changes nothing" {
	ublk add -t null
	for args in 'add -t null' 'del 0' 'recover 0'; do
		# Several words.
		# shellcheck disable=SC2086
		run as_user $args
		printf '%s\n' "$output"
		[ "$status" -eq 3 ]
		[ "$(grep -c '^ublk: error: ' <<<"$output")" -eq 1 ]
		[[ $output == *'hint: '* ]]
	done
	[ -z "$(find /tmp/programs -name 'sanitizer.*' -size +0)" ]
	[ "$(state_of 0)" = live ]
	ublk del 0
}

# filtered CMD...: where a seccomp filter refuses io_uring_setup(), as those of containers do.
filtered()
{
	"$PYTHON" - "$@" <<-'END'
		import ctypes, os, struct, sys
		def step(code, yes, no, value):
		    return struct.pack("HBBI", code, yes, no, value)
		program = ctypes.create_string_buffer(
		    step(0x20, 0, 0, 0) + step(0x15, 0, 1, 425) +
		    step(0x06, 0, 0, 0x50001) + step(0x06, 0, 0, 0x7fff0000))
		filter = struct.pack("HxxxxxxQ", 4, ctypes.addressof(program))
		libc = ctypes.CDLL(None)
		assert libc.prctl(38, 1, 0, 0, 0) == 0 and libc.prctl(22, 2, filter, 0, 0) == 0
		os.execvp(sys.argv[1], sys.argv[1:])
	END
}

@test "io_uring that a seccomp filter refuses is told as that, not as a lack of rights" {
	for args in 'add -t null' list features; do
		# Several words.
		# shellcheck disable=SC2086
		run --separate-stderr filtered "$UBLK" $args
		printf '%s\n' "$stderr"
		[ "$status" -eq 3 ]
		[[ $stderr == *'io_uring'*'Operation not permitted'*'hint: a seccomp filter'* ]]
		[[ $stderr != *CAP_SYS_ADMIN* && $stderr != *sudo* ]]
	done
	nothing_left
}

@test "io_uring that is switched off is told, with the setting's name" {
	sysctl -q kernel.io_uring_disabled=2
	at_end sysctl -q kernel.io_uring_disabled=0
	run --separate-stderr ublk add -t null
	printf '%s\n' "$stderr"
	[ "$status" -eq 3 ]
	[[ $stderr == *'hint: '*io_uring_disabled* ]]
	sysctl -q kernel.io_uring_disabled=0
	nothing_left
}

@test "without the driver: exit 6 and how to load it; help and version work" {
	modprobe -r ublk_drv
	at_end modprobe ublk_drv
	for args in 'list' 'del 0' 'features'; do
		# Several words.
		# shellcheck disable=SC2086
		run ublk $args
		printf '%s\n' "$output"
		[ "$status" -eq 6 ]
		[[ $output == *'modprobe ublk_drv'* ]]
	done
	ublk version
	ublk help add >/dev/null
}

@test "no locked memory is needed, without CAP_IPC_LOCK" {
	run --separate-stderr prlimit --memlock=0:0 setpriv --bounding-set=-ipc_lock \
		--inh-caps=-ipc_lock "$UBLK" add -t null -q 2
	[ "$status" -eq 0 ]
	ublk del 0
}

# The records: /run/ublk and what lies in it may have been prepared by somebody.

@test "a link in place of the records' directory is not followed" {
	mkdir victim
	rm -rf /run/ublk
	ln -s "$PWD/victim" /run/ublk
	at_end rm -f /run/ublk
	run --separate-stderr ublk add -t null
	[ "$status" -eq 3 ]
	[[ $stderr == *'/run/ublk'* ]]
	[ ! -e /dev/ublkb0 ]
	[ -z "$(ls -A victim)" ]
	ublk list
}

@test "a directory of records where others may write is not used" {
	mkdir -p /run/ublk
	chmod 777 /run/ublk
	at_end chmod 755 /run/ublk
	run --separate-stderr ublk add -t null
	[ "$status" -eq 3 ]
	[[ $stderr == *'others than its owner may write there'* ]]
	chmod 755 /run/ublk
	chown 1000 /run/ublk
	at_end chown 0 /run/ublk
	run --separate-stderr ublk add -t null
	[ "$status" -eq 3 ]
	[[ $stderr == *'belongs to user 1000'* ]]
	[ ! -e /dev/ublkb0 ]
}

@test "links in place of a record are replaced, and what they point to stays" {
	mkdir -p /run/ublk
	echo precious >victim
	ln -s "$PWD/victim" /run/ublk/0.json
	ublk list
	ublk add -t null -n 0
	[ "$(cat victim)" = precious ]
	[ ! -L /run/ublk/0.json ]
	ublk del 0
	mv victim /run/victim
	at_end rm -f /run/victim
	ln /run/victim /run/ublk/0.json
	ublk add -t null -n 0
	ublk del 0
	[ "$(cat /run/victim)" = precious ]
}

# spoil KIND FILE: a record that cannot be believed.
spoil()
{
	local text
	text=$(<"$2")
	rm -f "$2"
	case $1 in
	truncated) head -c 100 <<<"$text" >"$2" ;;
	empty) : >"$2" ;;
	garbage) head -c 3000 /dev/urandom >"$2" ;;
	huge) truncate -s 1G "$2" ;;
	deep) printf '[%.0s' {1..5000} >"$2" ;;
	link) echo "$text" >victim && ln -s "$PWD/victim" "$2" ;;
	fifo) mkfifo "$2" ;;
	directory) mkdir "$2" ;;
	world-writable) echo "$text" >"$2" && chmod 666 "$2" ;;
	foreign) echo "$text" >"$2" && chown 1000 "$2" ;;
	other-device) jq '.token = "0x1"' <<<"$text" >"$2" ;;
	esac
}

@test "a record that cannot be believed spoils neither list nor del" {
	mkdir -p /run/ublk
	ublk add -t null -n 1
	for kind in truncated empty garbage huge deep link fifo directory world-writable foreign; do
		ublk add -t null -n 0
		spoil $kind /run/ublk/0.json
		run timeout 20 "$UBLK" list --json
		[ "$status" -eq 0 ] || { echo "list: $kind" && false; }
		jq -e '[.devices[] | [.id, .managed]] == [[0, false], [1, true]]' <<<"${output#*$'\n'ublk:}" ||
			{ echo "list: $kind: $output" && false; }
		timeout 20 "$UBLK" del 0 || { echo "del: $kind" && false; }
		[ "$(state_of 0)" = gone ]
		[ "$(state_of 1)" = live ]
		rm -rf /run/ublk/0.json
	done
	ublk del 1
}
