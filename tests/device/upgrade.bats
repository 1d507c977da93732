# SPDX-License-Identifier: MIT
# A device that is in use gets another server, and nobody sees it but by the time that it takes.
# build: faults
# kernels: newest
# long kernels: 6.12 6.18
# cpus: 2

load helpers
load backings
load servers

setup()
{
	device_setup
	if kernel_at_least 6.16; then
		how=()
	else
		how=(--by-recovery)
	fi
}

needs_quiesce()
{
	only_on_kernel 6.16 'QUIESCE'
}

# upgrade DEV: it is served by another process afterwards, and the one before has gone.
upgrade()
{
	local before
	before=$(server_of "$1")
	[ "$(ublk upgrade "${how[@]}" "$1")" = "$1" ]
	[ "$(server_of "$1")" != "$before" ]
	wait_for 10 is_gone "$before"
	[ "$(servers | wc -l)" -eq 1 ]
}

# is_intact DEV: it serves, and what is written is there.
is_intact()
{
	is_state "$1" live && fio_verify "$1"
}

# goes_on_through ROUNDS OPTION...: a client that writes and verifies sees nothing of so many upgrades; if
# nobody is killed, with the policy that fails what a dead server had in hand.
goes_on_through()
{
	local policy=requeue
	[[ -z ${how[*]} ]] || policy=reissue
	make_image a.img 16M
	dev=$(ublk add -t loop -f a.img --recovery "$policy" "${@:2}" 2>/dev/null)
	start_verified "$dev" 8192
	for ((round = 1; round <= $1; round++)); do
		writes_on "$dev"
		upgrade "$dev"
	done
	end_verified "$dev" 8192
	ublk del "$dev"
	rm a.img
}

# upgrade_at STEP ARG...: $command, whose new server has come to that step and stopped there: $server.
upgrade_at()
{
	before=$(server_of 0)
	UBLK_FAULT=$1:stop env --default-signal=INT "$UBLK" upgrade "${how[@]}" "${@:2}" 0 >out.log 2>&1 3>&- &
	command=$!
	wait_for 20 new_one_stopped || { cat out.log; return 1; }
}

new_one_stopped()
{
	server=$(pgrep -nx ublk-server) && [[ $server != "$before" ]] && is_stopped "$server"
}

# program_of DEV: the file of its server.
program_of()
{
	readlink "/proc/$(server_of "$1")/exe"
}

@test "under a load no request fails, with one queue and two" {
	goes_on_through 3
	goes_on_through 2 --data-path copy -q 2
}

# bats test_tags=long
@test "under a load no request fails in a hundred upgrades, on every path, with threads and queues" {
	goes_on_through 100
	goes_on_through 10 --data-path user-copy --poll-us 100
	goes_on_through 10 --data-path get-data --threads 2
	goes_on_through 10 -q 4 --threads 1 --direct off
	goes_on_through 10 -q 4 --data-path copy
	how=(--by-recovery)
	goes_on_through 10
	! kernel_at_least 7.0 || goes_on_through 10 --batch on
	! kernel_at_least 7.0 || goes_on_through 10 --batch on --data-path copy -q 4
}

