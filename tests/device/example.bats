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

# refuses_twice FILE NAME: as the second leg beside a.img, which is NAME.
refuses_twice()
{
	run -1 --separate-stderr ublk add -t mirror --leg-a "$2" --leg-b "$1"
	[[ $stderr == *"cannot serve $PWD/$1: this device has it already, as $PWD/$2"* ]]
	run -1 ublk add -t mirror --leg-a "$2" --leg-b "$1" --no-lock
	run -1 ublk add -t mirror --leg-a "$2" --leg-b "$1" --dry-run
	nothing_left
}

@test "one file or disk is no two legs, whatever it is called" {
	ln a.img same.img
	refuses_twice a.img a.img
	refuses_twice same.img a.img
	disk=$(make_ram_disk 16)
	ln -s "$disk" disk
	mknod node b "$((16#$(stat -c %t "$disk")))" "$((16#$(stat -c %T "$disk")))"
	refuses_twice node disk
	run -2 --separate-stderr ublk add -t mirror --leg-a a.img --leg-b /dev/fd/7 7<>b.img
	[[ $stderr == *"cannot mirror to a descriptor"* ]]
	run -1 ublk add -t mirror --leg-a a.img --leg-b "$PWD"
	[[ $output == *"cannot serve $PWD: it is a directory"* ]]
}

@test "both legs are told, and each is kept from other devices, while it is served and while it waits for a server" {
	make_image c.img 32M
	mirror
	run -0 ublk list --no-header -o backing
	[ "$output" = "$PWD/a.img (and 1 more)" ]
	ublk list --json >list.json
	jq -e --arg at "$PWD" '.devices[0] | .backing == $at + "/a.img" and
		.backings == [$at + "/a.img", $at + "/b.img"]' list.json
	ublk show "$dev" --json >show.json
	jq -e --arg at "$PWD" '.devices[0] | .backing_identity.inode == .backings_detail[0].inode and
		([.backings_detail[].path] == .backings) and
		([.backings_detail[] | .writable, .served_bytes] == [true, 16777216, true, 16777216])' show.json
	[ "$(jq '.devices[0].backings_detail[1].inode' show.json)" = "$(stat -c %i b.img)" ]
	run -0 ublk show "$dev"
	[[ $output == *"$PWD/a.img: known by"*"$PWD/b.img: known by"* ]]
	jq -e 'has("backing") | not' /run/ublk/0.json
	run -5 ublk add -t loop -f b.img
	[[ $output == *"cannot lock $PWD/b.img: another device or program has locked it"* ]]
	run -5 ublk add -t mirror --leg-a c.img --leg-b b.img
	[[ $output == *"cannot lock $PWD/b.img"* ]]
	# The end of the longer one is nobody's.
	rest=$(ublk add -t loop -f b.img --offset 16M)
	ublk del "$rest"
	park "$dev"
	run -5 ublk add -t loop -f b.img
	[[ $output == *"cannot serve $PWD/b.img: ublkb0 has it"* ]]
	run -5 ublk add -t mirror --leg-a c.img --leg-b a.img
	[[ $output == *"cannot serve $PWD/a.img: ublkb0 has it"* ]]
	if kernel_at_least 6.16; then
		run -1 ublk resize "$dev" 8M
		[[ $output == *"it has no server, which alone knows"* ]]
	fi
	ublk del "$dev"
	# What was its is free, and nothing of the index is left.
	dev=$(ublk add -t mirror --leg-a c.img --leg-b b.img)
	ublk del "$dev"
	[ -z "$(find /run/ublk/.index -type f)" ]
}

