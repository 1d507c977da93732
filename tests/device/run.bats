#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# A device for as long as a command runs: whatever ends which of the two, nothing is left.
# kernels: newest
# long kernels: 6.12

load helpers
load servers

PYTHON=/usr/bin/python3

# begin ARGS...: a run whose command goes on; `ublk run` is in $runner, the command in $command, which
# writes its process to ./pid when it is ready.
begin()
{
	rm -f pid
	env --default-signal=INT,QUIT "$UBLK" run "$@" 2>run.err 3>&- &
	runner=$!
	wait_for 60 test -s pid
	command=$(<pid)
}

# A command that says so when it gets one of these signals, and ends with 5 at a SIGUSR2.
# shellcheck disable=SC2016
LISTENER='use strict; $| = 1; open(my $log, ">", "heard"); select($log); $| = 1;
	for my $sig (qw(INT TERM HUP QUIT USR1)) { $SIG{$sig} = sub { print "$sig\n" } }
	$SIG{USR2} = sub { exit 5 };
	open(my $file, ">", "pid.new"); print $file "$$\n"; close($file);
	rename("pid.new", "pid");
	sleep 1 while 1'

begin_listener()
{
	begin -t null "$@" -- perl -e "$LISTENER"
}

heard()
{
	[[ $(<heard) == "$1" ]]
}

# said TEXT: by `ublk run`.
said()
{
	grep -qF -- "$1" run.err || { cat run.err; return 1; }
}

@test "the command has the device by its path and number, and its status is what is told" {
	# shellcheck disable=SC2016
	run -3 --separate-stderr ublk run -t mem --size 16M --id 3 -- sh -c '
		echo "$UBLK_DEV $UBLK_ID" && blockdev --getsize64 "$UBLK_DEV" && exit 3'
	[ "$output" = "/dev/ublkb3 3"$'\n'16777216 ]
	[ -z "$stderr" ]
	nothing_left
}

@test "status 0 is told as well, and options end at the command, with or without --" {
	ublk run -t null true
	# shellcheck disable=SC2016
	[ "$(ublk run -t null sh -c 'echo "$@"' sh -- --size -t)" = '-- --size -t' ]
	nothing_left
}

@test "what is written to the device is in the file when the run is over" {
	make_image a.img 16M
	# shellcheck disable=SC2016
	ublk run -t loop -f a.img -- sh -c 'echo hello | dd of="$UBLK_DEV" bs=512 conv=sync status=none'
	[ "$(head -c 5 a.img)" = hello ]
	nothing_left
}

@test "a command that mounts and unmounts the device" {
	mkdir m
	# shellcheck disable=SC2016
	ublk run -t mem --size 32M -- sh -ec '
		mkfs.ext4 -q "$UBLK_DEV"; mount "$UBLK_DEV" m; echo x >m/file; umount m'
	nothing_left
}

@test "a command that a signal kills: 128 and its number" {
	# shellcheck disable=SC2016
	run -137 "$UBLK" run -t null -- sh -c 'kill -KILL $$'
	nothing_left
}

@test "a command that is not there: 127, and nothing is left, not even a file that was made for it" {
	run -127 --separate-stderr ublk run -t loop -f new.img --create 16M -- no-such-command
	[ "$stderr" = 'ublk: error: cannot run no-such-command: No such file or directory' ]
	[ ! -e new.img ]
	nothing_left
}

@test "a command that cannot be executed, or is a folder: 126, and nothing is left" {
	echo 'no program' >file
	run -126 --separate-stderr ublk run -t null -- ./file
	[ "$stderr" = 'ublk: error: cannot run ./file: Permission denied' ]
	run -126 --separate-stderr ublk run -t null -- /
	[ "$stderr" = 'ublk: error: cannot run /: Permission denied' ]
	nothing_left
}

@test "a device that cannot be made: the command does not run, and the status is ublk's" {
	run -1 --separate-stderr ublk run -t loop -f nothing.img -- touch ran
	[[ $stderr == *'hint: make the file too: ublk run -t loop -f FILE --create SIZE' ]]
	[ ! -e ran ]
	nothing_left
}

