# SPDX-License-Identifier: MIT
# The plan of a device's memory against what the device then has, and against what the kernel
# charges to who may not lock at will. The sanitizers' own memory would be measured.
# kernels: newest
# long kernels: 6.12 6.18
# build: faults
# no sanitizers

# shellcheck disable=SC2030,SC2031,SC2154 # bats sets status and stderr

load helpers
load servers
load backings

# What differs between plan.json and show.json, by all that a test states. One program for all of it,
# since jq takes long to start on an emulated processor.
DIFFERENCES='
	def sums(key): map(select(.name != "program")) | group_by(.name) |
		map({(.[0].name): (map(.[key]) | add)}) | add;
	def of(name; key): map(select(.name == name) | .[key]) | add // 0;
	$plan[0].regions as $planned | $show[0].devices[0] as $device | $device.regions as $live |
	# No address leads to the table of a ring, so that nobody sees it in the process.
	($planned | map(select(.mapped > 0))) as $seen |
	[
		(("mapped", "locked") as $key | [$key, ($seen | sums($key)), ($live | sums($key))] |
			select(.[1] != .[2])),
		# The plan stands beside it, made again with what was granted: here the same.
		(("mapped", "start", "most", "locked", "pinned", "charged") as $key |
			["plan", $key, ($planned | sums($key)),
			($device.plan | map(select(.most > 0 or .mapped > 0)) | sums($key))] |
			select(.[2] != .[3])),
		(("descriptors", "rings", "state", "stats", "stacks", "buffers", "target", "program") as $name |
			[$name, ($planned | of($name; "start")), ($live | of($name; "resident")),
			($planned | of($name; "most"))] |
			select((.[0] != "program" and .[1] > .[2]) or .[2] > .[3])),
		(["program", "mapped", ($live | of("program"; "mapped")),
			($planned | of("program"; "mapped"))] | select(.[2] > .[3])),
		(["pinned", ($planned | map(.pinned) | add), $device.memory.pinned] |
			select(.[1] != .[2]))
	]'

# agree ARGS...: adds a device as planned, loads it, and compares.
agree()
{
	local dev
	"$UBLK" add "$@" --dry-run --json >plan.json
	dev=$(ublk add "$@")
	dd if=/dev/zero of="$dev" bs=64K count=16 oflag=direct status=none
	ublk show --json "$dev" >show.json
	run -0 jq -cn --slurpfile plan plan.json --slurpfile show show.json "$DIFFERENCES"
	[ "$output" = '[]' ] || { echo "$*: $output"; return 1; }
	ublk del "$dev"
}

@test "a device has what was planned: mapped to the byte, resident between start and most" {
	make_image a.img 16M
	agree -t loop -f a.img --data-path copy
	agree -t loop -f a.img --direct off
	agree -t loop -f a.img -q 2 -d 100 --max-io 64K
	agree -t mem --size 8M -d 1 --max-io 4K
	agree -t loop -f a.img -q 2 --buffer-memory 1M
	agree -t loop -f a.img -q 2 --data-path get-data
	agree -t mem --size 8M --data-path get-data --buffer-memory 1M
	! kernel_at_least 7.0 || agree -t loop -f a.img -q 2 -d 300 --data-path copy --batch on
	! kernel_at_least 7.0 || agree -t loop -f a.img -d 16 --direct off --batch on
	! kernel_at_least 7.0 || agree -t loop -f a.img -q 2 --data-path user-copy --batch on
	agree -t mem --size 8M --data-path user-copy
	agree -t loop -f a.img -d 16 --mlock
	agree -t loop -f a.img -q 2 --mlock --buffer-memory 2M
	agree -t mem --size 8M -d 16 --mlock
	agree -t null -d 1024 --max-io 1M
}

