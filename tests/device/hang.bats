#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# Servers whose backing does not answer: they hear signals, and they can be killed.
# kernels: 6.12 7.2 newest

load helpers
load servers

# add_with_stuck_write: a device over a disk that does not answer, and a write to it that has begun.
# Sets dev, server, writer.
add_with_stuck_write()
{
	make_slow_disk 32
	dev=$(ublk add -t loop -f "$slow" --direct on --log-file log)
	slow_down 60000
	server=$(server_of "$dev")
	dd if=/dev/zero of="$dev" bs=4k count=1 oflag=direct status=none 3>&- &
	writer=$!
	wait_for 10 is_delayed
}

is_being_stopped()
{
	pgrep -fx 'ublk-server errand stop .*' >/dev/null
}

@test "a server that stops its device while the backing hangs can be killed" {
	add_with_stuck_write
	kill -TERM "$server"
	wait_for 10 grep -q 'asked to stop, but in use' log
	kill -TERM "$server"
	wait_for 10 is_being_stopped
	kill -KILL "$server"
	# No process ends before what it has given to a disk.
	speed_up
	wait_for 15 is_gone "$server"
	ublk del --force --timeout 60 --if-exists "$dev"
	wait "$writer" || true
}

@test "a server that waits for its backing to stop opens its log again, and removes the device in the end" {
	add_with_stuck_write
	kill -TERM "$server"
	wait_for 10 grep -q 'asked to stop, but in use' log
	kill -TERM "$server"
	mv log log.1
	kill -HUP "$server"
	wait_for 5 test -s log
	speed_up
	wait_for 20 is_gone "$server"
	grep -q 'stopped and removed' log
	[ "$(state_of "$dev")" = gone ]
}

@test "an add whose backing hangs gives up in time and leaves nothing" {
	disk=$(make_ram_disk 32 512 irqmode=2 completion_nsec=4000000000)
	# The partition table is what hangs here.
	run ublk add -t loop -f "$disk" --direct on --timeout 2
	[ "$status" -eq 7 ]
	wait_for 30 nothing_left
}
