# SPDX-License-Identifier: MIT
# Devices get a new server by themselves when their own dies (--restart): `ublk supervise`.
# kernels: 6.12 newest
# long kernels: 6.18 7.2
# cpus: 2

load helpers
load backings
load servers

teardown()
{
	local pid
	# After the last device it ends by itself.
	! nothing_left || wait_for 10 no_supervisor || true
	for pid in $(supervisors); do
		kill "$pid" 2>/dev/null || true
		kill -CONT "$pid" 2>/dev/null || true
	done
	device_teardown
	wait_for 10 no_supervisor
	[[ ! -e /run/ublk/restart.json ]]
}

# supervisors: the processes that restart; not what one has begun and which still has its name.
supervisors()
{
	local pid parent all
	all=$(pgrep -f '(^|/)ublk supervise$') || return 0
	for pid in $all; do
		read -r _ _ _ parent _ 2>/dev/null <"/proc/$pid/stat" || continue
		[[ $'\n'$all$'\n' == *$'\n'"$parent"$'\n'* ]] || printf '%s\n' "$pid"
	done
}

no_supervisor()
{
	[[ -z $(supervisors) ]]
}

# restart_of DEV: its state and how often.
restart_of()
{
	ublk list --json | jq -r --argjson id "${1#/dev/ublkb}" \
		'.devices[] | select(.id == $id) | "\(.restart.state) \(.restart.count)"'
}

is_restart()
{
	[[ $(restart_of "$1") == "$2" ]]
}

# has_another DEV PID: a server other than that.
has_another()
{
	local pid
	pid=$(server_of "$1") && [[ $pid != "$2" ]] && is_state "$1" live
}

# is_small PID: under 1 MiB, when it waits, but for a sanitizer's memory.
is_small()
{
	[[ $UBLK == *sanitize* || $(awk '$1 == "VmRSS:" { print $2 }' "/proc/$1/status") -lt 1024 ]]
}

# loses_its_file DEV: its server dies, and what lies in the place of a.img is another file.
loses_its_file()
{
	kill -STOP "$(supervisors)"
	kill -KILL "$(server_of "$1")"
	wait_for 10 is_state "$1" quiesced
	cp a.img b.img
	mv b.img a.img
	kill -CONT "$(supervisors)"
}

# dies DEV: its server, so that it gets another one.
dies()
{
	local pid
	pid=$(server_of "$1")
	kill -KILL "$pid"
	wait_for 30 has_another "$1" "$pid"
}

@test "under a load servers that are killed are replaced, and no request fails" {
	make_image a.img 16M
	dev=$(ublk add -t loop -f a.img --restart)
	[ "$(supervisors | wc -l)" = 1 ]
	[ "$(restart_of "$dev")" = 'watched 0' ]
	start_verified "$dev" 4096
	for n in 1 2 3; do
		writes_on "$dev"
		dies "$dev"
		wait_for 10 is_restart "$dev" "watched $n"
	done
	end_verified "$dev" 4096
	ublk show "$dev" | grep -qx '  restart count: *3'
	grep -q 'ublk\[[0-9]*\]: ublkb0: its server was gone, and it has a new one (attempt 3)' /run/vm/syslog
	ublk del "$dev"
	wait_for 10 no_supervisor
	[ ! -e /run/ublk/restart.json ]
}

# bats test_tags=newest
@test "one process for all devices, small, away from who started it; it ends with the last one" {
	make_image a.img 16M
	make_image b.img 16M
	mkdir folder
	(cd folder && exec "$UBLK" add -t loop -f ../a.img --restart) >/dev/null
	first=$(supervisors)
	ublk add -t loop -f b.img --restart
	ublk add -t null
	[ "$(supervisors)" = "$first" ]
	run -0 --separate-stderr ublk supervise
	[ "$stderr" = 'ublk: note: another process restarts servers already' ]
	[ "$(readlink "/proc/$first/cwd")" = / ]
	[ "$(readlink "/proc/$first/fd/2")" = /dev/null ]
	wait_for 10 is_small "$first"
	dies /dev/ublkb0
	dies /dev/ublkb1
	wait_for 10 is_restart 0 'watched 1'
	wait_for 10 is_small "$first"
	[ "$(restart_of 2)" = 'no 0' ]
	ublk del 0 2
	[ "$(supervisors)" = "$first" ]
	ublk del 1
	wait_for 10 no_supervisor
}