@test "a client sees nothing of a server that is killed, and one that is taken over, and both copies are the same" {
	mirror --recovery reissue -q 2
	start_verified "$dev" 8192
	for ((round = 1; round <= 2; round++)); do
		writes_on "$dev"
		park "$dev"
		run -0 --separate-stderr ublk recover "$dev"
		[ -z "$stderr" ]
	done
	writes_on "$dev"
	how=()
	kernel_at_least 6.16 || how=(--by-recovery)
	ublk upgrade "${how[@]}" "$dev"
	end_verified "$dev" 8192
	ublk del "$dev"
	cmp -n $((16 << 20)) a.img b.img
}

# cannot_recover TEXT
cannot_recover()
{
	run -1 --separate-stderr ublk recover "$dev"
	[[ $stderr == *"$1"* ]] || { printf '%s\n' "$stderr"; return 1; }
	is_state "$dev" quiesced
}

@test "a recovery wants both legs, each the very same one, and finds one that was moved" {
	mirror
	fio_verify "$dev"
	park "$dev"
	cp b.img copy.img
	rm b.img
	mv copy.img b.img
	cannot_recover "cannot serve $PWD/b.img: it is not the file that the device was made of"
	rm b.img
	cannot_recover "cannot open $PWD/b.img: No such file or directory"
	ublk del "$dev"
	make_image b.img 20M
	mirror
	fio_verify "$dev"
	park "$dev"
	mkdir new
	mv b.img new/moved.img
	cp a.img b.img
	run -0 --separate-stderr ublk recover "$dev"
	[[ $stderr == *"$PWD/b.img is another file now: what the device was made of is served, $PWD/new/moved.img"* ]]
	fio_verify "$dev"
	# Named, it has its new place from now on; and the two do not change places.
	park "$dev"
	run -1 --separate-stderr ublk recover "$dev" -t mirror --leg-a a.img --leg-b b.img
	[[ $stderr == *"cannot serve $PWD/b.img: it is not the file"* ]]
	run -1 --separate-stderr ublk recover "$dev" -t mirror --leg-a new/moved.img --leg-b a.img
	[[ $stderr == *"cannot serve $PWD/new/moved.img: it is not the file"* ]]
	ublk recover "$dev" -t mirror --leg-a a.img --leg-b new/moved.img
	fio_verify "$dev"
	# Both may grow, and neither may have become too short.
	park "$dev"
	truncate -s 32M a.img new/moved.img
	run -0 --separate-stderr ublk recover "$dev"
	[ -z "$stderr" ]
	park "$dev"
	truncate -s 8M new/moved.img
	cannot_recover "it has 16777216 bytes, and the server would serve 8388608"
	truncate -s 16M new/moved.img
	ublk recover "$dev"
	ublk del "$dev"
}

@test "a device whose recovery is forced has both legs as they are named" {
	mirror
	fio_verify "$dev"
	park "$dev"
	cp b.img copy.img
	rm b.img
	make_image other.img 16M
	other=$(ublk add -t loop -f other.img)
	park "$other"
	run -5 --separate-stderr ublk recover "$dev" -t mirror --leg-a a.img --leg-b other.img --force --timeout 2
	[[ $stderr == *"cannot serve $PWD/other.img: ublkb1 has it"* ]]
	ublk recover "$dev" -t mirror --leg-a a.img --leg-b copy.img --force
	jq -e --arg path "$PWD/copy.img" '.backings[1].path == $path' /run/ublk/0.json
	fio_verify "$dev"
	ublk del "$dev" "$other"
	cmp -n $((16 << 20)) a.img copy.img
}

@test "a leg that cannot be written makes the device read-only" {
	fs_on "$(make_ram_disk 32)" ext4 fs
	mv b.img fs/
	chattr +i fs/b.img
	run -0 --separate-stderr ublk add -t mirror --leg-a a.img --leg-b fs/b.img
	[[ $stderr == *"read-only, since $PWD/fs/b.img cannot be opened for writing"* ]]
	run ! write_block /dev/ublkb0
	read_block /dev/ublkb0
	park /dev/ublkb0
	ublk recover 0
	read_block /dev/ublkb0
	ublk del 0
	chattr -i fs/b.img
}
