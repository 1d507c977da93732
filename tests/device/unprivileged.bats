# SPDX-License-Identifier: MIT
# Devices of ordinary users: installed as by an administrator, with the real udev.
# kernels: newest
# long kernels: 6.12 6.18
# build: faults
# no sanitizers

load helpers
load servers
load backings
load udevd
load nbd
load ceph

USER_ID=4242
OTHER_ID=4343
RULES=/run/udev/rules.d/60-ublk.rules

# What is installed, lies where any user may read it.
setup_file()
{
	requires setpriv udevadm
	root=$(mktemp -d)
	export root bin=$root/usr/local/sbin
	chmod 755 "$root"
	DESTDIR=$root cmake --install "$(dirname "$UBLK")" --prefix /usr/local >"$root/install.log"
	ln -s ../libexec/ublk/ublk-server{,-rbd} "$bin"
	if ! udevadm control --ping --timeout=2 2>/dev/null; then
		start_udevd
	fi
}

teardown_file()
{
	[[ -z ${udevd-} ]] || end_udevd
	rm -rf "$root"
}

# The rules lie where they are gone at the next boot.
setup()
{
	device_setup
	for id in "$USER_ID" "$OTHER_ID"; do
		install -d -o "$id" -g "$id" "/run/user/$id" "$root/$id"
		at_end rm -rf "/run/user/$id" "$root/$id"
	done
	mkdir -p "${RULES%/*}"
	sed "s|/usr/local/|$root&|" "$root/usr/local/lib/udev/rules.d/60-ublk.rules" >"$RULES"
	at_end forget_rules
	udevadm control --reload
	wait_for 20 everybody_may_add
}

# One event is not enough: a worker of udevd may have the rules of before yet, and a udevd that has
# just started may not have heard of it when settle asks.
everybody_may_add()
{
	timeout 5 udevadm trigger --action=add --settle /dev/ublk-control || true
	[[ $(stat -c %a /dev/ublk-control) == 666 ]]
}

forget_rules()
{
	rm -f "$RULES"
	chmod 600 /dev/ublk-control
	udevadm control --reload
}

# as USER CMD...: as this ordinary user, who may lock 64 KiB, in his folder.
as()
{
	(
		cd "$root/$1" &&
			exec prlimit --memlock=65536:65536 setpriv --reuid "$1" --regid "$1" --clear-groups \
				--inh-caps=-all env "XDG_RUNTIME_DIR=/run/user/$1" "${@:2}"
	)
}

# user_ublk ARGS...
user_ublk()
{
	as "$USER_ID" timeout --foreground -k 5 60 "$bin/ublk" "$@"
}

user_image()
{
	as "$USER_ID" truncate -s 32M a.img
}

@test "an ordinary user has devices of his own: added, verified, shown and deleted" {
	user_image
	run --separate-stderr user_ublk add -t loop -f a.img
	[ "$status" -eq 0 ] || { echo "$stderr"; return 1; }
	dev=$output
	[[ $stderr == "ublk: note: an ordinary user's device: "* ]]
	# The disk's settings are root's.
	[[ $stderr == *"keeps the I/O scheduler mq-deadline: cannot set none: Permission denied" ]]
	[ "$(wc -l <<<"$stderr")" -eq 2 ]
	as "$USER_ID" fio --name=verify --filename="$dev" --size=16M --rw=randwrite --bsrange=4k-256k \
		--direct=1 --ioengine=psync --verify=crc32c >fio.log
	as "$USER_ID" /usr/sbin/mkfs.ext4 -q "$dev"
	user_ublk show --json "$dev" >show.json
	[ "$(jq -r '.devices[0] | .managed, .data_path, .recovery' show.json | xargs)" = 'true copy none' ]
	[ "$(jq '.devices[0].memory.resident > 0' show.json)" = true ]
	user_ublk list | grep -q live
	[ "$(stat -c '%a %u' "/run/user/$USER_ID/ublk/0.stats")" = "644 $USER_ID" ]
	[ "$(user_ublk stat --json "$dev" | jq -c '.devices[0] | [.source, .write.ios > 0, .write.errors]')" = \
		'["server",true,0]' ]
	[ -e "/run/user/$USER_ID/ublk/0.json" ]
	user_ublk del "$dev"
	nothing_left
	[ ! -e "/run/user/$USER_ID/ublk/0.json" ]
	[ ! -e "/run/user/$USER_ID/ublk/0.stats" ]
	blkid -p "$root/$USER_ID/a.img" | grep -q ext4
}