@test "in huge pages and on a node that was asked for, a device has what was planned" {
	make_image a.img 16M
	echo 16 >/proc/sys/vm/nr_hugepages
	at_end sh -c 'echo 0 >/proc/sys/vm/nr_hugepages'
	agree -t loop -f a.img -d 16 --data-path copy --huge-pages --numa-node 0
	agree -t loop -f a.img -q 2 --data-path get-data --buffer-memory 8M --huge-pages --mlock
}

# bound LIMIT CMD...: as root who may not lock more than LIMIT bytes, nor raise that.
bound()
{
	prlimit --memlock="$1" setpriv --bounding-set=-ipc_lock,-sys_resource \
		--inh-caps=-ipc_lock,-sys_resource "${@:2}"
}

# charged_as_planned ARGS...: what the plan says passes, and is what is told of the device; one page
# less is refused by us, and, when nobody asks us, by the kernel. What a failed add was charged is
# given back.
charged_as_planned()
{
	local need less
	need=$(bound unlimited "$UBLK" add "$@" --dry-run --json | jq .total.charged)
	echo "$need bytes for $*"
	run -0 bound "$need:$need" "$UBLK" add "$@"
	# Beside what is told, two rings for commands: of the server, and of an errand that is over.
	[ "$(detail 0 .memory.charged)" -eq $((need > 0 ? need - 8192 : 0)) ]
	ublk del 0
	# The kernels that are known to charge rings.
	! kernel_at_least 6.14 || kernel_at_least 7.2 || [ "$need" -gt 0 ]
	[ "$need" -gt 0 ] || return 0
	less=$((need - 4096))
	run --separate-stderr bound "$less:$less" "$UBLK" add "$@"
	[ "$status" -eq 1 ]
	[[ $stderr == *"needs $need bytes of locked memory"*"and $less are allowed"*"for rings"* ]]
	nothing_left
	UBLK_FAULT=plan-bypass run --separate-stderr bound "$less:$less" "$UBLK" add "$@"
	[ "$status" -eq 1 ]
	[[ $stderr == *"Cannot allocate memory"* ]]
	nothing_left
	UBLK_FAULT=map:ENOMEM run --separate-stderr bound "$need:$need" "$UBLK" add "$@"
	[ "$status" -eq 1 ]
	# The soft limit is raised as far as it takes.
	run --separate-stderr -0 bound "$less:$need" "$UBLK" add "$@"
	[[ $stderr == *"limit of locked memory was raised"*"within what is allowed"* ]]
	ublk del 0
}

# bats test_tags=long
@test "the kernel charges what was planned, to the page, on every path" {
	make_image a.img 1M
	charged_as_planned -t null
	charged_as_planned -t null --data-path user-copy
	charged_as_planned -t null -q 2 -d 512 --data-path get-data
	! kernel_at_least 6.16 || charged_as_planned -t loop -f a.img --direct off --data-path zero-copy
	! kernel_at_least 7.0 || charged_as_planned -t null -q 2 --data-path copy --batch on
}

@test "who may raise the limit himself has it raised" {
	need=$(bound unlimited "$UBLK" add -t null -d 16 --mlock --dry-run --json | jq .total.charged)
	raising() { prlimit --memlock=65536:65536 setpriv --bounding-set=-ipc_lock --inh-caps=-ipc_lock "$@"; }
	run --separate-stderr -0 raising "$UBLK" add -t null -d 16 --mlock
	[[ $stderr == *"limit of locked memory was raised to "*", above the hard limit (CAP_SYS_RESOURCE)"* ]]
	[ "$(prlimit --pid "$(servers)" --memlock --noheadings --raw --output HARD)" -eq "$need" ]
	ublk del 0
}

