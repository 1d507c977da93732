# SPDX-License-Identifier: MIT
# The plan of a device's memory against what the device then has, and against what the kernel
# charges to who may not lock at will. The sanitizers' own memory would be measured.
# kernels: 6.12 6.18 newest
# build: faults
# no sanitizers

# shellcheck disable=SC2030,SC2031,SC2154 # bats sets status and stderr

load helpers
load servers
load backings

setup()
{
	device_setup
}

teardown()
{
	device_teardown
}

# sums FILE LIST KEY: bytes by name of region, the program's left out.
sums()
{
	jq -c "$2 | map(select(.name != \"program\")) | group_by(.name) |
		map({(.[0].name): (map(.$3) | add)}) | add" "$1"
}

# agree ARGS...: adds a device as planned, loads it, and compares.
agree()
{
	local dev regions='.devices[0].regions' name key
	# No address leads to the ring's table, so that nobody sees it in the process.
	local seen='(.regions | map(select(.mapped > 0)))'
	"$UBLK" add "$@" --dry-run --json >plan.json
	dev=$(ublk add "$@")
	dd if=/dev/zero of="$dev" bs=64K count=16 oflag=direct status=none
	ublk show --json "$dev" >show.json
	[ "$(sums plan.json "$seen" mapped)" = "$(sums show.json "$regions" mapped)" ]
	[ "$(sums plan.json "$seen" locked)" = "$(sums show.json "$regions" locked)" ]
	# The plan stands beside it, made again with what was granted: here the same.
	for key in mapped start most locked pinned charged; do
		[ "$(sums plan.json .regions "$key")" = \
			"$(sums show.json '(.devices[0].plan | map(select(.most > 0 or .mapped > 0)))' "$key")" ]
	done
	for name in descriptors rings state stacks buffers target program; do
		jq -en --arg name "$name" --slurpfile plan plan.json --slurpfile show show.json '
			def sum(key): map(select(.name == $name) | .[key]) | add // 0;
			($plan[0].regions | sum("most")) as $most |
			($plan[0].regions | sum("start")) as $start |
			($show[0].devices[0].regions | sum("resident")) as $resident |
			($name == "program" or $resident >= $start) and $resident <= $most' >/dev/null ||
			{ echo "$name:"; cat plan.json show.json; return 1; }
	done
	[ "$(jq '.regions[] | select(.name == "program") | .mapped' plan.json)" -ge \
		"$(jq "${regions}[] | select(.name == \"program\") | .mapped" show.json)" ]
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
	agree -t mem --size 8M --data-path user-copy
	agree -t loop -f a.img -d 16 --mlock
	agree -t loop -f a.img -q 2 --mlock --buffer-memory 2M
	agree -t mem --size 8M -d 16 --mlock
	agree -t null -d 1024 --max-io 1M
}

# bound LIMIT CMD...: as root who may not lock more than LIMIT bytes.
bound()
{
	prlimit --memlock="$1" setpriv --bounding-set=-ipc_lock --inh-caps=-ipc_lock "${@:2}"
}

# charged_as_planned ARGS...: what the plan says passes; one page less is refused by us, and, when
# nobody asks us, by the kernel.
charged_as_planned()
{
	local need less
	need=$(bound unlimited "$UBLK" add "$@" --dry-run --json | jq .total.charged)
	run -0 bound "$need:$need" "$UBLK" add "$@"
	ublk del 0
	# Rings of this very user that were just closed are uncharged a little later, without an event.
	sleep 1
	# The kernel that is known to charge rings.
	! kernel_at_least 6.14 || kernel_at_least 7.2 || [ "$need" -gt 0 ]
	[ "$need" -gt 0 ] || return 0
	less=$((need - 4096))
	run --separate-stderr bound "$less:$less" "$UBLK" add "$@"
	[ "$status" -eq 1 ]
	[[ $stderr == *"needs $need bytes of locked memory"*"and $less are allowed"*"for rings"* ]]
	nothing_left
	sleep 1
	UBLK_FAULT=plan-bypass run --separate-stderr bound "$less:$less" "$UBLK" add "$@"
	[ "$status" -eq 1 ]
	[[ $stderr == *"Cannot allocate memory"* ]]
	nothing_left
	sleep 1
	# The soft limit is raised as far as it takes.
	run --separate-stderr -0 bound "$less:unlimited" "$UBLK" add "$@"
	[[ $stderr == *"limit of locked memory was raised"* ]]
	ublk del 0
}

@test "the kernel charges what was planned, to the page" {
	charged_as_planned -t null
	sleep 1
	charged_as_planned -t null -q 2 -d 512
	sleep 1
	! kernel_at_least 7.0 || charged_as_planned -t null -q 2 --batch on
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
	nothing_left
}

@test "a plan over the control group's limit is refused, with need and have" {
	mkdir /sys/fs/cgroup/small
	at_end rmdir /sys/fs/cgroup/small
	grep -qw memory /sys/fs/cgroup/cgroup.subtree_control ||
		echo +memory >/sys/fs/cgroup/cgroup.subtree_control
	echo 32M >/sys/fs/cgroup/small/memory.max
	in_group() { (echo 0 >/sys/fs/cgroup/small/cgroup.procs && exec "$@"); }
	run --separate-stderr in_group "$UBLK" add -t null
	[ "$status" -eq 1 ]
	[[ $stderr == *"bytes of memory of the control group (memory.max), and 33554432 are allowed; 64M of it is for buffers"* ]]
	[[ $stderr == *"hint: "*"--depth"* ]]
	nothing_left
	run -0 in_group "$UBLK" add -t null -d 32
	ublk del 0
}
