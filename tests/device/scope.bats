# SPDX-License-Identifier: MIT
# The control group of a server: one of its own, so that it outlives what has started it. First without
# systemd, as the machine of these tests is; then under a real one, which is process 1 of namespaces.
# kernels: newest
# long kernels: 6.12
# no sanitizers

load helpers
load backings
load servers
load systemd

setup()
{
	device_setup
	umask 022
	make_image a.img 64M
}

teardown()
{
	[[ $BATS_TEST_COMPLETED || ! -e console ]] || cat console
	device_teardown
}

# group_of PID
group_of()
{
	sed -n 's/^0:://p' "/proc/$1/cgroup"
}

# shown_group DEV: as `ublk show` tells it.
shown_group()
{
	ublk show "$1" | sed -n 's/^ *control group: *//p'
}

GROUP=/sys/fs/cgroup/session

make_group()
{
	mkdir -p "$GROUP"
	at_end rmdir "$GROUP"
}

# in_group CMD...: as a session, or a service's unit, has its processes.
in_group()
{
	(echo 0 >"$GROUP/cgroup.procs" && exec "$@")
}

# end_group: kills all that is in it.
end_group()
{
	echo 1 >"$GROUP/cgroup.kill"
	wait_for 10 grep -qx 'populated 0' "$GROUP/cgroup.events"
}

@test "without systemd a server leaves the control group of who starts it, and outlives that" {
	make_group
	dev=$(in_group "$UBLK" add -t loop -f a.img)
	[ "$(group_of "$(servers)")" = / ]
	[ "$(shown_group 0)" = / ]
	end_group
	write_block "$dev"
	kill -KILL "$(servers)"
	wait_for 10 is_state 0 quiesced
	in_group "$UBLK" recover 0
	[ "$(group_of "$(servers)")" = / ]
	end_group
	write_block "$dev"
	ublk del 0
}

@test "with --stay it is there, ends with it, and a recovery keeps to it" {
	make_group
	in_group "$UBLK" add -t loop -f a.img --stay
	[ "$(group_of "$(servers)")" = /session ]
	[ "$(detail 0 .control_group)" = '"/session"' ]
	[ "$(detail 0 .asked.stay)" = true ]
	end_group
	wait_for 10 is_state 0 quiesced
	[ "$(detail 0 .control_group)" = null ]
	in_group "$UBLK" recover 0
	[ "$(group_of "$(servers)")" = /session ]
	ublk del 0
	# One that was not told so is told by the recovery.
	in_group "$UBLK" add -t loop -f a.img
	kill -KILL "$(servers)"
	wait_for 10 is_state 0 quiesced
	in_group "$UBLK" recover --stay 0
	[ "$(group_of "$(servers)")" = /session ]
	ublk del 0
}

@test "in the foreground a server is where it was started" {
	make_group
	in_group "$UBLK" add -t null --foreground >path 2>log 3>&- &
	wait_for 20 is_state 0 live
	[ "$(group_of "$(servers)")" = /session ]
	ublk del 0
	wait
}

@test "the end of all that a session has removes the device of its run" {
	make_group
	in_group "$UBLK" run -t null -- sleep infinity 3>&- &
	wait_for 20 is_state 0 live
	end_group
	wait_for 20 nothing_left
}

@test "a container's server stays what is charged to the container" {
	make_group
	in_group unshare --cgroup "$UBLK" add -t null
	[ "$(group_of "$(servers)")" = /session ]
	ublk del 0
	# The numbers go with their first process.
	in_group unshare --pid --fork --mount-proc bash -c "'$UBLK' add -t null && exec sleep infinity" 3>&- &
	wait_for 20 is_state 0 live
	[ "$(group_of "$(servers)")" = /session ]
	end_group
	ublk del --force 0
	# The same namespaces, and a root of its own.
	in_group unshare --mount bash -c '
		mount -t tmpfs none /mnt && for dir in /*/; do
			[[ $dir != /mnt/ ]] || continue
			mkdir "/mnt$dir" && mount --rbind "$dir" "/mnt$dir" || exit
		done && exec chroot /mnt "$0" add -t null' "$UBLK"
	[ "$(group_of "$(servers)")" = /session ]
	ublk del 0
}

# unit NAME CMD...: a service that is over when CMD has ended.
unit()
{
	printf '[Unit]\nDefaultDependencies=no\n[Service]\nType=oneshot\nKillSignal=SIGKILL\nExecStart=%s\n' \
		"${*:2}" >"units/$1.service"
}

boot()
{
	copy_units {shutdown,umount,final,poweroff}.target systemd-poweroff.service
	printf '[Unit]\nDefaultDependencies=no\n' >units/default.target
	boot_systemd
	wait_for 60 is_up default.target
}

has_run()
{
	[[ $(within systemctl show -P ActiveState "$1") == inactive ]]
}

# has_scope: the server has one, as systemd, the kernel and `ublk show` say.
has_scope()
{
	local scope
	scope=$(within "$UBLK" show 0 | sed -n 's/^ *control group: *//p')
	printf 'shown: %s\n' "$scope"
	[[ $scope == /system.slice/ublk-*.scope ]] &&
		[[ $(group_of "$(servers)") == "/booted$scope" ]] &&
		[[ $(within systemctl show -P ActiveState "${scope##*/}") == active ]]
}

