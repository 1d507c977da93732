# SPDX-License-Identifier: MIT
# What real NBD servers do besides serving: they are slow, fail, end and come back as something else.
# build: faults
# kernels: newest
# long kernels: 6.12 6.18

load helpers
load backings
load servers
load nbd

setup()
{
	nbd_setup nbdkit
}

teardown()
{
	nbd_teardown
}

@test "a server that is slow is waited for, by many requests at once" {
	serve --filter=delay file disk.img rdelay=3 wdelay=100ms
	dev=$(ublk add -n 0 -t nbd --uri "$(uri)")
	# nbdkit does sixteen of them at a time.
	fio --name=load --filename="$dev" --rw=randread --bs=4k --iodepth=16 --number_ios=16 --direct=1 \
		--ioengine=libaio --size=64M --randrepeat=0 >fio.log 2>&1 3>&- &
	load=$!
	wait_for 20 in_flight ublkb0 16
	ends_with 0 "$load" || { cat fio.log; false; }
	[ "$(detail 0 .away)" = null ]
	fio --name=write --filename="$dev" --rw=randwrite --bs=4k --iodepth=16 --number_ios=64 --direct=1 \
		--ioengine=libaio --size=64M --verify=crc32c --do_verify=0 >fio.log
	ublk del 0
}

@test "what a server fails, fails with its error, and neither the connection nor other requests end by it" {
	serve --filter=log --filter=error file disk.img logfile=requests error-file=broken \
		error-pread=EIO error-pread-rate=100% error-pwrite=ENOSPC error-pwrite-rate=100%
	dev=$(ublk add -n 0 -t nbd --uri "$(uri)")
	dd if=/dev/urandom of=block bs=64k count=1 status=none
	dd if=block of="$dev" bs=4k oflag=direct conv=fsync,notrunc status=none
	connections=$(grep -c ' Connect ' requests)
	: >broken
	run ! dd if="$dev" of=/dev/null bs=4k count=1 iflag=direct
	[[ $output == *'Input/output error'* ]]
	run ! dd if=/dev/zero of="$dev" bs=4k count=1 oflag=direct conv=notrunc
	[[ $output == *'No space left on device'* ]]
	# What is no read and no write.
	fallocate -z -o 1M -l 65536 "$dev"
	[ "$(detail 0 .away)" = null ]
	rm broken
	dd if="$dev" bs=64k count=1 iflag=direct status=none | cmp - block
	[ "$(grep -c ' Connect ' requests)" = "$connections" ]
	ublk del 0
}

# bats test_tags=long
@test "a server that is told to end, and is started anew, costs no request and no data" {
	serve file disk.img
	dev=$(ublk add -n 0 -t nbd --uri "$(uri)" -q 2 --write-through)
	start_verified "$dev" 8192 --bsrange=4k-64k --iodepth=32
	for ((i = 0; i < 3; i++)); do
		writes_on "$dev"
		# It tells its clients so (NBD_ESHUTDOWN), and waits until they have gone; of nbdkit 1.32 a thread may
		# wait for ever that had an answer for one of them (raw_send_socket).
		kill -TERM "$export_pid"
		wait_for 10 is_gone "$export_pid" || end_server
		serve file disk.img
	done
	writes_on "$dev"
	end_verified "$dev" 8192
	ublk del 0
}

@test "a hole is asked for where one may be made, and not where blocks are to stay" {
	serve --filter=log file disk.img logfile=requests
	dev=$(ublk add -n 0 -t nbd --uri "$(uri)")
	fallocate -z -o 4096 -l 65536 "$dev"
	fallocate -p -o 1M -l 4096 "$dev"
	wait_for 10 grep -q 'Zero .*offset=0x100000 ' requests
	grep 'Zero .*offset=0x1000 count=0x10000 .*trim=0' requests
	grep 'Zero .*offset=0x100000 count=0x1000 .*trim=1' requests
	ublk del 0
}

