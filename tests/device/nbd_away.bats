# SPDX-License-Identifier: MIT
# NBD servers that are elsewhere when they come back, or are not there when another server of the device begins.
# build: faults
# kernels: newest
# long kernels: 6.12 6.18
# cpus: 2

load helpers
load backings
load servers
load nbd

port=10810

setup()
{
	device_setup
	requires nbdkit getent
	make_image disk.img 64M
	export_pid=
	other=
}

teardown()
{
	[[ -n ${BATS_TEST_COMPLETED-} ]] || tail -n 10 -- *.log || true
	umount /usr/bin/getent 2>/dev/null || true
	names
	device_teardown
	for pid in $export_pid $other; do
		kill -KILL "$pid" 2>/dev/null || true
	done
}

# names ADDRESS...: what nbd-moves.test means from now on.
names()
{
	local address
	grep -v nbd-moves.test /etc/hosts >/etc/hosts.new || true
	for address; do
		echo "$address nbd-moves.test"
	done >>/etc/hosts.new
	mv /etc/hosts.new /etc/hosts
}

# serve_at ADDRESS
serve_at()
{
	nbdkit -f -i "$1" -p "$port" file disk.img >"nbdkit-$1.log" 2>&1 </dev/null 3>&- &
	export_pid=$!
	wait_for 20 listens_at "$1"
}

listens_at()
{
	[[ -n $(ss -Hltn "src = [$1]:$port") ]]
}

# is_connected_to ADDRESS COUNT: all connections lead there.
is_connected_to()
{
	[[ $(ss -Htn state established "dport = :$port" | awk '{ print $4 }' | sort | uniq -c) == *" $2 "*"$1"*":$port" ]]
}

@test "a name that leads elsewhere is followed by all threads, even where the server from before still answers" {
	names 127.0.0.2
	serve_at 127.0.0.2
	run -0 --separate-stderr ublk add -n 0 -t nbd --uri "nbd://nbd-moves.test:$port/" -q 2 --write-through
	dev=$output
	[[ $stderr != *'looked up'* ]]
	start_verified "$dev" 4096 --bsrange=4k-64k
	for address in ::1 127.0.0.3; do
		writes_on "$dev"
		end_server
		names "$address"
		serve_at "$address"
		writes_on "$dev"
		wait_for 20 is_connected_to "$address" 2
	done
	# Both serve the same file.
	old=$export_pid
	serve_at 127.0.0.4
	other=$export_pid
	names 127.0.0.4
	kill -KILL "$old"
	wait "$old" || true
	serve_at 127.0.0.3
	wait_for 20 is_connected_to 127.0.0.4 2
	writes_on "$dev"
	end_verified "$dev" 4096
	ublk del 0
}

# bats test_tags=long
@test "of a name's addresses each is tried, also behind one that drops what it gets, and the name may be gone" {
	names 127.0.0.9 127.0.0.10 127.0.0.11
	mapfile -t places < <(getent ahosts nbd-moves.test | awk '/STREAM/ { print $1 }')
	[ "${#places[@]}" = 3 ]
	serve_at "${places[1]}"
	dev=$(ublk add -n 0 -t nbd --uri "nbd://nbd-moves.test:$port/")
	start_verified "$dev" 4096
	writes_on "$dev"
	end_server
	serve_at "${places[2]}"
	wait_for 20 is_connected_to "${places[2]}" 1
	writes_on "$dev"
	# What was known is tried on.
	names
	end_server
	serve_at "${places[2]}"
	writes_on "$dev"
	# A queue that is full: no SYN is answered.
	names "${places[@]}"
	"$TOP/tests/device/nbd_liar" --deaf "${places[0]}" "$port" >deaf.log 3>&- &
	other=$!
	wait_for 20 grep -q ready deaf.log
	end_server
	wait_for 20 is_trying "${places[0]}"
	serve_at "${places[1]}"
	wait_for 30 is_connected_to "${places[1]}" 1
	writes_on "$dev"
	end_verified "$dev" 4096
	ublk del 0
}