@test "a server outlives the oneshot unit that has started it, in a scope of its own" {
	boot
	unit once "$UBLK" add -t loop -f "$PWD/a.img" --name disk
	within systemctl start once
	wait_for 20 has_run once
	has_scope
	write_block /dev/ublkb0
	scope=$(group_of "$(servers)")
	[ "$(within systemctl show -P Description "${scope##*/}")" = 'Server of a ublk device disk (loop)' ]
	# And so does the next one.
	kill -KILL "$(servers)"
	wait_for 10 is_state 0 quiesced
	unit again "$UBLK" recover disk
	within systemctl start again
	wait_for 20 has_run again
	has_scope
	write_block /dev/ublkb0
	scope=$(group_of "$(servers)")
	within "$UBLK" del --force 0
	wait_for 10 has_run "${scope##*/}"
}

@test "what restarts servers outlives the unit, too, and what it starts has a scope; it ends with the machine" {
	boot
	unit once "$UBLK" add -t loop -f "$PWD/a.img" --restart
	within systemctl start once
	wait_for 20 has_run once
	supervisor=$(pgrep -f 'ublk supervise$')
	[[ $(group_of "$supervisor") == /booted/system.slice/ublk-*.scope ]]
	scope=$(group_of "$supervisor")
	[ "$(within systemctl show -P Description "${scope##*/}")" = 'Restarts servers of ublk devices' ]
	kill -KILL "$(servers)"
	wait_for 30 eval '[[ $(within "$UBLK" list --no-header -o state,restart,restarts) == *live*watched*1* ]]'
	has_scope
	[[ $(group_of "$(servers)") != "$scope" ]]
	write_block /dev/ublkb0
	within systemctl poweroff 2>/dev/null
	wait_for 100 is_gone "$booted"
	wait_for 10 nothing_left
}

@test "with --stay it ends with the unit" {
	boot
	unit once "$UBLK" add -t loop -f "$PWD/a.img" --stay
	within systemctl start once
	wait_for 20 is_state 0 quiesced
	within "$UBLK" del --force 0
}

# bats test_tags=long
@test "a server outlives what a timer has started" {
	boot
	unit tick "$UBLK" add -t loop -f "$PWD/a.img"
	printf '[Unit]\nDefaultDependencies=no\n[Timer]\nOnActiveSec=0\n' >units/tick.timer
	within systemctl start tick.timer
	wait_for 30 is_state 0 live
	wait_for 20 has_run tick.service
	has_scope
	write_block /dev/ublkb0
	within "$UBLK" del --force 0
}

# bats test_tags=long
@test "a server outlives the service that has started it, and that is ended with all that it has" {
	boot
	printf '[Unit]\nDefaultDependencies=no\n[Service]\nKillSignal=SIGKILL\nExecStart=%s\n' \
		"/bin/bash -c \"'$UBLK' add -t loop -f '$PWD/a.img' && exec sleep infinity\"" \
		>units/session.service
	within systemctl start session
	wait_for 30 is_state 0 live
	within systemctl stop session
	has_scope
	write_block /dev/ublkb0
	within "$UBLK" del --force 0
}

# bats test_tags=long
@test "systemd that does not answer keeps nobody waiting: it is told, and the server stays" {
	boot
	kill -STOP "$init"
	run --separate-stderr -0 within "$UBLK" add -t null
	[ "$output" = /dev/ublkb0 ]
	[[ $stderr == *"note: the server is in its caller's control group, and may end with it: systemd does not answer"* ]]
	[ "$(group_of "$(servers)")" = "$(group_of "$BASHPID")" ]
	[[ $(detail 0 '.notes | join(" ")') == *'systemd does not answer'* ]]
	within "$UBLK" del --force 0
	kill -CONT "$init"
}

# bats test_tags=long
@test "where systemd cannot be asked the server stays, and says why" {
	boot
	run --separate-stderr -0 within unshare --mount bash -c "
		mount -t tmpfs none /run/systemd && mkdir /run/systemd/system && '$UBLK' add -t null"
	[ "$output" = /dev/ublkb0 ]
	[[ $stderr == *"note: the server is in its caller's control group, and may end with it: Failed to connect to bus: "* ]]
	[ "$(group_of "$(servers)")" = "$(group_of "$BASHPID")" ]
	within "$UBLK" del --force 0
}

# bats test_tags=long
@test "a container that has only the folder of systemd is not taken for a machine" {
	boot
	within unshare --pid --fork --mount-proc bash -c "
		'$UBLK' add -t null 2>'$PWD/log' && exec sleep infinity" >path 3>&- &
	wait_for 20 is_state 0 live
	[ "$(group_of "$(servers)")" = "$(group_of "$BASHPID")" ]
	run ! grep 'control group' log
	ublk del --force 0
}

# bats test_tags=long
@test "at shutdown the file system is unmounted, then the device goes, and nothing is lost" {
	boot
	unit once "$UBLK" add -t loop -f "$PWD/a.img"
	within systemctl start once
	mkfs.ext4 -qF /dev/ublkb0
	mkdir m
	within mount -t ext4 /dev/ublkb0 "$PWD/m"
	within dd if=/dev/urandom of="$PWD/m/file" bs=1M count=8 status=none
	sum=$(within md5sum <"/proc/$init/root$PWD/m/file")
	# systemd has seen the mount, and unmounts it.
	wait_for 20 within systemctl -q is-active "$(systemd-escape --path --suffix mount "$PWD/m")"
	within systemctl poweroff 2>/dev/null
	wait_for 100 is_gone "$booted"
	nothing_left
	e2fsck -fn a.img
	[ "$(dumpe2fs -h a.img 2>/dev/null | grep -c needs_recovery)" -eq 0 ]
	[ "$(debugfs -R 'cat /file' a.img 2>/dev/null | md5sum)" = "$sum" ]
}

# bats test_tags=long
@test "a user who never lets go does not hold a shutdown up: the device is taken away" {
	boot
	unit once "$UBLK" add -t loop -f "$PWD/a.img"
	within systemctl start once
	exec 7</dev/ublkb0
	within systemctl poweroff 2>/dev/null
	wait_for 100 is_gone "$booted"
	exec 7<&-
	wait_for 10 nothing_left
}
