# SPDX-License-Identifier: MIT
# What some kernels must not be asked, because they crash, hang or lose data by it, is not asked.
# cpus: 2
# kernels: 6.12 newest
# long kernels: 6.18 7.2

load helpers
load servers

TRACING=/sys/kernel/tracing

# trace: from here on the driver's commands are noted. In struct io_uring_cmd the second pointer is
# the SQE; in that, cmd_op is at 8, and struct ublksrv_ctrl_cmd at 48: dev_id, addr at 8, data at 16.
trace()
{
	at_end untrace
	echo >"$TRACING/trace"
	echo 'p:ublk_test ublk_drv:ublk_ctrl_uring_cmd op=+8(+8(%di)):u8 id=+48(+8(%di)):s32 data=+64(+8(%di)):u64 state=+u4(+56(+8(%di))):u16 pid=+u16(+56(+8(%di))):s32 flags=+u24(+56(+8(%di))):x64 r1=+u48(+56(+8(%di))):u64 r2=+u56(+56(+8(%di))):u64' \
		>"$TRACING/kprobe_events"
	echo 1 >"$TRACING/events/kprobes/ublk_test/enable"
	echo 1 >"$TRACING/tracing_on"
}

untrace()
{
	[[ -d $TRACING/events/kprobes/ublk_test ]] || return 0
	echo 0 >"$TRACING/events/kprobes/ublk_test/enable"
	echo >"$TRACING/kprobe_events"
}

# commands: what was noted, each once that came twice (first without blocking, then by a worker):
# OP ID DATA STATE PID FLAGS R1 R2.
commands()
{
	sed -n 's/.* op=\([0-9]*\) id=\([-0-9]*\) data=\([0-9]*\) state=\([^ ]*\) pid=\([^ ]*\) flags=\([^ ]*\) r1=\([^ ]*\) r2=\([^ ]*\).*/\1 \2 \3 \4 \5 \6 \7 \8/p' \
		"$TRACING/trace" | uniq
}

# The numbers of the commands.
ADD=4 DEL=5 START=6 STOP=7 END_RECOVERY=17 UPDATE_SIZE=21 TRY_STOP=23

# kill_and_recover DEV
kill_and_recover()
{
	park "$1"
	ublk recover "$1"
}

@test "ADD_DEV gets a struct whose state, pid and reserved fields are zero" {
	trace
	dev=$(ublk add -t null)
	commands >seen
	cat seen
	grep -q "^$ADD " seen
	run -1 grep "^$ADD " <(grep -v "^$ADD [-0-9]* [0-9]* 0 0 0x[0-9a-f]* 0 0\$" seen)
	ublk del "$dev"
}

@test "a stopped device is never started again, but made anew" {
	trace
	make_image a.img 16M
	for ((i = 0; i < 2; i++)); do
		ublk add -n 0 -t loop -f a.img >/dev/null
		kill_and_recover /dev/ublkb0 >/dev/null
		ublk del 0
		dev=$(ublk add -n 0 -t null)
		kill -TERM "$(server_of "$dev")"
		wait_for 10 nothing_left
	done
	commands >seen
	cat seen
	grep -q "^$START 0" seen
	awk -v start=$START -v stop=$STOP -v try=$TRY_STOP -v del=$DEL '
		$1 == stop || $1 == try { stopped = 1 }
		$1 == 5 || $1 == 20 { stopped = 0 }
		$1 == start && stopped { bad = 1; print "started again:", $0 }
		END { exit bad }' seen
}

@test "UPDATE_SIZE is not sent in a device's life from add to del" {
	trace
	dev=$(ublk add -t null)
	ublk list >/dev/null
	ublk show "$dev" >/dev/null
	kill_and_recover "$dev" >/dev/null
	ublk del "$dev"
	commands >seen
	run -1 grep "^$UPDATE_SIZE " seen
}

