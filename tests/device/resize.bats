# SPDX-License-Identifier: MIT
# A live device gets another size.
# build: faults
# kernels: newest
# long kernels: 6.12 6.18
# cpus: 2

load helpers
load backings
load servers

setup()
{
	device_setup
	only_on_kernel 6.16 'UPDATE_SIZE'
}

size_of()
{
	blockdev --getsize64 "$1"
}

MIB=$((1 << 20))

# What the target of device 0 maps.
target_memory()
{
	ublk show 0 --json | jq '.devices[0].regions[] | select(.name == "target").mapped'
}

# recorded JQ: what the record of device 0 says.
recorded()
{
	jq -r "$1" /run/ublk/0.json
}

@test "a device grows as far as its file has grown, and its next server has that size" {
	make_image a.img 16M
	dev=$(ublk add -t loop -f a.img)
	run -1 --separate-stderr ublk resize 0 32M
	[[ $stderr == "ublk: error: cannot resize ublkb0: $PWD/a.img has 16M for it"* ]]
	[[ $stderr == *'hint: make room first, or of a file: ublk resize --grow-backing 0 SIZE'* ]]
	[ "$(size_of "$dev")" -eq $((16 * MIB)) ]
	truncate -s 48M a.img
	ublk resize "$dev" +16M
	[ "$(size_of "$dev")" -eq $((32 * MIB)) ]
	ublk resize -n 0 max
	[ "$(size_of "$dev")" -eq $((48 * MIB)) ]
	[ "$(recorded '[.resizing, .target.size, .backing.length] | join(" ")')" = "false $((48 * MIB)) $((48 * MIB))" ]
	dd if=/dev/urandom of="$dev" bs=1M seek=40 count=8 oflag=direct status=none
	cmp "$dev" a.img
	park "$dev"
	ublk recover "$dev"
	[ "$(size_of "$dev")" -eq $((48 * MIB)) ]
	cmp "$dev" a.img
	[[ $(ublk show --config 0) == *"size = 48M"* ]]
	# The same again is nothing.
	ublk resize 0 48M
	ublk del 0
}

@test "--grow-backing makes the file larger, sparse, and no other one" {
	make_image a.img 16M
	dev=$(ublk add -t loop -f a.img --offset 4M)
	ublk resize --grow-backing 0 1G
	[ "$(size_of "$dev")" -eq $((1024 * MIB)) ]
	[ "$(stat -c %s a.img)" -eq $((1028 * MIB)) ]
	[ "$(du -m a.img | cut -f 1)" -le 20 ]
	fio_verify "$dev"
	mv a.img b.img
	make_image a.img 1M
	run -1 --separate-stderr ublk resize --grow-backing 0 2G
	[[ $stderr == *"a.img is not what it serves"* ]]
	[ "$(stat -c %s a.img)" -eq "$MIB" ]
	ublk del 0
	# Nor one that may not grow.
	dev=$(ublk add -t loop -f b.img)
	run -1 --separate-stderr prlimit --fsize=$((1100 * MIB)) "$UBLK" resize --grow-backing 0 2G
	[[ $stderr == *'cannot make '*'b.img larger: File too large'* ]]
	[ "$(size_of "$dev")" -eq $((1028 * MIB)) ]
	[ "$(recorded .resizing)" = false ]
	ublk del 0
}

@test "a block device that grows under it is served whole" {
	disk=$(make_ram_disk 64)
	map_disk below "0 32768 linear $disk 0"
	dev=$(ublk add -t loop -f /dev/mapper/below)
	run -1 ublk resize 0 +1M
	change_map below "0 65536 linear $disk 0"
	ublk resize 0 max
	[ "$(size_of "$dev")" -eq $((32 * MIB)) ]
	dd if=/dev/urandom of="$dev" bs=1M seek=30 count=2 oflag=direct status=none
	cmp "$dev" /dev/mapper/below
	run -1 --separate-stderr ublk resize --grow-backing 0 64M
	[[ $stderr == *'what it serves is no file that could be made larger'* ]]
	ublk del 0
}

