# SPDX-License-Identifier: MIT
# The data path on which nobody copies: the backing reads and writes the request's own pages.
# cpus: 2
# kernels: newest
# long kernels: 6.12 6.18
# build: faults

load helpers
load servers
load backings

has_zero_copy()
{
	only_on_kernel 6.16 'automatic registration of buffers'
}

# batches: the ways of --batch that this kernel has.
batches()
{
	echo off
	! kernel_at_least 7.0 || echo on
}

@test "a file and a block device keep every block, in requests of every size" {
	has_zero_copy
	fs_on "$(make_ram_disk 128)" ext4 e
	make_image e/a.img 64M
	for backing in e/a.img "$(make_ram_disk 64)"; do
		dev=$(ublk add -t loop -f "$backing" -q 2)
		[ "$(detail "$dev" .data_path)" = '"zero-copy"' ]
		fio_verify "$dev" --bsrange=512-512k --iodepth=64 --size=32M
		fio_verify "$dev" --fsync=16
		ublk del "$dev"
	done
}

@test "what is written is in the file, and what is in the file is read" {
	has_zero_copy
	dd if=/dev/urandom of=want bs=1M count=8 status=none
	for direct in on off; do
		truncate -s 0 a.img
		truncate -s 16M a.img
		dev=$(ublk add -t loop -f a.img --data-path zero-copy --direct "$direct")
		dd if=want of="$dev" bs=1M oflag=direct status=none
		cmp -n 8388608 a.img want
		cmp -n 8388608 "$dev" want
		blkdiscard -z -o 1M -l 1M "$dev"
		cmp -n 1048576 -i 1048576:0 a.img /dev/zero
		ublk del "$dev"
	done
}

@test "there are no buffers, and nothing stays after a load" {
	has_zero_copy
	make_image a.img 64M
	dev=$(ublk add -t loop -f a.img --direct off)
	[ "$(detail "$dev" .data_path)" = '"zero-copy"' ]
	fio_verify "$dev" --bsrange=512-512k --iodepth=64 --size=32M
	[ "$(buffers_of "$dev" mapped)" -eq 0 ]
	[ "$(detail "$dev" .idle_buffers)" = '"none"' ]
	ublk del "$dev"
}

@test "what the driver fails to register, we register" {
	has_zero_copy
	make_image a.img 64M
	dev=$(UBLK_FAULT=auto-buffer ublk add -t loop -f a.img --direct off)
	fio_verify "$dev" --bsrange=512-512k --iodepth=64 --size=32M
	dd if="$dev" of=/dev/null bs=64K count=16 iflag=direct status=none
	blkdiscard "$dev"
	kill_server "$dev"
	ublk recover "$dev"
	fio_verify "$dev" --bsrange=512-512k --iodepth=64 --size=32M
	ublk del "$dev"
}

@test "a killed server's requests are served whole by the next one" {
	has_zero_copy
	fs_on "$(make_ram_disk 128)" ext4 e
	make_image e/a.img 64M
	dev=$(ublk add -t loop -f e/a.img --recovery reissue)
	[ "$(detail "$dev" .data_path)" = '"zero-copy"' ]
	outlives_its_servers "$dev"
	ublk del "$dev"
}

@test "a server that dies while its disk works leaves no request's pages to it" {
	has_zero_copy
	make_slow_disk 64
	dev=$(ublk add -t loop -f "$slow" --recovery reissue)
	slow_down 1000
	[ "$(detail "$dev" .data_path)" = '"zero-copy"' ]
	dd if=/dev/urandom of=want bs=64K count=1 status=none
	dd if=want of="$dev" bs=64K oflag=direct status=none 3>&- &
	writer=$!
	wait_for 10 is_delayed
	kill_server "$dev"
	ublk recover "$dev"
	speed_up
	ends_with 0 "$writer"
	cmp -n 65536 "$dev" want
	ublk del "$dev"
}

@test "errors of the backing reach the client" {
	has_zero_copy
	disk=$(make_ram_disk 32)
	map_disk broken "0 8192 linear $disk 0
8192 8192 error
16384 8192 linear $disk 16384"
	dev=$(ublk add -t loop -f /dev/mapper/broken --no-partition-scan)
	[ "$(detail "$dev" .data_path)" = '"zero-copy"' ]
	dd if=/dev/zero of="$dev" bs=64K count=8 oflag=direct status=none
	run dd if="$dev" of=/dev/null bs=64K skip=64 count=1 iflag=direct
	[[ $output == *'Input/output error'* ]]
	run dd if=/dev/zero of="$dev" bs=64K seek=64 count=1 oflag=direct
	[[ $output == *'Input/output error'* ]]
	dd if="$dev" of=/dev/null bs=64K skip=128 count=8 iflag=direct status=none
	ublk del "$dev"
}

