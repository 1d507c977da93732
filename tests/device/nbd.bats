# SPDX-License-Identifier: MIT
# The target nbd: real servers, ones that go away, and one that lies.
# build: faults
# kernels: newest
# long kernels: 6.12 6.18
# cpus: 2
# minutes: 20

load helpers
load backings
load servers
load nbd

setup()
{
	nbd_setup nbdkit qemu-nbd qemu-img
}

teardown()
{
	nbd_teardown
}

@test "an export is a device of its size, blocks and abilities, and keeps its data, by a socket and by TCP" {
	serve file disk.img
	dev=$(ublk add -t nbd --uri "$(uri)" -q 2)
	[ "$(blockdev --getsize64 "$dev")" = $((64 << 20)) ]
	fio_verify "$dev" --bsrange=4k-512k --size=16M --iodepth=32
	fio_verify "$dev" --iodepth=1 --size=256k
	blkdiscard -o 0 -l 1M "$dev"
	cmp -n 1048576 "$dev" /dev/zero
	fallocate -z -o 4096 -l 65536 "$dev"
	ublk del "$dev"
	end_server
	serve_tcp memory 32M
	dev=$(ublk add -t nbd --uri "nbd://localhost:$port/" --data-path user-copy)
	fio_verify "$dev" --bsrange=4k-512k --size=16M
	ublk del "$dev"
	# Blocks of the server's, and what it does not let be changed.
	end_server
	serve_tcp --filter=blocksize-policy memory 32M blocksize-minimum=4096 blocksize-preferred=65536
	dev=$(ublk add -t nbd --uri "nbd://127.0.0.1:$port/" -q 2)
	[ "$(blockdev --getss "$dev") $(blockdev --getpbsz "$dev")" = '4096 65536' ]
	fio_verify "$dev" --bsrange=4k-512k --size=16M
	ublk del "$dev"
	end_server
	serve -r file disk.img
	dev=$(ublk add -t nbd --uri "$(uri)")
	[ "$(blockdev --getro "$dev")" = 1 ]
	read_block "$dev"
	ublk del "$dev"
}

# buffers: bytes that are mapped for them.
buffers()
{
	detail 0 '[.regions[] | select(.name == "buffers").mapped] | add // 0'
}

@test "with zero-copy data goes between request and connection as it lies, without buffers" {
	only_on_kernel 6.16 'automatic registration of buffers'
	serve file disk.img
	dev=$(ublk add -n 0 -t nbd --uri "$(uri)" --data-path zero-copy)
	# A mix of what goes by the stage and of what does not; by one thread, and by several.
	fio_verify "$dev" --bsrange=512-512k --size=32M --iodepth=64
	fio_verify "$dev" --iodepth=1 --size=256k
	[ "$(buffers)" = 0 ]
	dd if=/dev/urandom of=want bs=1M count=8 status=none
	dd if=want of="$dev" bs=1M oflag=direct conv=fsync status=none
	cmp -n 8388608 want disk.img
	dd if=want of="$dev" bs=3584 count=500 oflag=direct conv=fsync status=none
	cmp -n 1792000 want disk.img
	cmp -n 8388608 want "$dev"
	ublk del 0
	end_server
	serve_tcp memory 32M
	dev=$(ublk add -n 0 -t nbd --uri "nbd://localhost:$port/" --data-path zero-copy -q 2 --write-through)
	fio_verify "$dev" --bsrange=512-512k --size=16M --iodepth=64 --numjobs=2 --offset_increment=16M
	# Asked for alone.
	ublk del 0
	dev=$(ublk add -n 0 -t nbd --uri "nbd://localhost:$port/")
	[ "$(detail 0 '[.data_path, .data_path_reason]')" = '["copy","target"]' ]
	(($(buffers) > 0))
	ublk del 0
}

