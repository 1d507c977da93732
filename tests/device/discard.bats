# SPDX-License-Identifier: MIT
# Discard, write-zeroes and read-only: what a device offers, by what it then does to the data.
# kernels: newest
# long kernels: 6.12

# shellcheck disable=SC2154 # bats sets stderr

load helpers
load servers
load backings

MIB=1048576

# limit DEV NAME: a queue limit, as the kernel has it.
limit()
{
	cat "/sys/block/${1#/dev/}/queue/$2"
}

# fill DEV: random data, on the device and in the file `model`.
fill()
{
	head -c $((8 * MIB)) /dev/urandom >model
	dd if=model of="$1" bs=1M oflag=direct status=none
}

# zero_in_model OFFSET LENGTH
zero_in_model()
{
	dd if=/dev/zero of=model bs=512 seek=$(($1 / 512)) count=$(($2 / 512)) conv=notrunc status=none
}

# like_model DEV [FILE]: the device, and what lies behind it, is what the model says.
like_model()
{
	local file
	sync "$1"
	for file; do
		cmp -n $((8 * MIB)) "$file" model
	done
}

# discards DEV [FILE]: whole blocks read as zeroes afterwards, and their neighbours are untouched.
discards()
{
	local dev=$1
	[ "$(limit "$dev" discard_max_bytes)" -gt 0 ]
	blkdiscard -o $MIB -l $((2 * MIB)) "$dev"
	zero_in_model $MIB $((2 * MIB))
	like_model "$@"
}

# zeroes DEV [FILE]: odd ranges of sectors, with and without keeping the room.
zeroes()
{
	local dev=$1 range offset len
	[ "$(limit "$dev" write_zeroes_max_bytes)" -gt 0 ]
	for range in "$((4 * MIB)) $MIB" "$((5 * MIB + 512)) 512" "$((6 * MIB - 1536)) $((64 * 1024 + 1024))" "0 512"; do
		read -r offset len <<<"$range"
		blkdiscard -z -o "$offset" -l "$len" "$dev"
		zero_in_model "$offset" "$len"
	done
	fallocate -p -o $((7 * MIB + 512)) -l 8192 "$dev"
	zero_in_model $((7 * MIB + 512)) 8192
	fallocate -z -o $((7 * MIB + 65536)) -l 4608 "$dev"
	zero_in_model $((7 * MIB + 65536)) 4608
	like_model "$@"
}

# file_behind FS: a device over a file on a new file system: $dev, $file.
file_behind()
{
	if [[ $1 == tmpfs ]]; then tmpfs_on fs 64; else fs_on "$(make_ram_disk "${2:-64}")" "$1" fs; fi
	file=fs/a.img
	make_image $file 16M
	dev=$(ublk add -t loop -f $file)
	fill "$dev"
}

# shrinks_by_discard: the file has given back what was discarded.
discard_shrinks_the_file()
{
	local before
	before=$(stat -c %b "$file")
	discards "$dev" "$file"
	[ "$(stat -c %b "$file")" -le $((before - 2 * 2048)) ]
}

@test "a file on ext4: discards give room back, zeroes are exact at every edge" {
	file_behind ext4
	discard_shrinks_the_file
	zeroes "$dev" "$file"
	ublk del "$dev"
}

@test "a file on xfs: discards give room back, zeroes are exact at every edge" {
	file_behind xfs 320
	discard_shrinks_the_file
	zeroes "$dev" "$file"
	ublk del "$dev"
}

@test "a file on tmpfs, which cannot zero a range, gets zeroes all the same" {
	file_behind tmpfs
	discard_shrinks_the_file
	zeroes "$dev" "$file"
	ublk del "$dev"
}

