# SPDX-License-Identifier: MIT
# A device is left without a server, and none of its requests fails.
# build: faults
# kernels: newest
# long kernels: 6.12 6.18 7.2
# cpus: 2

load helpers
load backings
load servers

needs_quiesce()
{
	only_on_kernel 6.16 'QUIESCE'
}

# park_and_recover DEV
park_and_recover()
{
	local server
	server=$(server_of "$1")
	ublk quiesce "$1"
	is_state "$1" quiesced
	wait_for 10 is_gone "$server"
	[ "$(ublk recover "$1")" = "$1" ]
}

# keeps_every_request ROUNDS OPTION...: with the policy that fails what a dead server had in hand.
keeps_every_request()
{
	make_image a.img 16M
	dev=$(ublk add -t loop -f a.img --recovery requeue "${@:2}" 2>/dev/null)
	start_verified "$dev" 8192
	for ((round = 1; round <= $1; round++)); do
		writes_on "$dev"
		park_and_recover "$dev"
	done
	end_verified "$dev" 8192
	ublk del "$dev"
	rm a.img
}

# bats test_tags=long
@test "under a load no request fails, with one queue and two" {
	needs_quiesce
	keeps_every_request 2
	keeps_every_request 2 --data-path copy -q 2
}

# bats test_tags=long
@test "under a load no request fails, on every path, and with threads" {
	needs_quiesce
	keeps_every_request 10
	keeps_every_request 2 --data-path user-copy --poll-us 100
	keeps_every_request 2 --data-path get-data --threads 2
	keeps_every_request 2 -q 2 --threads 1 --direct off
}

@test "a device with batches is not parked: its requests would fail" {
	only_on_kernel 7.0 'BATCH_IO'
	make_image a.img 16M
	dev=$(ublk add -t loop -f a.img --batch on)
	run -6 --separate-stderr ublk quiesce "$dev"
	[[ $stderr == *'with --batch on that fails requests'* ]]
	[ "$(state_of "$dev")" = live ]
	ublk del "$dev"
}

@test "what is under way is served to its end, however it was begun, and waited for" {
	needs_quiesce
	make_slow_disk 64
	# Alone with zero copy the kernel commits it.
	for how in 'zero-copy 1' 'zero-copy 3' 'copy 1'; do
		read -r path count <<<"$how"
		# shellcheck disable=SC2154 # make_slow_disk sets it
		dev=$(ublk add -t loop -f "$slow" --recovery requeue --data-path "$path")
		server=$(server_of "$dev")
		slow_down 2000
		writers=()
		for ((i = 0; i < count; i++)); do
			dd if=/dev/urandom of="$dev" bs=4k count=1 seek="$i" oflag=direct status=none 3>&- &
			writers+=($!)
		done
		wait_for 20 is_delayed
		ublk quiesce "$dev"
		run ! is_delayed
		for writer in "${writers[@]}"; do
			wait "$writer"
		done
		is_state "$dev" quiesced
		wait_for 10 is_gone "$server"
		ublk recover "$dev"
		speed_up
		ublk del "$dev"
	done
}

@test "who does not want to wait any longer is told; it is parked all the same" {
	needs_quiesce
	make_slow_disk 64
	dev=$(ublk add -t loop -f "$slow" --recovery requeue)
	server=$(server_of "$dev")
	write_that_takes 60000 "$dev"
	run -7 --separate-stderr ublk quiesce --timeout 1 "$dev"
	[[ $stderr == *'requests are under way: it is parked as soon as they have ended'* ]]
	[ "$(state_of "$dev")" = live ]
	# A SIGTERM changes nothing, nor does an errand that dies; the command is not needed.
	kill -TERM "$server"
	wait_for 10 pkill -KILL -P "$server" -f "errand park"
	timeout 1 "$UBLK" quiesce "$dev" || true
	# What comes now waits.
	dd if="$dev" of=/dev/null bs=4k count=1 skip=100 iflag=direct status=none 3>&- &
	reader=$!
	speed_up
	wait "$writer"
	wait_for 20 is_state "$dev" quiesced
	wait_for 10 is_gone "$server"
	kill -0 "$reader"
	ublk recover "$dev"
	wait "$reader"
	ublk del "$dev"
}

@test "a server that dies while it parks leaves a device that can be recovered" {
	needs_quiesce
	make_slow_disk 64
	dev=$(ublk add -t loop -f "$slow" --recovery reissue)
	server=$(server_of "$dev")
	slow_down 60000
	dd if=/dev/urandom of=block bs=4k count=1 status=none
	dd if=block of="$dev" bs=4k seek=3 oflag=direct status=none 3>&- &
	writer=$!
	wait_for 20 is_delayed
	ublk quiesce "$dev" 3>&- &
	quiesce=$!
	sleep 1
	kill -KILL "$server"
	speed_up
	wait_for 20 is_gone "$server"
	wait "$quiesce"
	ublk recover "$dev"
	wait "$writer"
	dd if="$dev" bs=4k skip=3 count=1 iflag=direct status=none | cmp - block
	ublk del "$dev"
}

@test "a file system stays mounted, whoever writes waits, and nothing is lost" {
	needs_quiesce
	make_image a.img 128M
	dev=$(ublk add -t loop -f a.img --recovery requeue)
	fs_on "$dev" ext4 m
	cp "$UBLK" m/before
	ublk quiesce "$dev"
	# It has no server to recover, and none to park: nothing to do.
	ublk quiesce "$dev"
	dd if="$UBLK" of=m/after conv=fsync status=none 3>&- &
	writer=$!
	sleep 1
	kill -0 "$writer"
	ublk recover "$dev"
	wait "$writer"
	cmp m/before "$UBLK"
	cmp m/after "$UBLK"
	umount m
	e2fsck -fn "$dev"
	# Parked, it can be deleted.
	ublk quiesce "$dev"
	ublk del "$dev"
}

@test "what can't be parked is told why" {
	run -2 ublk quiesce
	run -4 ublk quiesce 0
	dev=$(ublk add -n 0 -t null)
	if ! kernel_at_least 6.16; then
		run -6 --separate-stderr ublk quiesce 0
		[[ $stderr == 'ublk: error: cannot park ublkb0: it was made by an older ublk, or on Linux before 6.16'* ]]
		ublk del 0
		return
	fi
	[ "$(state_of "$dev")" = live ]
	ublk add -n 1 -t mem --size 16M
	run -1 --separate-stderr ublk quiesce 0 1
	[[ $stderr == *'cannot park ublkb1: it was made without recovery'* ]]
	[ "$(state_of /dev/ublkb1)" = live ]
	is_state "$dev" quiesced
	ublk recover 0
	lose_record 0
	run -1 --separate-stderr ublk quiesce 0
	[[ $stderr == *"it is another program's"* ]]
	ublk del --force 0 1
	dev=$(UBLK_FAULT=control:ENOSPC ublk add -n 0 -t null 2>/dev/null)
	run -1 --separate-stderr ublk quiesce 0
	[[ $stderr == *'its server has no control socket here'*'hint: see why: ublk show 0'* ]]
	ublk del 0
	dev=$(ublk add -n 0 -t null)
	server=$(server_of "$dev")
	kill -STOP "$server"
	run -7 --separate-stderr ublk quiesce --timeout 1 0
	kill -CONT "$server"
	[[ $stderr == *"its server (process $server) does not answer"* ]]
	ublk del 0
}
