# SPDX-License-Identifier: MIT
# A server's life: what kind of process it is, and how it ends.
# cpus: 2
# kernels: newest
# long kernels: 6.12

load helpers
load servers

PYTHON=/usr/bin/python3

# stat_field PID[/task/TID] N: of /proc/PID/stat, counted as proc_pid_stat(5) does.
stat_field()
{
	local stat
	read -r stat <"/proc/$1/stat"
	# shellcheck disable=SC2086 # fields
	set -- "$2" ${stat##*) }
	shift $(($1 - 2))
	printf '%s\n' "$1"
}

# is_alone PID: a server in the foreground has heard that its path was written.
is_alone()
{
	[[ -z $(<"/proc/$1/task/$1/children") ]]
}

@test "SIGTERM: the server of an unused device removes it, and ends well" {
	"$UBLK" add --foreground -t null >path.txt &
	server=$!
	wait_for 20 test -s path.txt
	wait_for 20 is_alone "$server"
	kill -TERM "$server"
	ends_with 0 "$server"
	nothing_left
}

@test "SIGTERM: the server of an unused device in the background removes it too" {
	dev=$(ublk add -t null)
	kill -TERM "$(server_of "$dev")"
	wait_for 10 nothing_left
}

@test "SIGTERM: a device that is held open is served until its last user has gone, and the log says so" {
	dev=$(ublk add -t mem --size 16M --log-file server.log)
	server=$(server_of "$dev")
	exec 7<"$dev"
	kill -TERM "$server"
	wait_for 10 grep -q 'in use' server.log
	wait_for 10 grep -q "open by .*($$)" server.log
	read_block "$dev"
	write_block "$dev"
	[ "$(state_of "$dev")" = live ]
	exec 7<&-
	wait_for 10 is_gone "$server"
	nothing_left
	grep -q 'stopped and removed' server.log
}

@test "SIGTERM: a mounted device is served until it is unmounted" {
	dev=$(ublk add -t mem --size 32M --log-file server.log)
	mkfs.ext4 -q "$dev"
	mkdir m
	mount "$dev" m
	at_end unmount "$PWD/m"
	kill -TERM "$(server_of "$dev")"
	wait_for 10 grep -q "mounted on $PWD/m" server.log
	dd if=/dev/urandom of=m/file bs=1M count=4 conv=fsync status=none
	[ "$(state_of "$dev")" = live ]
	umount m
	wait_for 10 nothing_left
}

@test "SIGTERM: a server that waits for its users makes no processes meanwhile" {
	dev=$(ublk add -t null --log-file server.log)
	exec 7<"$dev"
	kill -TERM "$(server_of "$dev")"
	wait_for 10 grep -q 'in use' server.log
	wait_for 10 is_waiting_for_users
	# So long neither of the two makes one.
	run -124 timeout 3 strace -qq -f -e 'trace=?fork,?vfork,clone,?clone3' -e signal=none \
		-o made -p "$(server_of "$dev")" -p "$(pgrep -fx "$WAIT_STOP")"
	[ ! -s made ]
	exec 7<&-
	wait_for 10 nothing_left
}

WAIT_STOP='ublk-server errand wait-stop .*'

is_waiting_for_users()
{
	pgrep -fx "$WAIT_STOP" >/dev/null
}

@test "SIGTERM: a second one stops at once, used or not" {
	dev=$(ublk add -t null --log-file server.log)
	server=$(server_of "$dev")
	exec 7<"$dev"
	kill -TERM "$server"
	wait_for 10 grep -q 'in use' server.log
	kill -TERM "$server"
	wait_for 10 is_state "$dev" gone || wait_for 10 is_state "$dev" dead
	run ! read_block "$dev"
	exec 7<&-
	wait_for 10 nothing_left
}

# take_away SERVER: as systemd does at the end of a machine.
take_away()
{
	kill -TERM "$1"
	wait_for 10 grep -q 'in use' server.log
	kill -TERM "$1"
	wait_for 40 is_gone "$1"
}

@test "SIGTERM: a second one takes a mounted device away, and nothing that had been written to its files" {
	make_image a.img 64M
	dev=$(ublk add -t loop -f a.img --log-file server.log)
	fs_on "$dev" ext4 m
	dd if=/dev/urandom of=m/file bs=1M count=4 status=none
	cp m/file kept
	take_away "$(server_of "$dev")"
	umount m
	wait_for 10 nothing_left
	e2fsck -p a.img || [ $? -eq 1 ]
	debugfs -R 'cat /file' a.img 2>/dev/null | cmp - kept
}

@test "SIGTERM: nor what had been written to its partitions, by way of a file system or not" {
	make_image a.img 64M
	dev=$(ublk add -t loop -f a.img --log-file server.log)
	printf 'label: gpt\nsize=32M\nsize=8M\n' | sfdisk -q "$dev"
	wait_for 10 test -b "${dev}p2"
	fs_on "${dev}p1" ext4 m
	dd if=/dev/urandom of=m/file bs=1M count=4 status=none
	cp m/file kept
	exec 7<>"${dev}p2"
	dd if=kept bs=1M status=none >&7
	take_away "$(server_of "$dev")"
	exec 7<&-
	umount m
	wait_for 10 nothing_left
	dd if=a.img of=p1 bs=1M skip=1 count=32 status=none
	e2fsck -p p1 || [ $? -eq 1 ]
	debugfs -R 'cat /file' p1 2>/dev/null | cmp - kept
	cmp -n "$((4 << 20))" -i "$((33 << 20)):0" a.img kept
}

@test "SIGTERM: nor what had been written to a file system on a mapping of it" {
	make_image a.img 64M
	dev=$(ublk add -t loop -f a.img --log-file server.log)
	map_disk above "0 131072 linear $dev 0"
	fs_on /dev/mapper/above ext4 m
	dd if=/dev/urandom of=m/file bs=1M count=4 status=none
	cp m/file kept
	take_away "$(server_of "$dev")"
	umount m
	dmsetup remove above
	wait_for 10 nothing_left
	e2fsck -p a.img || [ $? -eq 1 ]
	debugfs -R 'cat /file' a.img 2>/dev/null | cmp - kept
}

@test "SIGHUP: the server opens its log again, so that it can be rotated" {
	dev=$(ublk add -t null --log-file server.log)
	server=$(server_of "$dev")
	wait_for 10 grep -q serving server.log
	mv server.log server.log.1
	kill -HUP "$server"
	wait_for 10 grep -qs 'opened again' server.log
	read_block "$dev"
	run -1 grep -q 'opened again' server.log.1
	ublk del "$dev"
	wait_for 5 grep -q stopped server.log
}

@test "SIGHUP, SIGPIPE, SIGUSR1 and SIGUSR2 do not end a server" {
	dev=$(ublk add -t null)
	server=$(server_of "$dev")
	for signal in HUP PIPE USR1 USR2; do
		kill "-$signal" "$server"
	done
	read_block "$dev"
	[ "$(server_of "$dev")" = "$server" ]
	ublk del "$dev"
}

@test "a logout leaves the server alone" {
	script -qec "'$UBLK' add -t null" typescript >/dev/null
	grep -q /dev/ublkb0 typescript
	read_block /dev/ublkb0
	server=$(server_of /dev/ublkb0)
	# No terminal, and a session of its own.
	[ "$(stat_field "$server" 7)" -eq 0 ]
	[ "$(stat_field "$server" 6)" -eq "$server" ]
	ublk del 0
}

@test "the server holds nothing of its caller: descriptors, working directory, mount namespace" {
	exec 7</etc/passwd
	dev=$(ublk add -t null 7<&7)
	server=$(server_of "$dev")
	for fd in 0 1 2; do
		[ "$(readlink "/proc/$server/fd/$fd")" = /dev/null ]
	done
	[ "$(readlink "/proc/$server/cwd")" = / ]
	[ "$(readlink "/proc/$server/ns/mnt")" != "$(readlink /proc/self/ns/mnt)" ]
	run -1 grep -q "$BATS_TEST_TMPDIR" "/proc/$server/mountinfo"
	ublk del "$dev"
}

@test "the server inherits no descriptor of its caller" {
	exec 7</etc/passwd
	dev=$(ublk add -t null 7<&7)
	run find "/proc/$(server_of "$dev")/fd" -lname /etc/passwd
	[ -z "$output" ]
	ublk del "$dev"
}

@test "the server is the last that the out-of-memory killer takes, and not beyond its reach" {
	dev=$(ublk add -t null)
	[ "$(<"/proc/$(server_of "$dev")/oom_score_adj")" -eq -999 ]
	ublk del "$dev"
}

@test "every thread of the server is an I/O flusher" {
	dev=$(ublk add -t null -q 2)
	server=$(server_of "$dev")
	# What prctl(PR_SET_IO_FLUSHER) adds to a process's flags.
	bits=$("$PYTHON" -c '
import ctypes
flags = lambda: int(open("/proc/self/stat").read().rsplit(")", 1)[1].split()[6])
before = flags()
assert ctypes.CDLL(None).prctl(57, 1, 0, 0, 0) == 0
print(flags() & ~before)')
	[ "$bits" -gt 0 ]
	for task in "/proc/$server/task"/*; do
		flags=$(stat_field "$server/task/${task##*/}" 9)
		[ $((flags & bits)) -eq "$bits" ]
	done
	ublk del "$dev"
}

# A caller of the worst kind.
nasty()
{
	local space=(--as=200000000:200000000 --data=100000000:100000000)
	# The sanitizers reserve more than any machine has.
	[[ $UBLK != *sanitize* ]] || space=()
	NASTY=secret perl -e '
		$SIG{$_} = "IGNORE" for qw(CHLD TERM INT HUP USR1 QUIT);
		$ENV{GLIBC_TUNABLES} = "glibc.malloc.perturb=1";
		umask 0777;
		exec @ARGV' \
		prlimit --fsize=4194304:4194304 --cpu=60:60 "${space[@]}" --nproc=3:3 \
		--nofile=64:64 --stack=1048576 --rttime=1000 --core=unlimited -- \
		chrt --idle 0 nice -n 15 taskset -c 0 ionice -c 3 setarch -R "$@"
}

cpus_of()
{
	sed -n 's/^Cpus_allowed:\s*//p' "/proc/$1/status"
}

@test "whatever its caller is like, a server is as every server" {
	make_image a.img 32M
	dev=$(nasty "$UBLK" add -t loop -f a.img --log-file log.txt)
	server=$(server_of "$dev")
	plain=$(server_of "$(ublk add -t null)")
	for limit in FSIZE CPU AS DATA NPROC RTTIME; do
		[ "$(prlimit --pid "$server" "--${limit,,}" --noheadings --raw --output SOFT,HARD)" = \
			"unlimited unlimited" ] || { echo "$limit"; return 1; }
	done
	[ "$(prlimit --pid "$server" --core --noheadings --raw --output HARD)" = 0 ]
	[ "$(prlimit --pid "$server" --nofile --noheadings --raw --output SOFT)" -ge 4096 ]
	[ "$(stat_field "$server" 19)" -eq 0 ]  # niceness
	[ "$(stat_field "$server" 41)" -eq 0 ]  # policy: SCHED_OTHER
	[ "$(cpus_of "$server")" = "$(cpus_of "$plain")" ]
	[[ $(ionice -p "$server") == none* ]]
	[ "$(<"/proc/$server/personality")" = 00000000 ]
	run tr '\0' '\n' <"/proc/$server/environ"
	[[ $output != *NASTY* && $(grep -c GLIBC <<<"$output") -eq 1 && $output == *tcache_count=0* ]]
	# Ignored is nothing but the signal of a limit.
	[ "$(sed -n 's/^SigIgn:\s*//p' "/proc/$server/status")" = 0000000001000000 ]
	[ "$(stat -c %a /run/ublk/0.json)" = 644 ]
	ublk del 1
	# Beyond the caller's limit of file size; then its last user goes, and it hears of it.
	dd if=/dev/urandom of="$dev" bs=1M seek=16 count=1 oflag=direct status=none
	exec 7<"$dev"
	kill -TERM "$server"
	wait_for 20 grep -q 'asked to stop' log.txt
	exec 7<&-
	wait_for 20 nothing_left
}

@test "a recovery is as indifferent to its caller" {
	make_image a.img 32M
	dev=$(ublk add -t loop -f a.img)
	park "$dev"
	nasty "$UBLK" recover "$dev"
	dd if=/dev/urandom of="$dev" bs=1M seek=16 count=1 oflag=direct status=none
	nasty "$UBLK" del "$dev"
}

# is_free DISK: nobody has claimed it.
is_free()
{
	run ublk add -n 9 -t loop -f "$1"
	[[ $status -eq 0 ]] || { echo "$output"; return 1; }
	ublk del 9
}

@test "a file system that was mounted before add can be unmounted, and its disk is free" {
	disk=$(make_ram_disk 32)
	mkfs.ext4 -q "$disk"
	mkdir m
	for propagation in shared private; do
		mount "$disk" m
		mount "--make-$propagation" m
		dev=$(ublk add -t null)
		umount m
		is_free "$disk" || { echo "$propagation"; return 1; }
		ublk del "$dev"
	done
}

@test "a file system mounted before add on a name with blanks is let go too" {
	disk=$(make_ram_disk 32)
	mkfs.ext4 -q "$disk"
	mkdir 'a b\c'
	mount "$disk" 'a b\c'
	mount --make-private 'a b\c'
	dev=$(ublk add -t null)
	umount 'a b\c'
	is_free "$disk"
	ublk del "$dev"
}

@test "the file system that the file lies on stays busy as long as it is served, and no longer" {
	disk=$(make_ram_disk 32)
	fs_on "$disk" ext4 m
	make_image m/a.img 8M
	dev=$(ublk add -t loop -f m/a.img)
	run ! umount m
	read_block "$dev"
	ublk del "$dev"
	umount m
	is_free "$disk"
}

@test "--foreground: no other process, the path on stdout, messages on stderr" {
	"$UBLK" add --foreground -t null >path.txt 2>messages.txt &
	server=$!
	wait_for 20 test -s path.txt
	[ "$(<path.txt)" = /dev/ublkb0 ]
	[ "$(pgrep -x ublk-server)" = "$server" ]
	read_block /dev/ublkb0
	kill -TERM "$server"
	ends_with 0 "$server"
	nothing_left
	grep -q 'stopped and removed' messages.txt
}

@test "--foreground: errors, hints and exit statuses are those of the background" {
	make_image a.img 16M
	printf -v name 'a\e[31mb'
	dev=$(ublk add -t loop -f a.img)
	for args in "-t loop -f $name" "-t loop -f a.img" "-n 0 -t null" "-t null --memory-limit 4K"; do
		# shellcheck disable=SC2086 # words
		run ublk add $args
		[ "$status" -ne 0 ]
		expected="$status $output"
		# shellcheck disable=SC2086
		run ublk add --foreground $args
		[ "$status $output" = "$expected" ] || { echo "$expected"; echo "$status $output"; return 1; }
		[[ $output != *$'\e'* ]]
	done
	ublk del "$dev"
}

@test "--foreground --adopt takes over what a server of the same description has left" {
	make_image a.img 16M
	add=("$UBLK" add --foreground --adopt --name disk -t loop -f a.img --size 10000001)
	for round in 1 2; do
		"${add[@]}" >path.txt 2>messages.txt &
		server=$!
		wait_for 20 test -s path.txt
		wait_for 20 is_state 0 live
		[ "$(server_of 0)" -eq "$server" ]
		if ((round == 1)); then
			write_block /dev/ublkb0
			park 0
			: >path.txt
		fi
	done
	cmp -n 4096 a.img /dev/ublkb0
	# One that is live is another's.
	run "${add[@]}"
	[ "$status" -eq 5 ]
	kill -TERM "$server"
	ends_with 0 "$server"
	nothing_left
}

@test "recover --foreground becomes the server" {
	make_image a.img 16M
	dev=$(ublk add -t loop -f a.img)
	park "$dev"
	"$UBLK" recover --foreground --json "$dev" >device.json &
	server=$!
	wait_for 20 jq -se '.[0].devices[0] | .path == "/dev/ublkb0" and .memory.resident > 0' device.json
	ublk recover --json "$dev" | jq -e '.devices[0].memory.resident > 0'
	[ "$(server_of "$dev")" -eq "$server" ]
	read_block "$dev"
	kill -TERM "$server"
	ends_with 0 "$server"
	nothing_left
}

@test "--foreground: Ctrl-C ends it in order" {
	env --default-signal=INT "$UBLK" add --foreground --json -t null >device.json &
	server=$!
	wait_for 20 jq -se '.[0].devices[0].path == "/dev/ublkb0"' device.json
	wait_for 20 is_alone "$server"
	kill -INT "$server"
	ends_with 0 "$server"
	nothing_left
}

@test "--foreground: a failed add says so on stderr, exits with the same status and leaves nothing" {
	run --separate-stderr ublk add --foreground -t loop -f none.img
	[ "$status" -eq 1 ]
	[ -z "$output" ]
	[[ $stderr == "ublk: error: cannot open "*none.img* ]]
	nothing_left
}

@test "--foreground: readiness is told to the supervisor once the node opens" {
	cat >supervisor.py <<'END'
import os, socket, subprocess, sys
server = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
server.bind(sys.argv[1])
server.settimeout(60)
os.environ["NOTIFY_SOCKET"] = sys.argv[1]
child = subprocess.Popen(sys.argv[2:], stdout=subprocess.DEVNULL)
message = server.recv(100).decode()
os.close(os.open("/dev/ublkb0", os.O_RDONLY))
child.terminate()
print(message, child.wait())
END
	run -0 --separate-stderr "$PYTHON" supervisor.py "$PWD/notify" "$UBLK" add --foreground -t null
	[ "$output" = "READY=1 0" ]
	nothing_left
}

@test "--foreground: stdout that is full undoes the device" {
	run --separate-stderr bash -c '"$0" add --foreground -t null >/dev/full' "$UBLK"
	[ "$status" -eq 1 ]
	[[ $stderr == *"No space left"* ]]
	wait_for 5 nothing_left
}

@test "add: stdout that is full undoes the device" {
	run --separate-stderr bash -c '"$0" add -t null >/dev/full' "$UBLK"
	[ "$status" -eq 1 ]
	[[ $stderr == *"No space left"* ]]
	nothing_left
}

@test "a file where the device's nodes belong is told, and nothing is left of the add" {
	for node in ublkb7 ublkc7; do
		echo junk >"/dev/$node"
		at_end rm -f "/dev/$node"
		run ublk add -n 7 -t null --timeout 20
		[ "$status" -eq 1 ] || { echo "$status $output"; return 1; }
		[[ $output == *"cannot use /dev/$node: "*"was there before"* ]]
		[ "$(<"/dev/$node")" = junk ]
		rm "/dev/$node"
		nothing_left
	done
	ublk add -n 7 -t null
	ublk del 7
}

@test "--no-wait: add ends without waiting for the node, which comes" {
	run -0 ublk add -t null --no-wait
	[ "$output" = /dev/ublkb0 ]
	wait_for 10 test -b /dev/ublkb0
	read_block /dev/ublkb0
	ublk del 0
}

@test "SIGTERM: a server that waits for its users still writes the record that it could not write" {
	small_records
	dev=$(ublk add -t null)
	# As an older version left it: without room for another record.
	rm /run/ublk/.0.spare
	fill_records
	kill_server "$dev"
	wait_for 10 is_state "$dev" quiesced
	run -0 ublk recover "$dev"
	[[ $output == *"its record could not be written"* ]]
	exec 7<"$dev"
	kill -TERM "$(server_of "$dev")"
	wait_for 10 is_waiting_for_users
	run ! is_recorded "$dev"
	rm /run/ublk/full
	wait_for 20 is_recorded "$dev"
	exec 7<&-
	wait_for 10 nothing_left
}

# is_recorded DEV: its record names the server that it has.
is_recorded()
{
	[[ $(jq .server.pid /run/ublk/0.json) == "$(server_of "$1")" ]]
}

# called DEV: what the server's command line begins with.
called()
{
	tr '\0' '\n' <"/proc/$(server_of "$1")/cmdline" | head -n 1
}

@test "what starts with an @ in its name, or from an initial RAM file system, has a server with one, which is a server like any" {
	make_image a.img 16M
	(exec -a @ublk "$UBLK" add -n 0 -t loop -f a.img)
	[ "$(called 0)" = @ublk-server ]
	at_end rm -f /etc/initrd-release
	touch /etc/initrd-release
	ublk add -n 1 -t null
	[ "$(called 1)" = @ublk-server ]
	rm /etc/initrd-release
	ublk add -n 2 -t null
	[ "$(called 2)" = ublk-server ]
	[ "$(servers | wc -l)" -eq 3 ]
	write_block /dev/ublkb0
	kill_server 0
	wait_for 10 is_state 0 quiesced
	(exec -a @ublk "$UBLK" recover 0)
	[ "$(called 0)" = @ublk-server ]
	cmp -n 4096 a.img /dev/ublkb0
	ublk del --all
	nothing_left
}

@test "--foreground: a name with an @ is kept by the server that ublk becomes" {
	bash -c 'exec -a @ublk "$1" add --foreground -n 0 -t null' bash "$UBLK" >path.txt &
	wait_for 20 test -s path.txt
	[ "$(called 0)" = @ublk-server ]
	ublk del 0
	ends_with 0 $!
}

@test "--foreground: what a terminal sends stops neither the server nor who waits for its users" {
	# In a group of its own, as a shell with job control makes it.
	perl -e 'setpgrp; exec @ARGV' "$UBLK" add --foreground -t null >path.txt &
	server=$!
	wait_for 20 test -s path.txt
	exec 7</dev/ublkb0
	kill -TSTP "-$server"
	kill -TTOU "-$server"
	read_block /dev/ublkb0
	run ! is_stopped "$server"
	kill -INT "-$server"
	wait_for 10 is_waiting_for_users
	errand=$(pgrep -fx 'ublk-server errand wait-stop .*')
	[ "$(stat_field "$errand" 5)" -eq "$errand" ]
	kill -TSTP "-$server"
	exec 7<&-
	ends_with 0 "$server"
	nothing_left
}

@test "an errand without its server does nothing" {
	dev=$(ublk add -t null)
	run -3 "${UBLK%/*}/ublk-server" errand stop 0 "$(jq -r .token /run/ublk/0.json)" 1 none
	[ "$(state_of "$dev")" = live ]
	ublk del "$dev"
}
