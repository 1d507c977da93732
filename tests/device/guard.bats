# SPDX-License-Identifier: MIT
# A server that writes one byte too many dies of it before it can do harm to anybody's data.
# cpus: 2
# kernels: newest
# long kernels: 6.12
# build: faults
# no sanitizers

load helpers
load servers
load backings

# dies_of_an_overrun ARGS...: a buffer's end is the guard page's beginning; the client's I/O waits for
# the next server, which finds all as it was.
dies_of_an_overrun()
{
	local dev=/dev/ublkb0 pid writer
	# The kernel's line about it would be taken for a complaint.
	echo 0 >/proc/sys/debug/exception-trace
	at_end sh -c 'echo 1 >/proc/sys/debug/exception-trace'
	make_image a.img 1M
	UBLK_FAULT=overrun "$UBLK" add -t loop -f a.img -q 2 --recovery reissue --foreground \
		--no-partition-scan "$@" >add.log 2>&1 3>&- &
	pid=$!
	# Not before: Linux 6.12 never gets over a server that dies while the disk is being added.
	wait_for 20 grep -q "^$dev" add.log
	# Linux 6.12 notices the end of a queue all of whose tags are with the server by this alone.
	kernel_at_least 6.16 || echo 1000 >"/sys/block/${dev#/dev/}/queue/io_timeout"
	dd if=/dev/urandom of=want bs=4096 count=1 status=none
	dd if=want of="$dev" bs=4096 oflag=direct status=none 3>&- &
	writer=$!
	ends_with $((128 + 11)) "$pid"
	cmp -n 4096 a.img /dev/zero
	ublk recover "$dev"
	ends_with 0 "$writer"
	cmp -n 4096 "$dev" want
	ublk del "$dev"
}

@test "copy: one byte past a buffer is a fault, and the device goes on with the next server" {
	dies_of_an_overrun -d 1 --data-path copy
}

@test "user-copy: one byte past a buffer is a fault, and the device goes on with the next server" {
	dies_of_an_overrun -d 1 --data-path user-copy
}

@test "get-data: one byte past a buffer is a fault, and the device goes on with the next server" {
	dies_of_an_overrun -d 1 --data-path get-data
}

@test "batches: one byte past a buffer is a fault, and the device goes on with the next server" {
	only_on_kernel 7.0 'batches'
	# A pool that is locked has no more buffers than it may use: one, at a depth of two.
	dies_of_an_overrun -d 2 --batch on --data-path user-copy --mlock --buffer-memory 1M
}

@test "huge pages: one byte past a buffer is a fault, and the device goes on with the next server" {
	echo 8 >/proc/sys/vm/nr_hugepages
	at_end sh -c 'echo 0 >/proc/sys/vm/nr_hugepages'
	dies_of_an_overrun -d 1 --huge-pages --max-io 2M
}
