# SPDX-License-Identifier: MIT
# File systems and partition tables: on a device, and in images that were made elsewhere.
# kernels: newest
# long kernels: 6.12

load helpers
load backings

# make_tree DIR: files of many sizes, links and a sparse file.
make_tree()
{
	local i
	mkdir -p "$1"/a/b/c
	for i in 0 1 511 512 513 4095 4096 4097 65537 1000003; do
		head -c "$i" /dev/urandom >"$1/a/$i"
		ln "$1/a/$i" "$1/a/b/$i.hard"
	done
	ln -s ../a/4096 "$1/a/b/c/soft"
	for i in {1..40}; do
		head -c "$((i * 37))" /dev/urandom >"$1/a/b/c/small$i"
	done
	truncate -s 1M "$1/sparse"
	printf end | dd of="$1/sparse" bs=1 seek=900000 conv=notrunc status=none
}

# sums DIR: of all that lies in it.
sums()
{
	(cd "$1" && find . -type f -print0 | sort -z | xargs -0 sha256sum && find . -type l -printf '%p %l\n')
}

# keeps_a_tree MKFS FSCK...: on an image of 320 MiB; what is checked is also the file by itself.
keeps_a_tree()
{
	local mkfs=$1 dev
	shift
	make_image a.img 320M
	dev=$(ublk add -t loop -f a.img)
	$mkfs "$dev"
	mkdir mnt
	at_end unmount "$PWD/mnt"
	mount "$dev" mnt
	make_tree mnt
	sums mnt >before
	[ "$(wc -l <before)" -ge 60 ]
	umount mnt
	mount "$dev" mnt
	sums mnt | diff before -
	umount mnt
	"$@" "$dev"
	ublk del "$dev"
	"$@" a.img
	dev=$(ublk add -t loop -f a.img --read-only)
	mount -o ro "$dev" mnt
	sums mnt | diff before -
	umount mnt
	ublk del "$dev"
}

@test "ext4 keeps a tree of files over remounts and a new device, and fsck finds nothing" {
	keeps_a_tree "mkfs.ext4 -q" e2fsck -fn
}

# bats test_tags=long
@test "xfs keeps a tree of files over remounts and a new device, and xfs_repair finds nothing" {
	modprobe xfs
	keeps_a_tree "mkfs.xfs -q" xfs_repair -nf
}

@test "a file system is trimmed, and the file gives the room back" {
	make_image a.img 64M
	dev=$(ublk add -t loop -f a.img)
	mkfs.ext4 -q "$dev"
	mkdir mnt
	at_end unmount "$PWD/mnt"
	mount "$dev" mnt
	head -c 16M /dev/urandom >mnt/big
	sync mnt/big
	full=$(stat -c %b a.img)
	rm mnt/big
	sync -f mnt
	fstrim mnt
	[ "$(stat -c %b a.img)" -le $((full - 16 * 2048)) ]
	umount mnt
	e2fsck -fn "$dev"
	ublk del "$dev"
}

# partition FILE_OR_DEV: two partitions, the second one not at a multiple of a page.
partition()
{
	sfdisk -q "$1" <<-END
		label: gpt
		start=2048, size=16384
		start=20483, size=8197
	END
}

@test "a table that sfdisk writes to the device shows its partitions" {
	dev=$(ublk add -t mem --size 32M)
	partition "$dev"
	wait_for 5 test -b "${dev}p2"
	[ "$(cat "/sys/block/ublkb0/ublkb0p2/start")" -eq 20483 ]
	[ "$(blockdev --getsize64 "${dev}p2")" -eq $((8197 * 512)) ]
	ublk del "$dev"
	[ ! -e "${dev}p1" ]
}

@test "the partitions of an image of 512-byte sectors are there, and right, when add returns" {
	make_image a.img 32M
	partition a.img
	head -c $((8197 * 512)) /dev/urandom >part
	dd if=part of=a.img bs=512 seek=20483 conv=notrunc status=none
	dev=$(ublk add -t loop -f a.img)
	[ -b "${dev}p1" ]
	[ -b "${dev}p2" ]
	[ "$(cat /sys/block/ublkb0/queue/logical_block_size)" -eq 512 ]
	[ "$(cat /sys/block/ublkb0/ublkb0p1/start)" -eq 2048 ]
	[ "$(cat /sys/block/ublkb0/ublkb0p1/size)" -eq 16384 ]
	cmp part "${dev}p2"
	ublk del "$dev"
}

@test "--no-partition-scan leaves them out where the driver can; elsewhere it is told" {
	make_image a.img 32M
	partition a.img
	run --separate-stderr ublk add -t loop -f a.img --no-partition-scan
	[ "$status" -eq 0 ]
	if kernel_at_least 7.0; then
		[ -z "$stderr" ]
		[ ! -e /dev/ublkb0p1 ]
	else
		[[ $stderr == *'partitions are scanned all the same'* ]]
	fi
	ublk del 0
}