# user_serves ARGS...: a device of these, written, verified, its server killed, and deleted.
user_serves()
{
	dev=$(user_ublk add "$@" 2>add.err) || { cat add.err; return 1; }
	as "$USER_ID" fio --name=verify --filename="$dev" --size=16M --rw=randwrite --bsrange=4k-256k \
		--direct=1 --ioengine=libaio --iodepth=8 --verify=crc32c >fio.log
	[ "$(user_ublk show --json "$dev" | jq -r '.devices[0].recovery')" = none ]
	user_ublk del "$dev"
	dev=$(user_ublk add "$@" 2>/dev/null)
	kill_server "$dev"
	wait_for 20 is_state 0 dead
	user_ublk del "$dev"
	nothing_left
}

@test "an ordinary user's device may be what a server of his exports" {
	at_end kill_export
	# Where he may come.
	cd "$root/$USER_ID"
	serve memory 64M
	chown "$USER_ID" "$socket"
	user_serves -t nbd --uri "$(uri)"
	# One that is not for him.
	chown 0 "$socket"
	chmod 600 "$socket"
	run --separate-stderr user_ublk add -t nbd --uri "$(uri)"
	[ "$status" -eq 3 ]
	[[ $stderr == *'Permission denied'* ]]
	nothing_left
}

kill_export()
{
	kill -KILL "$export_pid" || true
}

# bats test_tags=long
@test "an ordinary user's device may be an image of Ceph, with a key that he may read" {
	ceph_up
	rbd create --size 64M img
	sed "s|^keyring = .*|keyring = $root/$USER_ID/keyring|" "$ceph/ceph.conf" >"$root/$USER_ID/ceph.conf"
	install -m 400 -o "$USER_ID" "$ceph/keyring" "$root/$USER_ID/keyring"
	user_serves -t rbd --image img --conf "$root/$USER_ID/ceph.conf"
	chown 0 "$root/$USER_ID/keyring"
	run --separate-stderr user_ublk add -t rbd --image img --conf "$root/$USER_ID/ceph.conf"
	[ "$status" -eq 3 ]
	[[ $stderr == *'cannot read the key of client.admin in '*': Permission denied'* ]] || { echo "$stderr"; false; }
	nothing_left
}

@test "an ordinary user changes the size of his device, and nobody else but by being him" {
	only_on_kernel 6.16 'UPDATE_SIZE'
	user_image
	dev=$(user_ublk add -t loop -f a.img 2>/dev/null)
	user_ublk resize --grow-backing "$dev" 64M
	[ "$(blockdev --getsize64 "$dev")" -eq $((64 << 20)) ]
	as "$USER_ID" dd if=/dev/urandom of="$dev" bs=1M seek=60 count=4 oflag=direct status=none
	user_ublk resize "$dev" -32M
	[ "$(blockdev --getsize64 "$dev")" -eq $((32 << 20)) ]
	[ "$(user_ublk show --json "$dev" | jq '.devices[0].size')" -eq $((32 << 20)) ]
	user_ublk resize "$dev" max
	[ "$(blockdev --getsize64 "$dev")" -eq $((64 << 20)) ]
	cmp "$dev" "$root/$USER_ID/a.img"
	run -1 --separate-stderr ublk resize "$dev" 16M
	[[ $stderr == *"cannot resize ublkb0: it is another program's"* ]]
	run ! as "$OTHER_ID" "$bin/ublk" resize "$dev" 16M
	[ "$(blockdev --getsize64 "$dev")" -eq $((64 << 20)) ]
	user_ublk del "$dev"
}

@test "an ordinary user changes his device, but not what is root's of it, and nobody else does" {
	user_image
	dev=$(user_ublk add -t loop -f a.img 2>/dev/null)
	record=/run/user/$USER_ID/ublk/0.json
	user_ublk set "$dev" --cpus 0 --poll-us 5 --log-file log
	grep -q 'changed: cpus, poll-us, log-file' "$root/$USER_ID/log"
	[ "$(jq -c '.spec | [.cpus, .poll_us]' "$record")" = '["0",5]' ]
	run -3 --separate-stderr user_ublk set "$dev" --scheduler none --poll-us 6
	[[ $stderr == *'cannot set the I/O scheduler none: Permission denied'* ]]
	[ "$(jq .spec.poll_us "$record")" = 5 ]
	run -3 --separate-stderr user_ublk set "$dev" --restart
	[[ $stderr == *'--restart'* ]]
	run ! as "$OTHER_ID" "$bin/ublk" set "$dev" --poll-us 7
	[ "$(jq .spec.poll_us "$record")" = 5 ]
	user_ublk del "$dev"
}

