# SPDX-License-Identifier: MIT
# The data path on which the server copies, with buffers from a pool.
# kernels: newest
# long kernels: 6.12
# cpus: 4

load helpers
load servers
load backings

# load_and_verify DEV OPTIONS...: requests of every size, many at once, read back and compared.
load_and_verify()
{
	fio --filename="$1" --ioengine=libaio --direct=1 --rw=randwrite --randrepeat=1 \
		--bsrange=512-512k --iodepth=128 --size=32M --verify=crc32c --verify_fatal=1 \
		--name=load --output=fio.log "${@:2}" || { cat fio.log && return 1; }
}

has_no_buffers_in_memory()
{
	[ "$(buffers_of "$1" resident)" -eq 0 ]
}

# bats test_tags=long
@test "loop keeps every block, with buffers for what is under way alone" {
	make_image a.img 64M
	dev=$(ublk add -t loop -f a.img -q 4 --data-path user-copy)
	[ "$(detail "$dev" .data_path)" = '"user-copy"' ]
	load_and_verify "$dev" --numjobs=1
	# One request at a time leaves one buffer.
	wait_for 10 has_no_buffers_in_memory "$dev"
	fio --filename="$dev" --name=one --rw=randwrite --bs=4k --direct=1 --iodepth=1 --number_ios=100 \
		--size=32M --output=fio.log
	[ "$(buffers_of "$dev" resident)" -le $((4 * 4096)) ]
	wait_for 10 has_no_buffers_in_memory "$dev"
	ublk del "$dev"
}

@test "the cap holds under any load, and every request is served in the end" {
	make_image a.img 64M
	dev=$(ublk add -t loop -f a.img --buffer-memory 768K)
	load_and_verify "$dev"
	[ "$(buffers_of "$dev" resident)" -gt 0 ]
	[ "$(buffers_of "$dev" resident)" -le $((768 * 1024)) ]
	# The smallest cap: one request at a time for each of two queues.
	ublk del "$dev"
	dev=$(ublk add -t loop -f a.img -q 2 --max-io 64K --buffer-memory 128K)
	load_and_verify "$dev"
	[ "$(buffers_of "$dev" resident)" -le $((128 * 1024)) ]
	ublk del "$dev"
}

@test "a target in memory needs no buffers at all" {
	dev=$(ublk add -t mem --size 64M -q 2 --data-path user-copy)
	load_and_verify "$dev"
	[ "$(buffers_of "$dev" mapped)" -eq 0 ]
	blkdiscard -z -o 1M -l 1M "$dev"
	dd if="$dev" bs=1M skip=1 count=1 iflag=direct status=none | cmp -n $((1 << 20)) - /dev/zero
	ublk del "$dev"
}

@test "read errors and write errors reach the client, and the buffers come back" {
	disk=$(make_ram_disk 16)
	map_disk bad "0 16384 linear $disk 0"
	dev=$(ublk add -t loop -f /dev/mapper/bad --direct on --buffer-memory 512K --recovery none)
	change_map bad "0 16384 error"
	for ((try = 0; try < 20; try++)); do
		run -1 dd if=/dev/zero of="$dev" bs=512K count=1 oflag=direct status=none
		run -1 dd if="$dev" of=/dev/null bs=512K count=1 iflag=direct status=none
	done
	change_map bad "0 16384 linear $disk 0"
	dd if=/dev/zero of="$dev" bs=512K count=4 oflag=direct status=none
	ublk del "$dev"
}

@test "a server that dies amid a full pool is recovered, with its cap, and nothing is lost" {
	make_image a.img 64M
	dev=$(ublk add -t loop -f a.img --buffer-memory 1M)
	load_and_verify "$dev" &
	load=$!
	wait_for 20 has_written "$dev" 50
	kill_server "$dev"
	run -0 ublk recover "$dev"
	[ "$(detail "$dev" .data_path)" = '"user-copy"' ]
	ends_with 0 "$load"
	[ "$(buffers_of "$dev" resident)" -le $((1 << 20)) ]
	ublk del "$dev"
}
