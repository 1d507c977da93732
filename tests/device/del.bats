# SPDX-License-Identifier: MIT
# Removing devices: in use, hung, parked, orphaned, and other programs'.
# kernels: newest
# long kernels: 6.12

load helpers
load servers

# refused DEV WORDS: del is refused with exit status 5, names the user, and changes nothing.
refused()
{
	run ublk del "$1"
	[[ $status -eq 5 && $output == *"in use"*"$2"* ]] || { printf '%s\n' "$status" "$output"; return 1; }
	[[ $(state_of "$1") == live ]] && read_block "$1"
}

@test "a mounted device is refused, with its mount point and the way out" {
	dev=$(ublk add -t mem --size 32M)
	fs_on "$dev" ext4 'm p'
	refused "$dev" "mounted on $PWD/m p"
	[[ $output == *"hint: umount "* ]]
	umount 'm p'
	ublk del "$dev"
}

@test "a device that is held open is refused, with the process that does" {
	dev=$(ublk add -t null)
	sleep 1000 7<"$dev" &
	sleeper=$!
	refused "$dev" "open by sleep ($sleeper)"
	end_job "$sleeper"
	ublk del "$dev"
}

@test "a device that is swapped on is refused" {
	dev=$(ublk add -t mem --size 32M)
	mkswap "$dev" >/dev/null
	swapon "$dev"
	at_end swapoff_if_on "$dev"
	refused "$dev" "used as swap"
	[[ $output == *"hint: swapoff $dev"* ]]
	swapoff "$dev"
	ublk del "$dev"
}

swapoff_if_on()
{
	! grep -q "^$1 " /proc/swaps || swapoff "$1"
}

@test "a device below a mapped one is refused, with the name of that" {
	dev=$(ublk add -t null --size 16M)
	map_disk above "0 32768 linear $dev 0"
	refused "$dev" "used by $(dmsetup info -c --noheadings -o blkdevname above), above"
	unmap_disk above
	ublk del "$dev"
}

@test "a device with a mounted partition is refused" {
	dev=$(ublk add -t mem --size 64M)
	echo 'start=2048, size=65536' | sfdisk -q "$dev"
	wait_for 10 test -b "${dev}p1"
	fs_on "${dev}p1" ext4 m
	refused "$dev" "mounted on $PWD/m (${dev#/dev/}p1)"
	umount m
	ublk del "$dev"
}

@test "a device that is mounted in another mount namespace alone is refused" {
	dev=$(ublk add -t mem --size 32M)
	mkfs.ext4 -q "$dev"
	mkdir m
	unshare -m bash -c 'mount "$0" m && touch mounted && exec sleep 1000' "$dev" &
	holder=$!
	wait_for 20 test -e mounted
	run ublk del "$dev"
	[ "$status" -eq 5 ]
	[[ $output == *"in use"* ]]
	[ "$(state_of "$dev")" = live ]
	end_job "$holder"
	ublk del "$dev"
}

# mounted_elsewhere DEV: in a mount namespace that nobody else sees. Leaves the process in $holder.
mounted_elsewhere()
{
	mkfs.ext4 -q "$1"
	mkdir m
	unshare -m bash -c 'mount "$0" m && touch mounted && exec sleep 1000' "$1" &
	holder=$!
	wait_for 20 test -e mounted
}

# claimed DEV [CMD...]: del, run so, is refused, because somebody has claimed the device.
claimed()
{
	run "${@:2}" "$UBLK" del "$1"
	[[ $status -eq 5 && $output == *"in use"*"claimed by somebody"* ]] ||
		{ printf '%s\n' "$status" "$output"; return 1; }
}

@test "a parked device that is mounted in another mount namespace is refused, and lives on after recovery" {
	make_image a.img 32M
	dev=$(ublk add -t loop -f a.img)
	mounted_elsewhere "$dev"
	sync
	park "$dev"
	claimed "$dev"
	is_state "$dev" quiesced
	ublk recover "$dev"
	nsenter -t "$holder" -m sh -c 'echo hello >"$0" && sync -f "$0"' "$PWD/m/f"
	end_job "$holder"
	wait_for 10 ublk del "$dev"
	e2fsck -fp a.img
}