@test "ext4 and XFS grow on a mounted device that grows" {
	for fs in ext4 xfs; do
		truncate -s 400M "$fs.img"
		dev=$(ublk add -t loop -f "$fs.img")
		fs_on "$dev" "$fs" m
		dd if=/dev/urandom of=m/file bs=1M count=8 status=none
		cp m/file kept
		before=$(df --output=size -m m | tail -n 1)
		ublk resize --grow-backing "$dev" 800M
		if [[ $fs == ext4 ]]; then
			resize2fs -f "$dev" >/dev/null
		else
			xfs_growfs m >/dev/null
		fi
		[ "$(df --output=size -m m | tail -n 1)" -ge $((before + 350)) ]
		# On what it has got.
		fallocate -l 500M m/large
		dd if=/dev/urandom of=m/large bs=1M seek=490 count=8 conv=notrunc,fsync status=none
		umount m
		mount "$dev" m
		cmp m/file kept
		umount m
		if [[ $fs == ext4 ]]; then
			e2fsck -fn "$dev"
		else
			xfs_repair -n "$dev"
		fi
		ublk del "$dev"
		rm "$fs.img"
	done
}

remove_group()
{
	! vgs -qq "$1" >/dev/null 2>&1 || vgremove -qq -y --force "$1"
}

# bats test_tags=long
@test "a volume group grows by a device that grows" {
	requires lvm
	export LVM_SUPPRESS_FD_WARNINGS=1
	make_image a.img 64M
	dev=$(ublk add -t loop -f a.img)
	at_end remove_group grows
	pvcreate -qq "$dev"
	vgcreate -qq grows "$dev"
	lvcreate -qq -y -n all -l 100%FREE grows
	before=$(size_of /dev/grows/all)
	ublk resize --grow-backing 0 128M
	pvresize -qq "$dev"
	lvextend -qq -l +100%FREE grows/all
	[ "$(size_of /dev/grows/all)" -eq $((before + 64 * MIB)) ]
	fio_verify /dev/grows/all
	remove_group grows
	ublk del 0
}

@test "memory grows where it is, and what was cut off reads as zeroes when it comes again" {
	dev=$(ublk add -t mem --size 16M)
	dd if=/dev/urandom of=kept bs=1M count=16 status=none
	dd if=kept of="$dev" bs=1M oflag=direct status=none
	ublk resize 0 2G
	[ "$(size_of "$dev")" -eq $((2048 * MIB)) ]
	cmp -n $((16 * MIB)) "$dev" kept
	dd if=kept of="$dev" bs=1M seek=2000 oflag=direct status=none
	cmp -i $((2000 * MIB)):0 -n $((16 * MIB)) "$dev" kept
	# And a bit for each page, in whole pages.
	[ "$(target_memory)" -eq $((2048 * MIB + 65536)) ]
	ublk resize 0 8388608
	[ "$(target_memory)" -eq $((8 * MIB + 4096)) ]
	ublk resize 0 +512
	ublk resize 0 16M
	blockdev --flushbufs "$dev"
	cmp -n $((8 * MIB)) "$dev" kept
	cmp -i $((8 * MIB)):0 -n $((8 * MIB)) "$dev" /dev/zero
	run -1 --separate-stderr ublk resize 0 max
	[[ $stderr == *'target mem has no end' ]]
	ublk del 0
	# One that is locked grows as well.
	dev=$(ublk add -t mem --size 16M --mlock)
	ublk resize 0 32M
	dd if=kept of="$dev" bs=1M seek=16 oflag=direct status=none
	cmp -i $((16 * MIB)):0 "$dev" kept
	[ "$(recorded '.memory.plan.target.locked')" -eq $((32 * MIB + 4096)) ]
	# What the machine has not got would be others'.
	run -1 --separate-stderr ublk resize 0 64G
	[[ $stderr == *'the machine has less memory left than that would lock (--mlock)' ]]
	[ "$(recorded '[.resizing, .target.size] | join(" ")')" = "false $((32 * MIB))" ]
	ublk del 0
	ublk add -t mem --size 16M --memory-limit 32M
	run -1 --separate-stderr ublk resize 0 32M
	[[ $stderr == *'it would have more than its --memory-limit' ]]
	ublk resize 0 24M
	ublk del 0
}

