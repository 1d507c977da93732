#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# Waiting for a device: by what the kernel tells, before and after it has happened.
# kernels: newest
# long kernels: 6.12

load helpers
load deaf
load servers

# begin ARGS...: a wait that goes on; its process is in $waiter.
begin()
{
	"$UBLK" wait --timeout 600 "$@" 2>wait.err 3>&- &
	waiter=$!
}

# sleeps PID: in poll(), and not for a moment only: nothing but an event, or a deadline that is far, wakes it.
sleeps()
{
	local call
	read -ra call 2>/dev/null <"/proc/$1/syscall" || return 1
	[[ ${call[0]} == 7 ]] && ((call[3] > 100000))
}

# looks_again PID: in poll(), for a moment.
looks_again()
{
	local call
	read -ra call 2>/dev/null <"/proc/$1/syscall" || return 1
	[[ ${call[0]} == 7 ]] && ((call[3] <= 1024))
}

# begin_and_sleep ARGS...: a wait that only an event wakes.
begin_and_sleep()
{
	begin "$@"
	wait_for 60 sleeps "$waiter"
}

# arrives: the wait ends well, long before its deadline.
arrives()
{
	wait_for 60 is_gone "$waiter" || return
	ends_with 0 "$waiter"
}

@test "a device that is as awaited is not waited for" {
	dev=$(ublk add -t null --recovery requeue)
	ublk wait "$dev" --state live
	ublk wait -n 0 --state live
	park "$dev"
	ublk wait 0 --state quiesced
	ublk del "$dev"
	ublk wait "$dev" --state gone
	ublk wait nobody --state gone
	dev=$(ublk add -t null --recovery none)
	kill_server "$dev"
	wait_for 20 is_state "$dev" dead
	ublk wait "$dev" --state dead
	ublk del "$dev"
}

@test "live: a device that is added later, by its number and by the name of its node, wakes who sleeps" {
	begin_and_sleep 0 --state live
	first=$waiter
	begin_and_sleep /dev/ublkb0 --state live
	ublk add -t null
	arrives
	waiter=$first
	arrives
	ublk del 0
}

@test "live: a device that is added later, by its name, wakes who sleeps" {
	begin_and_sleep later --state live
	ublk add -t null --name sooner
	wait_for 60 sleeps "$waiter"
	ublk add -t null --name later
	arrives
	ublk del sooner later
}

@test "live: its node is there, and opens" {
	for _ in 1 2 3; do
		"$UBLK" add -t null >add.out 2>&1 3>&- &
		added=$!
		ublk wait 0 --state live
		[ -b /dev/ublkb0 ]
		read_block /dev/ublkb0
		ends_with 0 "$added"
		ublk del 0
	done
}

@test "live: a recovery ends the wait" {
	dev=$(ublk add -t null --recovery requeue)
	park "$dev"
	begin "$dev" --state live
	wait_for 20 looks_again "$waiter"
	ublk recover "$dev"
	arrives
	ublk del "$dev"
}

@test "live: what was removed is waited for again" {
	dev=$(ublk add -t null --recovery requeue)
	park "$dev"
	begin "$dev" --state live
	wait_for 20 looks_again "$waiter"
	ublk del "$dev"
	wait_for 60 sleeps "$waiter"
	ublk add -t null
	arrives
	ublk del "$dev"
}

@test "quiesced: a server that dies wakes who sleeps" {
	dev=$(ublk add -t null --name disk --recovery requeue)
	begin_and_sleep disk --state quiesced
	kill_server "$dev"
	arrives
	[ "$(state_of "$dev")" = quiesced ]
	ublk del "$dev"
}

@test "failed: a server that dies wakes who sleeps" {
	only_on_kernel 6.13 '--recovery fail'
	dev=$(ublk add -t null --recovery fail)
	begin_and_sleep "$dev" --state failed
	kill_server "$dev"
	arrives
	[ "$(state_of "$dev")" = failed ]
	ublk del "$dev"
}

@test "dead: a server that dies without recovery wakes who sleeps" {
	dev=$(ublk add -t null --recovery none)
	begin_and_sleep "$dev" --state dead
	kill_server "$dev"
	arrives
	[ "$(state_of "$dev")" = dead ]
	ublk del "$dev"
}

@test "gone: a deletion wakes who sleeps, and its number is free then" {
	dev=$(ublk add -t null --name disk)
	begin_and_sleep disk --state gone
	ublk del "$dev"
	arrives
	[ "$(ublk add -t null --id 0)" = "$dev" ]
	ublk del "$dev"
}

@test "gone: it is not before its number is free" {
	dev=$(ublk add -t null)
	begin_and_sleep "$dev" --state gone
	exec 7<"$dev"
	ublk del --force --async "$dev"
	wait_for 20 looks_again "$waiter"
	exec 7<&-
	arrives
}

@test "gone: a number that has changed hands is not waited for" {
	ublk add -t null --id 0
	begin_and_sleep 0 --state gone
	ublk del 0 && ublk add -t null --id 0
	arrives
	ublk del 0
}

@test "a device that is removed is not waited for in vain" {
	dev=$(ublk add -t null --recovery none)
	begin_and_sleep "$dev" --state quiesced
	ublk del "$dev"
	wait_for 60 is_gone "$waiter"
	ends_with 4 "$waiter"
	grep -qx 'ublk: error: cannot wait for ublkb0 to be quiesced: it has been removed' wait.err
}

@test "at the deadline it is told how the device is, with status 7" {
	run -7 --separate-stderr ublk wait later --state live --timeout 1
	[ -z "$output" ]
	[ "${stderr%%$'\n'*}" = 'ublk: error: cannot wait for later to be live any longer: there is no such device' ]
	dev=$(ublk add -t null)
	run -7 --separate-stderr ublk wait "$dev" --state gone --timeout 1
	[ "${stderr%%$'\n'*}" = 'ublk: error: cannot wait for ublkb0 to be gone any longer: it is live' ]
	ublk del "$dev"
}

@test "where no uevents come it is looked again and again" {
	new_net
	in_net "$UBLK" wait 0 --state live --timeout 600 3>&- &
	waiter=$!
	wait_for 20 looks_again "$waiter"
	ublk add -t null
	arrives
	in_net "$UBLK" wait 0 --state gone --timeout 600 3>&- &
	waiter=$!
	wait_for 20 looks_again "$waiter"
	ublk del 0
	arrives
	end_job "$space" KILL
}

@test "where there are neither uevents nor nodes it waits all the same" {
	dev=$(ublk add -t null --recovery requeue)
	new_net
	without_nodes "$UBLK" wait 0 --state quiesced --timeout 600 3>&- &
	waiter=$!
	wait_for 20 looks_again "$waiter"
	kill_server "$dev"
	arrives
	end_job "$space" KILL
	ublk del "$dev"
}

@test "^C ends a wait, by the signal" {
	env --default-signal=INT "$UBLK" wait 0 --state live --timeout 600 3>&- &
	waiter=$!
	wait_for 60 sleeps "$waiter"
	kill -INT "$waiter"
	ends_with 130 "$waiter"
}