@test "with hold-sec 0 what comes while the server is away fails, and not for ever" {
	serve file disk.img
	dev=$(ublk add -n 0 -t nbd --uri "$(uri)" --hold-sec 0)
	read_block "$dev"
	end_server
	run ! timeout 60 dd if="$dev" of=/dev/null bs=4k count=1 iflag=direct
	[[ $status == 1 && $output == *'Link has been severed'* ]] || { echo "$output"; false; }
	serve file disk.img
	wait_for 30 read_block "$dev"
	ublk del 0
}

@test "an address of IPv6 is served, and a connection that is idle is kept alive" {
	port=10810
	nbdkit -f -i ::1 -p "$port" memory 32M >nbdkit.log 2>&1 </dev/null 3>&- &
	export_pid=$!
	wait_for 20 listens "$port"
	dev=$(ublk add -n 0 -t nbd --uri "nbd://[::1]:$port/")
	fio_verify "$dev" --size=4M
	# A host that is gone says nothing: without this nobody would notice.
	wait_for 10 is_kept_alive
	ublk del 0
}

is_kept_alive()
{
	ss -Htno "dport = :$port" | grep -q 'timer:(keepalive,'
}

# comes_back ARGS...: the server of device 0, by nbdkit.
comes_back()
{
	end_server
	wait_for 10 is_away
	serve "$@"
}

# stays_away: what is there now is not what the device was made of.
stays_away()
{
	wait_for 20 says_why
}

says_why()
{
	[[ $(detail 0 .away.error) == *'what is there is not what the device was made of'* ]]
}

@test "an export that is larger, or can do more, is the same; one that is smaller, or can do less, is not" {
	serve --filter=nozero file disk.img zeromode=none
	dev=$(ublk add -n 0 -t nbd --uri "$(uri)")
	dd if=/dev/urandom of=block bs=4k count=1 status=none
	dd if=block of="$dev" bs=4k seek=7 oflag=direct conv=fsync,notrunc status=none
	truncate -s 128M disk.img
	comes_back file disk.img
	is_served block 7
	[ "$(blockdev --getsize64 "$dev")" = $((64 << 20)) ]
	ublk del 0
	dev=$(ublk add -n 0 -t nbd --uri "$(uri)")
	comes_back -r file disk.img
	stays_away
	comes_back --filter=nozero file disk.img zeromode=none
	stays_away
	truncate -s 64M disk.img
	comes_back file disk.img
	stays_away
	truncate -s 128M disk.img
	comes_back file disk.img
	is_served block 7
	ublk del 0
}

# is_served FILE BLOCK: what the file has is read there.
is_served()
{
	wait_for 20 is_there
	dd if="$dev" bs=4k skip="$2" count=1 iflag=direct status=none | cmp - "$1"
}

is_there()
{
	! is_away
}

@test "a server that takes the connection and says nothing is waited for until the deadline, or an interruption" {
	port=10810
	python3 -c "
import socket, time
s = socket.create_server(('127.0.0.1', $port))
time.sleep(10000)" 3>&- &
	export_pid=$!
	wait_for 20 listens "$port"
	run -7 ublk add -t nbd --uri "nbd://127.0.0.1:$port/" --timeout 3
	[[ $output == *'error: cannot use 127.0.0.1: it does not answer'* ]] || { echo "$output"; false; }
	nothing_left
	for signal in INT TERM KILL; do
		ublk_in_background add -t nbd --uri "nbd://127.0.0.1:$port/" >out 2>&1 3>&-
		wait_for 20 is_connected
		kill "-$signal" "$del"
		wait "$del" || true
		wait_for 10 nothing_left
		is_unconnected
		[[ $(<out) != *'ublk: error'* ]] || { cat out; false; }
	done
	# And its server, as who speaks with it.
	ublk_in_background add -t nbd --uri "nbd://127.0.0.1:$port/" >out 2>&1 3>&-
	wait_for 20 is_connected
	kill -TERM "$(servers)"
	status=0
	wait "$del" || status=$?
	((status > 0 && status < 128))
	wait_for 10 nothing_left
}

is_connected()
{
	[[ -n $(ss -Htn state established "dport = :$port") ]]
}

is_unconnected()
{
	! is_connected
}