# bats test_tags=long
@test "with zero-copy a server that is killed, and another one of the device, cost no data" {
	only_on_kernel 6.16 'automatic registration of buffers'
	serve_qemu raw disk.img # nbdkit 1.32 does not outlive its clients (raw_send_socket)
	dev=$(ublk add -n 0 -t nbd --uri "$(uri)" --data-path zero-copy)
	start_verified "$dev" 8192 --bsrange=4k-256k --iodepth=32
	for ((i = 0; i < 3; i++)); do
		writes_on "$dev"
		end_server
		serve_qemu raw disk.img
		writes_on "$dev"
		kill_server 0
		ublk recover 0
		writes_on "$dev"
		ublk upgrade 0
	done
	writes_on "$dev"
	end_verified "$dev" 8192
	ublk del 0
	end_server
}

# bats test_tags=long
@test "with zero-copy a server that loses what is not flushed costs no data" {
	only_on_kernel 6.16 'automatic registration of buffers'
	forgets forgets --data-path zero-copy
	forgets backwards --data-path zero-copy --replay-memory 64K
	forgets forgets --data-path zero-copy -q 2
}

# serve_nbd_server FILE: as export `disk`.
serve_nbd_server()
{
	socket=$PWD/socket
	rm -f "$socket"
	printf '[generic]\nunixsock = %s\n[disk]\nexportname = %s\nflush = true\nfua = true\ntrim = true\n' \
		"$socket" "$1" >nbd.conf
	# A daemon with a process for each connection: undivided it ends with the first one that breaks.
	rm -f nbd.pid
	nbd-server -C nbd.conf -p "$PWD/nbd.pid" >nbd-server.log 2>&1 </dev/null 3>&-
	wait_for 20 test -s nbd.pid
	export_pid=$(<nbd.pid)
	wait_for 20 test -S "$socket"
	# It listens, and then looks for a prime for TLS, used or not, which takes an emulated machine from none to
	# 30 s; it sleeps when it accepts.
	wait_for 120 grep -q '^State:.S' "/proc/$export_pid/status"
}

# bats test_tags=long
@test "nbd-server serves, is killed and comes again, and nothing is lost" {
	requires nbd-server
	serve_nbd_server "$PWD/disk.img"
	dev=$(ublk add -n 0 -t nbd --uri "$(uri disk)")
	[ "$(blockdev --getsize64 "$dev")" = $((64 << 20)) ]
	start_verified "$dev" 4096 --bsrange=4k-64k --fsync=50
	writes_on "$dev"
	# And whichever process of it has the connection.
	mapfile -t processes < <(pgrep -P "$export_pid")
	kill -KILL "$export_pid" "${processes[@]}"
	serve_nbd_server "$PWD/disk.img"
	writes_on "$dev"
	end_verified "$dev" 4096
	blkdiscard -o 0 -l 1M "$dev"
	ublk del 0
	mapfile -t processes < <(pgrep -P "$export_pid")
	kill -KILL "$export_pid" "${processes[@]}"
}

@test "a server that promises no second connection gets one, for all queues" {
	serve --filter=multi-conn file disk.img multi-conn-mode=disable
	run -0 ublk add -n 0 -t nbd --uri "$(uri)" -q 2
	[[ $output == *'1 thread serves the queues'* ]]
	[ "$(threads)" = 1 ]
	fio_verify /dev/ublkb0 --size=4M
	ublk del 0
}

@test "under a load a server that is killed and comes again costs no request and no data" {
	serve file disk.img
	dev=$(ublk add -n 0 -t nbd --uri "$(uri)" -q 2 --write-through)
	[ "$(threads)" = 2 ]
	start_verified "$dev" 8192 --bsrange=4k-64k --iodepth=32
	for ((i = 0; i < 3; i++)); do
		writes_on "$dev"
		end_server
		serve file disk.img
	done
	writes_on "$dev"
	end_verified "$dev" 8192
	ublk del 0
}