@test "an ordinary user waits for his devices, and is told whose others are" {
	as "$USER_ID" "$bin/ublk" wait mine --state live --timeout 600 3>&- &
	waiter=$!
	user_ublk add -t mem --size 16M --name mine
	ends_with 0 "$waiter"
	as "$USER_ID" "$bin/ublk" wait 0 --state gone --timeout 600 3>&- &
	waiter=$!
	run -3 --separate-stderr as "$OTHER_ID" "$bin/ublk" wait 0 --state gone
	[[ $stderr == "ublk: error: cannot wait for ublkb0 to be gone: it is another user's"* ]]
	user_ublk del mine
	ends_with 0 "$waiter"
}

@test "an ordinary user runs a command with a device, and nothing is left" {
	# shellcheck disable=SC2016
	run -3 user_ublk run -t mem --size 16M -- sh -c 'dd if="$UBLK_DEV" of=/dev/null bs=4k count=1 && exit 3'
	nothing_left
}

@test "nobody else gets at a user's device, but root" {
	user_image
	dev=$(user_ublk add -t loop -f a.img)
	run ! as "$OTHER_ID" dd if="$dev" of=/dev/null bs=4096 count=1
	run ! as "$OTHER_ID" sh -c ": <${dev/ublkb/ublkc}"
	run ! as "$OTHER_ID" "$bin/ublk" del "$dev"
	run as "$OTHER_ID" "$bin/ublk" list
	[[ $output != *ublkb0* ]]
	[ "$(column_of "$dev" STATE)" = live ]
	ublk del "$dev"
	nothing_left
}

@test "a user's access outlives every change that udev hears of" {
	user_image
	dev=$(user_ublk add -t loop -f a.img)
	for ((round = 0; round < 20; round++)); do
		udevadm trigger --action=change "$dev" "${dev/ublkb/ublkc}"
		as "$USER_ID" sh -c "for i in 1 2 3 4 5 6 7 8 9 10; do : <>$dev || exit; done"
	done
	udevadm settle
	user_ublk del "$dev"
}

# bats test_tags=long
@test "numbers that change hands again and again never open a node to the wrong user" {
	user_image
	as "$OTHER_ID" truncate -s 1M b.img
	for ((round = 0; round < 10; round++)); do
		user_ublk add -n 0 -t loop -f a.img >/dev/null
		getfacl_of /dev/ublkb0 "$USER_ID"
		getfacl_of /dev/ublkc0 "$USER_ID"
		user_ublk del 0
		as "$OTHER_ID" "$bin/ublk" add -n 0 -t loop -f b.img >/dev/null
		getfacl_of /dev/ublkb0 "$OTHER_ID"
		getfacl_of /dev/ublkc0 "$OTHER_ID"
		as "$OTHER_ID" "$bin/ublk" del 0
	done
}

# getfacl_of NODE USER: only this user is let in, beside root and the group.
getfacl_of()
{
	[ "$(python3 - "$1" <<'END'
import os, struct, sys
acl = os.getxattr(sys.argv[1], 'system.posix_acl_access')
entries = [struct.unpack_from('<HHI', acl, at) for at in range(4, len(acl), 8)]
print([e[2] for e in entries if e[0] == 2], [e[1] for e in entries if e[0] == 0x20])
END
)" = "[$2] [0]" ]
}

@test "a server that is killed leaves a dead device, which its user deletes" {
	user_image
	dev=$(user_ublk add -t loop -f a.img)
	kill_server "$dev"
	wait_for 30 is_state "$dev" dead
	run user_ublk recover "$dev"
	[ "$status" -ne 0 ]
	user_ublk del "$dev"
	nothing_left
	run -0 user_ublk add -t loop -f a.img
	user_ublk del 0
}

@test "SIGTERM to a user's server stops and removes the device" {
	user_image
	dev=$(user_ublk add -t loop -f a.img)
	as "$USER_ID" kill -TERM "$(server_of "$dev")"
	wait_for 20 nothing_left
}

@test "what an ordinary user's device cannot have is refused, with the reason" {
	user_image
	run --separate-stderr user_ublk add -t loop -f a.img --recovery requeue
	[ "$status" -eq 3 ]
	[[ $stderr == *"cannot add a device with --recovery requeue: an ordinary user's has none of that"* ]]
	[[ $stderr == *"hint: run it as root"* ]]
	run --separate-stderr user_ublk add -t loop -f a.img --data-path user-copy
	[[ $stderr == *"with data path user-copy: an ordinary user's has none of that"* ]]
	run --separate-stderr user_ublk add -t loop -f a.img --mlock
	[ "$status" -eq 1 ]
	[[ $stderr == *"bytes of locked memory (RLIMIT_MEMLOCK"*"of it is for buffers"* ]]
	run --separate-stderr user_ublk add -t loop -f /etc/shadow
	[ "$status" -ne 0 ]
	nothing_left
}

