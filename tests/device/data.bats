# SPDX-License-Identifier: MIT
# What was written is what is read: every size, depth and number of queues, over every backing.
# kernels: newest
# long kernels: 6.12
# cpus: 4

load helpers
load backings

# write_and_verify DEV OPTIONS...: fio writes, with a checksum in each block, then reads all of it
# from the device itself, whatever the page cache holds, and compares.
write_and_verify()
{
	local dev=$1 common
	shift
	common=(--filename="$dev" --ioengine=libaio --thread --rw=randwrite --randrepeat=1
		--verify=crc32c --verify_fatal=1 --output=fio.log)
	fio "${common[@]}" --direct=1 --do_verify=0 "$@" || { cat fio.log && return 1; }
	sync "$dev"
	echo 1 >/proc/sys/vm/drop_caches
	verify_again=("${common[@]}" "$@" --direct=1 --verify_only=1)
	fio "${verify_again[@]}" || { cat fio.log && return 1; }
}

# Every size of a block from one sector to 1 MiB, at the depths that matter, side by side.
verify_sizes()
{
	write_and_verify "$1" \
		--name=sectors --bs=512 --size=64K --iodepth=1 \
		--name=pages --bs=4k --offset=1M --size=1M --iodepth=128 \
		--name=large --bs=1M --offset=4M --size=6M --iodepth=4 \
		--name=mixed --bssplit=512/20:3k/10:4k/20:7k/10:60k/20:516k/10:1M/10 \
		--offset=16M --size=4M --iodepth=32
}

@test "the check itself sees a single changed byte" {
	dev=$(ublk add -t mem --size 8M)
	write_and_verify "$dev" --name=pages --bs=4k --size=256K --iodepth=4
	printf x | dd of="$dev" bs=1 seek=100000 conv=notrunc,fsync status=none
	run fio "${verify_again[@]}"
	[ "$status" -ne 0 ]
	ublk del "$dev"
}

@test "loop on a file of ext4 keeps every block, at every size and depth" {
	fs_on "$(make_ram_disk 128)" ext4 fs
	make_image fs/a.img 64M
	dev=$(ublk add -t loop -f fs/a.img)
	[ "$(detail "$dev" .target.direct)" = true ]
	verify_sizes "$dev"
	sync "$dev"
	cmp "$dev" fs/a.img
	ublk del "$dev"
}

@test "loop on a block device keeps every block, at every size and depth" {
	disk=$(make_ram_disk 64)
	dev=$(ublk add -t loop -f "$disk")
	[ "$(detail "$dev" .target.direct)" = true ]
	verify_sizes "$dev"
	sync "$dev"
	cmp "$dev" "$disk"
	ublk del "$dev"
}

@test "mem keeps every block, at every size and depth" {
	dev=$(ublk add -t mem --size 64M)
	verify_sizes "$dev"
	ublk del "$dev"
}

# bats test_tags=long
@test "loop --direct off keeps every block, and the file has them after a sync" {
	fs_on "$(make_ram_disk 128)" ext4 fs
	make_image fs/a.img 64M
	dev=$(ublk add -t loop -f fs/a.img --direct off)
	[ "$(detail "$dev" .target.direct)" = false ]
	verify_sizes "$dev"
	sync "$dev"
	cmp "$dev" fs/a.img
	ublk del "$dev"
}

@test "a client that writes through the page cache loses nothing" {
	fs_on "$(make_ram_disk 128)" ext4 fs
	make_image fs/a.img 64M
	dev=$(ublk add -t loop -f fs/a.img)
	fio --name=buffered --filename="$dev" --ioengine=psync --thread --size=4M --rw=randwrite \
		--bssplit=512/25:4k/25:24k/25:256k/25 --verify=crc32c --do_verify=0 --fsync=16 \
		--output=fio.log
	echo 1 >/proc/sys/vm/drop_caches
	fio --name=buffered --filename="$dev" --ioengine=psync --thread --size=4M --rw=randwrite \
		--bssplit=512/25:4k/25:24k/25:256k/25 --verify=crc32c --verify_only --fsync=16 \
		--output=fio.log
	cmp "$dev" fs/a.img
	ublk del "$dev"
}

# bats test_tags=long
@test "four queues and four writers: every block arrives at its place" {
	fs_on "$(make_ram_disk 128)" ext4 fs
	make_image fs/a.img 64M
	for target in "loop -f fs/a.img" "mem --size 64M"; do
		# Several words.
		# shellcheck disable=SC2086
		dev=$(ublk add -t $target -q 4 -d 32)
		[ "$(detail "$dev" .queues)" -eq 4 ]
		write_and_verify "$dev" --name=writers --numjobs=4 --offset_increment=16M --size=1M \
			--iodepth=32 --bssplit=4k/50:16k/30:512k/20
		ublk del "$dev"
	done
}

@test "reads and writes mixed, deeper than the queue, end without an error" {
	dev=$(ublk add -t mem --size 32M -d 8 -q 2)
	fio --name=mixed --filename="$dev" --ioengine=libaio --direct=1 --rw=randrw --bs=4k-64k \
		--iodepth=128 --numjobs=2 --offset_increment=16M --size=4M --verify=crc32c \
		--verify_fatal=1 --verify_backlog=64 --output=fio.log
	ublk del "$dev"
}

# writes_of DEV: how many requests it has got.
writes_of()
{
	awk '{ print $5 }' "/sys/block/${1#/dev/}/stat"
}

# bats test_tags=long
@test "--max-io bounds the requests, and larger ones are cut without harm" {
	for kib in 4 1024; do
		dev=$(ublk add -t mem --size 16M --max-io ${kib}K)
		[ "$(cat "/sys/block/${dev#/dev/}/queue/max_hw_sectors_kb")" -eq $kib ]
		write_and_verify "$dev" --name=large --bs=1M --size=2M --iodepth=2
		[ "$(writes_of "$dev")" -ge $((2048 / kib)) ]
		ublk del "$dev"
	done
}

@test "null takes reads and writes of every size" {
	dev=$(ublk add -t null --size 64M -q 2)
	fio --name=null --filename="$dev" --ioengine=libaio --direct=1 --rw=randrw --size=8M \
		--bssplit=512/30:4k/40:1M/30 --iodepth=32 --output=fio.log
	ublk del "$dev"
}

@test "the last sector of a size that is no multiple of a page can be written and read" {
	head -c $((1048576 + 3 * 512)) /dev/urandom >a.img
	cp a.img model
	dev=$(ublk add -t loop -f a.img)
	[ "$(blockdev --getsize64 "$dev")" -eq $((1048576 + 3 * 512)) ]
	cmp "$dev" model
	head -c 512 /dev/urandom >sector
	dd if=sector of="$dev" bs=512 seek=2050 oflag=direct status=none
	dd if=sector of=model bs=512 seek=2050 conv=notrunc status=none
	cmp "$dev" model
	run dd if=sector of="$dev" bs=512 seek=2051 oflag=direct status=none
	[ "$status" -ne 0 ]
	ublk del "$dev"
	cmp a.img model
}