@test "a qcow2 image is mounted through qemu-nbd, which is killed under it, and nothing is lost" {
	qemu-img create -q -f qcow2 disk.qcow2 256M
	serve_qemu qcow2 disk.qcow2
	dev=$(ublk add -n 0 -t nbd --uri "$(uri)")
	fs_on "$dev" ext4 mnt
	for ((i = 0; i < 4; i++)); do
		head -c 3M /dev/urandom >mnt/$i
		sync -f mnt
		sha256sum mnt/$i >>sums
		# Not synced, nor lost.
		head -c 1M /dev/urandom >mnt/later$i
		sha256sum mnt/later$i >>sums
		end_server
		serve_qemu qcow2 disk.qcow2
	done
	sync -f mnt
	echo 3 >/proc/sys/vm/drop_caches
	sha256sum -c --quiet sums
	umount mnt
	fsck.ext4 -fn "$dev"
	ublk del 0
	end_server
	# Clusters that a killed one has reserved are no loss.
	run qemu-img check disk.qcow2
	[[ $status == [03] && $output != *corruption* ]] || { echo "$output"; false; }
}

# threads: of the device, as many as have served.
threads()
{
	ublk show 0 --json | jq '.devices[0].server_threads // .devices[0].server.threads'
}

# forgets HOW [OPTION...]: a server that loses whatever is not flushed is killed again and again, under a client that
# checks all that it has written and flushes now and then, and one that wants its writes durable.
forgets()
{
	local round
	truncate -s 1M stable
	serve_liar "$1" "$PWD/stable"
	dev=$(ublk add -n 0 -t nbd --uri "$(uri)" "${@:2}")
	start_verified "$dev" 512 --bsrange=4k-32k --fsync=37
	fio --name=durable --filename="$dev" --offset=512k --size=512k --direct=1 --sync=dsync --rw=randwrite --bs=4k \
		--rate_iops=100 --loops=1000000 --verify=crc32c --verify_fatal=1 >durable.log 2>&1 3>&- &
	durable=$!
	for ((round = 0; round < 5; round++)); do
		writes_on "$dev"
		end_server
		serve_liar "$1" "$PWD/stable"
	done
	writes_on "$dev"
	kill -TERM "$durable"
	ends_with 128 "$durable" || { cat durable.log; return 1; }
	end_verified "$dev" 512
	# Unflushed, one over the other, and read after the last death.
	dd if=/dev/urandom of=block bs=64k count=1 status=none
	dd if=block of="$dev" bs=64k seek=8 oflag=direct status=none
	dd if=/dev/urandom of=later bs=4k count=1 status=none
	dd if=later of="$dev" bs=4k seek=130 oflag=direct status=none
	blkdiscard -z -o 540672 -l 4096 "$dev"
	dd if=later of=block bs=4k seek=2 conv=notrunc status=none
	dd if=/dev/zero of=block bs=4k seek=4 count=1 conv=notrunc status=none
	end_server
	serve_liar "$1" "$PWD/stable"
	dd if="$dev" bs=64k skip=8 count=1 iflag=direct status=none | cmp - block
	# Now on the server for good.
	dd if=/dev/zero of="$dev" bs=4k count=1 oflag=direct conv=fsync status=none
	dd if=stable bs=64k skip=8 count=1 status=none | cmp - block
	ublk del 0
	end_server
}

@test "what a server loses when it dies is written again: no flush fails, and no byte is missing" {
	# By several threads, where there is hardly room.
	forgets forgets -q 2 --replay-memory 64K
}

# bats test_tags=long
@test "one thread and several write again what a server loses, with any room, without FUA, and in whatever order it works" {
	forgets forgets
	forgets forgets-no-fua
	forgets forgets-no-fua --write-through
	# Which does what it is sent in another order.
	forgets backwards
	forgets forgets --replay-memory 64K
	forgets forgets -q 2
	forgets forgets-no-fua -q 2
	forgets backwards -q 2
	! kernel_at_least 6.16 || forgets forgets -q 2 --threads 4
}

