# SPDX-License-Identifier: MIT
# Every step of add and of recover fails, dies or is interrupted in turn: nothing is left of an
# add, and a device stays as recoverable as it was.
# cpus: 2
# kernels: newest
# long kernels: 6.12
# build: faults

load helpers
load servers

setup()
{
	device_setup
	make_image a.img 16M
}

# The steps of the server in their order; those that only a note tells of are not among them.
ADD_STEPS='ctrl-ring target plan add added space protect ring thread char attach params map record fetch-half
	start started node ready'
# Errands, the server's helpers, come to `ctrl-ring` too, and would stop themselves.
STOP_STEPS=${ADD_STEPS#ctrl-ring }
# Up to the mapping a recovery changes nothing.
RECOVER_STEPS='target space protect ring thread start-recovery record char attach'

# server_steps: those at which a server is made to die. Linux 6.12 complains when one dies between
# its fetches, even if it does no harm (WARN_ON_ONCE() in ublk_uring_cmd_cancel_fn()).
server_steps()
{
	local step
	for step in $ADD_STEPS; do
		[[ $step == fetch-half ]] && ! kernel_at_least 6.16 || printf '%s\n' "$step"
	done
}

add()
{
	UBLK_FAULT=$1 ublk add -t loop -f a.img -q 2 -d 16
}

recover()
{
	UBLK_FAULT=$1 ublk recover 0
}

# undone STEP: nothing is left of the add that failed at it.
undone()
{
	wait_for 15 nothing_left || { echo "after $1:"; what_is_left; return 1; }
}

# add_again STEP: number and file are free at once.
add_again()
{
	run ublk add -n 0 -t loop -f a.img
	[[ $status -eq 0 ]] || { echo "after $1: $output"; return 1; }
	ublk del 0
}

@test "add: whatever step fails, the error is told and nothing is left" {
	for step in fork $ADD_STEPS; do
		run add "$step:ENOMEM"
		[[ $status -eq 1 && $output == *"ublk: error: "*"Cannot allocate memory"* ]] ||
			{ echo "$step: $status $output"; return 1; }
		nothing_left || { echo "$step:"; what_is_left; return 1; }
	done
	add_again all
}

@test "add: a ring of buffers that cannot be registered is told, and nothing is left" {
	only_on_kernel 7.0 'batches'
	UBLK_FAULT=batch-ring:ENOMEM run ublk add -t loop -f a.img --batch on
	[ "$status" -eq 1 ]
	[[ $output == *"cannot provide the buffers of queue 0: Cannot allocate memory"* ]]
	nothing_left
}

# fails_at STEPS ARGS...: each of these steps fails in turn, and nothing is left.
fails_at()
{
	local step
	for step in $1; do
		run env "UBLK_FAULT=$step:ENOMEM" "$UBLK" add -t loop -f a.img --direct off -q 2 -d 16 "${@:2}"
		[[ $status -eq 1 && $output == *"ublk: error: "*"Cannot allocate memory"* ]] ||
			{ echo "$step, ${*:2}: $status $output"; return 1; }
		nothing_left || { echo "$step, ${*:2}:"; what_is_left; return 1; }
	done
}

@test "add: whatever mapping, registration or ring fails, of the second queue too, nothing is left" {
	fails_at 'launch handover errand-ring errand-pidfd@1 ring@2 protect@2 attach@2 enable@2' --data-path copy
	fails_at 'mbind@2 mlock' --data-path copy --numa-node 0 --mlock
	fails_at 'ring@2 map@2' --data-path user-copy
	fails_at 'map@2 enable' --data-path get-data
	! kernel_at_least 6.16 || fails_at 'slots@2 enable' --data-path zero-copy
	! kernel_at_least 7.0 || fails_at 'batch-ring@2 map@2' --data-path copy --batch on
	! kernel_at_least 7.0 || fails_at 'slots@2' --data-path zero-copy --batch on
	add_again all
}

@test "what the command line maps for itself, or a ring's number, may be missing" {
	UBLK_FAULT=ring-fd ublk add -t loop -f a.img
	run -0 env UBLK_FAULT=ask "$UBLK" list
	[[ $output == *live* ]]
	ublk del 0
}

@test "add: memory for a target in memory that cannot be had is told, and nothing is left" {
	UBLK_FAULT=mem:ENOMEM run ublk add -t mem --size 1M
	[ "$status" -eq 1 ]
	[[ $output == *"cannot map 1048576 bytes: Cannot allocate memory"* ]]
	nothing_left
}

@test "add: memory that cannot be locked is told, and nothing is left" {
	UBLK_FAULT=mlock:EPERM run ublk add -t loop -f a.img --mlock
	[ "$status" -ne 0 ]
	[[ $output == *"cannot lock the server's memory: Operation not permitted"* ]]
	nothing_left
}

@test "add: a failed step says its own errno" {
	run add ring:EMFILE
	[[ $status -eq 1 && $output == *"Too many open files"* ]]
	run add start:EBUSY
	[ "$status" -eq 5 ]
	run add params:EPERM
	[ "$status" -eq 3 ]
}

@test "add: a server killed at any step leaves nothing, and the command says so" {
	for step in $(server_steps); do
		run add "$step:kill"
		[[ $status -eq 1 && $output == *"died without a word"* ]] ||
			{ echo "$step: $status $output"; return 1; }
		nothing_left || { echo "$step:"; what_is_left; return 1; }
	done
	add_again all
}

@test "add --foreground: killed at any step, nothing is left, and the error is told" {
	for step in $(server_steps); do
		UBLK_FAULT=$step:kill run "$UBLK" add --foreground -n 0 -t loop -f a.img -d 16
		[[ $status -eq 137 && $output == *"died without a word"* ]] ||
			{ echo "$step: $status $output"; return 1; }
		undone "$step"
	done
	add_again all
}

@test "add --foreground: a step that fails has its own exit status" {
	UBLK_FAULT=start:EBUSY run "$UBLK" add --foreground -t loop -f a.img
	[ "$status" -eq 5 ]
	nothing_left
	UBLK_FAULT=params:EPERM run "$UBLK" add --foreground -t loop -f a.img
	[ "$status" -eq 3 ]
	nothing_left
}

# Only with one queue: several would stop themselves again at their steps.
# stop_at STEP VERB...: runs the command in the background until its server stops itself there.
# Leaves the command's pid in $command, the server's in $server.
stop_at()
{
	before=${server-}
	UBLK_FAULT=$1:stop env --default-signal=INT "$UBLK" "${@:2}" >out.log 2>&1 &
	command=$!
	wait_for 20 server_stopped || { echo "does not come to $1"; cat out.log; return 1; }
}

# Not the one before, which may stand yet.
server_stopped()
{
	server=$(pgrep -nx ublk-server) && [[ $server != "$before" ]] && is_stopped "$server"
}

@test "add: the command killed at any step, the server undoes everything" {
	for step in $STOP_STEPS; do
		stop_at "$step" add -t loop -f a.img -d 16
		kill -KILL "$command"
		kill -CONT "$server"
		undone "$step"
	done
	add_again all
}

@test "add: Ctrl-C at any step, and everything is undone before the command ends" {
	for step in $STOP_STEPS; do
		stop_at "$step" add -t loop -f a.img -d 16
		kill -INT "$command"
		kill -CONT "$server"
		ends_with 130 "$command" || { echo "at $step"; return 1; }
		[ ! -s out.log ] || grep -qx 'ublk: error: interrupted' out.log || { cat out.log; return 1; }
		nothing_left || { echo "$step:"; what_is_left; return 1; }
	done
	add_again all
}

@test "add: Ctrl-C while the server hangs ends in time, and leaves nothing" {
	stop_at added add -t loop -f a.img
	kill -INT "$command"
	ends_with 130 "$command"
	nothing_left
}

@test "add: SIGTERM to the server at any step undoes it, and the command fails" {
	for step in target added record start node; do
		stop_at "$step" add -t loop -f a.img
		kill -TERM "$server"
		kill -CONT "$server"
		ends_with 1 "$command" || { echo "at $step"; cat out.log; return 1; }
		nothing_left || { echo "$step:"; what_is_left; return 1; }
	done
}

@test "add: a server whose number another device has got meanwhile leaves that one as it is" {
	make_image small.img 8M
	stop_at added add -n 0 -t loop -f small.img
	late=$server late_command=$command
	ublk del 0
	stop_at start add -n 0 -t loop -f a.img
	kill -CONT "$late"
	ends_with 4 "$late_command"
	kill -CONT "$server"
	ends_with 0 "$command" || { cat out.log; return 1; }
	[ "$(blockdev --getsize64 /dev/ublkb0)" -eq $((16 << 20)) ]
	ublk del 0
}

@test "run: what ends it before the command runs leaves nothing, and the command does not run" {
	for signal in INT KILL; do
		for step in added start ready; do
			stop_at "$step" run -t loop -f a.img -d 16 -- touch ran
			kill "-$signal" "$command"
			kill -CONT "$server"
			wait_for 20 is_gone "$command"
			wait_for 20 nothing_left || { echo "$signal at $step:"; what_is_left; return 1; }
			[ ! -e ran ]
		done
	done
}

@test "add: what --create made goes with a failed add" {
	for step in add record start ready; do
		run env UBLK_FAULT=$step "$UBLK" add -t loop -f new.img --create 8M
		[ "$status" -eq 1 ]
		[ ! -e new.img ] || { echo "after $step"; return 1; }
		nothing_left
	done
}

# orphaned_device QUEUES: number 0, on a.img, without a server.
orphaned_device()
{
	run -0 ublk add -n 0 -t loop -f a.img -q "$1" -d 16
	park 0
}

# kill_again: the device of orphaned_device, when it has been recovered.
kill_again()
{
	park /dev/ublkb0
}

@test "recover: whatever step fails, the error is told and the device can be recovered" {
	orphaned_device 2
	for step in fork ${RECOVER_STEPS/record/}; do
		run recover "$step:ENOMEM"
		[[ $status -eq 1 && $output == *"ublk: error: "*"Cannot allocate memory"* ]] ||
			{ echo "$step: $status $output"; return 1; }
		is_state 0 quiesced
		no_server
	done
	ublk recover 0
	dd if=/dev/ublkb0 of=/dev/null bs=4096 count=1 iflag=direct status=none
	ublk del 0
}

@test "recover: a record that cannot be written is told, and does not keep the device from being served" {
	orphaned_device 2
	run recover record:EIO
	[[ $status -eq 0 && $output == *"note: its record could not be written"*"Input/output error"* ]]
	is_state 0 live
	[ "$(server_of 0)" = "$(servers)" ]
	kill_again
	ublk recover 0
	ublk del 0
}

@test "recover: a server killed at any step before the mapping leaves the device recoverable" {
	orphaned_device 2
	for step in $RECOVER_STEPS; do
		run recover "$step:kill"
		[ "$status" -eq 1 ] || { echo "$step: $status $output"; return 1; }
		is_state 0 quiesced
		no_server
	done
	ublk recover 0
	dd if=/dev/ublkb0 of=/dev/null bs=4096 count=1 iflag=direct status=none
	ublk del 0
}

@test "recover: one that dies at its end leaves the device recoverable" {
	orphaned_device 2
	for step in end-recovery ready; do
		run recover "$step:kill"
		[ "$status" -eq 1 ]
		wait_for 10 no_server
		wait_for 10 is_state 0 quiesced
		run ublk recover 0
		[ "$status" -eq 0 ] || { echo "$step: $output"; return 1; }
		kill_again
	done
	ublk del 0
}

@test "recover --foreground: one that fails at its end has its own exit status" {
	orphaned_device 1
	UBLK_FAULT=end-recovery:EBUSY run "$UBLK" recover --foreground 0
	[[ $status -eq 5 && $output == *"cannot recover ublkb0: Device or resource busy"* ]]
	wait_for 10 is_state 0 quiesced
	ublk recover 0
	ublk del 0
}

# end_with_server SIGNAL: lets the stopped server see its command's end. The record is written twice:
# a server that has not seen it by then stops itself again.
end_with_server()
{
	[[ $1 == INT ]] || wait "$command" || true
	kill -CONT "$server"
	wait_for 60 has_ended_after_all
	wait "$command" || true
}

has_ended_after_all()
{
	kill -CONT "$server" 2>/dev/null || true
	is_gone "$command" && { is_gone "$server" || is_state 0 live; }
}

# bats test_tags=long
@test "recover: the command killed or interrupted at any step, the device is live or recoverable" {
	orphaned_device 1
	for step in target ring start-recovery record attach map fetch-half end-recovery ready; do
		for signal in INT KILL; do
			stop_at "$step" recover 0
			kill "-$signal" "$command"
			end_with_server "$signal"
			run ublk recover 0
			[ "$status" -eq 0 ] || { echo "$signal at $step: $output"; return 1; }
			is_state 0 live
			[ "$(pgrep -cx ublk-server)" -eq 1 ]
			kill_again
		done
	done
	ublk del 0
}

@test "recover: of two at once, wherever the slower one stands, the record names the one that serves" {
	run -0 ublk add -n 0 -t null
	for step in start-recovery char record map; do
		kill_again
		stop_at "$step" recover --timeout 20 0
		patience=5
		[[ $step != record && $step != map ]] || patience=1
		"$UBLK" recover --timeout "$patience" 0 >second.log 2>&1 || true
		[ "$patience" -eq 1 ] || is_state 0 live
		[ "$step" != map ] || grep "another recovery (process $server) has begun" second.log ||
			{ cat second.log; return 1; }
		wait_for 60 has_ended_after_all
		wait "$command" || { echo "at $step"; cat out.log second.log; return 1; }
		wait_for 10 one_server
		[ "$(jq .server.pid /run/ublk/0.json)" = "$(servers)" ] || { echo "at $step"; return 1; }
		[ "$(server_of 0)" = "$(servers)" ]
	done
	ublk del 0
}

@test "recover: one that stood while others served the device knows what they have left" {
	ram=$(make_ram_disk 32)
	map_disk bad "0 65536 linear $ram 0"
	run -0 ublk add -n 0 -t loop -f /dev/mapper/bad --direct off
	kill_again
	stop_at target recover 0
	ublk recover 0
	change_map bad '0 65536 error'
	run ! dd if=/dev/urandom of=/dev/ublkb0 bs=4096 count=1 conv=fsync status=none
	change_map bad "0 65536 linear $ram 0"
	kill_again
	kill -CONT "$server"
	ends_with 0 "$command" || { cat out.log; return 1; }
	run ! dd if=/dev/urandom of=/dev/ublkb0 bs=4096 count=1 conv=fsync status=none
	ublk del 0
}

@test "recover: before Linux 6.13 one that died after the mapping keeps those from beginning that stood" {
	only_before_kernel 6.13 "recovery after a death between mapping and fetches"
	run -0 ublk add -n 0 -t null
	kill_again
	stop_at start-recovery recover 0
	run recover map:kill 0
	[ "$status" -eq 1 ]
	kill -CONT "$server"
	ends_with 1 "$command"
	grep 'an earlier recovery died in the middle' out.log || { cat out.log; return 1; }
	ublk del 0
}

@test "recover --all looks at each device when its turn comes" {
	ublk add -n 0 -t null
	ublk add -n 1 -t null
	for id in 0 1; do
		kill_server "$id"
		wait_for 10 is_state "$id" quiesced
	done
	stop_at target recover --all
	ublk recover 1
	kill -CONT "$server"
	ends_with 0 "$command"
	[ "$(cat out.log)" = /dev/ublkb0 ]
	ublk del --all
}

one_server()
{
	[[ $(servers | wc -l) -eq 1 ]]
}

@test "recover: from Linux 7.0 on, a server that dies half-fetched leaves the device recoverable" {
	only_on_kernel 7.0 "recovery after a death in the middle of the fetches"
	orphaned_device 2
	for step in map fetch-half; do
		for how in kill EIO; do
			run recover "$step:$how"
			[ "$status" -eq 1 ]
			wait_for 10 no_server
			run ublk recover 0
			[ "$status" -eq 0 ] || { echo "$step:$how: $output"; return 1; }
			kill_again
		done
	done
	ublk del 0
}

# del_waits: its helper has begun, and the device is there all the same.
del_waits()
{
	wait_for 10 pgrep -P "$del" -x ublk >/dev/null && sleep 0.5 && is_state 0 quiesced
}

# bats test_tags=long
@test "recover: a device is not stopped in the middle, and its number is free afterwards" {
	orphaned_device 2
	stop_at fetch-half recover 0
	ublk_in_background del --force 0
	del_waits
	kill -CONT "$server"
	wait "$del"
	wait_for 10 nothing_left
	# Also one that hangs there is stopped in the end. Older drivers are left with it (wedge.bats).
	kernel_at_least 7.0 || return 0
	orphaned_device 2
	stop_at fetch-half recover 0
	ublk del --force --timeout 30 0
	wait_for 10 nothing_left
}

@test "recover: a device that is stopped before it is fetched is let go, and no record comes after it" {
	orphaned_device 2
	stop_at opened recover 0
	ublk_in_background del --force 0
	wait_for 20 eval '[[ ! -e /dev/ublkc0 ]]'
	kill -CONT "$server"
	ends_with 1 "$command"
	grep -E 'cannot recover ublkb0: (it is dead, stopped meanwhile|No such device)' out.log ||
		{ cat out.log; return 1; }
	wait "$del"
	wait_for 10 nothing_left
	ublk add -n 0 -t null
	ublk del 0
}

@test "an added device whose server and command died before its start is listed as another's, and can be deleted" {
	stop_at added add -n 0 -t loop -f a.img
	kill -KILL "$command"
	kill -KILL "$server"
	wait_for 10 no_server
	[ "$(ublk list --json | jq -c '.devices[0] | [.id, .state, .managed]')" = '[0,"dead",false]' ]
	[ ! -e /dev/ublkb0 ]
	run ublk recover 0
	[ "$status" -eq 1 ]
	ublk del 0
	nothing_left
}

@test "del --all removes what was left before its start" {
	stop_at params add -n 0 -t loop -f a.img
	kill -KILL "$command"
	kill -KILL "$server"
	wait_for 10 no_server
	run -0 ublk del --all
	[ -z "$output" ]
	nothing_left
}

# stopped_ublk: a command of ours, or its helper, has stopped itself. Leaves it in $helper.
stopped_ublk()
{
	local pid
	for pid in $(pgrep -x ublk); do
		! is_stopped "$pid" || { helper=$pid && return; }
	done
	return 1
}

@test "del: between its look and its command the number changes hands, and the new device lives" {
	# Before Linux 7.0 del without --force has claimed the device by then: the number stays its.
	options=(--force)
	! kernel_at_least 7.0 || options+=(--timeout=20)
	for option in "${options[@]}"; do
		ublk add -n 0 -t null
		UBLK_FAULT=same:stop "$UBLK" del "$option" 0 >out.log 2>&1 &
		command=$!
		wait_for 20 stopped_ublk
		ublk del 0
		ublk add -n 0 -t loop -f a.img
		wait_for 20 del_has_ended
		ends_with 0 "$command" || { cat out.log; return 1; }
		is_state 0 live
		dd if=/dev/ublkb0 of=/dev/null bs=4096 count=1 iflag=direct status=none
		ublk del 0
	done
}

@test "del: udev closes the device between the driver's refusal and the look, late, and it goes" {
	kernel_at_least 7.0 || skip "kernel: the driver refuses to stop what is open since Linux 7.0"
	dev=$(ublk add -t null)
	udev_has "$dev" 1000
	UBLK_FAULT=unused-look:stop "$UBLK" del "$dev" >out.log 2>&1 &
	command=$!
	wait_for 20 stopped_ublk
	# Others would have had a second by now.
	sleep 1.2
	kill -CONT "$helper"
	wait_for 20 stopped_ublk
	# Nor is it long ago only for a while that it was seen.
	sleep 1.2
	end_job "$worker"
	wait_for 20 del_has_ended
	ends_with 0 "$command" || { cat out.log; return 1; }
	nothing_left
}

# It may stop itself again.
del_has_ended()
{
	kill -CONT "$helper" "$command" 2>/dev/null || true
	is_gone "$command"
}

@test "a device without a server that could not be recovered can be deleted" {
	orphaned_device 2
	run recover attach:kill
	[ "$status" -eq 1 ]
	ublk del 0
}

@test "a driver that does not answer is not called old" {
	# In a /dev of its own, in which something else answers in the driver's place.
	run --separate-stderr unshare --mount bash -c '
		mount --bind /dev/null /dev/ublk-control && exec "$0" features' "$UBLK"
	printf '%s\n' "$stderr"
	[ "$status" -eq 6 ]
	[[ $stderr == *'older than Linux 6.12'* ]]
	run --separate-stderr env UBLK_FAULT=features "$UBLK" features
	printf '%s\n' "$stderr"
	[ "$status" -eq 1 ]
	[[ $stderr == *'cannot ask the ublk driver for its features: Input/output error'* ]]
}

@test "recover: a log that cannot be reached goes to the journal, not where nobody sees it" {
	ublk add -t loop -f a.img --log-file server.log
	kill_server 0
	wait_for 10 is_state 0 quiesced
	UBLK_FAULT=log-dir:ENOMEM run -0 "$UBLK" recover 0
	[[ $output == *"the log goes to the journal, since $PWD/server.log cannot be opened: Cannot allocate memory"* ]]
	[ ! -e "/proc/$(server_of 0)/root/log" ]
	ublk del 0
}