@test "the pid that a device is started and recovered with is the one that has its node open" {
	trace
	dev=$(ublk add -t null)
	first=$(server_of "$dev")
	[ -n "$(find "/proc/$first/fd" -lname /dev/ublkc0)" ]
	[ "$(commands | awk -v op=$START '$1 == op { print $3 }' | sort -u)" = "$first" ]
	kill_and_recover "$dev" >/dev/null
	second=$(server_of "$dev")
	[ -n "$(find "/proc/$second/fd" -lname /dev/ublkc0)" ]
	[ "$(commands | awk -v op=$END_RECOVERY '$1 == op { print $3 }' | sort -u)" = "$second" ]
	ublk del "$dev"
}

@test "descriptors are mapped read-only" {
	dev=$(ublk add -t null -q 2)
	grep /dev/ublkc0 "/proc/$(server_of "$dev")/maps" >maps
	cat maps
	[ "$(wc -l <maps)" -eq 2 ]
	run -1 grep -v ' r--s ' maps
	ublk del "$dev"
}

@test "a file that has become shorter gives errors, never a part of a request" {
	make_image a.img 8M
	dev=$(ublk add -t loop -f a.img --direct off)
	truncate -s $((6 * 1048576 + 65536)) a.img
	dd if="$dev" of=/dev/null bs=256K count=1 skip=23 iflag=direct status=none
	for skip in 24 25 31; do
		run dd if="$dev" of=part bs=256K count=1 skip=$skip iflag=direct status=none
		[[ $status -ne 0 && ! -s part ]] || { echo "request $skip"; return 1; }
	done
	ublk del "$dev"
}

@test "a file system that fills up gives errors, and what was written before them is all there" {
	mkdir m
	mount -t tmpfs -o size=5100k tmpfs m
	at_end unmount "$PWD/m"
	make_image m/a.img 16M
	dd if=/dev/urandom of=data bs=1M count=16 status=none
	dev=$(ublk add -t loop -f m/a.img --direct off -b 512K)
	good=0
	for ((i = 0; i < 32; i++)); do
		if dd if=data of="$dev" bs=512K count=1 skip=$i seek=$i oflag=direct status=none 2>/dev/null; then
			((++good))
			cmp -n 524288 -i $((i * 524288)) data "$dev" || { echo "request $i"; return 1; }
		fi
	done
	[ "$good" -ge 8 ]
	[ "$good" -lt 12 ]
	ublk del "$dev"
}

# move_out_of_cgroup: so that it can go.
move_out_of_cgroup()
{
	local pid
	echo max >"$cgroup/memory.max"
	while read -r pid; do
		echo "$pid" >/sys/fs/cgroup/cgroup.procs
	done <"$cgroup/cgroup.procs"
	rmdir "$cgroup"
}

@test "a server at its cgroup's memory limit loses nothing: requests wait, fail or succeed whole" {
	disk=$(make_ram_disk 64)
	cgroup=/sys/fs/cgroup/ublk-test
	echo +memory >/sys/fs/cgroup/cgroup.subtree_control
	mkdir "$cgroup"
	at_end move_out_of_cgroup
	dd if=/dev/urandom of=data bs=1M count=32 status=none
	dev=$(ublk add -t loop -f "$disk" -b 1M -d 16 --no-partition-scan --data-path copy)
	server=$(server_of "$dev")
	[ "$(<"/proc/$server/oom_score_adj")" -eq -999 ]
	echo "$server" >"$cgroup/cgroup.procs"
	# Less than one of its buffers, none of which has been touched.
	echo 700K >"$cgroup/memory.max"
	dd if=data of="$dev" bs=1M oflag=direct status=none 2>dd.err &
	writer=$!
	wait_for 60 ended_or_without_server "$writer" "$dev"
	grep -q '^max [1-9]' "$cgroup/memory.events"
	cat "$cgroup/memory.events"
	if is_state "$dev" quiesced; then
		ublk recover "$dev"
	fi
	status=0
	wait "$writer" || status=$?
	if [ "$status" -eq 0 ]; then
		cmp -n $((32 << 20)) data "$dev"
	else
		grep -q 'Input/output error' dd.err
	fi
	ublk del "$dev"
}

ended_or_without_server()
{
	is_gone "$1" || is_state "$2" quiesced
}