# one_by_one DEV [FIO OPTION...]: each request alone, whose commit is linked to its operation.
one_by_one()
{
	fio_verify "$1" --iodepth=1 --bsrange=512-64k --size=4M "${@:2}"
}

# bats test_tags=long
@test "a request that comes alone is moved whole" {
	has_zero_copy
	fs_on "$(make_ram_disk 128)" ext4 e
	make_image e/a.img 64M
	for batch in $(batches); do
		dev=$(ublk add -t loop -f e/a.img --batch "$batch")
		[ "$(detail "$dev" .data_path)" = '"zero-copy"' ]
		one_by_one "$dev"
		one_by_one "$dev" --fsync=8
		dd if=e/a.img of=want bs=64K count=64 status=none
		dd if="$dev" of=got bs=64K count=64 iflag=direct status=none
		cmp want got
		ublk del "$dev"
	done
	# The smallest ring.
	dev=$(ublk add -t loop -f e/a.img -d 1)
	[ "$(detail "$dev" .data_path)" = '"zero-copy"' ]
	one_by_one "$dev" --numjobs=2 --offset_increment=4M
	ublk del "$dev"
}

@test "an operation whose commit the kernel has no memory for is carried out without it" {
	has_zero_copy
	fs_on "$(make_ram_disk 128)" ext4 e
	make_image e/a.img 64M
	for batch in $(batches); do
		dev=$(UBLK_FAULT=link-refused ublk add -t loop -f e/a.img --batch "$batch")
		[ "$(detail "$dev" .data_path)" = '"zero-copy"' ]
		fio_verify "$dev" --ioengine=psync --size=256k --iodepth=1 --fsync=8
		dd if=/dev/zero of="$dev" bs=4k count=1 oflag=direct,dsync status=none
		[ "$(detail "$dev" .write_error)" = null ]
		ublk del "$dev"
	done
}

# bats test_tags=long
@test "an operation that the kernel takes without its commit ends the server, and nothing is lost" {
	has_zero_copy
	fs_on "$(make_ram_disk 128)" ext4 e
	make_image e/a.img 64M
	for batch in $(batches); do
		dev=$(ublk add -t loop -f e/a.img --batch "$batch")
		park "$dev"
		# Nobody looks for partitions then.
		UBLK_FAULT=link-cut ublk recover "$dev"
		fio --name=verified --filename="$dev" --size=2M --rw=randwrite --bs=4k --direct=1 \
			--ioengine=libaio --verify=crc32c --verify_fatal=1 >fio.log 2>&1 3>&- &
		fio=$!
		wait_for 20 is_state "$dev" quiesced
		ublk recover "$dev"
		ends_with 0 "$fio" || { cat fio.log; return 1; }
		ublk del "$dev"
	done
}

@test "a lone request's failure reaches its client, and the device works on" {
	has_zero_copy
	disk=$(make_ram_disk 32)
	map_disk broken "0 8192 linear $disk 0
8192 8192 error
16384 8192 linear $disk 16384"
	for batch in $(batches); do
		dev=$(ublk add -t loop -f /dev/mapper/broken --no-partition-scan --batch "$batch")
		for _ in 1 2 3; do
			run dd if="$dev" of=/dev/null bs=64K skip=64 count=1 iflag=direct
			[[ $output == *'Input/output error'* ]]
			run dd if=/dev/zero of="$dev" bs=64K seek=64 count=1 oflag=direct
			[[ $output == *'Input/output error'* ]]
			one_by_one "$dev" --size=2M
		done
		# Half of it can be read: no success, and no part of it either.
		run dd if="$dev" of=/dev/null bs=64K skip=4064K iflag=skip_bytes,direct count=1
		[[ $output == *'Input/output error'* ]]
		ublk del "$dev"
	done
}

