# SPDX-License-Identifier: MIT
# Buffers in huge pages: planned, refused before anything is made when too few are free, taken at
# once, shown, and given back with the device.
# cpus: 2
# kernels: newest
# long kernels: 6.12
# build: faults

load helpers
load servers
load backings

setup()
{
	device_setup
	before=$(cat /proc/sys/vm/nr_hugepages)
	echo 40 >/proc/sys/vm/nr_hugepages
	at_end sh -c "echo $before >/proc/sys/vm/nr_hugepages"
	all=$(free_huge)
	[ "$all" -eq 40 ]
}

# Of 2 MiB each, those that are promised left out.
free_huge()
{
	awk '/^HugePages_Free/ { n += $2 } /^HugePages_Rsvd/ { n -= $2 } END { print n }' /proc/meminfo
}

all_are_free()
{
	[ "$(free_huge)" -eq "$all" ]
}

# holds_data DEV: a verified load of 512 KiB requests.
holds_data()
{
	fio --name=load --filename="$1" --rw=randwrite --bs=512k --iodepth=32 --ioengine=libaio \
		--direct=1 --size=32M --verify=crc32c --output=fio.log
}

# served_in_huge_pages BYTES ARGS...: the device has just these, from the start to its end, as planned.
served_in_huge_pages()
{
	local want=$1
	shift
	"$UBLK" add "$@" --huge-pages --dry-run --json >plan.json
	[ "$(jq -c '[.regions[] | select(.name == "buffers")] | [(map(.mapped) | add), (map(.page_size) | unique[])]' \
		plan.json)" = "[$want,$((2 << 20))]" ]
	grep -A 1 '"name":"huge-pages"' plan.json | grep -q "\"need\":$want,"
	dev=$(ublk add "$@" --huge-pages)
	[ "$(free_huge)" -eq $((all - want / (2 << 20))) ]
	[ "$(buffers_of "$dev" mapped)" -eq "$want" ]
	[ "$(buffers_of "$dev" resident)" -eq "$want" ]
	[ "$(detail "$dev" ".memory.resident >= $want and (.idle_buffers | startswith(\"kept-\"))")" = true ]
	holds_data "$dev"
	[ "$(free_huge)" -eq $((all - want / (2 << 20))) ]
	ublk del "$dev"
	wait_for 5 all_are_free
}

# bats test_tags=long
@test "buffers are in huge pages, on every path, alone and with the other options" {
	make_image a.img 32M
	served_in_huge_pages $((64 << 20)) -t loop -f a.img
	served_in_huge_pages $((8 << 20)) -t loop -f a.img -q 2 -d 5
	served_in_huge_pages $((32 << 20)) -t mem --size 32M -d 64
	served_in_huge_pages $((64 << 20)) -t loop -f a.img --data-path user-copy
	served_in_huge_pages $((4 << 20)) -t loop -f a.img -d 5 --data-path user-copy
	served_in_huge_pages $((2 << 20)) -t loop -f a.img -d 1 --data-path user-copy
	served_in_huge_pages $((8 << 20)) -t loop -f a.img --buffer-memory 9M
	served_in_huge_pages $((8 << 20)) -t loop -f a.img --data-path get-data --buffer-memory 9M
	! kernel_at_least 7.0 ||
		served_in_huge_pages $((8 << 20)) -t loop -f a.img -d 16 --data-path copy --batch on
	served_in_huge_pages $((8 << 20)) -t loop -f a.img -q 2 --buffer-memory 8M --mlock
	served_in_huge_pages $((16 << 20)) -t loop -f a.img -d 32 --mlock --numa-node 0
}

@test "too few free huge pages refuse the device before it is made" {
	run --separate-stderr "$UBLK" add -t null -q 2 --huge-pages
	[ "$status" -eq 1 ]
	[[ $stderr == *"needs 134217728 bytes of huge pages, and 83886080 are free; 128M of it is for buffers"* ]]
	[[ $stderr == *"hint: "*"vm.nr_hugepages"* ]]
	nothing_left
	[ "$("$UBLK" add -t null -q 2 --huge-pages --dry-run --json | jq .fits)" = false ]
	# Pages that may be added on demand count too.
	echo 40 >/proc/sys/vm/nr_overcommit_hugepages
	at_end sh -c 'echo 0 >/proc/sys/vm/nr_overcommit_hugepages'
	dev=$(ublk add -t null -q 2 --huge-pages)
	[ "$(buffers_of "$dev" resident)" -eq $((128 << 20)) ]
	ublk del "$dev"
	# Nobody asks us: the kernel refuses, and nothing stays.
	echo 0 >/proc/sys/vm/nr_overcommit_hugepages
	UBLK_FAULT=plan-bypass run --separate-stderr "$UBLK" add -t null -q 2 --huge-pages
	[ "$status" -eq 1 ]
	[[ $stderr == *"Cannot allocate memory"* ]]
	nothing_left
	wait_for 5 all_are_free
}

@test "what a control group refuses is refused at the start, not at a request" {
	grep -qw hugetlb /sys/fs/cgroup/cgroup.controllers
	grep -qw hugetlb /sys/fs/cgroup/cgroup.subtree_control ||
		echo +hugetlb >/sys/fs/cgroup/cgroup.subtree_control
	mkdir /sys/fs/cgroup/few
	at_end rmdir /sys/fs/cgroup/few
	echo 8M >/sys/fs/cgroup/few/hugetlb.2MB.max
	in_group() { (echo 0 >/sys/fs/cgroup/few/cgroup.procs && exec "$@"); }
	run --separate-stderr in_group "$UBLK" add --stay -t null --huge-pages
	[ "$status" -eq 1 ]
	[[ $stderr == *"cannot take the huge pages of queue 0"* ]]
	nothing_left
	wait_for 5 all_are_free
	run -0 in_group "$UBLK" add --stay -t null -d 16 --huge-pages
	ublk del 0
}

@test "what makes no sense with huge pages is refused" {
	run --separate-stderr "$UBLK" add -t mem --size 8M --data-path user-copy --huge-pages
	[ "$status" -eq 2 ]
	[[ $stderr == *"--huge-pages is for buffers, and target mem has none on path user-copy"* ]]
	run --separate-stderr "$UBLK" add -t null -q 2 --buffer-memory 3M --huge-pages
	[ "$status" -eq 2 ]
	[[ $stderr == *"--buffer-memory 3145728 is too little: in pages of 2097152 bytes"* ]]
	nothing_left
}

@test "a failure at any step of taking them leaves nothing, and a recovery takes them again" {
	make_image a.img 32M
	for step in huge huge-touch mbind; do
		UBLK_FAULT=$step:ENOMEM run "$UBLK" add -t loop -f a.img --huge-pages --numa-node 0
		[ "$status" -eq 1 ]
		nothing_left
		wait_for 5 all_are_free
	done
	dev=$(ublk add -t loop -f a.img --huge-pages)
	park "$dev"
	ublk recover "$dev"
	[ "$(buffers_of "$dev" resident)" -eq $((64 << 20)) ]
	holds_data "$dev"
	ublk del "$dev"
}