# user_verified ARGS...
user_verified()
{
	local dev
	dev=$(user_ublk add -t loop -f a.img "$@")
	as "$USER_ID" fio --name=verify --filename="$dev" --size=16M --rw=randwrite --bsrange=4k-256k \
		--direct=1 --ioengine=libaio --iodepth=32 --verify=crc32c >fio.log
	user_ublk show --json "$dev" | jq -c '.devices[0] | [.data_path, .batch]'
	user_ublk del "$dev"
}

# bats test_tags=long
@test "every data path that the driver allows an ordinary user works with 64 KiB to lock" {
	user_image
	[ "$(user_verified --data-path copy)" = '["copy",false]' ]
	[ "$(user_verified --data-path get-data)" = '["get-data",false]' ]
	[ "$(user_verified --buffer-memory 2M)" = '["get-data",false]' ]
	! kernel_at_least 7.0 || [ "$(user_verified --data-path copy --batch on)" = '["copy",true]' ]
}

# bound LIMIT CMD...: as the user, who may lock so much.
bound()
{
	as "$USER_ID" prlimit --memlock="$1:$1" timeout --foreground -k 5 60 "${@:2}"
}

@test "an ordinary user is charged what was planned, to the page, on every path" {
	user_image
	paths=('--data-path copy' '--data-path get-data')
	! kernel_at_least 7.0 || paths+=('--data-path copy --batch on')
	for args in "${paths[@]}"; do
		# shellcheck disable=SC2206 # options
		options=(-t loop -f a.img $args)
		user_ublk add "${options[@]}" --dry-run --json >plan.json
		need=$(jq .total.charged plan.json)
		echo "$need bytes for ${options[*]}"
		! kernel_at_least 6.14 || kernel_at_least 7.2 || [ "$need" -gt 0 ]
		run -0 bound "$need" "$bin/ublk" add "${options[@]}"
		user_ublk del 0
		[ "$need" -gt 0 ] || continue
		less=$((need - 4096))
		run --separate-stderr bound "$less" "$bin/ublk" add "${options[@]}"
		[ "$status" -eq 1 ]
		[[ $stderr == *"needs $need bytes of locked memory"*"and $less are allowed"* ]]
		UBLK_FAULT=plan-bypass run --separate-stderr bound "$less" "$bin/ublk" add "${options[@]}"
		[ "$status" -eq 1 ]
		[[ $stderr == *"Cannot allocate memory"* ]]
		nothing_left
	done
}

@test "with 64 KiB to lock, devices are added as long as they fit, and refused by us" {
	as "$USER_ID" truncate -s 1M 0.img 1.img 2.img 3.img 4.img
	charged=$(user_ublk add -t loop -f 0.img --dry-run --json | jq .total.charged)
	fitted=0
	for ((n = 0; n < 5; n++)); do
		run --separate-stderr user_ublk add -t loop -f "$n.img"
		[ "$status" -eq 0 ] || break
		fitted=$((fitted + 1))
	done
	echo "$fitted fitted; $stderr"
	if ((charged > 0)); then
		[ "$fitted" -eq 2 ]
		[[ $stderr == *"bytes of locked memory (RLIMIT_MEMLOCK, less what this user's other rings have)"* ]]
	else
		[ "$fitted" -eq 5 ]
	fi
	run -0 --separate-stderr ublk del --all
	[[ $stderr == *"note: ublkb0 is left alone: it lives, and is another user's"* ]]
	user_ublk del --all
}

@test "without the rule the device is refused, and root can remove what stays" {
	user_image
	rm "$RULES"
	udevadm control --reload
	chmod 666 /dev/ublk-control
	run --separate-stderr user_ublk add -t loop -f a.img --timeout 3
	[ "$status" -ne 0 ]
	[[ $stderr == *"cannot use /dev/ublkc0: udev has not opened it to user $USER_ID; root may delete it"* ]]
	[[ $stderr == *"hint: "*"60-ublk.rules"* ]]
	ublk del --force 0
	nothing_left
}