# in_turns THREADS [OPTION...]: clients that change the same blocks through one queue and then another, while single
# connections break under a server that lives, and while it dies and has lost what was not flushed.
in_turns()
{
	local round clients=() client
	truncate -s 0 stable
	truncate -s 1M stable
	serve_liar forgets "$PWD/stable"
	dev=$(ublk add -n 0 -t nbd --uri "$(uri)" -q 2 "${@:2}")
	[ "$(threads)" = "$1" ]
	for client in 0 1 2; do
		"$TOP/tests/device/nbd_turns" "$dev" "$client" 3 >"turns.$client.log" 2>&1 3>&- &
		clients+=($!)
	done
	for ((round = 0; round < 12; round++)); do
		writes_on "$dev"
		if ((round % 4 == 3)); then
			end_server
			serve_liar forgets "$PWD/stable"
		else
			kill -USR1 "$export_pid"
		fi
		wait_for 20 is_there_again
	done
	writes_on "$dev"
	kill -TERM "${clients[@]}"
	for client in "${clients[@]}"; do
		ends_with 0 "$client" || { cat turns.*.log; return 1; }
	done
	dd if=/dev/zero of="$dev" bs=4k count=1 oflag=direct conv=fsync,notrunc status=none
	ublk del 0
	end_server
}

# is_there_again: all threads of device 0 are connected anew.
is_there_again()
{
	[[ $(detail 0 .away) == null ]]
}

@test "whichever of several connections breaks, no older data comes over newer, and no flush fails" {
	in_turns 2
}

# bats test_tags=long
@test "the same with hardly any room, and with several threads to a queue" {
	in_turns 2 --replay-memory 128K
	! kernel_at_least 6.16 || in_turns 4 --threads 4
}

@test "a thread that cannot connect again keeps the others waiting, which is told, and hold-sec holds for all" {
	truncate -s 1M stable
	serve_liar forgets "$PWD/stable"
	dev=$(ublk add -n 0 -t nbd --uri "$(uri)" -q 2 --hold-sec 1)
	dd if=/dev/urandom of=block bs=4k count=2 status=none
	for cpu in 0 1; do
		dd if=block bs=4k skip=$cpu count=1 status=none | taskset -c $cpu dd of="$dev" bs=4k seek=$cpu oflag=direct status=none
	done
	kill -USR2 "$export_pid"
	wait_for 10 grep -q refuses liar.log
	kill -USR1 "$export_pid"
	wait_for 10 is_away
	for cpu in 0 1; do
		run ! taskset -c $cpu timeout 60 dd if="$dev" of=/dev/null bs=4k count=1 iflag=direct status=none
		[ "$status" = 1 ]
	done
	run -0 ublk show 0
	[[ $output == *'what it serves has been away for '* ]]
	kill -USR2 "$export_pid"
	wait_for 20 is_there_again
	dd if="$dev" bs=4k count=2 iflag=direct status=none | cmp - block
	end_server
	serve_liar forgets "$PWD/stable"
	wait_for 30 read_block "$dev"
	dd if="$dev" bs=4k count=2 iflag=direct status=none | cmp - block
	dd if=/dev/zero of="$dev" bs=4k seek=9 count=1 oflag=direct conv=fsync,notrunc status=none
	ublk del 0
	end_server
}

@test "what another server of the device has written is flushed first, or its loss is told" {
	truncate -s 1M stable
	for how in forgets no-flush; do
		serve_liar "$how" "$PWD/stable"
		dev=$(ublk add -n 0 -t nbd --uri "$(uri)" --replay-memory 64K)
		dd if=/dev/urandom of=block bs=4k count=1 status=none
		dd if=block of="$dev" bs=4k seek=5 oflag=direct status=none
		kill_server "$dev"
		ublk recover 0
		read_block "$dev"
		[[ $how != forgets ]] || wait_for 20 is_stable 5
		end_server
		serve_liar forgets "$PWD/stable"
		run dd if=/dev/zero of="$dev" bs=4k count=1 oflag=direct conv=fsync,notrunc status=none
		if [ "$how" = forgets ]; then
			[ "$status" = 0 ]
			dd if="$dev" bs=4k skip=5 count=1 iflag=direct status=none | cmp - block
		else
			[[ $status == 1 && $output == *'Input/output error'* ]]
			# What is not to be durable is written all the same, however much that is.
			fio_verify "$dev" --size=1M
			fio_verify "$dev" --size=1M
		fi
		ublk del 0
		end_server
	done
}

