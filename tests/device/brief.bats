# SPDX-License-Identifier: MIT
# Syncs and discards that the thread of a queue carries out itself, and when it must not. Whether the
# last ones were short enough is not asked here: an emulated processor is slow.
# kernels: newest
# long kernels: 6.12
# build: faults

load helpers
load servers

TRACE=/sys/kernel/tracing/instances/brief

# trace_calls CALL: counts the queues' threads' from now on.
trace_calls()
{
	mkdir "$TRACE"
	at_end end_trace
	echo 1 >"$TRACE/events/syscalls/sys_enter_$1/enable"
}

end_trace()
{
	[[ ! -d $TRACE ]] || rmdir "$TRACE"
}

# calls CALL: prints how often; the trace ends.
calls()
{
	grep -cE "ublk[0-9]+-q[0-9]+-[0-9]+ .*sys_$1" "$TRACE/trace" || true
	end_trace
}

# add_on_ext4 [OPTIONS]: a device over a file there, with blocks. Sets dev.
add_on_ext4()
{
	fs_on "$(make_ram_disk 64)" ext4 fs
	dd if=/dev/urandom of=fs/img bs=1M count=32 status=none
	dev=$(UBLK_FAULT=brief ublk add -t loop -f fs/img "$@")
}

# on_or_off: batches, where this kernel has them.
on_or_off()
{
	kernel_at_least 7.0 && echo on || echo off
}

# sync_blocks COUNT: each a write and then a flush.
sync_blocks()
{
	fio --name=sync --filename="$dev" --rw=write --bs=4k --size=$((4 * $1))k --fsync=1 \
		--ioengine=psync --direct=1 --output=fio.log
}

# discard_blocks COUNT
discard_blocks()
{
	fio --name=trim --filename="$dev" --rw=trim --bs=4k --size=$((4 * $1))k --ioengine=psync \
		--direct=1 --output=fio.log
}

@test "a flush that comes alone is synced by the thread of its queue" {
	for options in '--data-path copy' '--batch off' "--batch $(on_or_off)"; do
		# Several words.
		# shellcheck disable=SC2086
		add_on_ext4 $options
		trace_calls fdatasync
		sync_blocks 20
		[ "$(calls fdatasync)" -ge 15 ]
		ublk del "$dev"
		umount fs
	done
}

@test "a discard that comes alone is carried out by the thread of its queue, on files and disks" {
	add_on_ext4 --data-path copy
	trace_calls fallocate
	discard_blocks 100
	[ "$(calls fallocate)" -ge 80 ]
	cmp -n $((400 << 10)) "$dev" /dev/zero
	ublk del "$dev"
	disk=$(make_ram_disk 32 512 discard=1)
	dev=$(UBLK_FAULT=brief ublk add -t loop -f "$disk" --data-path copy)
	dd if=/dev/urandom of="$dev" bs=1M count=1 oflag=direct status=none
	trace_calls ioctl
	discard_blocks 100
	[ "$(calls ioctl)" -ge 80 ]
	cmp -n $((400 << 10)) "$dev" /dev/zero
	ublk del "$dev"
}

@test "without a word of what they take, a worker of the ring has them" {
	fs_on "$(make_ram_disk 64)" ext4 fs
	make_image fs/img 32M
	map_disk slow "0 65536 linear $(make_ram_disk 32) 0"
	dev=$(ublk add -t loop -f fs/img)
	trace_calls fdatasync
	# The first one after a pause.
	for _ in 1 2; do
		sleep 1.1
		sync_blocks 1
	done
	[ "$(calls fdatasync)" -le 2 ]
	ublk del "$dev"
}

@test "a file system that is frozen keeps discards waiting, and nothing else" {
	add_on_ext4 --data-path copy
	discard_blocks 200
	fsfreeze -f fs
	at_end thaw
	blkdiscard -o 16M -l 4K "$dev" 3>&- &
	discarder=$!
	wait_for 10 is_waiting "$discarder"
	# Not by dd, whose lseek() waits for the client's own discard.
	timeout 60 fio --name=read --filename="$dev" --rw=randread --bs=4k --io_size=64k --size=8M \
		--ioengine=io_uring --iodepth=4 --direct=1 --output=fio.log
	is_waiting "$discarder"
	thaw
	wait "$discarder"
	ublk del "$dev"
}

thaw()
{
	fsfreeze -u fs 2>/dev/null || true
}

@test "a sync of a file system that is frozen ends" {
	add_on_ext4
	sync_blocks 20
	fsfreeze -f fs
	at_end thaw
	timeout 20 blockdev --flushbufs "$dev"
	timeout 20 dd if="$dev" of=/dev/null bs=4096 count=1 iflag=direct status=none
	thaw
	ublk del "$dev"
}

# bats test_tags=long
@test "what is written, flushed and discarded by many is what is read" {
	for options in '--data-path copy' '--batch off' "--batch $(on_or_off)" '--direct off'; do
		# Several words.
		# shellcheck disable=SC2086
		add_on_ext4 $options
		fio_verify "$dev" --io_size=2M --fsync=3
		fio --name=mix --filename="$dev" --rw=randtrimwrite --bs=4k --size=8M --io_size=1M --fsync=2 \
			--ioengine=io_uring --iodepth=2 --direct=1 --numjobs=2 --output=fio.log
		fio_verify "$dev" --io_size=2M --fsync=5 --iodepth=1
		cmp "$dev" fs/img
		ublk del "$dev"
		umount fs
	done
}

# bats test_tags=long
@test "a killed server's flushes and discards are done by the next one" {
	add_on_ext4
	fio --name=load --filename="$dev" --rw=randtrimwrite --bs=4k --size=8M --fsync=1 \
		--ioengine=io_uring --iodepth=1 --direct=1 --time_based --runtime=600 \
		--output=load.log 3>&- &
	load=$!
	for _ in 1 2 3 4 5 6; do
		sleep 0.3
		park "$dev"
		UBLK_FAULT=brief ublk recover "$dev"
	done
	kill -INT "$load"
	wait "$load" || true
	run -1 grep -i error load.log
	fio_verify "$dev" --fsync=3
	ublk del "$dev"
}