@test "a block device with discard passes discards and zeroes on" {
	disk=$(make_ram_disk 16 512 discard=1)
	dev=$(ublk add -t loop -f "$disk")
	fill "$dev"
	before=$(awk '{ print $12 }' "/sys/block/${disk#/dev/}/stat")
	discards "$dev" "$disk"
	[ "$(awk '{ print $12 }' "/sys/block/${disk#/dev/}/stat")" -gt "$before" ]
	zeroes "$dev" "$disk"
	ublk del "$dev"
}

@test "a block device without discard offers none, and zeroes work all the same" {
	disk=$(make_ram_disk 16)
	dev=$(ublk add -t loop -f "$disk")
	[ "$(limit "$dev" discard_max_bytes)" -eq 0 ]
	fill "$dev"
	run blkdiscard -o 0 -l $MIB "$dev"
	[ "$status" -ne 0 ]
	zeroes "$dev" "$disk"
	ublk del "$dev"
}

# resident PID: KiB of the process.
resident()
{
	awk '$1 == "Rss:" { print $2 }' "/proc/$1/smaps_rollup"
}

@test "mem gives the memory of a discard back, and zeroes are exact at every edge" {
	dev=$(ublk add -t mem --size 16M)
	pid=$(detail "$dev" .server.pid)
	fill "$dev"
	full=$(resident "$pid")
	blkdiscard -o $((3 * MIB)) -l $((4 * MIB)) "$dev"
	[ "$(resident "$pid")" -le $((full - 3500)) ]
	zero_in_model $((3 * MIB)) $((4 * MIB))
	like_model "$dev"
	discards "$dev"
	zeroes "$dev"
	ublk del "$dev"
}

@test "buffered I/O discards and zeroes as well" {
	fs_on "$(make_ram_disk 64)" ext4 fs
	file=fs/a.img
	make_image $file 16M
	dev=$(ublk add -t loop -f $file --direct off)
	fill "$dev"
	sync "$dev"
	discard_shrinks_the_file
	zeroes "$dev" $file
	ublk del "$dev"
}

@test "the kernel's limits are those that show tells" {
	make_image a.img 16M
	disk=$(make_ram_disk 16 4096 discard=1)
	for target in 'loop -f a.img' "loop -f $disk" 'mem --size 16M' 'null --size 16M' \
		'loop -f a.img --no-discard' 'loop -f a.img --read-only'; do
		# Several words.
		# shellcheck disable=SC2086
		dev=$(ublk add -t $target)
		told=$(detail "$dev" '.parameters | [.discard_granularity, .max_discard,
			.max_write_zeroes, .io_min, .io_opt] | map(. // 0)')
		has=$(for name in discard_granularity discard_max_bytes write_zeroes_max_bytes \
			minimum_io_size optimal_io_size; do limit "$dev" $name; done | jq -sc .)
		[ "$told" = "$has" ] || { printf '%s: told %s, is %s\n' "$target" "$told" "$has" && false; }
		ublk del "$dev"
	done
}

@test "--no-discard takes discard away, and leaves zeroes" {
	make_image a.img 16M
	dev=$(ublk add -t loop -f a.img --no-discard)
	[ "$(limit "$dev" discard_max_bytes)" -eq 0 ]
	fill "$dev"
	before=$(stat -c %b a.img)
	run blkdiscard "$dev"
	[ "$status" -ne 0 ]
	like_model "$dev" a.img
	[ "$(stat -c %b a.img)" -eq "$before" ]
	zeroes "$dev" a.img
	ublk del "$dev"
}

# refuses_writes DEV: nothing changes what is read.
refuses_writes()
{
	local sum cmd
	[ "$(cat "/sys/block/${1#/dev/}/ro")" -eq 1 ]
	sum=$(sha256sum <"$1")
	for cmd in "dd if=/dev/zero of=$1 bs=4096 count=1 oflag=direct" "blkdiscard -f $1" \
		"blkdiscard -f -z $1"; do
		run $cmd
		[ "$status" -ne 0 ]
	done
	[ "$(sha256sum <"$1")" = "$sum" ]
}

@test "--read-only refuses writes, discards and zeroes, and the file stays as it is" {
	head -c $MIB /dev/urandom >a.img
	cp a.img model
	dev=$(ublk add -t loop -f a.img --read-only)
	[ "$(detail "$dev" .read_only)" = true ]
	refuses_writes "$dev"
	ublk del "$dev"
	cmp a.img model
}

@test "a file that cannot be opened for writing is served read-only, and that is told" {
	head -c $MIB /dev/urandom >a.img
	fs_on "$(make_ram_disk 32)" ext4 fs
	mv a.img fs/
	chattr +i fs/a.img
	run --separate-stderr ublk add -t loop -f fs/a.img
	[ "$status" -eq 0 ]
	[[ $stderr == *'note: read-only, since '*' cannot be opened for writing'* ]]
	refuses_writes /dev/ublkb0
	ublk del 0
	chattr -i fs/a.img
}

@test "a write-protected block device is served read-only, and that is told" {
	disk=$(make_ram_disk 16)
	blockdev --setro "$disk"
	run --separate-stderr ublk add -t loop -f "$disk"
	[ "$status" -eq 0 ]
	[[ $stderr == *'note: read-only'* ]]
	refuses_writes /dev/ublkb0
	ublk del 0
}

# dm-delay holds writes, discards among them, for 20 s, and reads not at all. Like many stacked
# devices it has no non-blocking submission, which io_uring's discard would like.
@test "a discard that takes long on a block device does not hold up other I/O of the queue" {
	disk=$(make_ram_disk 16 512 discard=1)
	modprobe dm_delay
	size=$(blockdev --getsz "$disk")
	map_disk slow "0 $size delay $disk 0 0 $disk 0 20000"
	dev=$(ublk add -t loop -f /dev/mapper/slow -q 1)
	blkdiscard -o 0 -l $MIB "$dev" &
	discard=$!
	wait_for 10 in_flight "$dev" 1
	# Not dd: its seek waits for the inode lock, which the client's own discard holds (6.12).
	timeout 10 xfs_io -d -r -c "pread -q 4M 64k" "$dev"
	in_flight "$dev" 1
	# A new table lets go what waits.
	change_map slow "0 $size linear $disk 0"
	ends_with 0 $discard
	ublk del "$dev"
}