@test "what a server loses while its device has no server of ours is flushed before, or told" {
	truncate -s 1M stable
	dd if=/dev/urandom of=block bs=4k count=1 status=none
	if kernel_at_least 6.16; then
		serve_liar forgets "$PWD/stable"
		dev=$(ublk add -n 0 -t nbd --uri "$(uri)")
		dd if=block of="$dev" bs=4k seek=5 oflag=direct status=none
		run ! is_stable 5
		ublk quiesce 0
		is_stable 5
		end_server
		serve_liar forgets "$PWD/stable"
		ublk recover 0
		dd if="$dev" bs=4k skip=5 count=1 iflag=direct status=none | cmp - block
		dd if=/dev/zero of="$dev" bs=4k count=1 oflag=direct conv=fsync,notrunc status=none
		ublk del 0
		end_server
		# One that does not flush any more, or is away, holds up nobody for long.
		for how in no-flush away; do
			serve_liar no-flush "$PWD/stable"
			dev=$(ublk add -n 0 -t nbd --uri "$(uri)")
			dd if=block of="$dev" bs=4k seek=6 oflag=direct status=none
			[ "$how" = no-flush ] || { end_server && wait_for 10 is_away; }
			ublk quiesce 0 --timeout 30
			[ "$how" = away ] || end_server
			flush_fails_after_recovery
		done
	fi
	# And of one that is killed while it is away.
	serve_liar forgets "$PWD/stable"
	dev=$(ublk add -n 0 -t nbd --uri "$(uri)")
	dd if=block of="$dev" bs=4k seek=7 oflag=direct status=none
	end_server
	wait_for 10 is_away
	kill_server "$dev"
	flush_fails_after_recovery
}

# flush_fails_after_recovery: of device 0; deletes it.
flush_fails_after_recovery()
{
	serve_liar forgets "$PWD/stable"
	ublk recover 0
	run ! dd if=/dev/zero of="$dev" bs=4k count=1 oflag=direct conv=fsync,notrunc status=none
	[[ $output == *'Input/output error'* ]]
	ublk del 0
	end_server
}

# bats test_tags=long
@test "whatever a server answers to what is written again, data is right, and hold-sec ends" {
	for how in magic cookie twice close shutdown mute; do
		truncate -s 1M stable
		serve_liar forgets "$PWD/stable"
		dev=$(ublk add -n 0 -t nbd --uri "$(uri)" --request-sec 2)
		dd if=/dev/urandom of=block bs=64k count=1 status=none
		dd if=block of="$dev" bs=4k count=16 oflag=direct status=none
		end_server
		serve_liar "$how" "$PWD/stable"
		dd if="$dev" bs=64k count=1 iflag=direct status=none | cmp - block || { echo "HOW $how"; return 1; }
		(($(grep -c connection liar.log) > 1)) || { echo "HOW $how"; return 1; }
		dd if=/dev/zero of="$dev" bs=4k seek=100 count=1 oflag=direct conv=fsync,notrunc status=none
		ublk del 0
		end_server
	done
	serve_liar forgets "$PWD/stable"
	dev=$(ublk add -n 0 -t nbd --uri "$(uri)" --request-sec 1 --hold-sec 4)
	dd if=block of="$dev" bs=4k count=16 oflag=direct status=none
	end_server
	serve_liar mute-for-ever "$PWD/stable"
	run ! timeout 60 dd if="$dev" of=/dev/null bs=4k count=1 iflag=direct status=none
	[ "$status" = 1 ]
	[[ $(detail 0 .away.tries) -gt 0 ]]
	end_server
	serve_liar forgets "$PWD/stable"
	wait_for 30 read_block "$dev"
	dd if="$dev" bs=64k count=1 iflag=direct status=none | cmp - block
	ublk del 0
}

# is_stable BLOCK: what is in the file `block` has come to the server's disk.
is_stable()
{
	dd if=stable bs=4k skip="$1" count=1 status=none | cmp -s - block
}

