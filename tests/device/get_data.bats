# SPDX-License-Identifier: MIT
# The data path on which a write's data is asked for, with buffers from a pool.
# kernels: newest
# long kernels: 6.12
# cpus: 4
# build: faults

load helpers
load servers
load backings

load_and_verify()
{
	fio_verify "$1" --ioengine=libaio --bsrange=512-512k --iodepth=128 --size=32M "${@:2}"
}

has_no_buffers_in_memory()
{
	[ "$(buffers_of "$1" resident)" -eq 0 ]
}

# bats test_tags=long
@test "loop and mem keep every block, and idle buffers go back" {
	make_image a.img 64M
	for target in '-t loop -f a.img' '-t mem --size 64M'; do
		# shellcheck disable=SC2086 # options
		dev=$(ublk add $target -q 4 --data-path get-data)
		[ "$(detail "$dev" .data_path)" = '"get-data"' ]
		load_and_verify "$dev"
		fio_verify "$dev" --fsync=16
		blkdiscard -z -o 1M -l 1M "$dev"
		dd if="$dev" bs=1M skip=1 count=1 iflag=direct status=none | cmp -n $((1 << 20)) - /dev/zero
		wait_for 10 has_no_buffers_in_memory "$dev"
		ublk del "$dev"
	done
}

# bats test_tags=long
@test "the cap holds under any load, and every request is served in the end" {
	make_image a.img 64M
	for target in '-t loop -f a.img' '-t mem --size 64M'; do
		# shellcheck disable=SC2086 # options
		dev=$(ublk add $target --data-path get-data --buffer-memory 768K)
		load_and_verify "$dev"
		[ "$(buffers_of "$dev" resident)" -gt 0 ]
		[ "$(buffers_of "$dev" resident)" -le $((768 * 1024)) ]
		ublk del "$dev"
	done
	dev=$(ublk add -t loop -f a.img -q 2 --max-io 64K --data-path get-data --buffer-memory 128K)
	load_and_verify "$dev"
	[ "$(buffers_of "$dev" resident)" -le $((128 * 1024)) ]
	ublk del "$dev"
}

@test "read errors and write errors reach the client, and the buffers come back" {
	disk=$(make_ram_disk 16)
	map_disk bad "0 32768 linear $disk 0"
	dev=$(ublk add -t loop -f /dev/mapper/bad --direct on --data-path get-data \
		--buffer-memory 512K --recovery none)
	change_map bad "0 32768 error"
	for ((try = 0; try < 20; try++)); do
		run -1 dd if=/dev/zero of="$dev" bs=512K count=1 oflag=direct status=none
		run -1 dd if="$dev" of=/dev/null bs=512K count=1 iflag=direct status=none
	done
	change_map bad "0 32768 linear $disk 0"
	load_and_verify "$dev" --size=8M
	ublk del "$dev"
}

# bats test_tags=long
@test "a killed server's requests are served whole by the next one" {
	make_image a.img 32M
	dev=$(ublk add -t loop -f a.img --recovery reissue --data-path get-data --buffer-memory 1M)
	outlives_its_servers "$dev"
	ublk del "$dev"
}

@test "a device that is stopped under load ends at once, and its writer gets errors" {
	make_image a.img 32M
	dev=$(ublk add -t loop -f a.img --data-path get-data --buffer-memory 512K)
	fio --name=load --filename="$dev" --size=32M --direct=1 --ioengine=libaio --iodepth=64 \
		--rw=randrw --bs=64k --time_based --runtime=60 >fio.log 2>&1 3>&- &
	fio=$!
	wait_for 10 has_written "$dev" 100
	ublk del --force "$dev"
	ends_with 1 "$fio"
	nothing_left
}

@test "a write whose data the driver refuses ends the server, and is served whole by the next one" {
	make_image a.img 1M
	dev=$(UBLK_FAULT=get-data ublk add -t loop -f a.img --recovery reissue --no-partition-scan --data-path get-data)
	dd if=/dev/urandom of=want bs=64K count=1 status=none
	dd if=want of="$dev" bs=64K oflag=direct status=none 3>&- &
	writer=$!
	wait_for 20 is_state "$dev" quiesced
	cmp -n 65536 a.img /dev/zero
	# Also one that is refused before the server knows that its device is live.
	for ((round = 0; round < 3; round++)); do
		UBLK_FAULT=get-data run ublk recover "$dev"
		wait_for 20 is_state "$dev" quiesced
	done
	ublk recover "$dev"
	ends_with 0 "$writer"
	cmp -n 65536 "$dev" want
	ublk del "$dev"
}

# A mapped device lets writes through to one that is read-only; with a pool of one request's size each
# waits for the one before.
@test "a write that is refused gets its error, and its server goes on" {
	make_image a.img 16M
	dev=$(ublk add -t loop -f a.img --read-only --data-path get-data --buffer-memory 512K)
	map_disk top "0 32768 linear $dev 0"
	for bs in 4k 512k 8M; do
		run dd if=/dev/zero of=/dev/mapper/top bs="$bs" count=2 oflag=direct
		[[ $output == *'Input/output error'* || $output == *'Read-only'* ]]
	done
	dd if=/dev/mapper/top bs=1M iflag=direct status=none | cmp - a.img
	[ "$(column_of "$dev" STATE)" = live ]
	unmap_disk top
	ublk del "$dev"
}
