# SPDX-License-Identifier: MIT
# A device of the target mem that is upgraded keeps to the limits of its memory. (The sanitizers do not let
# mlock() be, and want more addresses than can be promised.)
# build: faults
# kernels: newest
# long kernels: 6.12 6.18
# cpus: 2
# no sanitizers

load helpers
load servers
load memory_devices

setup()
{
	memory_setup
}

@test "what is locked stays locked, however it grows, and nothing is noted of it" {
	only_on_kernel 6.16 'UPDATE_SIZE'
	add 16M --mlock
	ublk resize 0 300M
	[ "$(ublk show 0 --json | jq '.devices[0].regions[] | select(.name == "target").locked')" -eq $((300 * 1048576 + 12288)) ]
	run -0 --separate-stderr ublk upgrade 0
	[ "$stderr" = '' ]
	wait_for 20 has_in_memory $((300 * 1024 + 12))
	[ "$(ublk show 0 --json | jq '.devices[0].regions[] | select(.name == "target").locked')" -eq $((300 * 1048576 + 12288)) ]
	ublk del 0
}

@test "where memory is promised once only, a write for which there is none fails, and nothing else" {
	for path in copy user-copy; do
		awk '/^Committed_AS/ { print $2 + 786432 }' /proc/meminfo >/proc/sys/vm/overcommit_kbytes
		echo 2 >/proc/sys/vm/overcommit_memory
		add 512M --data-path $path
		run -1 --separate-stderr ublk add -n 1 -t mem --size 8G
		[[ $stderr == *'Cannot allocate memory'* ]]
		ublk add -n 1 -t mem --size 512M
		dd if=/dev/zero of=/dev/ublkb1 bs=1M count=384 oflag=direct status=none
		run -1 dd if=/dev/zero of="$dev" bs=1M count=512 oflag=direct
		echo 0 >/proc/sys/vm/overcommit_memory
		[[ $output == *'No space left on device'* ]]
		cmp -n $((16 * 1048576)) "$dev" /dev/zero
		fio_verify "$dev"
		ublk del 0 1
	done
}

@test "buffers that were taken at the start are of another size in a device made anew" {
	ublk add -n 0 -t mem --size 16M --data-path user-copy --mlock --buffer-memory 4M
	run -1 --separate-stderr ublk set 0 --buffer-memory 8M
	[[ $stderr == *'with --mlock all buffers were taken at the start, 4M: that is for a device made anew'* ]]
	ublk del 0
}

# bats test_tags=long
@test "what is locked can be more than the machine has twice" {
	size=$(awk '/^MemTotal/ { print int($2 * 0.55 / 1024) }' /proc/meminfo)
	add "${size}M" --mlock
	truncate -s "${size}M" data
	dd if=/dev/urandom of=data bs=1M seek=$((size - 8)) count=8 conv=notrunc status=none
	write $((size - 8)) 8
	upgrade
	cmp -i $(((size - 8) * 1048576)) "$dev" data
	ublk del 0
}
