# SPDX-License-Identifier: MIT
# Twenty servers in a row die under one client.
# kernels: 6.12 newest
# long

load helpers
load servers

KILLS=20

# kill_and_recover DEV: the server dies in the middle of the client's writes, another one follows.
kill_and_recover()
{
	local pid
	pid=$(server_of "$1")
	writes_on "$1"
	kill -KILL "$pid"
	wait_for 30 is_gone "$pid"
	ublk recover "$1" >/dev/null
	is_state "$1" live
}

@test "reissue: $KILLS kills, and the client's writes are all there" {
	make_image a.img 8M
	dev=$(ublk add -t loop -f a.img --recovery reissue)
	start_verified "$dev" 8192
	for ((i = 0; i < KILLS; i++)); do
		kill_and_recover "$dev"
	done
	end_verified "$dev" 8192
	ublk del "$dev"
}

@test "reissue: $KILLS kills with writes that outlive their server, and no byte is lost" {
	make_slow_disk 64
	slow_down 300
	dev=$(ublk add -t loop -f "$slow" --recovery reissue --no-partition-scan)
	# Every block is written again and again: a write of a dead server that lands late shows.
	start_verified "$dev" 512
	for ((i = 0; i < KILLS; i++)); do
		kill_and_recover "$dev"
		none_in_flight_of_old_server
	done
	end_verified "$dev" 512
	ublk del "$dev"
}

# none_in_flight_of_old_server: there is one server, and so one that has the disk open.
none_in_flight_of_old_server()
{
	[[ $(pgrep -cx ublk-server) -eq 1 ]]
}

# writes_with_errors DEV FILE: block after block, noting the number of each one that succeeded.
writes_with_errors()
{
	local i
	for ((i = 0; ; i = (i + 1) % 256)); do
		printf '%-4095s\n' "block $i round $((RANDOM))" >block
		if dd if=block of="$1" bs=4096 seek="$i" oflag=direct conv=notrunc status=none 2>/dev/null; then
			cp block "$2.$i"
		else
			rm -f "$2.$i"
		fi
		[[ ! -e stop ]] || return 0
	done
}

# compare_blocks DEV FILE: each write that succeeded, and was not followed by one that failed.
compare_blocks()
{
	local i checked=0
	for ((i = 0; i < 256; i++)); do
		[[ -e $2.$i ]] || continue
		dd if="$1" bs=4096 skip="$i" count=1 iflag=direct status=none | cmp - "$2.$i" || return
		((++checked))
	done
	((checked > 10))
}

@test "requeue: $KILLS kills, and every write that succeeded is there" {
	make_image a.img 16M
	dev=$(ublk add -t loop -f a.img --recovery requeue)
	writes_with_errors "$dev" good &
	writer=$!
	for ((i = 0; i < KILLS; i++)); do
		kill_and_recover "$dev"
	done
	touch stop
	ends_with 0 "$writer"
	compare_blocks "$dev" good
	ublk del "$dev"
}

@test "fail: $KILLS kills, and every write that succeeded is there" {
	only_on_kernel 6.13 "--recovery fail"
	make_image a.img 16M
	dev=$(ublk add -t loop -f a.img --recovery fail)
	writes_with_errors "$dev" good &
	writer=$!
	for ((i = 0; i < KILLS; i++)); do
		kill_and_recover "$dev"
	done
	touch stop
	ends_with 0 "$writer"
	compare_blocks "$dev" good
	ublk del "$dev"
}
