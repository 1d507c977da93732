# SPDX-License-Identifier: MIT
# The one window that Linux 6.12 to 6.19 leave: a recovering server that dies between its first
# fetch (6.12: mapping) and its last one. The device can't be recovered then, and the commands say
# so in time. It may not go before the next boot: hence a machine for this file alone, and one run.
# kernels: 6.12
# long kernels: 6.18
# vm: --mem 3G
# build: faults
# no sanitizers

load helpers
load servers

teardown()
{
	end_jobs
}

# half_fetched QUEUES: a device, number 0, whose recovering server died when half of the last queue's
# tags were fetched, and (of two) all of the other's.
half_fetched()
{
	make_image a.img 16M
	run -0 ublk add -n 0 -t loop -f a.img -q "$1" -d 16
	park /dev/ublkb0
	UBLK_FAULT=fetch-half:stop "$UBLK" recover 0 >/dev/null 2>&1 &
	command=$!
	wait_for 20 server_stopped
	kill -KILL "$command" "$server"
	wait_for 10 no_server
	is_state 0 quiesced
}

server_stopped()
{
	server=$(pgrep -nx ublk-server) && is_stopped "$server"
}

@test "Linux 6.12 is not brought to its knees: a device with one queue fetched and one not is refused, and can go" {
	only_before_kernel 6.13 "a driver that resets its queues by itself"
	half_fetched 2
	run ublk recover --timeout 2 0
	[ "$status" -ne 0 ]
	[[ $output == *"an earlier recovery died in the middle"* ]]
	ublk del 0
}

@test "a device whose recovery died half-fetched: recover and del end in time and say what is the matter" {
	half_fetched 1
	dev=/dev/ublkb0
	run ublk recover --timeout 2 "$dev"
	echo "recover: $status $output"
	[ "$status" -ne 0 ]
	[[ $output == *"cannot recover ublkb0: an earlier recovery died in the middle"* ]]
	run timeout 60 "$UBLK" del --force --timeout 5 "$dev"
	echo "del: $status $output"
	[ "$status" -eq 0 ] || [ "$status" -eq 7 ]
	[ "$status" -eq 0 ] || [[ $output == *"cannot "*"ublkb0"* ]]
	# Other devices come and go all the same.
	run -0 timeout 60 "$UBLK" add -t null
	run -0 timeout 60 "$UBLK" del "$output"
}