@test "a file that was cut short fails lone requests behind its end" {
	has_zero_copy
	fs_on "$(make_ram_disk 64)" ext4 e
	make_image e/a.img 16M
	for batch in $(batches); do
		truncate -s 16M e/a.img
		dev=$(ublk add -t loop -f e/a.img --batch "$batch")
		truncate -s $(((8 << 20) + 4096)) e/a.img
		run dd if="$dev" of=/dev/null bs=64K skip=128 count=1 iflag=direct
		[[ $output == *'Input/output error'* ]]
		dd if="$dev" of=/dev/null bs=4K skip=2048 count=1 iflag=direct status=none
		ublk del "$dev"
	done
}

# bats test_tags=long
@test "a server that is killed while lone requests are under way is replaced without an error" {
	has_zero_copy
	fs_on "$(make_ram_disk 64)" ext4 e
	make_image e/a.img 32M
	for batch in $(batches); do
		dev=$(ublk add -t loop -f e/a.img --recovery reissue --batch "$batch")
		outlives_its_servers "$dev" --iodepth=1
		ublk del "$dev"
	done
}

@test "auto takes it where clients see no difference, and only there" {
	has_zero_copy
	tmpfs_on t 32
	make_image t/a.img 16M
	fs_on "$(make_ram_disk 128)" ext4 e
	make_image e/a.img 16M
	path_of()
	{
		dev=$(ublk add "$@") && detail "$dev" .data_path && ublk del "$dev" >&2
	}
	[ "$(path_of -t loop -f e/a.img)" = '"zero-copy"' ]
	[ "$(path_of -t loop -f e/a.img --buffer-memory 8M)" = '"user-copy"' ]
	[ "$(path_of -t loop -f e/a.img --data-path copy)" = '"copy"' ]
	[ "$(path_of -t null)" = '"copy"' ]
	[ "$(path_of -t mem --size 8M)" = '"user-copy"' ]
	[ "$(ublk add -t loop -f e/a.img --dry-run --json | jq -r .data_path)" = zero-copy ]
	# Batches cost where requests come alone: nobody gets them unasked.
	batch_of()
	{
		dev=$(ublk add -t loop -f e/a.img "$@") && detail "$dev" .batch && ublk del "$dev" >&2
	}
	[ "$(batch_of)" = false ]
	[ "$(batch_of --batch auto)" = false ]
	[ "$(ublk add -t loop -f e/a.img --dry-run --json | jq .batch)" = false ]
	! kernel_at_least 7.0 || [ "$(batch_of --batch on)" = true ]
	# This one asks for memory that lies at whole pages.
	[ "$(path_of -t loop -f t/a.img)" = '"copy"' ]
}

@test "show says why a device has no faster path" {
	has_zero_copy
	fs_on "$(make_ram_disk 64)" ext4 e
	make_image e/a.img 16M
	tmpfs_on t 32
	make_image t/a.img 16M
	# reason WANTED ADD OPTION...
	reason()
	{
		dev=$(ublk add "${@:2}")
		[ "$(detail "$dev" .data_path_reason)" = "\"$1\"" ]
		ublk show "$dev" >shown
		ublk del "$dev"
	}
	reason best -t loop -f e/a.img
	grep -q 'data path: *zero-copy$' shown
	reason best -t mem --size 1M
	reason asked -t loop -f e/a.img --data-path copy
	grep -q 'data path: *copy (as asked for)$' shown
	reason target -t null
	reason buffers -t loop -f e/a.img --buffer-memory 8M
	reason limit -t loop -f t/a.img --memory-limit 8M
	reason alignment -t loop -f t/a.img
	grep -q 'data path: *copy (with zero-copy clients had to align' shown
}

# A disk that computes something from what it is given to write: zram compresses it.
make_zram_disk()
{
	local n
	modprobe zram num_devices=1 && n=$(cat /sys/class/zram-control/hot_add) &&
		at_end remove_zram_disk "$n" && echo "$1" >"/sys/block/zram$n/disksize" &&
		disk=/dev/zram$n
}

remove_zram_disk()
{
	echo 1 >"/sys/block/zram$1/reset" && echo "$1" >/sys/class/zram-control/hot_remove
}

