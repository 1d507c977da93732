#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# The part of tests/bench/run that runs beside the devices: makes them, runs fio, and prints one JSON
# object a line for each row, for what is missing, and for each cell of each round. What it
# takes is told by its caller: guest.sh FOLDER PART SET [PEER...].
set -euo pipefail

PATH=$1:$PATH
part=$2 set=$3
peers=("${@:4}")

# The file, and each device that has memory of its own. The last part is there to be discarded.
SIZE=256M
KEPT=192M
TRIMMED=64M
DEPTH=128

# A cell: name, fio's rw, block size, depth. `sync` is a write with an fsync after it.
# shellcheck disable=SC2034 # by its name
CELLS_full=(
	'read-4k-1 randread 4k 1' 'read-4k-32 randread 4k 32' 'read-4k-128 randread 4k 128'
	'write-4k-1 randwrite 4k 1' 'write-4k-32 randwrite 4k 32' 'write-4k-128 randwrite 4k 128'
	'read-128k-8 read 128k 8' 'write-128k-8 write 128k 8'
	'read-512k-8 read 512k 8' 'write-512k-8 write 512k 8'
	'sync-4k-1 sync 4k 1' 'trim-4k-1 trim 4k 1'
)
CELLS_quick=(
	'read-4k-1 randread 4k 1' 'read-4k-32 randread 4k 32' 'write-4k-32 randwrite 4k 32'
	'read-128k-8 read 128k 8' 'sync-4k-1 sync 4k 1' 'trim-4k-1 trim 4k 1'
)

# Of files elsewhere, what a file system makes of it.
CELLS_elsewhere=(
	'read-4k-32 randread 4k 32' 'write-4k-1 randwrite 4k 1' 'write-4k-32 randwrite 4k 32'
	'write-4k-128 randwrite 4k 128' 'sync-4k-1 sync 4k 1' 'trim-4k-1 trim 4k 1'
)

# On four processors, from each of them.
# shellcheck disable=SC2034
CELLS_wide=(
	'read-4k-1x4 randread 4k 1' 'read-4k-32x4 randread 4k 32' 'write-4k-32x4 randwrite 4k 32'
)

# shellcheck disable=SC2034
CELLS_plain=("${CELLS_quick[@]:0:4}" 'write-128k-8 write 128k 8')

say()
{
	jq -nc "$@"
}

note()
{
	printf 'bench: %s\n' "$*" >&2
}

# Everything that is drawn by lot or done later in the background is fixed, so that the file lies
# in the same blocks in each run.
make_backing()
{
	local queues=1 i
	[[ $part != wide ]] || queues=4
	modprobe null_blk nr_devices=3 memory_backed=1 gb=1 bs=512 submit_queues=$queues queue_mode=2 \
		irqmode=0
	modprobe loop
	modprobe ublk_drv
	# As on any machine whose system disk has it: what has one hardware queue gets it.
	modprobe mq-deadline
	echo 16 >/proc/sys/vm/nr_hugepages
	for i in 0 1 2; do
		scheduler_none /dev/nullb$i
	done
	mkfs.ext4 -q -U 75626c6b-0000-4000-8000-000000000000 \
		-E hash_seed=75626c6b-0000-4000-8000-000000000001,lazy_itable_init=0,lazy_journal_init=0 \
		/dev/nullb0
	folder=$(mktemp -d)
	mkdir "$folder/ext4"
	mount -o noatime /dev/nullb0 "$folder/ext4"
	file=$folder/ext4/img
	fill "$file"
}

scheduler_none()
{
	echo none >"/sys/block/${1#/dev/}/queue/scheduler"
}

fill()
{
	fio --name=fill --filename="$1" --size=$SIZE --rw=write --bs=1M --direct=1 \
		--ioengine=io_uring --output=/dev/null
}

# row NAME DEVICE [AUTO]: takes part, with the scheduler that it was left. Kept in the arrays of the
# group.
row()
{
	names+=("$1")
	device[$1]=$2
	say --arg part "$part" --arg group "$group" --arg name "$1" --argjson auto "${3-false}" \
		'{kind: "row", $part, $group, $name, $auto}'
}

missing()
{
	note "no $1: $2"
	say --arg part "$part" --arg name "$1" --arg why "$2" '{kind: "missing", $part, $name, $why}'
}