# is_trying ADDRESS: to be connected.
is_trying()
{
	[[ -n $(ss -Htn state syn-sent "dst = [$1]:$port") ]]
}

# slow_getent: what runs getent for the test's name waits, until allow_getent.
slow_getent()
{
	cp /usr/bin/getent getent
	printf '#!/bin/sh\n[ ! -e %q ] || case "$*" in *nbd-moves.test*) echo $$ >>%q; exec sleep 1000 ;; esac\nexec %q "$@"\n' \
		"$PWD/slow" "$PWD/waiting" "$PWD/getent" >getent.sh
	chmod +x getent.sh
	mount --bind getent.sh /usr/bin/getent
}

@test "a look-up that hangs keeps nobody waiting but I/O, leaves no process, and ends" {
	slow_getent
	names 127.0.0.2
	serve_at 127.0.0.2
	dev=$(ublk add -n 0 -t nbd --uri "nbd://nbd-moves.test:$port/" -q 2 --write-through)
	touch slow
	end_server
	wait_for 20 test -s waiting
	server=$(server_of "$dev")
	timeout 10 "$UBLK" show 0 >shown
	[[ $(<shown) == *'has been away for'* ]]
	# The server from before, when a look-up has come to nothing; and the next one elsewhere, when one has not.
	serve_at 127.0.0.2
	wait_for 40 is_connected_to 127.0.0.2 2
	read_block "$dev"
	end_server
	names 127.0.0.3
	wait_for 20 is_away
	rm slow
	serve_at 127.0.0.3
	wait_for 40 is_connected_to 127.0.0.3 2
	read_block "$dev"
	# Killed while it looks up: with all that it has started.
	touch slow
	: >waiting
	helper=$(pgrep -P "$server" -x ublk-names)
	end_server
	wait_for 20 test -s waiting
	run ! pgrep -P "$server,$helper" -r Z
	timeout 20 "$UBLK" del 0
	wait_for 20 all_gone
	# Before there is a device: whoever waits for it may go.
	: >waiting
	ublk_in_background add -t nbd --uri "nbd://nbd-moves.test:$port/" >out 2>&1 3>&-
	wait_for 20 test -s waiting
	kill -INT "$del"
	timeout 5 tail -s 0.1 --pid="$del" -f /dev/null
	run ! grep 'ublk: error' out
	nothing_left
	wait_for 20 all_gone
}

all_gone()
{
	local pids
	mapfile -t pids <waiting
	! kill -0 "$helper" "${pids[@]}" 2>/dev/null
}

@test "the process that looks names up lives where process 1 lives, and ends with its server however that ends" {
	names 127.0.0.2
	serve_at 127.0.0.2
	dev=$(ublk add -n 0 -t nbd --uri "nbd://nbd-moves.test:$port/" --log-file "$PWD/log")
	server=$(server_of "$dev")
	helper=$(pgrep -P "$server" -x ublk-names)
	[ "$(readlink "/proc/$helper/ns/mnt")" = "$(readlink /proc/1/ns/mnt)" ]
	[ "$(readlink "/proc/$server/ns/mnt")" != "$(readlink /proc/1/ns/mnt)" ]
	[ "$(readlink "/proc/$helper/cwd")" = / ]
	[ -z "$(find "/proc/$helper/fd" -lname "*ublk*")" ]
	grep -E '^(Rss|Pss|Private)' "/proc/$helper/smaps_rollup"
	# Without it the place is kept, and said why.
	kill -KILL "$helper"
	wait_for 10 is_gone "$helper"
	end_server
	names 127.0.0.3
	wait_for 20 lacks_names
	run -0 ublk show 0
	[[ $output == *': the program that looks up its name, ublk-names, has ended ('*'ublk upgrade 0'* ]]
	wait_for 10 grep -q 'ublk-names, has ended; ublk upgrade 0 starts another one' log
	serve_at 127.0.0.2
	read_block "$dev"
	names 127.0.0.2
	[ "$(grep -c "ublk-names, has ended; " log)" = 1 ]
	kill_server "$dev"
	ublk recover 0
	server=$(server_of "$dev")
	helper=$(pgrep -P "$server" -x ublk-names)
	kill_server "$dev"
	wait_for 10 is_gone "$helper"
	ublk recover 0
	helper=$(pgrep -P "$(server_of "$dev")" -x ublk-names)
	ublk del 0
	wait_for 10 is_gone "$helper"
	# An address is looked up by nobody.
	dev=$(ublk add -n 0 -t nbd --uri "nbd://127.0.0.2:$port/")
	run ! pgrep -P "$(server_of "$dev")" -x ublk-names
	ublk del 0
}