@test "--offset and --size serve one partition of an image, and nothing beside it" {
	make_image a.img 32M
	partition a.img
	head -c 1M /dev/urandom | dd of=a.img bs=512 seek=$((20483 + 8197)) conv=notrunc status=none
	cp a.img model
	dev=$(ublk add -t loop -f a.img --offset $((20483 * 512)) --size $((8197 * 512)))
	[ "$(blockdev --getsize64 "$dev")" -eq $((8197 * 512)) ]
	head -c $((8197 * 512)) /dev/urandom >part
	dd if=part of="$dev" bs=64K conv=fsync status=none
	dd if=part of=model bs=512 seek=20483 conv=notrunc status=none
	ublk del "$dev"
	cmp a.img model
}

# As behind a program, or a header of any length.
@test "an image that starts at any byte of a file is served whole, buffered, and says so" {
	make_image a.img 8M
	head -c 8M /dev/urandom >a.img
	cp a.img model
	run --separate-stderr ublk add -t loop -f a.img --offset 1000001 --size 4M
	[ "$status" -eq 0 ]
	[[ $stderr == *'I/O is buffered, not direct: '* ]]
	cmp -n 4M <(tail -c +1000002 model) /dev/ublkb0
	head -c 256K /dev/urandom >part
	dd if=part of=/dev/ublkb0 bs=3584 seek=5 conv=fsync status=none
	dd if=part of=model oflag=seek_bytes seek=$((1000001 + 5 * 3584)) conv=notrunc status=none
	blkdiscard -z -o 1M -l 68K /dev/ublkb0
	dd if=/dev/zero of=model bs=68K count=1 oflag=seek_bytes seek=$((1000001 + 1048576)) conv=notrunc status=none
	ublk del 0
	cmp a.img model
	run --separate-stderr ublk add -t loop -f a.img --offset 1000001 --direct on
	[ "$status" -eq 1 ]
	[[ $stderr == *'cannot do direct I/O'*'--offset'* ]]
}

@test "an image below an overlay is copied up when it is served for writing, and not before" {
	mkdir lower upper work
	modprobe overlay
	truncate -s 8M lower/a.img
	mkdir over
	mount -t overlay -o "lowerdir=$PWD/lower,upperdir=$PWD/upper,workdir=$PWD/work" overlay over
	at_end unmount "$PWD/over"
	run -0 --separate-stderr ublk add --dry-run -t loop -f over/a.img
	[ -z "$stderr" ]
	[ -z "$(ls upper)" ]
	dev=$(ublk add -t loop -f over/a.img --read-only)
	[ -z "$(ls upper)" ]
	ublk del "$dev"
	dev=$(ublk add -t loop -f over/a.img)
	[ -e upper/a.img ]
	ublk del "$dev"
	umount over
	# What a dry run tells is what an add would do.
	mount -t overlay -o "lowerdir=$PWD/upper:$PWD/lower" overlay over
	run -0 --separate-stderr ublk add --dry-run -t loop -f over/a.img
	[[ $stderr == *' cannot be opened for writing: Read-only file system'* ]]
}

# Direct I/O of this file system needs 4096 bytes, the image inside is made of 512.
@test "an image of 512-byte sectors where direct I/O needs 4096 is served buffered, and says so" {
	fs_on "$(make_ram_disk 64 4096)" ext4 fs
	make_image fs/a.img 32M
	partition fs/a.img
	run --separate-stderr ublk add -t loop -f fs/a.img
	[ "$status" -eq 0 ]
	[[ $stderr == *'I/O is buffered, not direct: it needs --logical-block-size 4096'* ]]
	[ "$(detail 0 '[.logical_block_size, .target.direct]')" = '[512,false]' ]
	[ "$(cat /sys/block/ublkb0/ublkb0p2/start)" -eq 20483 ]
	head -c 4M /dev/urandom >part
	dd if=part of=/dev/ublkb0p2 bs=512 seek=1 count=8001 conv=fsync status=none
	cmp -n $((8001 * 512)) <(tail -c +$((20484 * 512 + 1)) fs/a.img) part
	ublk del 0

	run --separate-stderr ublk add -t loop -f fs/a.img --logical-block-size 4096
	[ "$status" -eq 0 ]
	[ -z "$stderr" ]
	[ "$(detail 0 '[.logical_block_size, .target.direct]')" = '[4096,true]' ]
	ublk del 0

	run --separate-stderr ublk add -t loop -f fs/a.img --direct on
	[ "$status" -eq 0 ]
	[ "$(detail 0 '[.logical_block_size, .target.direct]')" = '[4096,true]' ]
	ublk del 0

	run --separate-stderr ublk add -t loop -f fs/a.img --direct on --logical-block-size 512
	[ "$status" -ne 0 ]
	[[ $stderr == *'cannot do direct I/O'* ]]
}

@test "a block device of 4096-byte blocks gives a device of such, or a buffered one of smaller" {
	disk=$(make_ram_disk 32 4096)
	dev=$(ublk add -t loop -f "$disk")
	[ "$(detail "$dev" '[.logical_block_size, .target.direct]')" = '[4096,true]' ]
	ublk del "$dev"
	run --separate-stderr ublk add -t loop -f "$disk" --logical-block-size 512
	[ "$status" -eq 0 ]
	[[ $stderr == *'I/O is buffered'* ]]
	head -c 512 /dev/urandom >sector
	dd if=sector of=/dev/ublkb0 bs=512 seek=3 oflag=direct conv=fsync status=none
	cmp -n 512 sector <(tail -c +1537 "$disk")
	ublk del 0
}
