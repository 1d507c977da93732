# SPDX-License-Identifier: MIT
# ublk doctor: it ends as `ublk add -t null` would, for the same user in the same place, and says why.
# kernels: newest
# long kernels: 6.12 6.16

load helpers
load servers

CHECKS='kernel program records module node io_uring driver limits cgroup udev privileges namespaces
	huge-pages systemd leftovers'

# agree STATUS [CMD...]: run by CMD, doctor and add end with this status; what doctor found is in
# $findings, as JSON and held against its schema. Leaves no device.
agree()
{
	local doctor=0 add=0
	"${@:2}" "$UBLK" doctor --json >doctor.json 2>doctor.err || doctor=$?
	"${@:2}" "$UBLK" add -t null --timeout 10 >add.out 2>add.err || add=$?
	put_back
	ublk del --force --all || true
	rm -f /run/ublk/[0-9]* /run/ublk/.index/*/*
	[[ $doctor -eq $1 && $add -eq $1 ]] ||
		{ printf 'doctor %s, add %s, not %s\n' "$doctor" "$add" "$1"; cat doctor.* add.*; return 1; }
	[[ ! -s doctor.err ]]
	to_be_validated doctor.json
	[[ $(jq .exit_status doctor.json) -eq $1 ]]
	# Something is bad exactly if it would not work.
	[[ $(jq '[.works, ([.checks[] | select(.status == "bad")] == [])] | unique' -c doctor.json) == \
		"[$([[ $1 -eq 0 ]] && echo true || echo false)]" ]]
}

# finds NAME STATUS TEXT [MEND]: doctor has found this.
finds()
{
	jq -e --arg name "$1" --arg status "$2" --arg text "$3" --arg mend "${4-}" '[.checks[] | select(
		.name == $name and .status == $status and (.text | contains($text)) and
		($mend == "" or (.mend // "" | contains($mend))))] != []' doctor.json >/dev/null ||
		{ jq -c '.checks[]' doctor.json; return 1; }
}

# as_nobody CMD...
as_nobody()
{
	setpriv --reuid 65534 --regid 65534 --clear-groups --inh-caps=-all "$@"
}

@test "on a healthy machine each check is named, nothing is bad, and add works" {
	run -0 ublk doctor
	printf '%s\n' "$output"
	for check in $CHECKS; do
		grep -qE "^(good|note)  *$check  " <<<"$output"
	done
	[[ $output == *$'\n\n`ublk add` works here, as this user.' ]]
	nothing_left
	agree 0
	[ "$(jq -r '.checks[].name' doctor.json | uniq | xargs)" = "$(xargs <<<"$CHECKS")" ]
	finds kernel good "Linux $(uname -r)"
	finds module good 'ublk_drv is loaded'
	finds node good '/dev/ublk-control can be opened (owner 0, mode 600)'
}

@test "a fault of this kernel is told with its source" {
	ublk doctor --json >doctor.json
	faults=$(jq '[.checks[] | select(.name == "kernel" and .source != null)] | length' doctor.json)
	if ! kernel_at_least 6.13; then
		[ "$faults" -eq 1 ]
		finds kernel note 'scanned for partitions' 'boot Linux 6.18'
	elif kernel_at_least 6.16 && ! kernel_at_least 7.0; then
		[ "$faults" -ge 1 ]
		finds kernel note 'killed just as it takes a device over' 'boot Linux 7.0'
	elif kernel_at_least 7.3; then
		[ "$faults" -eq 0 ]
	fi
}

unload()
{
	modprobe -r ublk_drv
	at_end modprobe ublk_drv
}

is_loaded()
{
	[[ -e /sys/module/ublk_drv ]]
}

@test "without the module, add loads it; doctor says so; neither it, nor list, nor a dry run does it" {
	unload
	ublk doctor --json >doctor.json
	finds module note 'ublk_drv is not loaded: `ublk add` does that' 'modprobe ublk_drv'
	finds node good 'comes with the driver'
	[ "$(jq .works doctor.json)" = true ]
	run -6 ublk list
	[[ $output == *'hint: load the driver: modprobe ublk_drv' ]]
	run -0 ublk add -t null --dry-run
	run -2 ublk add -t null --queues 0
	run ! is_loaded
	run -0 --separate-stderr ublk add -t null
	[ "$output" = /dev/ublkb0 ]
	is_loaded
	ublk del 0
}

@test "a server in the foreground has its driver loaded too" {
	unload
	"$UBLK" add -t null --foreground >front.log 2>&1 &
	front=$!
	# The driver says live before the disk could be opened.
	wait_for 20 grep -q serving front.log
	ublk del 0
	wait "$front"
}

@test "a module that modprobe's configuration keeps away is not there, and who keeps it is told" {
	unload
	mkdir -p /run/modprobe.d
	for command in /bin/false /bin/true; do
		echo "install ublk_drv $command" >/run/modprobe.d/tests.conf
		at_end rm -f /run/modprobe.d/tests.conf
		agree 6
		finds module bad "line 'install ublk_drv'" 'modprobe -v ublk_drv'
		run ! is_loaded
	done
	grep -q 'cannot find the ublk driver' add.err
	echo 'install ublk_drv /bin/false' >/run/modprobe.d/tests.conf
	run -6 ublk add -t null
	[[ $output == *'cannot load the ublk driver: '*'hint: see why it is not loaded: modprobe -v ublk_drv'* ]]
}

@test "an ordinary user is told what root has to type" {
	agree 3 as_nobody
	finds node bad 'cannot open /dev/ublk-control: Permission denied' 'sudo ublk add'
	unload
	agree 6 as_nobody
	finds module bad 'this user may not load it' 'have root load the driver: modprobe ublk_drv'
	grep -q 'hint: have root load the driver: modprobe ublk_drv' add.err
	run ! is_loaded
}

@test "root without the right to load modules is told so, and the module stays away" {
	unload
	agree 6 setpriv --bounding-set=-sys_module --inh-caps=-sys_module
	finds module bad 'may not load it' 'modprobe ublk_drv'
	run ! is_loaded
}

@test "io_uring that a setting forbids is told, with who is excepted" {
	at_end sysctl -q kernel.io_uring_disabled=0
	sysctl -q kernel.io_uring_disabled=2
	agree 3
	finds io_uring bad 'io_uring_disabled is 2, which keeps everybody' 'sysctl kernel.io_uring_disabled=0'
	sysctl -q kernel.io_uring_disabled=1
	agree 0
	agree 3 setpriv --bounding-set=-sys_admin --inh-caps=-sys_admin
	finds io_uring bad 'neither CAP_SYS_ADMIN nor the group' 'sysctl kernel.io_uring_disabled=0'
}

@test "io_uring that a seccomp filter forbids is told as that, whatever the filter answers" {
	filter=$TOP/tests/lib/without-io_uring
	agree 3 "$filter" eperm
	finds io_uring bad 'a seccomp filter refuses it: Operation not permitted' '--security-opt seccomp='
	agree 6 "$filter" enosys
	finds io_uring bad 'a seccomp filter refuses it: Function not implemented' '--security-opt seccomp='
	agree 1 "$filter" kill
	finds io_uring bad 'a seccomp filter kills who tries'
}

# ends_alike CMD...: doctor and add have the same exit status; it is left in $both.
ends_alike()
{
	local add=0
	both=0
	"$@" "$UBLK" doctor >doctor.out 2>&1 || both=$?
	"$@" "$UBLK" add -t null >add.out 2>&1 || add=$?
	ublk del --force --all
	[[ $both -eq $add ]] || { printf '%s: doctor %s, add %s\n' "$*" "$both" "$add"; cat doctor.out add.out; return 1; }
}

@test "with few descriptors doctor and add agree on how many are enough" {
	works=0 fails=0
	for n in 11 12 13 14 15 16 17 20; do
		ends_alike prlimit --nofile="$n:$n" setpriv --bounding-set=-sys_resource \
			--inh-caps=-sys_resource
		[[ $both -eq 0 ]] && works=$((works + 1)) || fails=$((fails + 1))
	done
	((works >= 2 && fails >= 2))
	agree 1 prlimit --nofile=12:12 setpriv --bounding-set=-sys_resource --inh-caps=-sys_resource
	finds limits bad 'opens 15 files, and 12 are allowed' 'ulimit -n'
}

@test "without locked memory doctor and add agree, whether this kernel charges rings or not" {
	for bytes in 0 4096 65536; do
		ends_alike prlimit --memlock="$bytes:$bytes" setpriv --bounding-set=-ipc_lock,-sys_resource \
			--inh-caps=-ipc_lock,-sys_resource
	done
	[[ $both -eq 0 ]]
}

# in_group CMD...: in a control group of 32 MiB, as a container has it: its servers stay there.
in_group()
{
	bash -c 'echo $$ >/sys/fs/cgroup/doctor/cgroup.procs && exec "$@"' - \
		unshare --cgroup --mount bash -c '
			umount -l /sys/fs/cgroup && mount -t cgroup2 none /sys/fs/cgroup && exec "$@"' - "$@"
}

@test "a control group with less memory than a device needs is told" {
	[[ -e /sys/fs/cgroup/cgroup.controllers ]] || mount -t cgroup2 cgroup2 /sys/fs/cgroup
	echo +memory >/sys/fs/cgroup/cgroup.subtree_control
	mkdir /sys/fs/cgroup/doctor
	at_end rmdir /sys/fs/cgroup/doctor
	echo 32M >/sys/fs/cgroup/doctor/memory.max
	agree 1 in_group
	finds cgroup bad 'and 33554432 are allowed' 'MemoryMax='
	echo 256M >/sys/fs/cgroup/doctor/memory.max
	agree 0 in_group
}

# pod CMD...: as a container has it: processes, mounts, and a /dev of its own with the control node.
pod()
{
	# shellcheck disable=SC2016 # for the other shell
	unshare -pf --kill-child --mount-proc -m --propagation private bash -c '
		mkdir /tmp/dev && cp -a /dev/ublk-control /dev/null /tmp/dev &&
		mount -t tmpfs none /dev && cp -a /tmp/dev/* /dev && rm -r /tmp/dev &&
		mount -t tmpfs none /run && "$@"' pod "$@"
}

# wants_global_pid: the kernels whose driver lets no server of a process namespace start.
wants_global_pid()
{
	kernel_at_least 6.16 && ! kernel_at_least 6.18
}

# To which no node of a new device comes.
# bats test_tags=long
@test "in a pod with a /dev of its own no device is of use, and the reason is told" {
	if wants_global_pid; then
		agree 6 pod
	else
		agree 7 pod
	fi
	finds namespaces bad "as /dev is not the kernel's" 'mount -t devtmpfs none /dev'
}

@test "in namespaces of processes and mounts with the kernel's /dev it works, and that is noted; or the kernel forbids it" {
	if wants_global_pid; then
		agree 6 unshare -pf --kill-child --mount-proc -m
		finds namespaces bad 'on Linux 6.16 and 6.17' 'run it outside of the container'
		return
	fi
	agree 0 unshare -pf --kill-child --mount-proc -m
	finds namespaces note 'in a namespace of processes' 'ublk del --force DEV'
}

no_control_node()
{
	# shellcheck disable=SC2016 # for the other shell
	unshare -m bash -c '
		mkdir /tmp/dev && cp -a /dev/null /tmp/dev && mount -t tmpfs none /dev &&
		mv /tmp/dev/null /dev && rmdir /tmp/dev && "$@"' - "$@"
}

# A server has a /dev of its own, so it finds the driver, and nobody here its disk.
# bats test_tags=long
@test "in a /dev without the control node a server is all that finds the driver" {
	agree 7 no_control_node
	finds module good 'ublk_drv is loaded'
	finds node note 'only a server finds the driver from here' 'mount -t devtmpfs none /dev'
	finds namespaces bad "as /dev is not the kernel's"
}

@test "a driver whose node somebody took away is told apart from one that is missing" {
	mv /dev/ublk-control /dev/away
	at_end put_back
	agree 6
	finds module good 'ublk_drv is loaded'
	finds node bad 'there is no /dev/ublk-control' '--device /dev/ublk-control'
}

put_back()
{
	[[ ! -e /dev/away ]] || mv /dev/away /dev/ublk-control
}

@test "a namespace of users gives no right to the driver" {
	agree 3 unshare -Ur
	finds privileges bad "CAP_SYS_ADMIN is this namespace's of users" 'outside of the namespace of users'
}

with_run()
{
	# shellcheck disable=SC2016 # for the other shell
	unshare -m bash -c 'mount -t tmpfs -o "$0" none /run && "$@"' "$@"
}

@test "records that could not be kept are told" {
	agree 1 with_run ro
	finds records bad 'cannot make /run/ublk: Read-only file system'
	install -d -m 777 records
	agree 3 env UBLK_RUNTIME_DIR="$PWD/records"
	finds records bad 'others than its owner may write there'
	agree 1 env UBLK_RUNTIME_DIR="$PWD/none/records"
	finds records bad 'No such file or directory'
	: >file
	agree 3 env UBLK_RUNTIME_DIR="$PWD/file"
	finds records bad 'it is a link or no directory'
}

@test "a full file system for the records is told" {
	small_records
	fill_records
	agree 1
	finds records bad 'cannot write to /run/ublk: No space left on device'
}

with_full_run()
{
	# shellcheck disable=SC2016 # for the other shell
	unshare -m bash -c 'mount -t tmpfs -o size=64k none /run
		dd if=/dev/zero of=/run/full bs=4k status=none 2>/dev/null; "$@"' - "$@"
}

@test "a full file system is told before the folder of the records is there" {
	agree 1 with_full_run
	finds records bad 'cannot make /run/ublk: No space left on device'
	# The only one is that of /run itself.
	agree 1 with_run nr_inodes=1
	finds records bad 'cannot make /run/ublk: No space left on device'
	agree 0 with_run nr_inodes=100
}

@test "when ordinary users have all devices that the driver allows them, each is told what to type, and root goes on" {
	echo 0 >/sys/module/ublk_drv/parameters/ublks_max
	at_end eval 'echo 64 >/sys/module/ublk_drv/parameters/ublks_max'
	chmod 666 /dev/ublk-control
	at_end chmod 600 /dev/ublk-control
	agree 3 as_nobody
	finds privileges bad 'as many as the driver allows them (ublks_max is 0)' 'echo 4096 >/sys/module'
	agree 0
	finds privileges note 'an ordinary user cannot add a device' 'echo 4096 >/sys/module'
	mend 'an ordinary user cannot add a device'
	ublk doctor --json >doctor.json
	run ! finds privileges note 'an ordinary user cannot'
}

# mend TEXT: does what doctor says.
mend()
{
	local command
	command=$(jq -r --arg text "$1" '.checks[] | select(.text | contains($text)).mend' doctor.json)
	[[ -n $command ]] || { jq -c '.checks[]' doctor.json; return 1; }
	eval "${command//ublk del/ublk del --force}"
}

@test "what was left over is told, with the command that takes it away, and hinders nobody" {
	dev=$(ublk add -n 3 -t null --recovery none)
	kill_server "$dev"
	wait_for 20 is_state "$dev" dead
	dev=$(ublk add -n 4 -t null)
	echo '{' >/run/ublk/4.json
	ublk add -n 5 -t null
	cp /run/ublk/5.json /run/ublk/7.json
	: >/run/ublk/8.sock
	: >/run/ublk/8.stats
	mkdir -p /run/ublk/.index/name-lost
	: >/run/ublk/.index/name-lost/9
	run -0 ublk doctor --json
	cat <<<"$output" >doctor.json
	to_be_validated doctor.json
	jq -c '.checks[] | select(.name == "leftovers")' doctor.json
	finds leftovers note 'ublkb3: dead: it has no server' 'ublk del 3'
	finds leftovers note 'ublkb4: it could not be recovered' 'ublk del 4'
	finds leftovers note 'the record of a device that is no more: /run/ublk/7.json' 'rm /run/ublk/7.json'
	finds leftovers note 'the control socket of a device that is no more' 'rm /run/ublk/8.sock'
	finds leftovers note 'the statistics of a device that is no more' 'rm /run/ublk/8.stats'
	finds leftovers note 'an entry of the index of a device that is no more' 'rm /run/ublk/.index/name-lost/9'
	[ "$(jq '[.checks[] | select(.name == "leftovers")] | length' doctor.json)" -eq 6 ]
	mend ublkb3
	mend 7.json
	mend 8.sock
	mend 8.stats
	mend name-lost
	lose_record 4
	ublk doctor --json >doctor.json
	finds leftovers good "1 of 2 devices are another program's"
	ublk del --all --force
}

@test "doctor ends, and says what it can, while a server hangs and its device is being stopped" {
	dev=$(ublk add -t null)
	server=$(server_of "$dev")
	kill -STOP "$server"
	at_end let_go_on "$server"
	dd if="$dev" of=/dev/null bs=4096 count=1 iflag=direct status=none 2>/dev/null &
	wait_for 20 in_flight "$dev" 1
	"$UBLK" del --force --timeout 100 "$dev" &
	del=$!
	wait_for 20 has_child "$del"
	run -0 timeout -k 5 60 "$UBLK" doctor
	[[ $output == *leftovers* ]]
	let_go_on "$server"
	wait "$del"
}

let_go_on()
{
	kill -CONT "$1" 2>/dev/null || true
}

has_child()
{
	[[ -n $(<"/proc/$1/task/$1/children") ]]
}