@test "a device of nothing has any size" {
	dev=$(ublk add -t null)
	ublk resize 0 1P
	[ "$(size_of "$dev")" -eq $((1 << 50)) ]
	ublk resize 0 -1T
	[ "$(size_of "$dev")" -eq $(((1 << 50) - (1 << 40))) ]
	park "$dev"
	ublk recover 0
	[ "$(size_of "$dev")" -eq $(((1 << 50) - (1 << 40))) ]
	ublk del 0
}

# bats test_tags=long
@test "what is under way is served to its end, however often the size changes, by two queues" {
	make_image a.img 64M
	dev=$(ublk add -t loop -f a.img -q 2)
	start_verified "$dev" 32768
	wait_for 20 has_done "$dev" 100
	for _ in 1 2 3 4 5; do
		ublk resize --force 0 -32M
		[ "$(size_of "$dev")" -eq $((32 * MIB)) ]
		ublk resize 0 max
		[ "$(size_of "$dev")" -eq $((64 * MIB)) ]
	done
	end_verified "$dev" 8192
	ublk del 0
}

@test "a request beyond the new end that is under way is served to its end, and waited for" {
	make_slow_disk 64
	# shellcheck disable=SC2154 # make_slow_disk sets it
	dev=$(ublk add -t loop -f "$slow" --log-file log)
	slow_down 3000
	dd if=/dev/urandom of="$dev" bs=4k count=1 seek=12288 oflag=direct status=none 3>&- &
	writer=$!
	wait_for 20 is_delayed
	ublk resize --force 0 32M
	# It would still be waiting.
	run ! is_delayed
	wait "$writer"
	[ "$(size_of "$dev")" -eq $((32 * MIB)) ]
	run -1 grep refused log
	speed_up
	ublk del 0
}

@test "a device that is used is made smaller by force only, and who uses it is named" {
	make_image a.img 64M
	dev=$(ublk add -t loop -f a.img)
	fs_on "$dev" ext4 m
	run -5 --separate-stderr ublk resize 0 32M
	[[ $stderr == "ublk: error: cannot make ublkb0 smaller: it is in use: mounted on $PWD/m (ublkb0)"* ]]
	[[ $stderr == *"hint: umount $PWD/m"* ]]
	[ "$(size_of "$dev")" -eq $((64 * MIB)) ]
	umount m
	exec 7<"$dev"
	run -5 --separate-stderr ublk resize 0 32M
	[[ $stderr == *'it is in use: open by '* ]]
	exec 7<&-
	e2fsck -fp "$dev"
	resize2fs "$dev" 30M >/dev/null
	ublk resize 0 32M
	[ "$(size_of "$dev")" -eq $((32 * MIB)) ]
	[ "$(stat -c %s a.img)" -eq $((64 * MIB)) ]
	mount "$dev" m
	umount m
	e2fsck -fn "$dev"
	# What it has let go of is another one's to take, and then not to be had again.
	other=$(ublk add -t loop -f a.img --offset 32M)
	run -5 --separate-stderr ublk resize 0 max
	[[ $stderr == *"another device or program has locked that part of $PWD/a.img"* ]]
	fio_verify "$other"
	e2fsck -fn "$dev"
	ublk del --all
}

