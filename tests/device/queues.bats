# SPDX-License-Identifier: MIT
# Several queues: a thread each, with a name, on the CPUs whose requests the kernel sends there.
# kernels: newest
# long kernels: 6.12
# cpus: 4

load helpers
load servers

# cpus_in LIST: "0-2,5" or "0, 1" as one number a line, sorted.
cpus_in()
{
	local part
	for part in ${1//,/ }; do
		seq "${part%-*}" "${part#*-}"
	done | sort -n
}

# thread_of PID NAME: the folder in /proc.
thread_of()
{
	grep -lx "$2" "/proc/$1/task"/*/comm | xargs dirname
}

@test "each queue has a thread that is named for it and runs on the queue's CPUs" {
	dev=$(ublk add -n 2 -t null -q 4)
	server=$(server_of "$dev")
	[ "$(cat "/proc/$server/task"/*/comm | grep -v '^iou-' | sort | xargs)" = "ublk-server ublk2-q0 ublk2-q1 ublk2-q2 ublk2-q3" ]
	for q in 0 1 2 3; do
		task=$(thread_of "$server" "ublk2-q$q")
		allowed=$(sed -n 's/^Cpus_allowed_list:[[:space:]]*//p' "$task/status")
		[ "$(cpus_in "$allowed")" = "$(cpus_in "$(<"/sys/block/ublkb2/mq/$q/cpu_list")")" ] ||
			{ echo "queue $q: $allowed, $(<"/sys/block/ublkb2/mq/$q/cpu_list")"; return 1; }
	done
	ublk del "$dev"
}

@test "with fewer queues than CPUs a thread may run on all that are its queue's" {
	dev=$(ublk add -n 0 -t null -q 2)
	server=$(server_of "$dev")
	seen=
	for q in 0 1; do
		task=$(thread_of "$server" "ublk0-q$q")
		allowed=$(sed -n 's/^Cpus_allowed_list:[[:space:]]*//p' "$task/status")
		[ "$(cpus_in "$allowed")" = "$(cpus_in "$(<"/sys/block/ublkb0/mq/$q/cpu_list")")" ]
		[ "$(cpus_in "$allowed" | wc -l)" -eq 2 ]
		seen+=" $(cpus_in "$allowed" | xargs)"
	done
	[ "$(tr ' ' '\n' <<<"$seen" | sort -n | xargs)" = "0 1 2 3" ]
	ublk del "$dev"
}

@test "more queues than CPUs are granted as many as there are, with a note" {
	run -0 --separate-stderr ublk add -t null -q 16
	[[ $stderr == *"16 queues asked for, 4 granted"* ]]
	[ "$(ublk list --json | jq '.devices[0].queues')" -eq 4 ]
	ublk del "$output"
}

@test "a cpuset that leaves out a queue's CPUs does not keep the device from working" {
	run -0 taskset -c 0 "$UBLK" add -t null -q 4
	for cpu in 0 1 2 3; do
		taskset -c "$cpu" dd if="$output" of=/dev/null bs=4096 count=4 iflag=direct status=none
	done
	ublk del "$output"
}

@test "what is written by all queues at once is read back" {
	dev=$(ublk add -t mem --size 32M -q 4)
	fio_verify "$dev" --size=4M --numjobs=4 --offset_increment=4M
	ublk del "$dev"
}

@test "a server with four queues that dies in the middle of writes is recovered with all of them" {
	make_image a.img 16M
	dev=$(ublk add -t loop -f a.img -q 4)
	pid=$(server_of "$dev")
	start_verified "$dev" 4096 --numjobs=4 --offset_increment=4M
	writes_on "$dev"
	kill -KILL "$pid"
	wait_for 10 is_gone "$pid"
	ublk recover "$dev"
	end_verified "$dev" 16384
	[ "$(find "/proc/$(server_of "$dev")/task" -mindepth 1 -maxdepth 1 | wc -l)" -ge 5 ]
	ublk del "$dev"
}
