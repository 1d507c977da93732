#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# Servers whose backing does not answer: they hear signals, and they can be killed.
# kernels: newest
# long kernels: 6.12 7.2

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

# is_on ERRAND: some server.
is_on()
{
	pgrep -fx "ublk-server errand $1 .*" >/dev/null
}

@test "a server that stops its device while the backing hangs waits for no flush at a third SIGTERM, and can be killed" {
	add_with_stuck_write
	# Into the page cache, where it stays: the other one has the device open.
	dd if=/dev/zero of="$dev" bs=4k seek=1 count=1 conv=notrunc status=none
	kill -TERM "$server"
	wait_for 10 grep -q 'asked to stop, but in use' log
	kill -TERM "$server"
	wait_for 10 is_on flush
	# systemd tells each process of a unit to end: one that flushes does not.
	blocked=$(awk '/^SigBlk/ { print $2 }' "/proc/$(pgrep -P "$server")/status")
	[ $((0x$blocked & 0x4002)) -eq $((0x4002)) ]
	kill -TERM "$server"
	wait_for 10 is_on stop
	grep -q 'what was written last may be lost: cannot flush: Interrupted' log
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

# make_hanging_disk: the partition table of what is added is what hangs.
make_hanging_disk()
{
	make_slow_disk 32
	slow_down 300000
}

@test "an add whose backing hangs gives up in time, and leaves nothing when that answers" {
	make_hanging_disk
	run ublk add -t loop -f "$slow" --direct on --timeout 2 --log-file log
	[ "$status" -eq 7 ]
	[[ $output == *"process $(servers) removes it as soon as its backing answers"* ]]
	is_delayed
	grep -q 'cannot \(start\|open\)' log
	speed_up
	wait_for 30 nothing_left
}

# bats test_tags=long
@test "an add in the foreground whose backing hangs tells it in time, and ends when that answers" {
	make_hanging_disk
	"$UBLK" add -t loop -f "$slow" --direct on --timeout 2 --foreground >out.log 2>&1 3>&- &
	command=$!
	wait_for 60 grep -q "process $command removes it as soon as its backing answers" out.log
	[ -e "/proc/$command" ]
	is_delayed
	speed_up
	ends_with 7 "$command"
	nothing_left
}

# bats test_tags=long
@test "an add whose server is killed while its backing hangs ends in time" {
	only_on_kernel 6.18 "a driver that does not read the partition table under a lock"
	make_hanging_disk
	"$UBLK" add -n 0 -t loop -f "$slow" --direct on >out.log 2>&1 3>&- &
	command=$!
	wait_for 20 is_delayed
	kill -KILL "$(servers)"
	ends_with 1 "$command"
	grep -q 'its server died without a word' out.log
	is_delayed
	speed_up
	wait_for 20 del_if_exists
	nothing_left
}

del_if_exists()
{
	ublk del --if-exists 0
}