@test "what a dead server may have lost is not told as durable; with write-through there is nothing" {
	serve file disk.img
	dev=$(ublk add -n 0 -t nbd --uri "$(uri)" --replay-memory 0)
	write_block "$dev" 1
	blockdev --flushbufs "$dev"
	dd if=/dev/zero of="$dev" bs=4k count=1 oflag=direct conv=fsync,notrunc status=none
	end_server
	serve file disk.img
	# All that was acknowledged was flushed.
	dd if=/dev/zero of="$dev" bs=4k count=1 oflag=direct conv=fsync,notrunc status=none
	write_block "$dev" 2
	end_server
	serve file disk.img
	read_block "$dev"
	run ! dd if=/dev/zero of="$dev" bs=4k count=1 oflag=direct conv=fsync,notrunc status=none
	[[ $output == *'Input/output error'* ]]
	run -0 ublk show 0
	[[ $output == *'write error'* || $output == *flush* ]]
	ublk del 0
	dev=$(ublk add -n 0 -t nbd --uri "$(uri)" --write-through)
	write_block "$dev" 2
	end_server
	serve file disk.img
	dd if=/dev/zero of="$dev" bs=4k count=1 oflag=direct conv=fsync,notrunc status=none
	ublk del 0
}

@test "I/O waits for a server that is away, or fails after a while if that is wanted" {
	serve file disk.img
	dev=$(ublk add -n 0 -t nbd --uri "$(uri)" --hold-sec 1)
	read_block "$dev"
	end_server
	run ! read_block "$dev"
	serve file disk.img
	wait_for 30 read_block "$dev"
	ublk del 0
	dev=$(ublk add -n 0 -t nbd --uri "$(uri)" --log-file "$PWD/log")
	end_server
	dd if="$dev" of=/dev/null bs=4k count=1 iflag=direct status=none 3>&- &
	reader=$!
	wait_for 20 in_flight ublkb0 1
	wait_for 20 tries_again
	run -0 ublk show 0
	[[ $output == *'what it serves has been away for '*' seconds: Connection refused ('*' tries)'* ]]
	serve file disk.img
	ends_with 0 "$reader"
	[ "$(detail 0 .away)" = null ]
	[[ $(<log) == *'what it serves is away: '*'what it serves is there again, after '* ]]
	ublk del 0
}

tries_again()
{
	[[ $(detail 0 '[.away.tries > 1, .away.seconds > 0, .away.error]') == '[true,true,"Connection refused"]' ]]
}

@test "another server of the device takes the export over, and an upgrade loses nothing" {
	serve_qemu raw disk.img # nbdkit 1.32 does not outlive its clients (raw_send_socket)
	dev=$(ublk add -n 0 -t nbd --uri "$(uri)" -q 2 --recovery reissue)
	outlives_its_servers "$dev"
	if kernel_at_least 6.16; then
		start_verified "$dev" 4096
		writes_on "$dev"
		ublk upgrade 0
		end_verified "$dev" 4096
	fi
	ublk del 0
}

# answers_wrongly HOW [OPTION...]
answers_wrongly()
{
	serve_liar "$1"
	dev=$(ublk add -n 0 -t nbd --uri "$(uri)" --request-sec 2 "${@:2}")
	case $1 in
	error)
		run ! read_block "$dev"
		;;
	*)
		[[ $1 != @(greeting|short-greeting|silent|option-*|no-export|smaller|blocks) ]] ||
			wait_for 20 is_connected_again
		fio_verify "$dev" --size=512k --iodepth=8 --bsrange=4k-64k
		(($(grep -c connection liar.log) > 1))
		;;
	esac
	ublk del 0
	end_server
}

@test "whatever a server answers, data is right, nothing hangs, and the next connection is used" {
	local how
	for how in cookie half-head error mute; do
		echo "HOW $how"
		answers_wrongly "$how"
	done
}

# bats test_tags=long
@test "whatever else a server answers, data is right, nothing hangs, and the next connection is used" {
	local how
	for how in magic generation twice short close shutdown greeting short-greeting silent option-magic \
		option-length no-export smaller blocks; do
		echo "HOW $how"
		answers_wrongly "$how"
	done
}