# pod CMD...: where processes, mounts and /dev are others, and of the devices there is only what
# makes and removes them.
pod()
{
	# shellcheck disable=SC2016 # for the other shell
	unshare -pf --kill-child --mount-proc -m --propagation private bash -c '
		mkdir /tmp/dev && cp -a /dev/ublk-control /dev/null /tmp/dev &&
		mount -t tmpfs none /dev && cp -a /tmp/dev/* /dev && rm -r /tmp/dev &&
		mount -t tmpfs none /run && exec "$@"' pod "$@"
}

@test "from a pod without the node, a device that is mounted outside is refused" {
	dev=$(ublk add -t mem --size 32M)
	mounted_elsewhere "$dev"
	claimed "$dev" pod
	is_state "$dev" live
	end_job "$holder"
	wait_for 10 ublk del "$dev"
}

@test "from a pod, a device that is open outside is refused" {
	dev=$(ublk add -t null)
	exec 7<"$dev"
	run pod "$UBLK" del "$dev" 7<&-
	[ "$status" -eq 5 ]
	[[ $output == *"perhaps open by processes that cannot be seen from here"* ]]
	read_block "$dev"
	exec 7<&-
	run -0 pod "$UBLK" del --force "$dev"
}

@test "from a pod, --all leaves the devices of others, living or parked, and takes them with --force" {
	make_image a.img 16M
	a=$(ublk add -t loop -f a.img)
	b=$(ublk add -t null)
	park "$a"
	run -0 pod "$UBLK" del --all
	[[ $output == *"${a#/dev/} is left alone"*"${b#/dev/} is left alone"* ]]
	is_state "$a" quiesced
	is_state "$b" live
	run -0 pod "$UBLK" del --all --force
	rm -f /run/ublk/[0-9]* /run/ublk/.index/*/*
}

@test "a device that an NVMe target exports is refused" {
	dev=$(ublk add -t null)
	modprobe nvmet
	subsystem=/sys/kernel/config/nvmet/subsystems/tests
	at_end end_nvmet
	mkdir "$subsystem" "$subsystem/namespaces/1"
	printf '%s' "$dev" >"$subsystem/namespaces/1/device_path"
	echo 1 >"$subsystem/namespaces/1/enable"
	refused "$dev" "used by nvmet, tests/1"
	end_nvmet
	ublk del "$dev"
}

end_nvmet()
{
	[[ ! -d $subsystem ]] || rmdir "$subsystem/namespaces/1" "$subsystem"
}

@test "a device that LIO exports is refused" {
	dev=$(ublk add -t null)
	modprobe target_core_mod
	modprobe target_core_iblock
	modprobe target_core_file
	for kind in iblock fileio; do
		store=/sys/kernel/config/target/core/${kind}_0
		at_end end_lio
		mkdir "$store" "$store/disk"
		printf 'udev_path=%s,fd_dev_name=%s,fd_dev_size=16777216' "$dev" "$dev" >"$store/disk/control"
		printf '%s' "$dev" >"$store/disk/udev_path"
		echo 1 >"$store/disk/enable"
		refused "$dev" "used by LIO, ${kind}_0/disk"
		end_lio
	done
	ublk del "$dev"
}

end_lio()
{
	[[ ! -d $store ]] || rmdir "$store/disk" "$store"
}

@test "del waits for udev to close the device, as long as it may" {
	dev=$(ublk add -t null)
	udev_has "$dev" 4
	run -0 ublk del "$dev"
	nothing_left
	dev=$(ublk add -t null)
	udev_has "$dev" 1000
	in_time 15 ublk del --timeout 5 "$dev"
	[ "$status" -eq 5 ] || { echo "$status $output"; false; }
	[[ $output == *"open by (udev-worker) ($worker)"* ]]
	end_job "$worker"
	ublk del "$dev"
}

@test "a suspended del leaves the device alone that has got the number meanwhile" {
	dev=$(ublk add -n 0 -t null)
	exec 7<"$dev"
	ublk_in_background del 0
	wait_for 10 is_started "$del"
	kill -STOP "$del"
	exec 7<&-
	wait_for 10 ublk del --if-exists 0
	make_image a.img 16M
	ublk add -n 0 -t loop -f a.img
	kill -CONT "$del"
	# Its helper, which was not suspended, may have seen the old one in use for too long; or it was suspended
	# before it had begun.
	status=0
	wait "$del" || status=$?
	[[ $status == [045] ]] || { echo "status $status"; false; }
	is_state 0 live
	read_block /dev/ublkb0
	[ "$(jq .id /run/ublk/0.json)" = 0 ]
	ublk del 0
}