@test "without udev the device is refused before it is made" {
	mv /run/udev/control /run/udev/control.away
	run as "$USER_ID" "$bin/ublk" add -t null
	mv /run/udev/control.away /run/udev/control
	[ "$status" -eq 3 ]
	[[ $output == *"udev, which would open its node to user $USER_ID, does not run"*hint:* ]]
	nothing_left
}

@test "doctor ends as an ordinary user's add does: with udev and its rules, and without either" {
	run -0 user_ublk doctor
	[[ $output == *"good  udev        runs, with $RULES"*"good  privileges  an ordinary user's"* ]]
	user_ublk add -t null
	user_ublk del 0
	mv /run/udev/control /run/udev/control.away
	run user_ublk doctor
	doctor=$status
	run user_ublk add -t null
	mv /run/udev/control.away /run/udev/control
	[ "$doctor,$status" = 3,3 ]
	rm "$RULES"
	udevadm control --reload
	chmod 666 /dev/ublk-control
	run -3 user_ublk doctor
	[[ $output == *"bad   udev        cannot use a device: udev has no 60-ublk.rules, by which it would open its node to user $USER_ID"* ]]
	run -3 user_ublk add -t null --timeout 3
	ublk del --force 0
	# An administrator's way to forbid it.
	: >"$RULES"
	run -3 user_ublk doctor
	[[ $output == *'udev has an empty 60-ublk.rules'* ]]
	nothing_left
}

@test "a user without a runtime directory has his records in /tmp, and finds them when he has one" {
	rm -rf "/run/user/$USER_ID"
	at_end rm -rf "/tmp/ublk-$USER_ID"
	run -0 as "$USER_ID" env -u XDG_RUNTIME_DIR "$bin/ublk" add -t null --name night
	[ "$(stat -c '%u %a' "/tmp/ublk-$USER_ID")" = "$USER_ID 755" ]
	install -d -o "$USER_ID" "/run/user/$USER_ID"
	user_ublk list --json | jq -e '.devices[0] | .managed and .name == "night"'
	run user_ublk add -t null --name night
	[ "$status" -eq 5 ]
	[[ $output == *"ublkb0 has that name"*"hint: see what has it: ublk list" ]]
	run -0 user_ublk del night
	nothing_left
	[ -z "$(ls "/tmp/ublk-$USER_ID")" ]
}

@test "a node's group has no more than it had" {
	dev=$(user_ublk add -t null)
	node=${dev/ublkb/ublkc}
	[ "$(stat -c %G "$node")" = root ]
	run ! setpriv --reuid "$OTHER_ID" --regid 0 --clear-groups --inh-caps=-all sh -c ": <>$node"
	user_ublk del "$dev"
}

@test "when ordinary users have all devices that the driver allows them, doctor counts those, and add says the same" {
	at_end eval 'echo 64 >/sys/module/ublk_drv/parameters/ublks_max'
	ublk add -t null
	user_ublk add -t null
	echo 2 >/sys/module/ublk_drv/parameters/ublks_max
	as "$OTHER_ID" "$bin/ublk" doctor
	echo 1 >/sys/module/ublk_drv/parameters/ublks_max
	full='cannot add a device: ordinary users have as many as the driver allows them (ublks_max is 1)'
	for id in "$USER_ID" "$OTHER_ID"; do
		run -3 as "$id" "$bin/ublk" doctor
		[[ $output == *"bad   privileges  $full"*'-> have root allow more: echo 4096 >/sys/module'* ]]
		run -3 as "$id" "$bin/ublk" add -t null
		[[ $output == "ublk: error: $full"*'hint: have root allow more: echo 4096 >/sys/module'* ]]
	done
	ublk add -t null
	user_ublk del --all
	ublk del --all
}

@test "of a file system that is full but for what is kept for root, doctor says so" {
	fs_on "$(make_ram_disk 16)" ext4 "$root/e"
	records=$root/e/records
	install -d -o "$USER_ID" -g "$USER_ID" -m 700 "$records"
	for size in 1M 4k 1k; do
		run -1 as "$USER_ID" dd if=/dev/zero of="$records/full" bs="$size" oflag=append conv=notrunc
	done
	stat -f "$records"
	(($(stat -f -c '%f > 0 && %a == 0' "$records")))
	run -1 as "$USER_ID" env UBLK_RUNTIME_DIR="$records" "$bin/ublk" doctor
	[[ $output == *"bad   records     cannot write to $records: No space left on device"* ]]
	run -1 as "$USER_ID" env UBLK_RUNTIME_DIR="$records" "$bin/ublk" add -t null
	[[ $output == *': No space left on device'* ]]
	nothing_left
}