# seen: what a process that is executed here has: descriptors, signals that are ignored or blocked, limits.
# shellcheck disable=SC2016
LOOK='opendir(my $dir, "/proc/self/fd"); my @fds = grep { /\d/ && $_ != fileno($dir) } readdir($dir);
	print "$_ ", readlink("/proc/self/fd/$_"), "\n" for sort @fds;
	open(my $status, "/proc/self/status"); print grep { /^Sig(Ign|Blk)/ } <$status>;
	open(my $limits, "/proc/self/limits"); print <$limits>'

# as_a_caller CMD...: with some things to inherit; what CMD prints is in ./seen.
as_a_caller()
{
	(
		exec 7</etc/passwd
		ulimit -f 4096
		trap "" PIPE USR1
		"$@" <7.txt >seen 2>/dev/null 3>&-
	)
}

@test "the command inherits what the caller has, and nothing of ours" {
	echo x >7.txt
	as_a_caller perl -e "$LOOK"
	mv seen outside
	grep -q '^7 /etc/passwd' outside
	as_a_caller "$UBLK" run -t null -- perl -e "$LOOK"
	diff outside seen
	make_image a.img 16M
	as_a_caller "$UBLK" run -t loop -f /dev/fd/8 -- perl -e "$LOOK" 8<>a.img
	diff outside <(grep -v '^8 ' seen)
	nothing_left
}

@test "signals are passed on, once each, and the command decides what they mean" {
	begin_listener
	sent=
	for signal in TERM INT HUP QUIT USR1; do
		kill "-$signal" "$runner"
		sent+=$signal$'\n'
		wait_for 20 heard "${sent%$'\n'}"
	done
	[ "$(state_of 0)" = live ]
	kill -USR2 "$runner"
	ends_with 5 "$runner"
	nothing_left
}

@test "SIGTERM ends a run whose command does not care, and nothing is left" {
	# shellcheck disable=SC2016
	begin -t null -- sh -c 'echo $$ >pid; exec sleep 1000'
	kill -TERM "$runner"
	ends_with 143 "$runner"
	nothing_left
}

# typed WHO KEYS CMD...: at a terminal that `ublk run` has with its command; the keys once that is ready,
# and a signal for its end when it has heard something: from the terminal while the run stands still (all),
# or from the run (run).
typed()
{
	env --default-signal=INT "$PYTHON" -c '
import os, pty, signal, sys, time
who, keys, argv = sys.argv[1], sys.argv[2].encode().decode("unicode_escape").encode(), sys.argv[3:]
def until(ready):
    for _ in range(400):
        if ready():
            return
        time.sleep(0.05)
    sys.exit("it did not come to it")
size = lambda name: os.path.exists(name) and os.path.getsize(name)
pid, terminal = pty.fork()
if pid == 0:
    os.execv(argv[0], argv)
until(lambda: size("pid"))
os.kill(pid, signal.SIGSTOP)
os.waitpid(pid, os.WUNTRACED)
os.write(terminal, keys)
if who == "all":
    until(lambda: size("heard"))
os.kill(pid, signal.SIGCONT)
until(lambda: size("heard"))
os.kill(pid, signal.SIGUSR2)
sys.exit(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))' "$@" 3>&-
}

@test "^C at a terminal comes to the command once, and not to the run" {
	rm -f pid
	run -5 typed all '\x03' "$UBLK" run -t null -- perl -e "$LISTENER"
	heard INT
	nothing_left
}

@test "^C at a terminal comes to a command that has left the process group, by the run" {
	rm -f pid
	run -5 typed run '\x03' "$UBLK" run -t null -- perl -e "setpgrp; $LISTENER"
	heard INT
	nothing_left
}

@test "SIGKILL to the run kills the command, and the device goes" {
	begin_listener
	kill -KILL "$runner"
	wait_for 20 is_gone "$command"
	wait_for 20 nothing_left
}

