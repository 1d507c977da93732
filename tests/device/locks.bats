# SPDX-License-Identifier: MIT
# What lies behind a device is its own: whoever wants it too is refused.
# kernels: newest
# long kernels: 6.12

# shellcheck disable=SC2154 # bats sets stderr

load helpers
load servers
load backings

# refused ARGS...: no second device is made, and the error tells what is wrong.
refused()
{
	local devices
	devices=$(ublk list --json | jq -c '[.devices[].id]')
	run --separate-stderr ublk add "$@"
	printf 'ublk add %s: %s %s\n' "$*" "$status" "$stderr"
	[ "$status" -eq 5 ]
	[ -z "$output" ]
	[[ $stderr == 'ublk: error: '* ]]
	[ "$(ublk list --json | jq -c '[.devices[].id]')" = "$devices" ]
}

@test "a file that is served is refused by whatever path" {
	mkdir dir bound
	make_image dir/a.img 16M
	ln -s dir/a.img link
	ln dir/a.img hard
	mount --bind dir bound
	at_end unmount "$PWD/bound"
	dev=$(ublk add -t loop -f dir/a.img)
	for path in dir/a.img "$PWD/dir/../dir/a.img" link hard bound/a.img; do
		refused -t loop -f "$path"
		[[ $stderr == *lock* ]]
	done
	refused -t loop -f dir/a.img --read-only
	refused -t loop -f dir/a.img --offset 15M
	ublk del "$dev"
	dev=$(ublk add -t loop -f link)
	ublk del "$dev"
}

@test "readers share a file, and keep a writer away" {
	make_image a.img 16M
	ublk add -t loop -f a.img --read-only
	ublk add -t loop -f a.img --read-only
	refused -t loop -f a.img
	[ "$(ublk list --json | jq -c '[.devices[].read_only]')" = '[true,true]' ]
	ublk del 0 1
	ublk del "$(ublk add -t loop -f a.img)"
}

@test "ranges of a file that do not overlap are served together, and claimed together" {
	make_image a.img 16M
	ublk add -t loop -f a.img --offset 1M --size 4M
	ublk add -t loop -f a.img --offset 5M --size 3M
	refused -t loop -f a.img
	refused -t loop -f a.img --offset 4M --size 1M
	refused -t loop -f a.img --size 1025K
	ublk add -t loop -f a.img --size 1M
	for n in 0 1 2; do
		head -c 1M /dev/urandom >"data$n"
		dd if="data$n" of="/dev/ublkb$n" bs=64K oflag=direct conv=fsync status=none &
	done
	wait
	park 0
	park 1
	refused -t loop -f a.img --offset 4M --size 1M
	[[ $stderr == *'ublkb0 has it'* ]]
	refused -t loop -f a.img --offset 7M
	[[ $stderr == *'ublkb1 has it'* ]]
	dev=$(ublk add -t loop -f a.img --offset 8M)
	ublk recover 0 1
	cmp -n 1M data2 a.img
	cmp -n 1M data0 <(tail -c +$((1048576 + 1)) a.img)
	cmp -n 1M data1 <(tail -c +$((5 * 1048576 + 1)) a.img)
	ublk del 0 1 2 "$dev"
	# A disk is had as a whole.
	disk=$(make_ram_disk 16)
	ublk add -t loop -f "$disk" --size 1M
	refused -t loop -f "$disk" --offset 1M
	ublk del 0
}

@test "a quiesced device, whose lock died with its server, keeps what it serves" {
	make_image a.img 16M
	ln a.img hard
	dev=$(ublk add -t loop -f a.img)
	park "$dev"
	refused -t loop -f hard
	[[ $stderr == *'ublkb0 has it'* ]]
	refused -t loop -f a.img --read-only
	ublk recover "$dev"
	ublk del "$dev"
	ublk del "$(ublk add -t loop -f a.img)"
}

@test "a quiesced device keeps a block device too, by whatever node" {
	disk=$(make_ram_disk 16)
	dev=$(ublk add -t loop -f "$disk")
	mknod node b $((0x$(stat -c %t "$disk"))) $((0x$(stat -c %T "$disk")))
	refused -t loop -f "$PWD/node"
	park "$dev"
	refused -t loop -f "$PWD/node"
	[[ $stderr == *'ublkb0 has it'* ]]
	ublk del "$dev"
}

@test "the record of a device that has gone claims nothing" {
	make_image a.img 16M
	dev=$(ublk add -t loop -f a.img -n 4)
	cp -a /run/ublk kept
	ublk del "$dev"
	cp -a kept/. /run/ublk
	dev=$(ublk add -t loop -f a.img -n 3)
	ublk del "$dev"
	# Nor where another device has got the number.
	ublk add -t null -n 4
	cp -a kept/. /run/ublk
	dev=$(ublk add -t loop -f a.img -n 3)
	ublk del 3 4
	lose_record 4
}

@test "--no-lock serves what is served already, and then nothing is sent again in a recovery" {
	make_image a.img 16M
	ublk add -t loop -f a.img
	dev=$(ublk add -t loop -f a.img --no-lock)
	[ "$(detail "$dev" .recovery)" = '"requeue"' ]
	park /dev/ublkb0
	ublk add -t loop -f a.img --no-lock --recovery none
	run ublk add -t loop -f a.img --no-lock --recovery reissue
	[ "$status" -eq 2 ]
	ublk del 0 1 2
}

@test "a block device that is mounted, or served, is refused" {
	disk=$(make_ram_disk 16)
	fs_on "$disk" ext4 fs
	refused -t loop -f "$disk"
	[[ $stderr == *mounted* ]]
	umount fs
	dev=$(ublk add -t loop -f "$disk")
	refused -t loop -f "$disk"
	run mount "$disk" fs
	[ "$status" -ne 0 ]
	ublk del "$dev"
	mount "$disk" fs
}

@test "a file that the kernel's swap has is refused" {
	disk=$(make_ram_disk 32)
	fs_on "$disk" ext4 fs
	head -c 8M /dev/zero >fs/swap
	chmod 600 fs/swap
	mkswap -q fs/swap
	swapon fs/swap
	at_end swapoff "$PWD/fs/swap"
	refused -t loop -f fs/swap
}

@test "a lock of another program is respected, and not taken from it" {
	make_image a.img 16M
	# util-linux has no tool for open-file-description locks.
	python3 - <<-'END' &
		import fcntl, os, signal, struct
		fd = os.open("a.img", os.O_RDWR)
		fcntl.fcntl(fd, 37, struct.pack("hhqqi4x", fcntl.F_WRLCK, 0, 0, 0, 0))
		open("locked", "w").close()
		signal.pause()
	END
	locker=$!
	wait_for 20 test -e locked
	refused -t loop -f a.img
	kill $locker
	wait $locker || true
	ublk del "$(ublk add -t loop -f a.img)"
}

@test "a served device can itself be served, and is kept by that" {
	lower=$(ublk add -t mem --size 16M)
	upper=$(ublk add -t loop -f "$lower")
	head -c 1M /dev/urandom >data
	dd if=data of="$upper" bs=1M oflag=direct conv=fsync status=none
	cmp -n 1M "$lower" data
	run ublk del "$lower"
	[ "$status" -eq 5 ]
	ublk del "$upper"
	ublk del "$lower"
}
