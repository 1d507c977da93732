# SPDX-License-Identifier: MIT
# The example of a target (tests/example): what doc/contributing.md shows works on every path.
# build: faults
# kernels: newest
# long kernels: 6.12
# cpus: 2

load helpers
load servers
load options

setup()
{
	device_setup
	make_image a.img 16M
	make_image b.img 20M
}

mirror()
{
	dev=$(ublk add -t mirror --leg-a "$PWD/a.img" --leg-b "$PWD/b.img" "$@")
}

@test "on every path both files have what was written" {
	while read -r path; do
		# shellcheck disable=SC2086 # options
		mirror -q 2 --data-path $path
		[ "$(blockdev --getsize64 "$dev")" = $((16 << 20)) ]
		fio_verify "$dev" --bsrange=4k-128k
		fio_verify "$dev" --iodepth=1 --fsync=4 --size=256k
		ublk del "$dev"
		cmp -n $((16 << 20)) a.img b.img
	done < <(paths)
}

@test "a write that comes alone is not done before both copies are, and fails if one does" {
	slow=$(ublk add -t loop -f "$PWD/b.img" --layer delay,ms=700,ops=write --layer error,ops=write,file="$PWD/broken")
	for path in copy zero-copy; do
		[[ $path == copy ]] || kernel_at_least 6.16 || continue
		dev=$(ublk add -t mirror --leg-a "$PWD/a.img" --leg-b "$slow" --data-path "$path")
		began=${EPOCHREALTIME/[.,]/}
		write_block "$dev"
		# It has gone through the second one's page cache, which is written back by the sync.
		dd if=/dev/zero of="$dev" bs=4096 count=1 oflag=direct,sync conv=notrunc status=none
		(((${EPOCHREALTIME/[.,]/} - began) / 1000 >= 700))
		touch broken
		run ! dd if=/dev/zero of="$dev" bs=4096 count=1 oflag=direct,sync conv=notrunc status=none
		rm broken
		ublk del "$dev"
	done
	ublk del "$slow"
}

@test "what cannot be read from the first is read from the second" {
	head -c 16M /dev/urandom >b.img
	bad=$(ublk add -t loop -f "$PWD/a.img" --layer error,ops=read,offset=8K,length=4K)
	# fails_alone: the mirror's one read, in the kernel with its end already.
	for path in copy zero-copy; do
		[[ $path == copy ]] || kernel_at_least 6.16 || continue
		dev=$(ublk add -t mirror --leg-a "$bad" --leg-b "$PWD/b.img" --data-path "$path")
		dd if="$dev" bs=4096 skip=2 count=1 iflag=direct status=none | cmp - <(dd if=b.img bs=4096 skip=2 count=1 status=none)
		dd if="$dev" bs=4096 skip=6 count=1 iflag=direct status=none | cmp - <(head -c 4096 /dev/zero)
		ublk del "$dev"
	done
	ublk del "$bad"
	run ! ublk add -t mirror --leg-a "$PWD/a.img" --leg-b "$PWD/none"
	nothing_left
}
