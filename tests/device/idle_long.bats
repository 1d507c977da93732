# SPDX-License-Identifier: MIT
# What idle devices cost others: nothing. As the kernel's own trace shows it.
# kernels: 6.12 newest
# no sanitizers
# minutes: 20
# long

load helpers
load backings

setup()
{
	device_setup
}

DEVICES=100
TRACING=/sys/kernel/tracing

# Threads of servers that run, work that the kernel does for them, and timers that are set on their
# behalf.
start_trace()
{
	local event
	echo 0 >$TRACING/tracing_on
	echo 'next_comm ~ "ublk*" || next_comm ~ "iou-*"' >$TRACING/events/sched/sched_switch/filter
	for event in sched/sched_switch workqueue/workqueue_execute_start timer/timer_start \
		timer/hrtimer_start; do
		echo 1 >"$TRACING/events/$event/enable"
	done
	echo >$TRACING/trace
	echo 1 >$TRACING/tracing_on
}

# end_trace: prints what is about devices of ours.
end_trace()
{
	echo 0 >$TRACING/tracing_on
	grep -E 'sched_switch|ublk|io_uring|io_timeout' $TRACING/trace | grep -v '^#' || true
	echo >$TRACING/trace
}

@test "a hundred idle devices wake nobody in a minute" {
	fs_on "$(make_ram_disk 512)" ext4 e
	# Before Linux 6.15 so many need leave.
	echo 200 >/sys/module/ublk_drv/parameters/ublks_max
	for ((i = 0; i < DEVICES; i++)); do
		truncate -s 4M "e/$i"
		case $((i % 4)) in
		0) ublk add -n "$i" -t loop -f "e/$i" ;;
		1) ublk add -n "$i" -t loop -f "e/$i" --data-path user-copy ;;
		2) ublk add -n "$i" -t mem --size 4M ;;
		3) ublk add -n "$i" -t loop -f "e/$i" --poll-us 100 ;;
		esac
	done >/dev/null
	for ((i = 0; i < DEVICES; i++)); do
		dd if=/dev/urandom of="/dev/ublkb$i" bs=64k count=16 oflag=direct status=none
	done
	udevadm settle
	# Longer than a queue keeps the memory that it does not use.
	sleep 15
	start_trace
	sleep 60
	end_trace >idle
	[ ! -s idle ] || { sort -k 5 idle | head -n 20; false; }
	# It would have been seen.
	start_trace
	dd if=/dev/ublkb7 of=/dev/null bs=4k count=1 iflag=direct status=none
	end_trace >busy
	grep -q 'next_comm=ublk7-q0' busy
	ublk del --all
}