@test "a server that cannot start is tried again, later and later; a recovery by hand ends that" {
	disk=$(make_ram_disk 64)
	mkfs.ext4 -q "$disk"
	mkdir fs
	mount "$disk" fs
	at_end unmount "$PWD/fs"
	make_image fs/a.img 16M
	dev=$(ublk add -t loop -f fs/a.img --restart)
	pid=$(server_of "$dev")
	kill -STOP "$(supervisors)"
	kill -KILL "$pid"
	wait_for 10 is_state "$dev" quiesced
	umount fs
	kill -CONT "$(supervisors)"
	wait_for 20 is_restart "$dev" 'waits 0'
	ublk show "$dev" | grep -q 'status: *its server died: requests wait until another one starts, which is tried'
	sleep 3
	# At 0, 1 and 3 s.
	attempts=$(grep -c 'ublkb0: no new server (attempt [0-9]*, the next one in [0-9]* s): .*a.img' /run/vm/syslog)
	((attempts >= 1 && attempts <= 4))
	mount "$disk" fs
	run -0 ublk recover "$dev"
	wait_for 20 is_state "$dev" live
	wait_for 20 eval '[[ $(restart_of "$dev") == watched* ]]'
	# The next one is the first again.
	pid=$(server_of "$dev")
	dies "$dev"
	ublk del "$dev"
}

# bats test_tags=newest
@test "servers that die at once are not started without end" {
	make_image a.img 16M
	dev=$(ublk add -t loop -f a.img --restart)
	begin=$SECONDS
	for n in 1 2 3 4; do
		dies "$dev"
	done
	# The pauses between them are 1, 2 and 4 s.
	((SECONDS - begin >= 6))
	ublk del "$dev"
}

# bats test_tags=long
@test "after ten attempts it is given up, and told; a recovery by hand has it watched again" {
	make_image a.img 16M
	dev=$(ublk add -t loop -f a.img --restart)
	loses_its_file "$dev"
	wait_for 600 is_restart "$dev" 'gave-up 0'
	grep -q 'ublkb0: no new server: given up after 10 attempts: .*ublk recover 0' /run/vm/syslog
	ublk show "$dev" | grep -q 'status: *its server died, and starting another one was given up: requests wait'
	ublk recover "$dev" -t loop -f a.img --force
	wait_for 20 is_restart "$dev" 'watched 0'
	dies "$dev"
	ublk del "$dev"
}

# bats test_tags=newest
@test "what was parked on purpose stays parked" {
	only_on_kernel 6.16 'QUIESCE'
	make_image a.img 16M
	dev=$(ublk add -t loop -f a.img --restart)
	ublk quiesce "$dev"
	[ "$(jq .parked /run/ublk/0.json)" = true ]
	ublk show "$dev" | grep -q 'status: *parked on purpose: requests wait for another server'
	# A new one sees it as the one before.
	kill -KILL "$(supervisors)"
	ublk supervise 3>&- &
	wait_for 20 is_restart "$dev" 'watched 0'
	sleep 2
	is_state "$dev" quiesced
	ublk recover "$dev"
	[ "$(jq .parked /run/ublk/0.json)" = false ]
	dies "$dev"
	ublk upgrade "$dev"
	wait_for 10 is_restart "$dev" 'watched 1'
	ublk del "$dev"
	wait
}

# bats test_tags=newest
@test "what cannot be kept from a restart is not parked" {
	only_on_kernel 6.16 'QUIESCE'
	small_records
	make_image a.img 16M
	dev=$(ublk add -t loop -f a.img --restart)
	fill_records
	rm -f /run/ublk/.0.spare
	fill_records
	run -1 ublk quiesce "$dev"
	[[ $output == *"its record can't be written, and without that it would be restarted"* ]]
	is_state "$dev" live
	rm /run/ublk/full
	ublk del "$dev"
}

# bats test_tags=newest
@test "one that waits for its next attempt is left alone from a quiesce on" {
	only_on_kernel 6.16 QUIESCE
	make_image a.img 16M
	dev=$(ublk add -t loop -f a.img --restart)
	loses_its_file "$dev"
	wait_for 20 is_restart "$dev" 'waits 0'
	wait_for 20 ublk quiesce "$dev"
	ublk show "$dev" | grep -q 'status: *parked on purpose: requests wait for another server'
	sleep 5
	is_state "$dev" quiesced
	wait_for 20 is_restart "$dev" 'watched 0'
	ublk recover "$dev" -t loop -f a.img --force
	dies "$dev"
	ublk del "$dev"
}