@test "the number of a deleted device that is still open: add waits a little for it, and says why not" {
	dev=$(ublk add -n 0 -t null)
	exec 7<"$dev"
	run -0 ublk del --force "$dev"
	no_server
	[ ! -e /dev/ublkc0 ]
	run -5 ublk add -n 0 -t null
	[[ $output == *"the number stays taken until all who have the deleted one open have closed it"* ]]
	"$UBLK" add -n 0 -t null >added 2>&1 7<&- &
	added=$!
	wait_for 10 number_is_asked_for
	exec 7<&-
	wait "$added" || { cat added; false; }
	[[ $(<added) == "$dev" ]]
	ublk del 0
}

number_is_asked_for()
{
	[[ -n $(servers) ]]
}

# is_started PID: as far as to have a helper, or to be asleep.
is_started()
{
	[[ -n $(<"/proc/$1/task/$1/children") ]] || [[ $(<"/proc/$1/wchan") == *nanosleep* ]]
}

@test "--force takes a device from those who have it open, and says nothing" {
	dev=$(ublk add -t null)
	exec 7<"$dev"
	run -0 ublk del --force "$dev"
	[ ! -e "$dev" ]
	no_server
	run ! dd of=/dev/null bs=4096 count=1 skip=1000 status=none <&7
	exec 7<&-
	wait_for 5 nothing_left
}

@test "--force takes a mounted device, and the number is free after the unmount" {
	dev=$(ublk add -n 3 -t mem --size 32M)
	fs_on "$dev" ext4 m
	ublk del --force "$dev"
	[ ! -e "$dev" ]
	no_server
	umount m
	wait_for 5 nothing_left
	ublk add -n 3 -t null
	ublk del 3
}

@test "--async of an unused device, and it is gone soon" {
	dev=$(ublk add -t null)
	run -0 ublk del --async "$dev"
	[ -z "$output" ]
	wait_for 10 nothing_left
}

# in_time SECONDS CMD...: runs it as `run` does, and fails if its process is not gone by then.
in_time()
{
	local start seconds=$1
	shift
	now_us && start=$now_us
	run "$@"
	! is_over "$start" "$seconds" || { printf 'took %s us: %s\n' $((now_us - start)) "$output"; return 1; }
}

# stop_server DEV: it hangs. Sets `stopped`.
stop_server()
{
	stopped=$(server_of "$1")
	kill -STOP "$stopped"
	at_end let_go_on "$stopped"
	wait_for 5 is_stopped "$stopped"
}

let_go_on()
{
	kill -CONT "$1" 2>/dev/null || true
}

# hang DEV: with a request under way that its server has seen.
hang()
{
	stop_server "$1"
	dd if="$1" of=/dev/null bs=4096 count=1 iflag=direct status=none 2>/dev/null &
	reader=$!
	wait_for 10 in_flight "$1" 1
}

@test "a hung server: del ends in time with status 7, its process too, and --force removes all" {
	dev=$(ublk add -t null)
	hang "$dev"
	kill -KILL "$reader" || true
	in_time 20 ublk del --force --timeout 4 "$dev"
	[ "$status" -eq 0 ] || { echo "$output"; false; }
	wait_for 5 nothing_left
}

@test "a hung server without requests: del without force ends in time with status 7, and can be repeated" {
	dev=$(ublk add -t null)
	stop_server "$dev"
	in_time 15 ublk del --timeout 3 "$dev"
	[ "$status" -eq 7 ] || { echo "$output"; false; }
	[[ $output == *"$stopped"* && $output == *"--force"* ]]
	kill -CONT "$stopped"
	wait_for 10 is_gone "$stopped"
	run ublk del --if-exists "$dev"
	[ "$status" -eq 0 ] || { echo "$output"; false; }
}

@test "a hung server with requests: del without force ends in time with status 7, other devices live on" {
	make_slow_disk 16
	dev=$(ublk add -t loop -f "$slow")
	other=$(ublk add -t null)
	slow_down 60000
	dd if=/dev/zero of="$dev" bs=4096 count=1 oflag=direct status=none 2>/dev/null &
	wait_for 15 is_delayed
	# The device is held open by dd: only --force gets as far as to hang.
	in_time 10 ublk del --timeout 3 "$dev"
	[ "$status" -eq 5 ] || { echo "$output"; false; }
	ublk del --force --timeout 100 "$dev" &
	del=$!
	in_time 10 ublk add -t null
	[ "$status" -eq 0 ]
	in_time 10 ublk del "$output"
	[ "$status" -eq 0 ]
	in_time 10 ublk list
	[ "$status" -eq 0 ]
	read_block "$other"
	ublk del "$other"
	speed_up
	ends_with 0 "$del"
}