@test "without CAP_IPC_LOCK, --mlock is planned or refused, and keeps its memory" {
	need=$(bound unlimited "$UBLK" add -t null -d 16 --mlock --dry-run --json | jq .total.charged)
	run -0 bound "$need:$need" "$UBLK" add -t null -d 16 --mlock
	[ "$(detail 0 '.memory.locked > 8388608 and .memory.charged >= .memory.locked')" = true ]
	dd if=/dev/ublkb0 of=/dev/null bs=512K count=16 iflag=direct status=none
	ublk del 0
	run --separate-stderr bound $((need - 4096)) "$UBLK" add -t null -d 16 --mlock
	[ "$status" -eq 1 ]
	[[ $stderr == *"needs $need bytes of locked memory"*"8M of it is for buffers"* ]]
	nothing_left
	UBLK_FAULT=plan-bypass run --separate-stderr bound $((8 << 20)) "$UBLK" add -t null -d 16 --mlock
	[ "$status" -eq 1 ]
	[[ $stderr == *"cannot lock the server's memory: Cannot allocate memory"* ]]
	nothing_left
}

@test "what is locked has to be free on the machine: others would be killed for it" {
	run -1 --separate-stderr ublk add -t mem --size 64G --mlock
	[[ $stderr == *"bytes of the machine's memory that is locked (--mlock), and "*" are free; 64G of it is for target"* ]]
	[[ $stderr == *"hint: ask for less, or leave --mlock out"* ]]
	nothing_left
	ublk add -t mem --size 64G --mlock --dry-run --json >plan.json || [ $? -eq 1 ]
	[ "$(jq '.limits[] | select(.name == "machine") | .need > 68719476736 and .have < .need and (.fits | not)' plan.json)" = true ]
	# It is taken as it is written.
	ublk add -t mem --size 64G
	ublk del 0
}

@test "who may lock at will needs no limit" {
	run -0 prlimit --memlock=0:0 "$UBLK" add -t null -q 2
	ublk del 0
	[ "$("$UBLK" add -t null -q 2 --dry-run --json | jq .total.charged)" -eq 0 ]
}

@test "a device stays within its memory limit, and one that cannot is refused" {
	make_image a.img 64M
	run --separate-stderr -0 "$UBLK" add -t loop -f a.img --memory-limit 8M
	[[ $stderr == *"note: data path user-copy, with "* ]]
	fio --filename=/dev/ublkb0 --name=load --rw=write --bs=512k --iodepth=64 --ioengine=libaio \
		--direct=1 --size=64M --output=fio.log
	[ "$(detail 0 .memory.resident)" -le $((8 << 20)) ]
	ublk del 0
	run --separate-stderr "$UBLK" add -t loop -f a.img --memory-limit 8M --data-path copy
	[ "$status" -eq 1 ]
	[[ $stderr == *"bytes of memory (--memory-limit), and 8388608 are allowed; 64M of it is for buffers"* ]]
	[[ $stderr == *'or allow more: --memory-limit SIZE'* && $stderr != *ulimit* ]]
	nothing_left
}

@test "a plan over the control group's limit is refused, with need and have" {
	mkdir /sys/fs/cgroup/small
	at_end rmdir /sys/fs/cgroup/small
	grep -qw memory /sys/fs/cgroup/cgroup.subtree_control ||
		echo +memory >/sys/fs/cgroup/cgroup.subtree_control
	echo 32M >/sys/fs/cgroup/small/memory.max
	in_group() { (echo 0 >/sys/fs/cgroup/small/cgroup.procs && exec "$@"); }
	run --separate-stderr in_group "$UBLK" add --stay -t null
	[ "$status" -eq 1 ]
	[[ $stderr == *"bytes of memory of the control group (memory.max), and 33554432 are allowed; 64M of it is for buffers"* ]]
	[[ $stderr == *"hint: "*"--depth"* ]]
	nothing_left
	run -0 in_group "$UBLK" add --stay -t null -d 32
	ublk del 0
	# It holds for who stays.
	run -0 in_group "$UBLK" add -t null
	ublk del 0
	# But where requests wait for a server, the kernel has the last word.
	ublk add -t null
	park 0
	run -0 --separate-stderr in_group "$UBLK" recover --stay 0
	[[ $stderr == "ublk: note: it may not get what it needs: "*" bytes of memory of the control group (memory.max), and 33554432 are allowed" ]]
	ublk del 0
}