# bats test_tags=newest
@test "a recovery that fails has somebody who tries again" {
	make_image a.img 16M
	dev=$(ublk add -t loop -f a.img --restart)
	kill -KILL "$(supervisors)" "$(server_of "$dev")"
	wait_for 10 is_state "$dev" quiesced
	cp a.img b.img
	mv b.img a.img
	run ! ublk recover "$dev"
	wait_for 20 is_restart "$dev" 'waits 0'
	ublk recover "$dev" -t loop -f a.img --force
	wait_for 20 is_restart "$dev" 'watched 0'
	ublk del "$dev"
}

# bats test_tags=newest
@test "one that is killed is missed, and the next one goes on where it was" {
	make_image a.img 16M
	dev=$(ublk add -t loop -f a.img --restart)
	dies "$dev"
	wait_for 10 is_restart "$dev" 'watched 1'
	kill -KILL "$(supervisors)"
	wait_for 10 no_supervisor
	[ "$(restart_of "$dev")" = 'unwatched 1' ]
	ublk show "$dev" | grep -q 'status: *nobody would start a new server if its own died'
	ublk show "$dev" | grep -q 'action: *ublk recover 0'
	run -0 ublk recover 0
	[[ $output == *'there is nothing to recover'* ]]
	wait_for 10 is_restart "$dev" 'watched 1'
	# Both at once.
	kill -KILL "$(supervisors)"
	kill -KILL "$(server_of "$dev")"
	wait_for 10 is_state "$dev" quiesced
	run -0 ublk recover 0
	wait_for 10 is_restart "$dev" 'watched 1'
	ublk del "$dev"
}

# bats test_tags=newest
@test "what one that was killed has told goes with the last device" {
	make_image a.img 16M
	make_image b.img 16M
	dev=$(ublk add -t loop -f a.img --restart)
	dies "$dev"
	wait_for 10 is_restart "$dev" 'watched 1'
	ublk add -t loop -f b.img --restart
	wait_for 10 is_restart /dev/ublkb1 'watched 0'
	kill -KILL "$(supervisors)"
	wait_for 10 no_supervisor
	ublk del 1
	# How often it was needed is still known.
	[ "$(restart_of "$dev")" = 'unwatched 1' ]
	ublk del "$dev"
	[ ! -e /run/ublk/restart.json ]
}

@test "a device that is being deleted is not brought back" {
	make_image a.img 16M
	# A recovery has begun, at whatever step it is.
	for round in 1 1 1 1 2 3; do
		dev=$(ublk add -t loop -f a.img --restart)
		case $round in
		1) kill -KILL "$(server_of "$dev")" ;;
		2) kill -STOP "$(server_of "$dev")" ;;
		3)
			# Whoever deletes it waits for one who has it open.
			kill -STOP "$(supervisors)"
			kill -KILL "$(server_of "$dev")"
			wait_for 10 is_state "$dev" quiesced
			;;
		esac
		ublk del --force --timeout 20 "$dev"
		[ $round != 3 ] || kill -CONT "$(supervisors)"
		wait_for 10 no_supervisor
		[ ! -e "$dev" ]
		wait_for 10 nothing_left
	done
}

@test "a recovery by hand at the same moment: one of them does it, and there is one server" {
	make_image a.img 16M
	dev=$(ublk add -t loop -f a.img --restart)
	for round in 1 2 3 4; do
		pid=$(server_of "$dev")
		kill -KILL "$pid"
		run -0 ublk recover "$dev"
		wait_for 20 has_another "$dev" "$pid"
		[ "$(servers | wc -l)" = 1 ] || wait_for 10 is_gone "$pid"
		write_block "$dev"
	done
	wait_for 20 eval '[[ $(servers | wc -l) == 1 ]]'
	ublk del "$dev"
}

# bats test_tags=newest
@test "what cannot be restarted is refused" {
	make_image a.img 16M
	run -2 ublk add -t mem --size 16M --restart
	[[ $output == *'--restart is not for target mem: its data dies with its server'* ]]
	run -2 ublk add -t loop -f a.img --restart --recovery none
	[[ $output == *'--restart and --recovery none exclude each other'* ]]
	run -2 ublk run -t loop -f a.img --restart -- true
	[[ $output == *'--restart is not for a device that goes with a command'* ]]
	run -2 ublk add -t loop -f a.img --restart --stay
	[[ $output == *'--restart and --stay exclude each other'* ]]
	# Whoever runs it in the foreground starts it again.
	ublk add -t loop -f a.img --restart --foreground >path 3>&- &
	wait_for 20 is_state 0 live
	[ "$(restart_of 0)" = 'no 0' ]
	no_supervisor
	# What one that was killed has left goes.
	echo '{}' >/run/ublk/restart.json
	run -0 --separate-stderr ublk supervise
	[ ! -e /run/ublk/restart.json ]
	ublk del 0
	wait
}