# deletes PID: the driver is about a deletion for one of its threads, and holds its lock.
deletes()
{
	cat "/proc/$1/task/"*/stack 2>/dev/null | grep -q 'ublk_remove\|ublk_stop_dev'
}

@test "a deletion that the driver has not come to in time is no deletion: status 7, and the device is there" {
	dev=$(ublk add -t null --recovery none)
	other=$(ublk add -t null)
	hang "$dev"
	"$TOP/tests/device/delete-live" 0 >deleted 3>&- &
	deleter=$!
	wait_for 20 deletes "$deleter"
	in_time 30 ublk del --async --timeout 2 "$other"
	[ "$status" -eq 7 ] || { echo "$output"; false; }
	[[ $output == "ublk: error: cannot remove ublkb1 in time: it is stopped, and the driver is busy with another deletion"* ]]
	is_state "$other" dead
	let_go_on "$stopped"
	ends_with 0 "$deleter"
	[ "$(cat deleted)" -eq 0 ]
	ublk del --if-exists "$other"
	wait_for 10 nothing_left
}

# bats test_tags=long
@test "a hung server holds up nobody else's device" {
	for ((i = 0; i < 40; i++)); do
		ublk add -n "$i" -t null >/dev/null
	done
	stop_server 1
	"$UBLK" del --timeout 60 --all >del.log 2>&1 &
	del=$!
	wait_for 40 only_left 1
	kill -0 "$del"
	kill -CONT "$stopped"
	ends_with 0 "$del"
	nothing_left
}

# only_left ID: of all devices.
only_left()
{
	[ "$(ublk list --json | jq -c '[.devices[].id]')" = "[$1]" ]
}

@test "what was written without a sync before is there after del" {
	make_image a.img 16M
	dev=$(ublk add -t loop -f a.img)
	dd if=/dev/urandom of=data bs=1M count=4 status=none
	dd if=data of="$dev" bs=1M status=none
	ublk del "$dev"
	cmp -n 4194304 data a.img
}

@test "a parked device: del answers the requests that wait with an error" {
	make_image a.img 16M
	dev=$(ublk add -t loop -f a.img)
	park "$dev"
	dd if=/dev/zero of="$dev" bs=4096 count=1 oflag=direct status=none 2>dd.err &
	writer=$!
	wait_for 10 is_waiting "$writer"
	in_time 30 ublk del --force "$dev"
	[ "$status" -eq 0 ] || { echo "$output"; false; }
	ends_with 1 "$writer"
	grep -q 'Input/output error' dd.err
	wait_for 5 nothing_left
}

@test "a parked device that nobody uses is deleted at once, and its file is free" {
	make_image a.img 16M
	dev=$(ublk add -t loop -f a.img)
	park "$dev"
	ublk del "$dev"
	nothing_left
	dev=$(ublk add -t loop -f a.img)
	ublk del "$dev"
}

@test "a device of another program is listed as such; --all leaves it while it lives, by number it goes" {
	dev=$(ublk add -t null)
	lose_record 0
	run -0 ublk list --json
	[ "$(jq -c '.devices[0] | [.managed, .state, .target]' <<<"$output")" = '[false,"live",null]' ]
	run -0 --separate-stderr ublk del --all
	[[ $stderr == *"left alone"* ]]
	[ "$(state_of "$dev")" = live ]
	ublk del "$dev"
	wait_for 5 nothing_left
}

@test "--all --force takes other programs' devices too" {
	ublk add -t null
	lose_record 0
	ublk add -t null
	ublk del --all --force
	wait_for 5 nothing_left
}

@test "many at once: those in use are refused in their order, with who uses them, and the others go" {
	for ((i = 0; i < 40; i++)); do
		ublk add -n "$i" -t mem --size 16M >/dev/null
	done
	mkfs.ext4 -q /dev/ublkb35
	mkdir m
	mount /dev/ublkb35 m
	at_end unmount "$PWD/m"
	sleep 1000 7</dev/ublkb2 &
	sleeper=$!
	run --separate-stderr ublk del --all --json
	[ "$status" -eq 1 ]
	[ "$(jq -c '[.deleted[].id] == [range(40)] - [2, 35]' <<<"$output")" = true ]
	[[ $(jq -r '.errors[0].message' <<<"$output") == *"ublkb2: it is in use: open by sleep ($sleeper)" ]]
	[[ $(jq -r '.errors[1].message' <<<"$output") == *"ublkb35: it is in use: mounted on $PWD/m ("* ]]
	[ "$(ublk list --json | jq -c '[.devices[].id]')" = '[2,35]' ]
	end_job "$sleeper"
	umount m
	run ublk del 2 7 35
	[ "$status" -eq 1 ]
	[[ $output == *'cannot find ublkb7'* ]]
	nothing_left
}

