# SPDX-License-Identifier: MIT
# What the server of an image has in memory: within its limit, and when librbd has allocated and freed much. A sanitizer
# keeps what is freed.
# kernels: newest
# long kernels: 6.12
# cpus: 2
# no sanitizers

load helpers
load servers
load ceph

setup()
{
	device_setup
	requires fio
}

# status_of FIELD: of $server, KiB.
status_of()
{
	awk -v field="$1:" '$1 == field { print $2 }' "/proc/$server/status"
}

rests()
{
	[ "$(status_of RssAnon)" -lt 20480 ]
}

# bats test_tags=long
@test "what the library has allocated for much I/O goes back to the system when there is none" {
	ceph_up
	export CEPH_CONF=$ceph/ceph.conf
	rbd create --size 64M img
	dev=$(ublk add -n 0 -t rbd --image img)
	server=$(server_of "$dev")
	rests
	fio --name=much --filename="$dev" --rw=write --bs=512k --iodepth=128 --ioengine=libaio --direct=1 --size=64M \
		--loops=3 --output=much.out
	[ "$(status_of VmHWM)" -gt 65536 ]
	wait_for 20 rests
	ublk del 0
}

# load_it ARGS...: as much as the device takes at once.
load_it()
{
	fio --name=load --filename="$dev" --bs=512k --iodepth=128 --ioengine=libaio --direct=1 --size=64M --loops=2 \
		--output=load.out "$@"
}

# bats test_tags=long
@test "a device stays within its memory limit, the library and its copies counted" {
	ceph_up
	export CEPH_CONF=$ceph/ceph.conf
	rbd create --size 64M img
	# The library alone is more.
	run --separate-stderr -1 "$UBLK" add -t rbd --image img --memory-limit 20M
	[[ $stderr == *'bytes of memory (--memory-limit), and 20971520 are allowed'* ]] || { echo "$stderr"; false; }
	nothing_left
	dev=$("$UBLK" add -n 0 -t rbd --image img --memory-limit 80M 2>notes)
	grep 'to stay within --memory-limit' notes
	server=$(server_of "$dev")
	load_it --rw=write
	load_it --rw=read
	load_it --rw=randrw
	echo "$(status_of VmHWM) KiB at most"
	[ "$(status_of VmHWM)" -le $((80 * 1024)) ]
	ublk del 0
}