# what_auto TARGET OPTIONS...: sets auto to `PATH BATCH`, what a device without a wish gets.
what_auto()
{
	local dev
	dev=$(ublk add -t "$@")
	auto=$(ublk show "$dev" --json | jq -r '.devices[0] |
		"\(.data_path) \(if .batch then "on" else "off" end)"')
	ublk del "$dev"
}

# ours TARGET PATH BATCH OPTIONS...
ours()
{
	local name="$prefix$1 $2" dev is_auto=false error=$folder/error
	[[ $3 == off ]] || name+=' batch'
	[[ "$2 $3" != "$auto" ]] || is_auto=true
	if [[ $set == quick ]] && ! $is_auto; then
		return
	fi
	if dev=$(ublk add -t "$1" --data-path "$2" --batch "$3" "${@:4}" 2>"$error"); then
		undo+=("ublk del $dev")
		row "$name" "$dev" "$is_auto"
	else
		missing "$name" "$(sed -n 's/^ublk: error: //p' "$error")"
	fi
}

# all_ours TARGET OPTIONS...: on every data path.
all_ours()
{
	local auto path batch
	what_auto "$@"
	for path in copy user-copy get-data zero-copy; do
		for batch in off on; do
			case "$1 $path $batch" in
			null\ zero-copy* | mem\ zero-copy* | *get-data\ on) continue ;;
			esac
			ours "$1" "$path" "$batch" "${@:2}"
		done
	done
}