@test "a del that is killed between the stop and the deletion: the servers remove their devices" {
	for i in 0 1 2 3; do
		ublk add -n "$i" -t null --size 16M >/dev/null
		stop_server "$i"
		servers[i]=$stopped
	done
	"$UBLK" del --all &
	deleter=$!
	for i in 0 1 2 3; do
		wait_for 20 is_state "$i" dead
	done
	end_job "$deleter"
	for i in 0 1 2 3; do
		kill -CONT "${servers[i]}"
	done
	wait_for 20 nothing_left
}

@test "a record of another device under its number is not believed, and goes with neither" {
	dev=$(ublk add -t null)
	jq '.token = "0x3039"' /run/ublk/0.json >other.json
	cp other.json /run/ublk/0.json
	[ "$(ublk list --json | jq '.devices[0].managed')" = false ]
	ublk del "$dev"
	cmp other.json /run/ublk/0.json
	lose_record 0
}

@test "two del at once: the device goes, and nobody fails for another reason than that" {
	dev=$(ublk add -t null)
	ublk del "$dev" >one.log 2>&1 &
	one=$!
	ublk del "$dev" >two.log 2>&1 &
	two=$!
	a=0 b=0
	wait "$one" || a=$?
	wait "$two" || b=$?
	cat one.log two.log
	[[ $a -eq 0 || $b -eq 0 ]]
	[[ $a -eq 0 || $a -eq 4 ]]
	[[ $b -eq 0 || $b -eq 4 ]]
	nothing_left
}

# waits_for_users PID: its helper does; left in $helper.
waits_for_users()
{
	helper=$(<"/proc/$1/task/$1/children")
	helper=${helper%% *}
	[[ -n $helper && -n $(find "/proc/$helper/fd" -lname anon_inode:inotify 2>/dev/null) ]]
}

@test "a del that is killed while it waits for udev leaves nobody who stops the device later" {
	dev=$(ublk add -t null)
	udev_has "$dev" 1000
	ublk_in_background del "$dev"
	wait_for 10 waits_for_users "$del"
	kill -KILL "$del"
	wait_for 10 is_gone "$helper"
	kill "$worker"
	wait "$worker" || true
	is_state "$dev" live
	read_block "$dev"
	ublk del "$dev"
}

# mapped DEV: by a process that has closed it. Leaves that in $holder.
mapped()
{
	/usr/bin/python3 -c '
import ctypes, os, sys, time
libc = ctypes.CDLL(None)
libc.mmap.restype = ctypes.c_void_p
fd = os.open(sys.argv[1], os.O_RDONLY)
assert libc.mmap(None, ctypes.c_size_t(4096), 1, 1, fd, ctypes.c_long(0)) != ctypes.c_void_p(-1).value
os.close(fd)
open("mapped", "w")
time.sleep(1000)' "$1" &
	holder=$!
	wait_for 20 test -e mapped
}

@test "a device that a process has only mapped is refused, with the process that does" {
	dev=$(ublk add -t null)
	mapped "$dev"
	refused "$dev" "open by python3 ($holder)"
	kill "$holder"
	wait "$holder" || true
	ublk del "$dev"
}

# first_thread_ends DEV: another one of that process has it open; it is $holder.
first_thread_ends()
{
	python3 -c '
import ctypes, sys, threading, time
disk = open(sys.argv[1], "rb")
threading.Thread(target=time.sleep, args=(1000,), daemon=True).start()
ctypes.CDLL(None).pthread_exit(None)' "$1" 3>&- &
	holder=$!
	# Then it counts as gone.
	wait_for 20 is_gone "$holder"
}

@test "a device that a process has open whose first thread has ended is refused, with that process" {
	dev=$(ublk add -t null)
	first_thread_ends "$dev"
	refused "$dev" "open by python3 ($holder)"
	kill -KILL "$holder"
	wait "$holder" || true
	ublk del "$dev"
}
