# SPDX-License-Identifier: MIT
# What a client was told to be durable is durable, and what was lost is never called so.
# cpus: 2
# kernels: newest
# long kernels: 6.12

load helpers
load servers
load backings

TRACE=/sys/kernel/tracing/instances/durability

# trace EVENT...: from now on; read by traced.
trace()
{
	local event
	mkdir "$TRACE"
	at_end end_trace
	for event; do
		echo 1 >"$TRACE/events/$event/enable"
	done
}

end_trace()
{
	[[ ! -d $TRACE ]] || rmdir "$TRACE"
}

# traced_of_server EVENT: how often, in its threads, of which the ring's workers are some.
traced_of_server()
{
	grep -E "(ublk-server|iou-wrk|queue)[^ ]*-[0-9]+ +\[" "$TRACE/trace" | grep -c "$1"
}

# issued DISK KINDS: how many requests of these kinds (as blktrace spells them) it has got.
issued()
{
	local numbers
	numbers=$(tr : , <"/sys/block/${1#/dev/}/dev")
	grep "block_rq_issue: $numbers " "$TRACE/trace" | grep -cE "block_rq_issue: $numbers $2 " || true
}

# A disk with a volatile cache, so that the kernel sends it flushes, and ext4 on it.
ext4_on_cached_disk()
{
	disk=$(make_ram_disk 64 512 cache_size=8)
	fs_on "$disk" ext4 fs
	make_image fs/a.img 32M
	dev=$(ublk add -t loop -f fs/a.img "$@")
	[ "$(cat "/sys/block/${dev#/dev/}/queue/write_cache")" = 'write back' ]
}

@test "each fsync of a client is one fsync of the file by the server" {
	ext4_on_cached_disk
	trace ext4/ext4_sync_file_enter block/block_rq_issue
	fio --name=sync --filename="$dev" --rw=write --bs=4k --size=84k --fsync=1 --ioengine=psync \
		--direct=1 --output=fio.log
	flushes=$(issued "$dev" 'FF?')
	[ "$flushes" -ge 20 ]
	[ "$(traced_of_server ext4_sync_file_enter)" -eq "$flushes" ]
	[ "$(issued "$disk" 'F[A-Z]*')" -ge 20 ]
	ublk del "$dev"
}

@test "each durable write (FUA) of a client is synced by the server before it ends" {
	for direct in on off; do
		ext4_on_cached_disk --direct $direct
		trace ext4/ext4_sync_file_enter block/block_rq_issue
		dd if=/dev/zero of="$dev" bs=4096 count=10 oflag=direct,dsync status=none
		fua=$(issued "$dev" 'WF[A-Z]*')
		flushes=$(issued "$dev" 'FF?')
		[ "$fua" -eq 10 ]
		[ "$(traced_of_server ext4_sync_file_enter)" -eq $((fua + flushes)) ]
		ublk del "$dev"
		end_trace
		umount fs
	done
}

@test "a file system's journal on the device reaches the disk behind it" {
	ext4_on_cached_disk
	mkfs.ext4 -q "$dev"
	mkdir mnt
	mount "$dev" mnt
	at_end unmount "$PWD/mnt"
	trace ext4/ext4_sync_file_enter block/block_rq_issue
	for i in 1 2 3 4 5; do
		echo $i >mnt/$i
		sync mnt/$i
	done
	[ "$(traced_of_server ext4_sync_file_enter)" -ge 5 ]
	[ "$(issued "$disk" 'F[A-Z]*')" -ge 5 ]
	umount mnt
	ublk del "$dev"
}

@test "a flush on a block device reaches that device" {
	disk=$(make_ram_disk 32 512 cache_size=8)
	dev=$(ublk add -t loop -f "$disk")
	trace block/block_rq_issue
	for i in 1 2 3; do
		dd if=/dev/zero of="$dev" bs=4096 seek=$i count=1 oflag=direct conv=fsync status=none
	done
	flushes=$(issued "$dev" 'FF?')
	[ "$flushes" -ge 3 ]
	[ "$(issued "$disk" 'F[A-Z]*')" -ge "$flushes" ]
	ublk del "$dev"
}

@test "a disk without a volatile cache gives none to the device, unless its page cache is in between" {
	disk=$(make_ram_disk 32)
	for direct in on off; do
		dev=$(ublk add -t loop -f "$disk" --direct $direct)
		[ "$(cat "/sys/block/${dev#/dev/}/queue/write_cache")" = \
			"$([[ $direct == on ]] && echo 'write through' || echo 'write back')" ]
		ublk del "$dev"
	done
	# A file has what leads to its blocks, too.
	fs_on "$disk" ext4 fs
	make_image fs/a.img 16M
	dev=$(ublk add -t loop -f fs/a.img)
	[ "$(cat "/sys/block/${dev#/dev/}/queue/write_cache")" = 'write back' ]
	ublk del "$dev"
}

@test "a disk that has a volatile cache when its device is recovered, and had none before" {
	disk=$(make_ram_disk 32 512 cache_size=8)
	echo 'write through' >"/sys/block/${disk#/dev/}/queue/write_cache"
	dev=$(ublk add -t loop -f "$disk")
	[ "$(cat "/sys/block/${dev#/dev/}/queue/write_cache")" = 'write through' ]
	park "$dev"
	echo 'write back' >"/sys/block/${disk#/dev/}/queue/write_cache"
	run --separate-stderr ublk recover "$dev"
	[ "$status" -eq 0 ]
	[[ $stderr == *"each write is made durable: $disk has a volatile cache by now"* ]]
	[ "$(cat "/sys/block/${dev#/dev/}/queue/write_cache")" = 'write through' ]
	trace block/block_rq_issue
	for i in 1 2 3; do
		write_block "$dev" $i
	done
	# Durable by itself, or with a flush behind it.
	[ "$(issued "$disk" '(WF[A-Z]*|F[A-Z]*)')" -ge 3 ]
	ublk del "$dev"
}

@test "mem and null have no cache, and say so: no flush is sent" {
	for target in 'mem --size 8M' 'null --size 8M'; do
		# Several words.
		# shellcheck disable=SC2086
		dev=$(ublk add -t $target)
		[ "$(cat "/sys/block/${dev#/dev/}/queue/write_cache")" = 'write through' ]
		dd if=/dev/zero of="$dev" bs=4096 count=1 oflag=direct conv=fsync status=none
		ublk del "$dev"
	done
}

# A disk with a cache whose writes can be made to fail, and a device on it.
on_failing_disk()
{
	disk=$(make_ram_disk 16 512 cache_size=8)
	size=$(blockdev --getsz "$disk")
	modprobe dm_flakey
	map_disk failing "0 $size linear $disk 0"
	dev=$(ublk add -t loop -f /dev/mapper/failing "$@")
}

fail_writes()
{
	change_map failing "0 $size flakey $disk 0 0 3600 1 error_writes"
}

mend_disk()
{
	change_map failing "0 $size linear $disk 0"
}

# flush_fails DEV: an fsync with nothing new to write is only a flush.
flush_fails()
{
	run sync "$1"
	[ "$status" -ne 0 ]
}

@test "a write-back that fails makes this flush and every later one fail; reads go on" {
	on_failing_disk --direct off
	write_block "$dev" 1
	sync "$dev"
	fail_writes
	# Into the server's page cache: no error yet.
	write_block "$dev" 2
	flush_fails "$dev"
	mend_disk
	flush_fails "$dev"
	flush_fails "$dev"
	run dd if=/dev/zero of="$dev" bs=4096 seek=5 count=1 oflag=direct,dsync status=none
	[ "$status" -ne 0 ]
	dd if="$dev" of=/dev/null bs=1M iflag=direct status=none
	[ "$(state_of "$dev")" = live ]
	[ "$(detail "$dev" .write_error)" != null ]
	ublk del "$dev"
}

@test "a failed write-back is remembered by a recovered server, however full the disk with the records was" {
	small_records
	on_failing_disk --direct off
	fill_records
	fail_writes
	write_block "$dev" 2
	flush_fails "$dev"
	mend_disk
	park "$dev"
	ublk recover "$dev"
	flush_fails "$dev"
	dd if="$dev" of=/dev/null bs=1M iflag=direct status=none
	[ "$(detail "$dev" .write_error)" != null ]
	ublk del "$dev"
}

@test "a new device over the same backing starts without the old one's failure" {
	on_failing_disk --direct off
	fail_writes
	write_block "$dev" 2
	flush_fails "$dev"
	mend_disk
	ublk del "$dev"
	dev=$(ublk add -t loop -f /dev/mapper/failing)
	write_block "$dev" 2
	sync "$dev"
	ublk del "$dev"
}

@test "a durable write that fails makes later flushes fail" {
	on_failing_disk
	[ "$(detail "$dev" .target.direct)" = true ]
	fail_writes
	run dd if=/dev/zero of="$dev" bs=4096 seek=5 count=1 oflag=direct,dsync status=none
	[ "$status" -ne 0 ]
	mend_disk
	flush_fails "$dev"
	ublk del "$dev"
}

# syncing DEV: how many syncs the server has under way, each in a worker of a ring.
syncing()
{
	cat "/proc/$(server_of "$1")/task/"*/stat 2>/dev/null | grep -c '(iou-wrk-[0-9]*) D '
}

is_syncing()
{
	[[ $(syncing "$1") -ge $2 ]]
}

# on_cpu N CMD...: in the background, and so by the device's queue N.
on_cpu()
{
	taskset -c "$@" 2>>stderr 3>&- &
	clients+=($!)
}

# all_fail DEV N: at least N syncs wait for a disk that is suspended; now it fails, and every client is
# told.
all_fail()
{
	wait_for 20 is_syncing "$1" "$2"
	dmsetup load failing --table "0 $size flakey $disk 0 0 3600 1 error_writes"
	dmsetup resume failing
	for pid in "${clients[@]}"; do
		ends_with 1 "$pid"
	done
	clients=()
	mend_disk
}

@test "a write-back that fails is told to each flush and durable write that waits for it" {
	clients=()
	for path in copy zero-copy; do
		[[ $path == copy ]] || kernel_at_least 6.16 || continue
		on_failing_disk --direct off -q 2 --data-path $path --no-partition-scan
		# By two queues, each alone in its own.
		dmsetup suspend --noflush --nolockfs failing
		for cpu in 0 1; do
			on_cpu $cpu dd if=/dev/zero of="$dev" bs=4096 seek=$cpu count=1 \
				oflag=direct,dsync status=none
		done
		all_fail "$dev" 2
		ublk del "$dev"
		# Many in one queue.
		dev=$(ublk add -t loop -f /dev/mapper/failing --direct off -q 2 --data-path $path \
			--no-partition-scan)
		dmsetup suspend --noflush --nolockfs failing
		for n in 0 1 2 3 4 5; do
			on_cpu 0 dd if=/dev/zero of="$dev" bs=4096 seek=$n count=1 oflag=direct,dsync \
				status=none
		done
		wait_for 20 in_flight "$dev" 6
		all_fail "$dev" 1
		ublk del "$dev"
		# One block, and a flush by each queue: of two that share a description one is told.
		for _ in 1 2 3; do
			dev=$(ublk add -t loop -f /dev/mapper/failing --direct off -q 2 \
				--data-path $path --no-partition-scan)
			write_block "$dev" 1
			dmsetup suspend --noflush --nolockfs failing
			on_cpu 0 sync "$dev"
			on_cpu 1 sync "$dev"
			all_fail "$dev" 2
			ublk del "$dev"
		done
		unmap_disk failing
	done
}

@test "a plain direct write that fails is this write's error and nobody else's" {
	on_failing_disk
	fail_writes
	run write_block "$dev" 5
	[ "$status" -ne 0 ]
	mend_disk
	write_block "$dev" 5
	sync "$dev"
	ublk del "$dev"
}

# fill DEV FLAGS: writes behind each other until there is no room, which has to be said.
fill()
{
	run dd if=/dev/zero of="$1" bs=1M count=48 oflag="$2"
	[ "$status" -ne 0 ]
	[[ $output == *'No space left on device'* ]]
}

@test "a full file system is told as such to the client, nothing is lost, and the device goes on" {
	for type in tmpfs ext4; do
		if [[ $type == tmpfs ]]; then
			tmpfs_on "$type" 8
		else
			fs_on "$(make_ram_disk 16)" ext4 "$type"
		fi
		for direct in auto off; do
			rm -f $type/a.img
			make_image $type/a.img 64M
			dev=$(ublk add -t loop -f $type/a.img --direct $direct)
			fill "$dev" direct
			fill "$dev" direct,dsync
			[ "$(state_of "$dev")" = live ]
			dd if="$dev" of=/dev/null bs=1M count=1 iflag=direct status=none
			sync "$dev"
			blkdiscard -o 0 -l 8M "$dev"
			dd if=/dev/zero of="$dev" bs=4096 count=4 oflag=direct,dsync status=none
			sync "$dev"
			[ "$(detail "$dev" .write_error)" = null ]
			ublk del "$dev"
		done
	done
}

@test "a file that was cut short gives errors where it ends, and nothing worse" {
	fs_on "$(make_ram_disk 64)" ext4 fs
	for direct in on off; do
		head -c 4M /dev/urandom >fs/$direct.img
		cp fs/$direct.img model
		dev=$(ublk add -t loop -f fs/$direct.img --direct $direct)
		truncate -s 1M fs/$direct.img
		run dd if="$dev" of=/dev/null bs=4096 skip=512 count=1 iflag=direct status=none
		[ "$status" -ne 0 ]
		# Across the end.
		run dd if="$dev" of=/dev/null bs=64K skip=15 count=2 iflag=direct status=none
		[ "$status" -ne 0 ]
		cmp -n 1M <(dd if="$dev" bs=64K count=16 iflag=direct status=none) model
		[ "$(state_of "$dev")" = live ]
		truncate -s 4M fs/$direct.img
		dd if="$dev" bs=64K skip=32 count=1 iflag=direct status=none | cmp -n 64K - /dev/zero
		ublk del "$dev"
	done
}
