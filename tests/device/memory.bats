# SPDX-License-Identifier: MIT
# What a device has in memory, and what is told of it. The sanitizers' own would be measured.
# kernels: 6.12 6.18 newest
# no sanitizers

load helpers
load servers
load backings

setup()
{
	device_setup
}

teardown()
{
	device_teardown
}

# rollup PID KEY: bytes, as the kernel sums them up.
rollup()
{
	awk -v key="$2:" '$1 == key { print $2 * 1024 }' "/proc/$1/smaps_rollup"
}

@test "an idle device is small" {
	make_image a.img 16M
	for args in 'loop -f a.img' 'null' 'mem --size 16M'; do
		# Several words.
		# shellcheck disable=SC2086
		dev=$(ublk add -t $args)
		server=$(server_of "$dev")
		echo "$args: $(rollup "$server" Rss) $(rollup "$server" Private_Dirty)"
		[ "$(rollup "$server" Rss)" -lt $((1200 * 1024)) ]
		[ "$(rollup "$server" Private_Dirty)" -lt $((400 * 1024)) ]
		ublk del "$dev"
	done
}

# agrees SERVER: what show tells is what the kernel sums up. Both again and again, for an idle server
# gives memory back in between.
agrees()
{
	ublk show --json "$dev" >show.json
	[ "$(jq .devices[0].memory.resident show.json)" -eq "$(rollup "$1" Rss)" ] &&
		[ "$(jq .devices[0].memory.dirty show.json)" -eq "$(rollup "$1" Private_Dirty)" ]
}

@test "reports agree with the kernel, in sum and in parts" {
	dev=$(ublk add -t mem --size 16M -q 2 -d 64 --max-io 256K)
	dd if=/dev/urandom of="$dev" bs=1M count=3 oflag=direct status=none
	server=$(server_of "$dev")
	wait_for 20 agrees "$server"
	memory='.devices[0].memory'
	[ "$(jq "$memory.locked" show.json)" -eq 0 ]
	for key in mapped resident dirty locked; do
		[ "$(jq "[.devices[0].regions[].$key] | add" show.json)" -eq "$(jq "$memory.$key" show.json)" ]
	done
	region() { jq -c "[.devices[0].regions[] | select(.name == \"$1\") | .$2]" show.json; }
	[ "$(region target mapped)" = '[16777216]' ]
	[ "$(region target resident)" = '[3145728]' ]
	[ "$(region buffers mapped)" = '[16777216,16777216]' ]
	[ "$(region buffers queue)" = '[0,1]' ]
	[ "$(region state mapped)" = '[8192,8192]' ]
	[ "$(region stacks mapped)" = '[131072,131072]' ]
	[ "$(region descriptors mapped)" = '[8192]' ]
	ublk del "$dev"
}

@test "list has the columns of memory, and a dead server has none" {
	dev=$(ublk add -t null)
	run -0 ublk list -o ID,MAPPED,RESIDENT,DIRTY,SWAPPED,LOCKED,PINNED,CHARGED
	[[ ${lines[1]} =~ ^\ 0(\ +[0-9.]+[KM]){3}(\ +0){4}$ ]]
	kill_server "$dev"
	wait_for 10 no_server
	run -0 ublk list -o ID,RESIDENT
	[[ ${lines[1]} =~ ^\ 0\ +-$ ]]
	[ "$(ublk list --json | jq -c '.devices[0].memory | [.[]] | unique')" = '[null]' ]
	ublk del "$dev"
}

@test "under --mlock nothing is given back" {
	dev=$(ublk add -t mem --size 8M -d 8 --max-io 64K --mlock)
	dd if=/dev/zero of="$dev" bs=64K count=8 oflag=direct status=none
	[ "$(buffers_of "$dev" resident)" -eq $((8 * 64 * 1024)) ]
	# Longer than the longest time after which an idle queue gives back.
	sleep 9
	[ "$(buffers_of "$dev" resident)" -eq $((8 * 64 * 1024)) ]
	ublk del "$dev"
}

# sum_agrees: the same for all devices.
sum_agrees()
{
	local sum=0 server
	ublk memory --json >memory.json
	for server in $(servers); do
		sum=$((sum + $(rollup "$server" Rss)))
	done
	[ "$(jq .total.resident memory.json)" -eq "$sum" ]
}

@test "memory adds up all devices, by device and by part" {
	ublk add -t mem --size 8M
	dd if=/dev/urandom of=/dev/ublkb0 bs=1M count=2 oflag=direct status=none
	ublk add -t null
	ublk add -t null
	kill_server /dev/ublkb2
	wait_for 10 is_state 2 quiesced
	ublk memory --json >memory.json
	[ "$(jq -c '[.measured, (.devices | length)]' memory.json)" = '[2,3]' ]
	for key in mapped resident dirty swapped locked pinned charged; do
		[ "$(jq "[.devices[].memory.$key // 0] | add" memory.json)" -eq "$(jq ".total.$key" memory.json)" ]
	done
	for key in mapped resident dirty swapped locked; do
		[ "$(jq "[.parts[].$key] | add" memory.json)" -eq "$(jq ".total.$key" memory.json)" ]
	done
	[ "$(jq '.parts[] | select(.name == "target") | .resident' memory.json)" -eq $((2 << 20)) ]
	wait_for 20 sum_agrees
	run -0 ublk memory
	[[ $output == *RESIDENT*total\ resident:* ]]
	ublk del --all
}