@test "SIGKILL to the run: what the command has mounted stays whole until it is unmounted" {
	mkdir m
	# shellcheck disable=SC2016
	begin -t mem --size 32M --log-file server.log -- sh -ec '
		mkfs.ext4 -q "$UBLK_DEV"; mount "$UBLK_DEV" m; echo $$ >pid; exec sleep 1000'
	at_end unmount "$PWD/m"
	server=$(server_of 0)
	kill -KILL "$runner"
	wait_for 20 grep -q 'in use' server.log
	# It was not asked to end yet: a first time does no harm.
	kill -TERM "$server"
	dd if=/dev/urandom of=m/file bs=1M count=4 conv=fsync status=none
	[ "$(state_of 0)" = live ]
	umount m
	wait_for 20 nothing_left
}

@test "a device that the command left in use is told with its user, and goes with him" {
	# shellcheck disable=SC2016
	run -5 --separate-stderr ublk run -t null -- sh -c 'sleep 1000 <"$UBLK_DEV" >/dev/null 2>&1 3>&- &
		echo $! >daemon'
	[[ $stderr == 'ublk: error: cannot stop ublkb0: it is in use: open by sleep ('"$(<daemon)"')'* ]]
	[[ $stderr == *$'\nublk: note: ublkb0 is removed when its last user has let it go' ]]
	[ "$(state_of 0)" = live ]
	kill "$(<daemon)"
	wait_for 20 nothing_left
}

@test "a device that is left in use: a status of the command that is not 0 stays" {
	# shellcheck disable=SC2016
	run -9 --separate-stderr ublk run -t null -- sh -c 'sleep 1000 <"$UBLK_DEV" >/dev/null 2>&1 3>&- &
		echo $! >daemon; exit 9'
	[[ $stderr == *'it is in use: open by sleep'* ]]
	kill "$(<daemon)"
	wait_for 20 nothing_left
}

@test "a device that the command left mounted is told, and goes when it is unmounted" {
	mkdir m
	# shellcheck disable=SC2016
	run -5 --separate-stderr ublk run -t mem --size 32M -- sh -ec '
		mkfs.ext4 -q "$UBLK_DEV"; mount "$UBLK_DEV" m'
	at_end unmount "$PWD/m"
	[[ $stderr == *"mounted on $PWD/m"*"hint: umount $PWD/m"* ]]
	echo x >m/file
	umount m
	wait_for 20 nothing_left
}

@test "--force: a device that the command left in use is removed all the same" {
	# shellcheck disable=SC2016
	ublk run -t null --force -- sh -c 'sleep 1000 <"$UBLK_DEV" >/dev/null 2>&1 3>&- &
		echo $! >daemon'
	wait_for 10 is_state 0 gone || is_state 0 dead
	kill "$(<daemon)"
	wait_for 20 nothing_left
}

@test "a server that dies meanwhile: the command may go on with another, and all is removed" {
	begin_listener --recovery requeue
	park 0
	ublk recover 0
	read_block /dev/ublkb0
	kill -USR2 "$runner"
	ends_with 5 "$runner"
	nothing_left
}

@test "a server that dies meanwhile: the parked device is removed" {
	begin_listener --recovery requeue
	park 0
	kill -USR2 "$runner"
	ends_with 5 "$runner"
	nothing_left
}

@test "a device that is removed meanwhile, and its number another one's, is no concern of the run" {
	begin_listener
	ublk del 0
	ublk add -t null --id 0
	kill -USR2 "$runner"
	ends_with 5 "$runner"
	[ "$(state_of 0)" = live ]
	ublk del 0
}

@test "two runs at once have a device each" {
	begin_listener
	first=$runner
	begin_listener
	[ "$(ublk list -o ID,STATE | tail -n +2 | xargs)" = '0 live 1 live' ]
	kill -USR2 "$runner" "$first"
	ends_with 5 "$runner"
	ends_with 5 "$first"
	nothing_left
}
