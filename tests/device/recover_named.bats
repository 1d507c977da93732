# SPDX-License-Identifier: MIT
# A device gets a server again whose file has gone elsewhere, or whose record is lost: by what its
# administrator says that it is.
# kernels: newest
# long kernels: 6.12 6.18
# build: faults

load helpers
load backings
load servers

setup()
{
	device_setup
}

MIB=$((1 << 20))

# known JQ: what `show` says of device 0.
known()
{
	ublk show 0 --json | jq -r ".devices[0] | $1"
}

# refuses STATUS PATTERN ARG...: recover, which changes nothing.
refuses()
{
	local before
	before=$(cat /run/ublk/0.json 2>/dev/null || true)
	run "-$1" --separate-stderr ublk recover 0 "${@:3}"
	# shellcheck disable=SC2053 # a pattern
	[[ $stderr == $2 ]] || { echo "$stderr"; return 1; }
	is_state /dev/ublkb0 quiesced
	[ "$(cat /run/ublk/0.json 2>/dev/null || true)" = "$before" ]
}

# On another file system: nothing tells where it is.
move_away()
{
	fs_on "$(make_ram_disk 64)" ext4 fs
	cp --sparse=always "$1" "fs/$1"
	rm "$1"
}

@test "a renamed file is named, and no other one is taken for it" {
	make_image a.img 16M
	cp a.img copy.img
	dev=$(ublk add -n 0 --name data -t loop -f a.img -q 2 --cpus 0)
	dd if=/dev/urandom of="$dev" bs=1M count=16 oflag=direct status=none
	park "$dev"
	mkdir new
	mv a.img new/b.img
	refuses 1 "*cannot serve $PWD/copy.img: it is not the file that the device was made of*hint: *ublk recover 0 -t loop -f FILE --force*" \
		-t loop -f copy.img
	refuses 1 "*cannot open $PWD/none.img: No such file*" -t loop -f none.img
	ublk recover 0 -t loop -f new/b.img
	cmp "$dev" new/b.img
	[ "$(known '[.name, .backing, .asked.cpus] | join(" ")')" = "data $PWD/new/b.img 0" ]
	[[ $(ublk show --config data) == *"file = $PWD/new/b.img"* ]]
	# From now on that is its place.
	park "$dev"
	run -0 --separate-stderr ublk recover 0
	[ -z "$stderr" ]
	ublk del 0
}

@test "a file that was copied elsewhere is served by force, if its size is right, and what differs is told" {
	make_image a.img 16M
	dev=$(ublk add -t loop -f a.img --logical-block-size 4096)
	fio_verify "$dev"
	exec 7<"$dev"
	park "$dev"
	dd if=/dev/urandom of=small.img bs=1M count=8 status=none
	refuses 1 "*cannot serve $((16 * MIB)) bytes of $PWD/small.img: it has $((8 * MIB)) from offset 0 on*" \
		-t loop -f small.img --force
	make_image odd.img 16M
	refuses 1 "*cannot serve $((16 * MIB)) bytes of $PWD/odd.img: it has *" -t loop -f odd.img --offset 512 --force
	# Another device's.
	make_image other.img 32M
	ublk add -n 1 -t loop -f other.img
	refuses 5 "*$PWD/other.img*" -t loop -f other.img --force --timeout 2
	park /dev/ublkb1
	refuses 5 "*cannot serve $PWD/other.img: ublkb1 has it*" -t loop -f other.img --force
	ublk del 1
	cksum a.img >sum
	move_away a.img
	truncate -s 20M fs/a.img
	run -0 --separate-stderr ublk recover 0 -t loop -f fs/a.img --force
	[[ $stderr == *"note: $PWD/fs/a.img has $((20 * MIB)) bytes from 0 on, and the device the first $((16 * MIB)) of them"* ]]
	[ "$(dd if="$dev" bs=1M status=none | cksum)" = "$(cut -d ' ' -f 1,2 sum)" ]
	fio_verify "$dev"
	park "$dev"
	ublk recover 0
	[ "$(known '[.backing, .size] | join(" ")')" = "$PWD/fs/a.img $((16 * MIB))" ]
	exec 7<&-
	ublk del 0
}