@test "where data must not change while it is written auto copies it, and zero-copy is noted" {
	has_zero_copy
	make_zram_disk 64M
	[ "$(cat "/sys/block/${disk#/dev/}/queue/stable_writes")" = 1 ]
	map_disk above "0 $(blockdev --getsz "$disk") linear $disk 0"
	fs_on /dev/mapper/above ext4 z
	make_image z/a.img 16M
	# As that disk has them, so that I/O is direct.
	blocks=(--logical-block-size 4096)
	dev=$(ublk add -t loop -f z/a.img "${blocks[@]}")
	[ "$(detail "$dev" '[.target.direct, .data_path, .data_path_reason]')" = \
		'[true,"copy","stable"]' ]
	ublk show "$dev" | grep -q 'data path: *copy (what lies behind checks what is written'
	fio_verify "$dev" --bs=4k --size=4M
	ublk del "$dev"
	[ "$(ublk add -t loop -f z/a.img "${blocks[@]}" --dry-run --json | jq -r .data_path)" = copy ]
	run --separate-stderr "$UBLK" add -t loop -f z/a.img "${blocks[@]}" \
		--data-path zero-copy
	[ "$status" -eq 0 ]
	[[ $stderr == *'a client must not change what it is writing'* ]]
	ublk del "$output"
	# Into the page cache it is copied.
	dev=$(ublk add -t loop -f z/a.img --direct off)
	[ "$(detail "$dev" '[.data_path, .data_path_reason]')" = '["zero-copy","best"]' ]
	ublk del "$dev"
	umount z
	dev=$(ublk add -t loop -f /dev/mapper/above --no-partition-scan)
	[ "$(detail "$dev" .data_path_reason)" = '"stable"' ]
	ublk del "$dev"
}

@test "asked for where memory has to lie at whole pages, it takes what a client with its blocks gives" {
	has_zero_copy
	tmpfs_on t 32
	cd t
	make_image a.img 16M
	mkfs.ext4 -qF -b 4096 a.img
	mkdir mnt
	for kind in 'auto 512 false' 'on 4096 true'; do
		read -r direct block is_direct <<<"$kind"
		dev=$(ublk add -t loop -f a.img --data-path zero-copy --direct "$direct")
		[ "$(blockdev --getss "$dev")" -eq "$block" ]
		[ "$(detail "$dev" .target.direct)" = "$is_direct" ]
		dd if="$dev" of=first bs="$block" count=3 iflag=direct status=none
		cmp -n $((3 * block)) first a.img
		dd if=first of="$dev" bs="$block" oflag=direct status=none
		mount "$dev" mnt
		umount mnt
		ublk del "$dev"
	done
	run --separate-stderr "$UBLK" add -t loop -f a.img --data-path zero-copy --direct on \
		--logical-block-size 512
	[ "$status" -eq 1 ]
	[[ $stderr == *'with zero-copy it needs --logical-block-size 4096'* ]]
	nothing_left
}

@test "what makes no sense with it is refused" {
	for args in '-t null' '-t mem --size 8M'; do
		# Several words.
		# shellcheck disable=SC2086
		run --separate-stderr "$UBLK" add $args --data-path zero-copy
		[ "$status" -eq 2 ]
		[[ $stderr == *"--data-path zero-copy is not for target "*": it has no file"* ]]
	done
	make_image a.img 1M
	run --separate-stderr "$UBLK" add -t loop -f a.img --data-path zero-copy --buffer-memory 8M
	[ "$status" -eq 2 ]
	[[ $stderr == *"on path zero-copy there are no buffers"* ]]
	run --separate-stderr "$UBLK" add -t loop -f a.img --data-path zero-copy --huge-pages
	[ "$status" -eq 2 ]
	nothing_left
}

@test "where the driver does not have it, auto is copy and asking for it is exit 6" {
	only_before_kernel 6.16 'automatic registration of buffers'
	make_image a.img 1M
	dev=$(ublk add -t loop -f a.img)
	[ "$(detail "$dev" '[.data_path, .data_path_reason]')" = '["copy","driver"]' ]
	ublk del "$dev"
	run --separate-stderr "$UBLK" add -t loop -f a.img --data-path zero-copy
	[ "$status" -eq 6 ]
	[[ $stderr == *"cannot add a device with data path zero-copy: this kernel's driver does not have it"* ]]
	nothing_left
}

@test "a failure to make the table of buffers leaves nothing" {
	has_zero_copy
	make_image a.img 1M
	UBLK_FAULT=slots:ENOMEM run --separate-stderr "$UBLK" add -t loop -f a.img --data-path zero-copy
	[ "$status" -eq 1 ]
	[[ $stderr == *"cannot make the table of buffers of queue 0: Cannot allocate memory"* ]]
	nothing_left
}