@test "a size that can't be is refused, and nothing changes" {
	make_image a.img 16M
	dev=$(ublk add -t loop -f a.img --logical-block-size 4096)
	record=$(</run/ublk/0.json)
	run -2 ublk resize
	run -2 ublk resize 0
	run -2 ublk resize 0 1M 2M
	run -2 ublk resize 0 much
	run -2 ublk resize 0 ''
	run -2 ublk resize 0 --
	run -1 --separate-stderr ublk resize 0 0
	run -1 --separate-stderr ublk resize 0 512
	[[ $stderr == *'512 bytes are no whole logical blocks of 4096' ]]
	run -1 --separate-stderr ublk resize 0 -16M
	[[ $stderr == *'it has 16M, and nothing would be left' ]]
	run -1 ublk resize 0 -1E
	run -1 ublk resize 0 7E
	run -1 ublk resize 0 +7E
	run -2 ublk resize 0 99E
	run -4 ublk resize 1 1M
	[ "$(size_of "$dev")" -eq $((16 * MIB)) ]
	[ "$(</run/ublk/0.json)" = "$record" ]
	ublk del 0
	# With nobody to ask.
	dev=$(ublk add -n 0 -t null --recovery fail)
	kill_server 0
	wait_for 20 is_state 0 failed
	run -1 --separate-stderr ublk resize 0 8M
	[[ $stderr == *'it has no server'*'hint: give it one: ublk recover 0'* ]]
	ublk del 0
}

@test "a quiesced device has another size when it gets its next server, and whoever waits sees it" {
	make_image a.img 16M
	dev=$(ublk add -n 0 -t loop -f a.img)
	fio_verify "$dev"
	park "$dev"
	run -1 --separate-stderr ublk resize 0 32M
	[[ $stderr == "ublk: error: cannot resize ublkb0: $PWD/a.img has 16M for it"* ]]
	[ "$(recorded .resizing)" = false ]
	ublk resize --grow-backing 0 32M
	[ "$(stat -c %s a.img)" -eq $((32 * MIB)) ]
	[ "$(size_of "$dev")" -eq $((32 * MIB)) ]
	dd if=/dev/urandom of=block bs=1M count=1 status=none
	dd if=block of="$dev" bs=1M seek=31 oflag=direct status=none 3>&- &
	writer=$!
	ublk recover 0
	wait "$writer"
	cmp -n $MIB <(tail -c $MIB a.img) block
	[ "$(recorded '[.target.size, .backing.length] | join(" ")')" = "$((32 * MIB)) $((32 * MIB))" ]
	park "$dev"
	run -5 --separate-stderr ublk resize 0 8M
	[[ $stderr == *"cannot make ublkb0 smaller: without a server it can't be told whether it is in use"* ]]
	ublk resize --force 0 8M
	mv a.img b.img
	run -1 --separate-stderr ublk resize 0 16M
	mv b.img a.img
	ublk recover 0
	[ "$(size_of "$dev")" -eq $((8 * MIB)) ]
	fio_verify "$dev"
	ublk del 0
	# A disk, and nothing.
	disk=$(make_ram_disk 32)
	dev=$(ublk add -n 0 -t loop -f "$disk" --size 16M)
	park "$dev"
	ublk resize 0 max
	ublk recover 0
	[ "$(size_of "$dev")" -eq $((32 * MIB)) ]
	ublk del 0
	dev=$(ublk add -n 0 -t null --size 1G)
	park "$dev"
	ublk resize 0 2G
	ublk recover 0
	[ "$(size_of "$dev")" -eq $((2048 * MIB)) ]
	read_block "$dev"
	ublk del 0
}

@test "a server without a socket, one that hangs and one whose record is full are told as such" {
	make_image a.img 16M
	dev=$(UBLK_FAULT=control:ENOSPC ublk add -t loop -f a.img 2>/dev/null)
	run -1 --separate-stderr ublk resize 0 8M
	[[ $stderr == *'its server has no control socket here'*'hint: see why: ublk show 0' ]]
	ublk show 0 | grep 'it has no control socket'
	ublk del 0
	small_records
	dev=$(ublk add -t loop -f a.img)
	# As an older version left it: without room for another record.
	rm /run/ublk/.0.spare
	fill_records
	run -1 --separate-stderr ublk resize 0 8M
	[[ $stderr == *"its record can't be written: No space left on device"* ]]
	[ "$(size_of "$dev")" -eq $((16 * MIB)) ]
	rm /run/ublk/full
	[ "$(recorded '[.resizing, .target.size] | join(" ")')" = "false $((16 * MIB))" ]
	server=$(server_of "$dev")
	kill -STOP "$server"
	run -7 --separate-stderr ublk resize --timeout 1 0 8M
	kill -CONT "$server"
	[[ $stderr == *"its server (process $server) does not answer"* ]]
	ublk del 0
}