# lost_and_found OPTION...: with the record of such a device.
lost_and_found()
{
	local offset=0 of='[.size, .queues, .depth, .max_io, .data_path, .batch, .recovery, .read_only, .discard, .logical_block_size]'
	make_image a.img 16M
	dev=$(ublk add -n 0 -t loop -f a.img "$@" 2>/dev/null)
	[[ $* == *read-only* ]] || dd if=/dev/urandom of="$dev" bs=1M count=8 oflag=direct status=none
	known "$of" >before
	dd if="$dev" bs=1M status=none | cksum >sum
	park "$dev"
	lose_record 0
	[[ $* != *offset* ]] || offset=1M
	ublk recover 0 -t loop -f a.img --offset "$offset" --force
	known "$of" >after
	diff before after
	dd if="$dev" bs=1M status=none | cksum | cmp - sum
	[[ $* == *read-only* ]] || fio_verify "$dev"
	# It is as good as any.
	park "$dev"
	ublk recover 0
	dd if="$dev" of=/dev/null bs=1M iflag=direct status=none
}

@test "a record that is lost is made anew from what the driver knows, by force" {
	make_image a.img 16M
	dev=$(ublk add -n 0 -t loop -f a.img)
	park "$dev"
	lose_record 0
	refuses 1 "*another program's, or its record is lost*"
	refuses 1 "*cannot recover ublkb0: it has no record that could be used, so nothing proves what it was made of*hint: *ublk recover --force 0 *" -t loop -f a.img
	ublk del 0
	rm a.img
	lost_and_found --data-path copy -q 2 -d 16 --max-io 64K --recovery requeue
	[ "$(known .managed)" = true ]
	ublk del 0
}

# bats test_tags=long
@test "whatever options it was made with, a record is made anew" {
	each=('' '--data-path user-copy' '--data-path get-data --read-only' '--no-discard --offset 1M --size 8M')
	! kernel_at_least 7.0 || each+=('--data-path user-copy --batch on')
	for options in "${each[@]}"; do
		# Words.
		# shellcheck disable=SC2086
		lost_and_found $options
		ublk del 0
		rm a.img
	done
}

@test "a record that can't be used is as good as lost; one of nothing needs no file" {
	dev=$(ublk add -n 0 -t null --size 1G)
	park "$dev"
	echo rubbish >/run/ublk/0.json
	run -1 ublk recover 0
	run -1 ublk recover 0 -t null
	ublk recover 0 -t null --force
	[ "$(known '[.managed, .size] | join(" ")')" = "true $((1024 * MIB))" ]
	ublk del 0
}

@test "what makes no sense is refused" {
	make_image a.img 16M
	dev=$(ublk add -n 0 -t loop -f a.img)
	ublk add -n 1 -t null
	# It lives.
	run -0 --separate-stderr ublk recover 0 -t loop -f other.img --force
	[[ $stderr == *'ublkb0 is live: there is nothing to recover'* ]]
	park "$dev"
	refuses 2 "*option '--force' needs '-t, --type TYPE'*" --force
	refuses 2 "*target loop needs '--file FILE'*" -t loop
	refuses 2 "*option '-f' is one of target loop*" -f a.img
	refuses 2 "*option '--create' is for devices that are made*" -t loop -f b.img --create 16M
	[ ! -e b.img ]
	refuses 2 "*option '--size' is for devices that are made*" -t loop -f a.img --size 8M
	refuses 2 "*unexpected argument '1'*" 1 -t loop -f a.img
	run -2 ublk recover --all -t loop -f a.img
	refuses 1 "*cannot recover ublkb0: it is of target loop, not null*" -t null
	refuses 1 "*cannot serve $PWD/.: it is a directory*" -t loop -f . --force
	run -4 ublk recover 7 -t loop -f a.img
	ublk del --all
}