lacks_names()
{
	[[ $(detail 0 .away.error) == *'the program that looks up its name, ublk-names, has ended'* ]]
}

is_gone()
{
	! kill -0 "$1" 2>/dev/null
}

@test "where process 1 would see other names a note says so, and the place stays" {
	names 127.0.0.2
	serve_at 127.0.0.2
	echo '127.0.0.2 nbd-moves.test' >hosts
	run -0 --separate-stderr unshare -m bash -c "mount --bind hosts /etc/hosts &&
		exec $UBLK add -n 0 -t nbd --uri nbd://nbd-moves.test:$port/"
	[[ $stderr == *'nbd-moves.test is not looked up again when it moves: process 1 would see other names'* ]]
	run ! pgrep -P "$(server_of /dev/ublkb0)" -x ublk-names
	names 127.0.0.3
	end_server
	serve_at 127.0.0.2
	read_block /dev/ublkb0
	ublk del 0
}

@test "a device whose NBD server is away gets another server of ours at once, and goes on when that is there again" {
	serve file disk.img
	dev=$(ublk add -n 0 -t nbd --uri "$(uri)" -q 2 --write-through --recovery reissue)
	start_verified "$dev" 4096 --bsrange=4k-64k
	for ((round = 0; round < 3; round++)); do
		writes_on "$dev"
		kill_server "$dev"
		end_server
		# The socket is there, or it is not.
		((round)) || rm "$socket"
		run -0 --separate-stderr ublk recover 0
		[[ $stderr == *"requests wait: cannot connect to $socket: "* ]]
		wait_for 20 is_away
		serve file disk.img
		writes_on "$dev"
		wait_for 20 is_there
	done
	# Once more, before it has come up.
	kill_server "$dev"
	end_server
	ublk recover 0
	kill_server "$dev"
	ublk recover 0
	if kernel_at_least 6.16; then
		ublk upgrade --by-recovery 0
		wait_for 20 is_away
	fi
	serve file disk.img
	writes_on "$dev"
	end_verified "$dev" 4096
	[ "$(detail 0 .write_error)" = null ]
	ublk del 0
}

is_there()
{
	[[ $(detail 0 .away) == null ]]
}

@test "over TCP it goes on without an answer, without its name, and with hold-sec from then on" {
	names 127.0.0.2
	serve_at 127.0.0.2
	dev=$(ublk add -n 0 -t nbd --uri "nbd://nbd-moves.test:$port/" --hold-sec 2 --write-through)
	kill_server "$dev"
	kill -STOP "$export_pid"
	run -0 --separate-stderr ublk recover 0
	[[ $stderr == *'requests wait: cannot use nbd-moves.test: it does not answer'* ]]
	kill -CONT "$export_pid"
	wait_for 30 read_block "$dev"
	end_server
	kill_server "$dev"
	names
	run -0 --separate-stderr ublk recover 0
	[[ $stderr == *'requests wait: cannot look up nbd-moves.test: there is no such host'* ]]
	run ! timeout 60 dd if="$dev" of=/dev/null bs=4k count=1 iflag=direct status=none
	[ "$status" = 1 ]
	names 127.0.0.3
	serve_at 127.0.0.3
	wait_for 30 read_block "$dev"
	ublk del 0
}

