# SPDX-License-Identifier: MIT
# A configuration file and the device that comes from it, there and back.
# kernels: newest
# long kernels: 6.12
# no sanitizers

load helpers
load servers
load configs

# bats test_tags=long
@test "loop: every option goes into a file and comes back" {
	all_there_and_back loop
}

@test "a device from a file has its name, keeps its data, and knows the file" {
	make_image a.img 16M
	printf 'type = loop\nfile = %s/a.img\n' "$PWD" >disk.conf
	dev=$(ublk add --config disk.conf)
	[ "$(column_of "$dev" NAME)" = disk ]
	ublk show --json disk | jq -e --arg file "$PWD/disk.conf" '.devices[0].asked.config == $file'
	fio_verify "$dev"
	# The same file again is the same name again.
	run ublk add --config disk.conf
	[ "$status" -eq 5 ]
	# Not where it lay.
	ublk show --config disk | run ! grep -q '^config'
	ublk del disk
}

@test "any path goes into a file and comes back, and sizes are exact" {
	name=$' # a "path"\n\\ with \x01 all\xfe '
	truncate -s 8M "$name"
	dev=$(ublk add -t loop -f "$name" --size 4000256 --offset 513)
	ublk show --config "$dev" >disk.conf
	ublk del "$dev"
	grep -qx 'size = 4000256' disk.conf
	grep -qx 'offset = 513' disk.conf
	[ "$(grep -c . disk.conf)" -eq "$(wc -l <disk.conf)" ]
	dev=$(ublk add --config disk.conf)
	ublk show --json "$dev" >show.json
	jq -e --arg part '/ # a "path"' '.devices[0] |
		(.backing | contains($part)) and .size == 4000256' show.json
	ublk show --config "$dev" | diff <(echo 'name = disk') - | run -1 grep '^<'
	ublk del "$dev"
}

@test "what serving chose of itself is written, but for the data path: another kernel has others" {
	make_image a.img 16M
	dev=$(ublk add -t loop -f a.img)
	ublk show --config "$dev" >disk.conf
	ublk del "$dev"
	grep -qx 'size = 16M' disk.conf
	grep -q '^direct = ' disk.conf
	run ! grep -q '^data-path' disk.conf
}

@test "show --config is for one device of ours, quiesced or live" {
	make_image a.img 16M
	dev=$(ublk add -t loop -f a.img)
	ublk show --config "$dev" >live.conf
	park "$dev"
	ublk show --config "$dev" | diff live.conf -
	other=$(ublk add -t null)
	run --separate-stderr ublk show --config "$dev" "$other"
	[ "$status" -eq 2 ]
	[[ $stderr == *'--config is for one device'* ]]
	run --separate-stderr ublk show --config --json "$dev"
	[ "$status" -eq 2 ]
	rm "/run/ublk/${other#/dev/ublkb}.json"
	run --separate-stderr ublk show --config "$other"
	[ "$status" -eq 1 ]
	[ -z "$output" ]
	[[ $stderr == *"it is another program's"* ]]
	ublk del --force "$dev" "$other"
}

@test "add --foreground --adopt --config takes over what the last server of the file has left" {
	make_image a.img 16M
	printf 'type = loop\nfile = %s/a.img\n' "$PWD" >disk.conf
	for round in 1 2; do
		"$UBLK" add --foreground --adopt --config disk.conf >path.txt &
		server=$!
		wait_for 20 test -s path.txt
		wait_for 20 is_state 0 live
		[ "$(server_of 0)" -eq "$server" ]
		((round == 2)) || { write_block /dev/ublkb0; park 0; : >path.txt; }
	done
	cmp -n 4096 a.img /dev/ublkb0
	ublk del 0
	wait "$server"
}