@test "the program that is installed now serves, of whatever version, and a mounted file system notices nothing" {
	mkdir old new
	cp "$UBLK" "${UBLK%/*}/ublk-server" old
	cp "$UBLK" "${UBLK%/*}/ublk-server" new
	# As the next version will say of itself.
	version=$("$UBLK" version)
	version=${version#ublk }
	LC_ALL=C sed -i "s/${version//./\\.}/${version//[0-9]/9}/g" new/ublk new/ublk-server
	[ "$(new/ublk version)" = "ublk ${version//[0-9]/9}" ]
	make_image a.img 128M
	dev=$(old/ublk add -t loop -f a.img --name disk --recovery reissue --data-path copy -q 2)
	[ "$(program_of "$dev")" = "$PWD/old/ublk-server" ]
	fs_on "$dev" ext4 m
	cp "$UBLK" m/before
	run -0 new/ublk upgrade "${how[@]}" disk
	[ "$(program_of "$dev")" = "$PWD/new/ublk-server" ]
	cp "$UBLK" m/after
	run -0 old/ublk upgrade "${how[@]}" disk
	[ "$(program_of "$dev")" = "$PWD/old/ublk-server" ]
	run -0 new/ublk upgrade "${how[@]}" disk
	# One that fails when there is no way back: the other one's again.
	run -1 --separate-stderr env UBLK_FAULT=other-ended:EIO old/ublk upgrade "${how[@]}" disk
	[[ $stderr == *'cannot upgrade ublkb0: '*'; a server of the program before has it again'* ]]
	[ "$(program_of "$dev")" = "$PWD/new/ublk-server" ]
	# Nor can one that is broken do any harm.
	printf '#!/bin/false\n' >old/ublk-server
	run -1 --separate-stderr old/ublk upgrade "${how[@]}" disk
	[[ $stderr == *'cannot upgrade ublkb0, whose server goes on: '* ]]
	[ "$(program_of "$dev")" = "$PWD/new/ublk-server" ]
	cmp m/before "$UBLK"
	cmp m/after "$UBLK"
	umount m
	e2fsck -fn "$dev"
	[ "$(ublk show --json disk | jq -c '.devices[0] | [.name, .queues, .data_path]')" = '["disk",2,"copy"]' ]
	ublk del "$dev"
}

@test "what fails before the old server is told to end leaves it serving" {
	make_image a.img 16M
	dev=$(ublk add -n 0 -t loop -f a.img --recovery reissue)
	server=$(server_of 0)
	for fault in handover:EIO target:ENOENT ring:ENOMEM thread:kill end-other:EIO end-other:kill; do
		run -1 env UBLK_FAULT=$fault "$UBLK" upgrade "${how[@]}" 0
		[[ $output == *'cannot upgrade ublkb0'*' goes on'* ]] || { echo "$fault: $output"; return 1; }
		[ "$(server_of 0)" = "$server" ]
	done
	[ "$(servers)" = "$server" ]
	is_intact "$dev"
	ublk del 0
}

@test "what fails after it leaves a device that can be recovered, or is" {
	make_image a.img 16M
	dev=$(ublk add -n 0 -t loop -f a.img --recovery reissue)
	# The program before is brought back, and meets the same fault.
	for step in start-recovery char map end-recovery; do
		kernel_at_least 7.0 || [[ $step != map && $step != end-recovery ]] || continue
		for kind in EIO kill; do
			before=$(server_of 0)
			run env UBLK_FAULT=$step:$kind "$UBLK" upgrade "${how[@]}" 0
			wait_for 10 not_two_servers
			wait_for 10 is_gone "$before"
			[[ $status == 1 && $output == *'it waits for a server: ublk recover 0'* ]] ||
				{ echo "$step $kind: $status: $output"; return 1; }
			[ "$(state_of 0)" = quiesced ]
			ublk recover 0
			is_state 0 live
		done
	done
	is_intact "$dev"
	ublk del 0
}

not_two_servers()
{
	(($(servers | wc -l) <= 1))
}

@test "whoever kills or interrupts the command, the device is served in the end" {
	make_image a.img 16M
	dev=$(ublk add -n 0 -t loop -f a.img --recovery reissue)
	for step in target end-other other-ended fetch-half end-recovery; do
		for signal in INT KILL; do
			upgrade_at "$step"
			kill "-$signal" "$command"
			sleep 0.2
			pkill -CONT -x ublk-server
			wait_for 20 is_gone "$command"
			wait_for 20 is_served_alone || { echo "$signal at $step: $(state_of 0)"; return 1; }
		done
	done
	is_intact "$dev"
	ublk del 0
}

is_served_alone()
{
	[[ $(servers | wc -l) == 1 ]] && is_state 0 live
}

@test "the old server dies, another upgrade, a recovery, a resize or a deletion comes in between" {
	make_image a.img 16M
	dev=$(ublk add -n 0 -t loop -f a.img --recovery reissue)
	# It dies before it was told.
	upgrade_at end-other
	kill -KILL "$before"
	wait_for 10 is_state 0 quiesced
	kill -CONT "$server"
	wait "$command"
	is_intact "$dev"
	# Or is recovered by somebody else meanwhile.
	upgrade_at end-other
	kill -KILL "$before"
	wait_for 10 is_state 0 quiesced
	ublk recover 0
	kill -CONT "$server"
	wait "$command" || true
	wait_for 20 is_served_alone
	is_intact "$dev"
	# Or gets another size.
	if kernel_at_least 6.16; then
		upgrade_at end-other
		ublk resize 0 8M --force
		kill -CONT "$server"
		wait "$command"
		[ "$(blockdev --getsize64 "$dev")" -eq $((8 << 20)) ]
		is_intact "$dev"
	fi
	# Another upgrade comes to its end first: its server is not the one that was meant.
	upgrade_at end-other
	run -0 "$UBLK" upgrade "${how[@]}" 0
	third=$(pgrep -x ublk-server | grep -vx "$server")
	kill -CONT "$server"
	wait "$command"
	grep -q 'note: ublkb0 has got another server meanwhile' out.log
	wait_for 10 is_gone "$server"
	sleep 2
	is_state 0 live
	[ "$(server_of 0)" = "$third" ]
	is_intact "$dev"
	# Of two, each has its turn, or is told that the server parks already.
	"$UBLK" upgrade "${how[@]}" 0 3>&- &
	other=$!
	run "$UBLK" upgrade "${how[@]}" 0
	wait "$other" || true
	wait_for 20 is_served_alone
	is_intact "$dev"
	# Nothing locks it: of two that have had the server end, one serves, and the other ends.
	ublk add -n 1 -t null --recovery reissue
	"$UBLK" upgrade "${how[@]}" 1 >/dev/null 2>&1 3>&- &
	other=$!
	"$UBLK" upgrade "${how[@]}" 1 >/dev/null 2>&1 || true
	wait "$other" || true
	wait_for 20 are_two_servers
	is_state 1 live
	ublk del 1
	# Deleted when it has no server.
	upgrade_at other-ended
	wait_for 20 is_state 0 quiesced
	ublk del 0
	kill -CONT "$server"
	! wait "$command" || return 1
	grep -q 'cannot upgrade ublkb0' out.log
	wait_for 10 no_servers
}

are_two_servers()
{
	[[ $(servers | wc -l) == 2 ]]
}

no_servers()
{
	[[ -z $(servers) ]]
}

# bats test_tags=long
@test "what is under way is waited for, by the new server itself when nobody else does" {
	needs_quiesce
	make_slow_disk 64
	# shellcheck disable=SC2154 # make_slow_disk sets it
	dev=$(ublk add -t loop -f "$slow" --recovery requeue)
	server=$(server_of "$dev")
	write_that_takes 60000 "$dev"
	run -7 --separate-stderr ublk upgrade --timeout 1 "$dev"
	[[ $stderr == *'cannot upgrade ublkb0: '*'; if it has begun, it goes on by itself'* ]]
	[ "$(server_of "$dev")" = "$server" ]
	run -5 --separate-stderr ublk upgrade "$dev"
	[[ $stderr == *'its server has been told to park already'* ]]
	speed_up
	wait "$writer"
	wait_for 20 is_gone "$server"
	wait_for 20 is_state "$dev" live
	is_intact "$dev"
	ublk del "$dev"
}

@test "all of them at once, and those that can't be upgraded keep their server" {
	needs_quiesce
	make_image a.img 16M
	ublk add -n 0 -t loop -f a.img
	ublk add -n 1 -t null
	ublk add -n 2 -t mem --size 1M
	"$UBLK" add -n 3 -t null --foreground >front.log 2>&1 3>&- &
	front=$!
	"$UBLK" run -n 4 -t null -- sleep 1000 3>&- &
	command=$!
	wait_for 20 is_state 3 live
	wait_for 20 is_state 4 live
	wait_for 20 test -s front.log
	before=$(ublk list -o PID)
	run -0 --separate-stderr ublk upgrade --all
	[ "$output" = $'/dev/ublkb0\n/dev/ublkb1' ]
	[[ $stderr == *'note: ublkb3 keeps its server: its server is in the foreground'* ]]
	[[ $stderr == *'note: ublkb4 keeps its server: it goes with the command that it was made for'* ]]
	[ "$(diff <(printf '%s\n' "$before") <(ublk list -o PID) | grep -c '^<')" -eq 2 ]
	ublk upgrade --json 1 | jq -e '.devices[0] | .id == 1 and .state == "live"'
	run -1 --separate-stderr ublk upgrade 4
	[[ $stderr == *'it goes with the command that it was made for'* ]]
	end_job "$command"
	ublk del 0 1 2 3
	wait "$front"
}

@test "what can't be upgraded is told why, and is served as before" {
	run -2 ublk upgrade
	run -4 ublk upgrade 0
	ublk add -n 0 -t mem --size 1M
	run -1 --separate-stderr ublk upgrade 0
	[[ $stderr == 'ublk: error: cannot upgrade ublkb0: it was made without recovery'* ]]
	ublk del 0
	dev=$(ublk add -n 0 -t null --recovery requeue)
	run -1 --separate-stderr ublk upgrade --by-recovery 0
	[[ $stderr == *'would fail, since it was not made with --recovery reissue'* ]]
	if kernel_at_least 6.16; then
		echo 0 >/sys/block/ublkb0/queue/iostats
		for verb in quiesce upgrade; do
			run -6 --separate-stderr ublk $verb 0
			[[ $stderr == *"its disk's queue/iostats is 0, so it can't be told when requests have ended"* ]]
		done
		echo 1 >/sys/block/ublkb0/queue/iostats
	else
		run -6 --separate-stderr ublk upgrade 0
		[[ $stderr == *'it was made by an older ublk, or on Linux before 6.16'*'ublk upgrade --by-recovery 0'* ]]
	fi
	park "$dev"
	run -1 --separate-stderr ublk upgrade "${how[@]}" 0
	[[ $stderr == *'cannot upgrade ublkb0: it has no server'*'hint: give it one: ublk recover 0'* || -n ${how[*]} ]]
	ublk recover 0
	server=$(server_of 0)
	if kernel_at_least 6.16; then
		kill -STOP "$server"
		run -7 --separate-stderr ublk upgrade 0
		kill -CONT "$server"
		[[ $stderr == *'its server does not answer'* ]]
	fi
	[ "$(server_of 0)" = "$server" ]
	ublk del 0
	if kernel_at_least 7.0; then
		ublk add -n 0 -t null --batch on
		run -6 --separate-stderr ublk upgrade 0
		[[ $stderr == *'with --batch on that fails requests'* ]]
		ublk del 0
	fi
	"$UBLK" add -n 0 -t null --foreground >front.log 2>&1 3>&- &
	front=$!
	wait_for 20 is_state 0 live
	run -1 --separate-stderr ublk upgrade "${how[@]}" 0
	[[ $stderr == *'its server is in the foreground'* ]]
	ublk del 0
	wait "$front"
}