@test "what was not flushed when both servers died is told as lost, and what was flushed is not" {
	truncate -s 1M stable
	dd if=/dev/urandom of=block bs=4k count=1 status=none
	serve_liar forgets "$PWD/stable"
	dev=$(ublk add -n 0 -t nbd --uri "$(uri)")
	dd if=block of="$dev" bs=4k seek=5 oflag=direct status=none
	kill_server "$dev"
	end_server
	ublk recover 0
	wait_for 20 is_away
	serve_liar forgets "$PWD/stable"
	read_block "$dev"
	run ! dd if=/dev/zero of="$dev" bs=4k count=1 oflag=direct conv=fsync,notrunc status=none
	[[ $output == *'Input/output error'* ]]
	# Also to the servers after it.
	kill_server "$dev"
	ublk recover 0
	run ! dd if=/dev/zero of="$dev" bs=4k count=1 oflag=direct conv=fsync,notrunc status=none
	ublk del 0
	end_server
	kernel_at_least 6.16 || return 0
	for how in quiesce upgrade; do
		serve_liar forgets "$PWD/stable"
		dev=$(ublk add -n 0 -t nbd --uri "$(uri)")
		dd if=block of="$dev" bs=4k seek=6 oflag=direct status=none
		if [ "$how" = quiesce ]; then
			ublk quiesce 0
			end_server
			ublk recover 0
		else
			dd if=block of="$dev" bs=4k seek=6 oflag=direct conv=fsync,notrunc status=none
			end_server
			wait_for 10 is_away
			ublk upgrade 0
		fi
		wait_for 20 is_away
		serve_liar forgets "$PWD/stable"
		dd if=/dev/zero of="$dev" bs=4k count=1 oflag=direct conv=fsync,notrunc status=none
		dd if="$dev" bs=4k skip=6 count=1 iflag=direct status=none | cmp - block
		# Not for the next one, which is killed.
		dd if=block of="$dev" bs=4k seek=7 oflag=direct status=none
		kill_server "$dev"
		end_server
		ublk recover 0
		serve_liar forgets "$PWD/stable"
		run ! dd if=/dev/zero of="$dev" bs=4k count=1 oflag=direct conv=fsync,notrunc status=none
		[[ $output == *'Input/output error'* ]] || { echo "$how"; false; }
		ublk del 0
		end_server
	done
}

@test "what is there and is not what the device was made of is refused, by a recovery and later" {
	serve file disk.img
	dev=$(ublk add -n 0 -t nbd --uri "$(uri)" --write-through)
	kill_server "$dev"
	end_server
	serve memory 32M
	run -1 ublk recover 0
	[[ $output == *'has become smaller'* ]]
	end_server
	ublk recover 0
	serve memory 32M
	wait_for 20 is_refused
	end_server
	serve file disk.img
	wait_for 20 read_block "$dev"
	# What a version before has written.
	kill_server "$dev"
	end_server
	jq 'del(.export)' /run/ublk/0.json >record
	cat record >/run/ublk/0.json
	run -1 ublk recover 0
	[[ $output == *'cannot connect to '* ]]
	serve file disk.img
	ublk recover 0
	read_block "$dev"
	ublk del 0
}

is_refused()
{
	[[ $(detail 0 .away.error) == *'what is there is not what the device was made of'* ]]
}

@test "a device that is restarted by itself is so while its NBD server is away" {
	serve file disk.img
	dev=$(ublk add -n 0 -t nbd --uri "$(uri)" --write-through --restart --log-file "$PWD/log")
	read_block "$dev"
	server=$(server_of "$dev")
	end_server
	kill -KILL "$server"
	wait_for 30 has_another
	wait_for 10 is_away
	serve file disk.img
	wait_for 20 read_block "$dev"
	ublk del 0
}

has_another()
{
	local now
	now=$(server_of "$dev") && [[ $now != "$server" && $(state_of "$dev") == live ]]
}