block_devices()
{
	printf '%s\n' /sys/block/* | sort
}

# peer NAME:ADD:DEL: the device is the last word of what ADD prints, or the one new name in /sys/block.
peer()
{
	local name=${1%%:*} add=${1#*:} del dev before words
	del=${add##*:}
	add=${add%:*}
	before=$(block_devices)
	export FILE=$file SIZE DEPTH
	words=$(bash -c "$add" </dev/null) || {
		missing "$name" "its ADD COMMAND failed with status $?"
		return
	}
	udevadm settle 2>/dev/null || true
	dev=${words##*[[:space:]]}
	if [[ ! -b $dev ]]; then
		dev=$(comm -13 <(printf '%s\n' "$before") <(block_devices))
		dev=/dev/${dev#/sys/block/}
	fi
	if [[ -b $dev ]]; then
		undo+=("DEV=$dev bash -c $(printf '%q' "$del")")
		# Its server is what is measured.
		scheduler_none "$dev"
		row "$name" "$dev"
	else
		missing "$name" 'its ADD COMMAND printed no block device, and made not exactly one'
	fi
}

begin_group()
{
	group=$1 names=() undo=() prefix=''
	unset device
	declare -gA device
}

end_group()
{
	local command
	for command in "${undo[@]}"; do
		eval "$command" >&2 || note "failed: $command"
	done
}

kernel_loop()
{
	local loop
	loop=$(losetup -f --show --direct-io=on "$file")
	undo+=("losetup -d $loop")
	row "${prefix}kernel loop" "$loop"
}

file_group()
{
	local one
	begin_group file
	row file "$file"
	kernel_loop
	all_ours loop --no-lock -d $DEPTH -f "$file"
	for one in "${peers[@]}"; do
		peer "$one"
	done
	run_rounds
	end_group
}

# elsewhere NAME FILE: what another place for the file makes of it.
elsewhere()
{
	local auto file=$2
	local -a cells=("${CELLS_elsewhere[@]}")
	begin_group "$1"
	prefix="$1 "
	row "$1 itself" "$file"
	kernel_loop
	what_auto loop --no-lock -f "$file"
	ours loop zero-copy off --no-lock -d $DEPTH -f "$file"
	ours loop zero-copy on --no-lock -d $DEPTH -f "$file"
	run_rounds
	end_group
}

xfs_and_block()
{
	mkfs.xfs -q -m uuid=75626c6b-0000-4000-8000-000000000002 /dev/nullb2
	mkdir "$folder/xfs"
	mount -o noatime /dev/nullb2 "$folder/xfs"
	fill "$folder/xfs/img"
	elsewhere xfs "$folder/xfs/img"
	umount "$folder/xfs"
	fill /dev/nullb2
	elsewhere block /dev/nullb2
}

# wide NAME QUEUES OPTIONS...: a device of ours for four processors.
wide()
{
	local dev
	dev=$(ublk add -q "$2" -d $DEPTH "${@:3}")
	undo+=("ublk del $dev")
	row "$1" "$dev"
}

wide_group()
{
	local target=${1%% *} queues
	begin_group "$2"
	if [[ $2 == file ]]; then
		row file "$file"
		kernel_loop
	else
		row null_blk /dev/nullb1
	fi
	wide "$target, 1 queue" 1 -t "${@:3}"
	for queues in 2 4; do
		wide "$target, $queues queues" "$queues" -t "${@:3}"
	done
	wide "$target, 4 queues, 1 thread" 4 --threads 1 -t "${@:3}"
	wide "$target, 4 queues, 2 threads" 4 --threads 2 -t "${@:3}"
	run_rounds
	end_group
}

memory_group()
{
	local name
	begin_group memory
	row null_blk /dev/nullb1
	all_ours null -d $DEPTH --size $SIZE
	all_ours mem -d $DEPTH --size $SIZE
	for name in "${names[@]}"; do
		[[ $name == null\ * ]] || fill "${device[$name]}"
	done
	run_rounds
	end_group
}

discards()
{
	[[ $1 != "$file" ]] && (($(<"/sys/block/${1#/dev/}/queue/discard_max_bytes") > 0))
}

# warm_up DEVICE RW BS DEPTH: as much as a server's buffers may have to be touched first.
warm_up()
{
	printf '[warm]\nfilename=%s\nrw=%s\nbs=%s\niodepth=%s\nsize=16M\n' "$@"
}

# refill DEVICE: what was discarded.
refill()
{
	printf '[fill]\nfilename=%s\nrw=write\nbs=1M\niodepth=1\noffset=%s\nsize=%s\n' \
		"$1" $KEPT $TRIMMED
}

# job INDEX NAME CELL RW BS DEPTH: lines of a job file. The job's name has to be harmless: fio names
# a file by it in a shell.
job()
{
	local dev=${device[$2]} backing=${device[$2]} size=$KEPT time=$seconds more='time_based'
	case $4 in
	trim)
		discards "$dev" || return 0
		[[ $group == memory ]] || backing=$file
		refill "$backing"
		size=$TRIMMED more="offset=$KEPT"
		;;
	sync)
		# ext4 commits its journal by the clock too, which needs time to even out.
		[[ $part != exact ]] || time=1500ms
		set -- "${@:1:3}" randwrite "${@:5}" && more+=$'\nfsync=1'
		;;
	read | write) warm_up "$dev" "${@:4:3}" ;;
	esac
	printf '[%s]\nfilename=%s\nrw=%s\nbs=%s\niodepth=%s\nsize=%s\nruntime=%s\n%s\n' \
		"$1" "$dev" "${@:4:3}" "$size" "$time" "$more"
}

# Cell by cell, all devices one after the other: what changes slowly strikes all the same.
# - fio's buffers are in huge pages: how many pieces a request has depends on which pages lie side
#   by side, and that on chance (512 KiB differed by 8 % from one round to the next).
# - Latency is from submission: null_blk and files on it complete within the submitting call.
# - What one leaves of the file in the page cache (a peer without direct I/O) the next shall not
#   find: dd writes it back and drops it.
job_file()
{
	local c r words
	printf '%s\n' '[global]' ioengine=io_uring direct=1 stonewall randrepeat=1 allow_file_create=0 \
		iomem=mmaphuge:/dev/hugepages/bench
	[[ $part == exact ]] || printf 'lat_percentiles=1\nclat_percentiles=0\n'
	[[ $part != wide ]] ||
		printf 'numjobs=4\ngroup_reporting=1\ncpus_allowed=0-3\ncpus_allowed_policy=split\n'
	[[ $group == memory ]] ||
		printf 'exec_prerun=dd of=%s oflag=nocache conv=notrunc,fdatasync count=0 status=none\n' \
			"$file"
	for c in "${!cells[@]}"; do
		read -ra words <<<"${cells[c]}"
		for r in "${!names[@]}"; do
			job "$r.$c" "${names[r]}" "${words[@]}"
		done
	done
}

# results ROUND: of fio's output, an object for each job that did something.
results()
{
	jq -c --arg part "$part" --argjson round "$1" --arg names "$(printf '%s\n' "${names[@]}")" \
		--arg cells "$(printf '%s\n' "${cells[@]}")" '
		.jobs[] | select(.error == 0 and (.jobname | test("^[0-9]"))) |
		(.jobname / "." | map(tonumber)) as [$r, $c] |
		([.read, .write, .trim] | max_by(.total_ios)) as $io | select($io.total_ios > 0) |
		{kind: "cell", $part, row: ($names / "\n")[$r],
		 cell: (($cells / "\n")[$c] / " " | first), $round,
		 ios: $io.total_ios, ms: $io.runtime, iops: $io.iops,
		 us: ($io.lat_ns.percentile // {} |
			{p50: ."50.000000", p99: ."99.000000", p999: ."99.900000"} | map_values(if . then . / 1000 else null end))}' "$folder/out"
}

# The rounds are all the same, so they tell how far a figure can be trusted.
run_rounds()
{
	local round
	for ((round = 1; round <= rounds; round++)); do
		note "$part, devices on $group, round $round of $rounds"
		job_file >"$folder/job"
		fio --output-format=json --output="$folder/out" "$folder/job" >&2 ||
			note "fio failed with status $?"
		results "$round"
	done
}

[[ "$part $set" != 'plain full' ]] || set=plain
[[ $part != wide ]] || set=wide
declare -n all_cells=CELLS_$set
cells=("${all_cells[@]}")
if [[ $part == exact ]]; then
	seconds=500ms rounds=2
elif [[ $set == quick ]]; then
	seconds=500ms rounds=2
else
	seconds=1s rounds=3
fi

make_backing
# fio leaves files where it is.
cd "$folder"
say --arg linux "$(uname -r)" --arg fio "$(fio --version)" --arg ours "$(ublk version)" \
	'{kind: "machine", $linux, fio: ($fio | ltrimstr("fio-")), ublk: $ours}'
if [[ $part == wide ]]; then
	wide_group loop file loop --no-lock -f "$file"
	wide_group null memory null --size $SIZE
else
	file_group
	[[ "$part $set" != 'exact full' ]] || xfs_and_block
	memory_group
fi
cd /
umount "$folder/ext4"
rm -rf "$folder"
