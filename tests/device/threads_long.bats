# SPDX-License-Identifier: MIT
# Several queues at once, started, loaded, idle, killed, recovered and stopped, watched by the thread
# sanitizer. A race that it sees is a file that the teardown finds. Not with target mem: its data is
# ordered by its clients and the kernel, which are not watched.
# kernels: 6.12 newest
# cpus: 4
# build: threads
# no sanitizers
# long

load helpers
load servers
load backings

setup()
{
	device_setup
	# The sanitizer of Debian 12 does not know more random addresses than these.
	bits=$(cat /proc/sys/vm/mmap_rnd_bits)
	echo 28 >/proc/sys/vm/mmap_rnd_bits
	at_end sh -c "echo $bits >/proc/sys/vm/mmap_rnd_bits"
}

# several_queues ARGS...: a whole life with four queues.
several_queues()
{
	local dev
	dev=$(ublk add "$@" -q 4 -d 32)
	[ "$(detail "$dev" .queues)" -eq 4 ]
	fio_verify "$dev" --bsrange=4k-128k --numjobs=4 --size=4M --offset_increment=4M --fsync=32
	blkdiscard -z -l 1M "$dev"
	ublk show "$dev" >/dev/null
	# Longer than until memory goes back.
	sleep 9
	fio_verify "$dev" --numjobs=4 --size=1M --offset_increment=4M
	[ "$(detail "$dev" .recovery)" = '"none"' ] || {
		kill_server "$dev"
		ublk recover "$dev"
		fio_verify "$dev" --numjobs=4 --size=1M --offset_increment=4M
	}
	kill -TERM "$(server_of "$dev")"
	wait_for 20 nothing_left
}

@test "copy: no race between the queues" {
	make_image a.img 32M
	several_queues -t loop -f a.img --data-path copy
}

@test "user-copy: no race between the queues" {
	make_image a.img 32M
	several_queues -t loop -f a.img --buffer-memory 4M
}

@test "get-data: no race between the queues" {
	make_image a.img 32M
	several_queues -t loop -f a.img --data-path get-data --buffer-memory 4M
}

@test "batches: no race between the queues" {
	only_on_kernel 7.0 'batches'
	make_image a.img 32M
	several_queues -t loop -f a.img --data-path copy --batch on
	several_queues -t loop -f a.img --direct off --batch on
}

@test "zero-copy: no race between the queues" {
	only_on_kernel 6.16 'automatic registration of buffers'
	make_image a.img 32M
	several_queues -t loop -f a.img --direct off
}

@test "several threads to a queue: no race between them" {
	only_on_kernel 6.16 'several threads to a queue'
	make_image a.img 32M
	several_queues -t loop -f a.img --data-path copy --threads 8 --poll-us 100
	several_queues -t loop -f a.img --direct off --threads 8
}
