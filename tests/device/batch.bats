# SPDX-License-Identifier: MIT
# Requests fetched and committed many at a time, on every path that allows it.
# kernels: newest
# long kernels: 6.18
# cpus: 4
# build: faults

load helpers
load servers
load backings

PATHS=(copy user-copy zero-copy)

has_batches()
{
	only_on_kernel 7.0 'batches'
}

load_and_verify()
{
	fio_verify "$1" --ioengine=libaio --bsrange=512-512k --iodepth=128 --size=32M "${@:2}"
}

# bats test_tags=long
@test "every block is kept, on every path, at every depth" {
	has_batches
	make_image a.img 64M
	for path in "${PATHS[@]}"; do
		for depth in 2 1000; do
			dev=$(ublk add -t loop -f a.img --direct off -q 2 -d "$depth" --max-io 256K \
				--data-path "$path" --batch on)
			[ "$(detail "$dev" '[.data_path, .batch]')" = "[\"$path\",true]" ]
			load_and_verify "$dev"
			fio_verify "$dev" --numjobs=4 --size=4M --offset_increment=4M --fsync=16
			blkdiscard -z -o 1M -l 1M "$dev"
			dd if="$dev" bs=1M skip=1 count=1 iflag=direct status=none |
				cmp -n $((1 << 20)) - /dev/zero
			ublk del "$dev"
		done
	done
	dev=$(ublk add -t mem --size 64M --batch on)
	load_and_verify "$dev"
	ublk del "$dev"
}

# Their completions come before that of the commit which they were queued with.
# bats test_tags=long
@test "operations that the kernel carries out at once crowd out no commit" {
	has_batches
	fs_on "$(make_ram_disk 128)" ext4 e
	make_image e/a.img 64M
	for path in "${PATHS[@]}"; do
		dev=$(ublk add -t loop -f e/a.img --direct off -d 7 --data-path "$path" --batch on)
		fio_verify "$dev" --ioengine=libaio --iodepth=32 --size=16M
		[ "$(column_of "$dev" STATE)" = live ]
		ublk del "$dev"
	done
}

# The client hands in two requests when it has both back: what waits to be committed is all that can come.
# bats test_tags=long
@test "a kernel that takes a commit later than it should loses none" {
	has_batches
	fs_on "$(make_ram_disk 128)" ext4 e
	make_image e/a.img 64M
	# Not zero-copy: what is linked there ends the server (zero_copy.bats).
	for path in copy user-copy; do
		for direct in on off; do
			dev=$(UBLK_FAULT=take-less ublk add -t loop -f e/a.img --direct "$direct" -d 4 \
				--data-path "$path" --batch on)
			fio_verify "$dev" --ioengine=libaio --size=2M --iodepth=2 --iodepth_batch=2 \
				--iodepth_batch_complete_min=2
			load_and_verify "$dev" --size=4M
			ublk del "$dev"
		done
	done
}

has_given_back()
{
	[ "$(buffers_of "$1" resident)" -eq 0 ]
}

# bats test_tags=long
@test "after a load the buffers go back, and the device works on" {
	has_batches
	make_image a.img 64M
	for path in copy user-copy; do
		dev=$(ublk add -t loop -f a.img --data-path "$path" --batch on)
		load_and_verify "$dev"
		[ "$(buffers_of "$dev" resident)" -gt 0 ]
		wait_for 10 has_given_back "$dev"
		load_and_verify "$dev"
		ublk del "$dev"
	done
}

@test "what the driver fails to register, we register" {
	has_batches
	make_image a.img 64M
	dev=$(UBLK_FAULT=auto-buffer ublk add -t loop -f a.img --direct off --data-path zero-copy --batch on)
	load_and_verify "$dev"
	ublk del "$dev"
}

# bats test_tags=long
@test "killed servers' requests are served whole by the next ones" {
	has_batches
	make_image a.img 32M
	for path in "${PATHS[@]}"; do
		dev=$(ublk add -t loop -f a.img --direct off -q 2 --recovery reissue --data-path "$path" --batch on)
		outlives_its_servers "$dev"
		[ "$(detail "$dev" .batch)" = true ]
		ublk del "$dev"
	done
}

@test "a server that dies with half of its tags given leaves a recoverable device" {
	has_batches
	make_image a.img 32M
	dev=$(ublk add -t loop -f a.img -q 2 --recovery reissue --batch on)
	kill_server "$dev"
	UBLK_FAULT=fetch-half:kill run ublk recover "$dev"
	[ "$status" -ne 0 ]
	ublk recover "$dev"
	fio_verify "$dev"
	ublk del "$dev"
}

@test "errors of the backing reach the client" {
	has_batches
	disk=$(make_ram_disk 32)
	map_disk broken "0 8192 linear $disk 0
8192 8192 error
16384 8192 linear $disk 16384"
	for path in "${PATHS[@]}"; do
		dev=$(ublk add -t loop -f /dev/mapper/broken --no-partition-scan --data-path "$path" --batch on)
		dd if=/dev/zero of="$dev" bs=64K count=8 oflag=direct status=none
		run dd if="$dev" of=/dev/null bs=64K skip=64 count=1 iflag=direct
		[[ $output == *'Input/output error'* ]]
		run dd if=/dev/zero of="$dev" bs=64K seek=64 count=1 oflag=direct
		[[ $output == *'Input/output error'* ]]
		dd if="$dev" of=/dev/null bs=64K skip=128 count=8 iflag=direct status=none
		ublk del "$dev"
	done
}

@test "a device that is stopped under load ends at once, and its writer gets errors" {
	has_batches
	make_image a.img 32M
	for path in "${PATHS[@]}"; do
		dev=$(ublk add -t loop -f a.img --direct off --data-path "$path" --batch on)
		fio --name=load --filename="$dev" --size=32M --direct=1 --ioengine=libaio --iodepth=64 \
			--rw=randrw --bs=64k --time_based --runtime=60 >fio.log 2>&1 3>&- &
		fio=$!
		wait_for 10 has_written "$dev" 100
		ublk del --force "$dev"
		ends_with 1 "$fio"
		nothing_left
	done
}

@test "what cannot be had in batches is refused, with the reason" {
	run --separate-stderr ublk add -t null --batch on -d 1
	[ "$status" -eq 2 ]
	[[ $stderr == *"--batch on needs a --depth of 2 or more"* ]]
	run --separate-stderr ublk add -t null --batch on --data-path get-data
	[ "$status" -eq 2 ]
	[[ $stderr == *"--batch on is not for --data-path get-data"* ]]
	if ! kernel_at_least 7.0; then
		run -6 --separate-stderr ublk add -t null --batch on
		[[ $stderr == *'cannot add a device with --batch on: that needs Linux 7.0'* ]]
	fi
	nothing_left
}