@test "when the driver refuses, the server goes on with the size that it had" {
	make_image a.img 16M
	truncate -s 64M a.img
	dev=$(ublk add -t loop -f a.img --size 16M)
	run -1 --separate-stderr env UBLK_FAULT=resize:EINVAL "$UBLK" resize 0 64M
	[[ $stderr == *'the driver refuses: Invalid argument' ]]
	[ "$(size_of "$dev")" -eq $((16 * MIB)) ]
	[ "$(recorded '[.resizing, .target.size, .backing.length] | join(" ")')" = "false $((16 * MIB)) $((16 * MIB))" ]
	# Nor has it kept the rest of the file.
	ublk add -t loop -f a.img --offset 16M
	ublk del --all
}

@test "whoever dies in the middle of it, the next server has the driver's size" {
	for size in 64M 8M; do
		make_image a.img 16M
		truncate -s 64M a.img
		dev=$(ublk add -n 0 -t loop -f a.img --size 16M)
		# Before the driver is told: the command, then the server.
		run -137 env UBLK_FAULT=resize:kill "$UBLK" resize 0 "$size"
		[ "$(recorded .resizing)" = true ]
		read_block "$dev"
		park "$dev"
		ublk recover 0
		[ "$(size_of "$dev")" -eq $((16 * MIB)) ]
		fio_verify "$dev"
		# And after it.
		run -137 env UBLK_FAULT=resized:kill "$UBLK" resize 0 "$size"
		[ "$(size_of "$dev")" -eq "$(numfmt --from=iec "$size")" ]
		park "$dev"
		ublk recover 0
		[ "$(size_of "$dev")" -eq "$(numfmt --from=iec "$size")" ]
		fio_verify "$dev"
		dd if="$dev" of=/dev/null bs=1M iflag=direct status=none
		# It is as good as any.
		ublk resize 0 32M
		[ "$(recorded .resizing)" = false ]
		ublk del 0
		rm a.img
	done
}

@test "a server that has taken the device over in between is told" {
	make_image a.img 16M
	truncate -s 64M a.img
	dev=$(ublk add -n 0 -t loop -f a.img --size 16M)
	UBLK_FAULT=resized:stop "$UBLK" resize 0 64M &
	resizer=$!
	wait_for 10 is_stopped "$resizer"
	park "$dev"
	ublk recover 0
	# Only one at a time.
	run -5 --separate-stderr ublk resize 0 32M
	[[ $stderr == *'somebody else is doing it just now' ]]
	kill -CONT "$resizer"
	wait "$resizer"
	[ "$(size_of "$dev")" -eq $((64 * MIB)) ]
	[ "$(recorded '[.resizing, .backing.length] | join(" ")')" = "false $((64 * MIB))" ]
	dd if="$dev" of=/dev/null bs=1M iflag=direct status=none
	ublk del 0
}

@test "many at once: each is done or refused, and the device is as its record says" {
	make_image a.img 64M
	dev=$(ublk add -n 0 -t loop -f a.img)
	jobs=()
	for i in 8 16 24 32 40 48; do
		ublk resize --force 0 "${i}M" >"out$i" 2>&1 3>&- &
		jobs+=($!)
	done
	for job in "${jobs[@]}"; do
		wait "$job" || [ $? -eq 5 ]
	done
	[ "$(size_of "$dev")" -eq "$(recorded .target.size)" ]
	[ "$(recorded .resizing)" = false ]
	run ! compgen -G '/run/ublk/.index/size-*'
	ublk del 0
}
