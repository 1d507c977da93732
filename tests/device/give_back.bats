# SPDX-License-Identifier: MIT
# The memory of buffers goes back to the system when a queue is idle, and never takes data along.
# kernels: 6.12 6.18 newest
# build: faults

load helpers
load servers
load backings

setup()
{
	device_setup
}

teardown()
{
	end_jobs
	device_teardown
}

# has_given_back DEV
has_given_back()
{
	[ "$(buffers_of "$1" resident)" -eq 0 ]
}

# write_pattern FILE_OR_DEV: 8 MiB in which every 4 KiB differ.
write_pattern()
{
	seq -f '%4095.0f' 2048 | dd of="$1" bs=512K iflag=fullblock oflag=direct status=none
}

@test "after a load the buffers go back, and the device works on" {
	make_image a.img 64M
	dev=$(ublk add -t loop -f a.img -q 2 --data-path copy)
	fio --name=load --filename="$dev" --rw=randwrite --bs=512k --iodepth=64 --ioengine=libaio \
		--direct=1 --size=64M --verify=crc32c --do_verify=0 --output=fio.log
	[ "$(buffers_of "$dev" resident)" -gt 4000000 ]
	wait_for 10 has_given_back "$dev"
	fio --name=load --filename="$dev" --rw=randwrite --bs=512k --iodepth=64 --ioengine=libaio \
		--direct=1 --size=64M --verify=crc32c --verify_only --output=fio.log
	ublk del "$dev"
}

# read_from_a_stalled_disk: reads a pattern off a device whose disk answers reads after 12 s, while
# the rest of the buffers goes back. Leaves the pattern in `want` and what was read in `got`.
read_from_a_stalled_disk()
{
	local disk sectors=65536 reader
	disk=$(make_ram_disk 32)
	map_disk slow "0 $sectors linear $disk 0"
	dev=$(ublk add -t loop -f /dev/mapper/slow --direct on --data-path copy)
	write_pattern "$dev"
	write_pattern want
	change_map slow "0 $sectors delay $disk 0 12000 $disk 0 0"
	[ "$(buffers_of "$dev" resident)" -gt 0 ]
	dd if="$dev" of=got bs=512K count=16 iflag=direct status=none 3>&- &
	reader=$!
	wait_for 5 in_flight "$dev" 1
	wait_for 11 has_less_than "$dev" 524289
	in_flight "$dev" 1
	# The others at full speed.
	change_map slow "0 $sectors linear $disk 0"
	ends_with 0 "$reader"
}

# has_less_than DEV BYTES: of buffers.
has_less_than()
{
	[ "$(buffers_of "$1" resident)" -lt "$2" ]
}

@test "a request that the backing is slow to answer keeps its buffer" {
	read_from_a_stalled_disk
	cmp got want
	ublk del "$dev"
}

@test "the check itself sees a buffer that is taken away too early" {
	export UBLK_FAULT=give-back-busy
	read_from_a_stalled_disk
	run cmp got want
	[ "$status" -eq 1 ]
	ublk del "$dev"
}