# bats test_tags=long
@test "whatever a server answers, with zero-copy data is right, too" {
	local how
	only_on_kernel 6.16 'automatic registration of buffers'
	for how in magic cookie generation twice short half-head close shutdown error mute; do
		echo "HOW $how"
		answers_wrongly "$how" --data-path zero-copy
	done
}

@test "a server may prefer blocks of gigabytes" {
	serve_liar huge-block
	dev=$(ublk add -n 0 -t nbd --uri "$(uri)")
	[ "$(<"/sys/block/${dev#/dev/}/queue/physical_block_size")" = $((32 << 20)) ]
	ublk del 0
	end_server
}

is_connected_again()
{
	grep -q 'connection 2' liar.log
}

@test "what cannot be used is refused in words, and nothing is left" {
	socket=$PWD/none
	refused 1 'cannot connect to' "$(uri)"
	refused 1 'cannot connect to localhost port 1: Connection refused' nbd://localhost:1/
	[[ $output == *'hint: see on its host whether the server runs'* ]]
	refused 1 'cannot look up nohost.invalid: there is no such host' nbd://nohost.invalid/
	refused 2 'it begins with none of nbd://' http://localhost/
	refused 2 'there is no ?socket=PATH' nbd+unix:///x
	refused 2 'there is no TLS over a unix socket' nbds+unix:///?socket=/none
	refused 2 'port 70000 is no number from 1 to 65535' nbd://localhost:70000/
	serve file disk.img
	end_server
	serve_qemu raw disk.img
	refused 1 'it has no export "other"; it has ""' "$(uri other)"
	run -2 ublk add -t nbd
	[[ $output == *'one of --uri, --host and --socket is needed'* ]]
	run -2 ublk add -t nbd --uri "$(uri)" --host localhost
	[[ $output == *'exclude each other'* ]]
	nothing_left
}

@test "the exports of a server are listed, and each is served by its parts" {
	mkdir exports
	truncate -s 1M exports/one
	truncate -s 2M exports/two
	for ((i = 0; i < 9; i++)); do
		truncate -s 1M "exports/more$i"
	done
	serve file dir=exports
	run -0 --separate-stderr ublk nbd list "$(uri)" --no-header
	[[ $output == *'one'*'1M'*'no'* && $output == *'two'*'2M'* && $(wc -l <<<"$output") == 11 ]] || { echo "$output"; false; }
	ublk nbd list "$(uri)" --json | tee list | jq -e '.exports | map(select(.name == "two")) | .[0] |
		.size == 2097152 and .flush and .fua and .multi_conn and (.read_only | not) and .block_min == 1'
	"$TOP/tests/cli/validate" list
	ublk nbd list "$(uri)" --json=lines | head -n 1 | "$TOP/tests/cli/validate"
	refused 1 '"nobody"; it has "' "$(uri nobody)"
	[[ $output == *', ...' && $(grep -o '", "' <<<"$output" | wc -l) == 7 ]] || { echo "$output"; false; }
	dev=$(ublk add -n 0 -t nbd --socket socket --export two)
	[ "$(blockdev --getsize64 "$dev")" = 2097152 ]
	run -0 ublk list -o id,backing --no-header
	[[ $output == *"0  $PWD/socket" ]]
	fio_verify "$dev" --size=1M
	kill_server "$dev"
	(cd / && ublk recover 0)
	read_block "$dev"
	ublk del 0
	end_server
	serve_tcp file dir=exports
	dev=$(ublk add -n 0 -t nbd --host localhost --port "$port" --export one)
	[ "$(blockdev --getsize64 "$dev")" = 1048576 ]
	ublk del 0
	run -1 ublk nbd list nbd://localhost:1/
	[[ $output == *'cannot connect to localhost port 1: Connection refused'* ]]
	run -2 ublk nbd list
	run -2 ublk nbd bogus nbd://localhost/
	run -2 ublk nbd list http://localhost/
}

# refused STATUS WORDS URI
refused()
{
	run "-$1" ublk add -t nbd --uri "$3"
	[[ $output == *"$2"* && $output != *--create* ]] || { printf '%s: %s\n' "$3" "$output"; return 1; }
}
