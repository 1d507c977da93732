# SPDX-License-Identifier: MIT
# The target rbd: images of a real Ceph, whose daemons and clients are stopped, killed and cut off.
# build: faults
# kernels: newest
# long kernels: 6.12 6.18
# cpus: 2

load helpers
load backings
load servers
load ceph

setup()
{
	device_setup
	requires fio
}

# up [STORE [net]]: a cluster with an image `img`.
up()
{
	ceph_up "$@"
	export CEPH_CONF=$ceph/ceph.conf
	rbd create --size 64M img
}

# pattern FILE: as large as the image.
pattern()
{
	head -c 64M /dev/urandom >"$1"
}

# carries PATH: on it the image is what it is, and keeps data.
carries()
{
	dev=$(ublk add -t rbd --image img -q 2 --data-path "$1")
	[ "$(blockdev --getsize64 "$dev")" = $((64 << 20)) ]
	[ "$(blockdev --getss "$dev") $(blockdev --getpbsz "$dev") $(blockdev --getioopt "$dev")" = '512 4096 4194304' ]
	fio_verify "$dev" --bsrange=4k-512k --size=16M --iodepth=32
	fio_verify "$dev" --iodepth=1 --size=256k
	ublk del "$dev"
}

@test "an image is a device of its size, blocks and abilities, and keeps its data" {
	up
	carries copy
	# As the cluster has it.
	dev=$(ublk add -t rbd --image rbd/img)
	pattern pattern
	dd if=pattern of="$dev" bs=1M oflag=direct status=none
	[ "$(<"/sys/block/${dev#/dev/}/queue/discard_granularity")" = 65536 ]
	blkdiscard -o 4M -l 4M "$dev"
	blkdiscard -o 12M -l 64k "$dev"
	# Less than a unit: it stays as it is.
	blkdiscard -o $(((13 << 20) + 4096)) -l 60k "$dev"
	blkdiscard -z -o 9M -l 64k "$dev"
	fallocate -z -o 10M -l 4k "$dev"
	ublk del "$dev"
	dd if=/dev/zero of=pattern bs=1M seek=4 count=4 conv=notrunc status=none
	dd if=/dev/zero of=pattern bs=1k seek=9k count=64 conv=notrunc status=none
	dd if=/dev/zero of=pattern bs=1k seek=10k count=4 conv=notrunc status=none
	dd if=/dev/zero of=pattern bs=1k seek=12k count=64 conv=notrunc status=none
	rbd export --no-progress img - | cmp - pattern
}

# bats test_tags=long
@test "an image keeps its data by user-copy and get-data, too" {
	up
	carries user-copy
	carries get-data
}

# bats test_tags=long
@test "a snapshot, and an image that is not to be written, are read-only" {
	up
	pattern pattern
	rbd import --no-progress pattern other
	rbd snap create --no-progress other@first
	dev=$(ublk add -t rbd --image other)
	dd if=/dev/zero of="$dev" bs=4k count=1 oflag=direct status=none
	snap=$(ublk add -t rbd --image other --snap first)
	again=$(ublk add -t rbd --image other --read-only)
	[ "$(blockdev --getro "$snap") $(blockdev --getro "$again")" = '1 1' ]
	cmp "$snap" pattern
	cmp -n 4096 "$again" /dev/zero
	run -1 --separate-stderr ublk add -t rbd --image other --snap never
	[ "${stderr_lines[0]}" = 'ublk: error: cannot serve other: there is no such image, or it has no snapshot never' ]
	# And after another server's.
	kill_server "$snap"
	ublk recover "$snap"
	cmp "$snap" pattern
	# Not another one of that name.
	kill_server "$snap"
	rbd snap rm --no-progress other@first
	rbd snap create --no-progress other@first
	run -1 --separate-stderr ublk recover "$snap"
	[[ $stderr == *'cannot serve other: the image, or its snapshot, has been removed'* ]]
	ublk del --all
}

# fails STATUS TEXT OPTION...: an add of that image, which leaves nothing.
fails()
{
	run "-$1" --separate-stderr ublk add -t rbd "${@:3}"
	[[ ${stderr_lines[0]} == "ublk: error: "$2 && -z $output ]] || { printf '%s\n' "$stderr"; false; }
	nothing_left
}

@test "what cannot be served is said in a line, and leaves nothing behind" {
	up
	fails 1 'cannot serve no: there is no such image' --image no
	# Also where nothing is to be made.
	fails 1 'cannot serve no: there is no such image' --image no --dry-run
	ublk add -t rbd --image img --dry-run | grep 'fits: *yes'
	nothing_left
	fails 1 'cannot serve no/img: there is no pool no' --image no/img
	fails 1 'cannot serve rbd/space/img: there is no such image' --image rbd/space/img
	fails 1 "cannot read Ceph's configuration /none: No such file or directory" --image img --conf /none
	fails 3 "cannot use the cluster: there is no key of client.nobody in $ceph/client.nobody.keyring" \
		--image img --user nobody
	# One that is there, and can't be read.
	ln -s client.loop.keyring "$ceph/client.loop.keyring"
	fails 1 "cannot use the cluster: cannot read the key of client.loop in $ceph/client.loop.keyring: Too many levels of symbolic links" \
		--image img --user loop
	# Of somebody else.
	sed s/admin/nobody/ "$ceph/client.admin.keyring" >"$ceph/client.nobody.keyring"
	sed -i 's/^\tkey = ...../&AAAA/; s/AAAA..../AAAA/' "$ceph/client.nobody.keyring"
	fails 3 'cannot use the cluster: it does not take the key of client.nobody' --image img --user nobody
	sed 's/mon host = .*/mon host = nowhere.invalid/' "$ceph/ceph.conf" >nowhere.conf
	fails 1 "cannot reach the cluster: monitor nowhere.invalid of $PWD/nowhere.conf has no address" \
		--image img --conf nowhere.conf
	grep -v 'mon host' "$ceph/ceph.conf" >nobody.conf
	fails 1 "cannot reach the cluster: $PWD/nobody.conf names no monitor (\"mon host\")" --image img --conf nobody.conf
	printf 'mon host = %s\n' "$(printf '127.0.0.1:%d,' {1..1200})" >>nobody.conf
	fails 1 "cannot reach the cluster: mon_host of $PWD/nobody.conf is too long" --image img --conf nobody.conf
	sed 's/mon host = .*/mon host = localhost:1/' "$ceph/ceph.conf" >closed.conf
	fails 7 'cannot reach the cluster: none of its monitors answers (*127.0.0.1:1)' \
		--image img --conf closed.conf --timeout 8
	# The other cluster of a mirrored image would have the one that may be written to.
	rbd mirror pool enable rbd image
	rbd mirror image enable img snapshot
	rbd mirror image demote img
	fails 1 'cannot write to img: it is mirrored, and not the primary one (rbd mirror image promote)' --image img
	[[ ${stderr_lines[1]} == *hint:*--read-only ]]
	fails 1 'cannot write to img: it is mirrored*' --image img --dry-run
	fails 1 'cannot write to img: it is mirrored*' --image img --no-lock
	dev=$(ublk add -t rbd --image img --read-only)
	ublk del "$dev"
	rbd mirror image promote img
	dev=$(ublk add -t rbd --image img)
	# Nor does it become such a one under its device.
	run ! rbd mirror image demote img
	fio_verify "$dev" --size=256k
	ublk del "$dev"
}

# bats test_tags=long
@test "a cluster that does not answer is waited for until the deadline, an interruption, or the end of who asks" {
	up
	mon_kill
	fails 7 'cannot reach the cluster: none of its monitors answers*' --image img --timeout 12
	for signal in INT KILL; do
		ublk_in_background add -t rbd --image img >out 2>&1 3>&-
		wait_for 20 connects
		kill "-$signal" "$del"
		wait "$del" || true
		wait_for 10 nothing_left
	done
	[[ $(<out) != *'ublk: error'* ]]
	mon_start
	osd_pause
	fails 7 'cannot reach img in time: is it there?' --image img --timeout 12
	osd_resume
	dev=$(ublk add -t rbd --image img)
	ublk del "$dev"
}

# connects: a server is about to have a connection.
connects()
{
	local dir
	for dir in $(servers); do
		[[ -d /proc/$dir/task ]] && (($(find "/proc/$dir/task" -mindepth 1 -maxdepth 1 | wc -l) > 4)) && return
	done
	return 1
}

# holder: of device 0, as the cluster knows it.
holder()
{
	ublk show 0 --json | jq -r '.devices[0].remote.holder'
}

@test "an image that is served is refused to others, who are told by whom" {
	up
	dev=$(ublk add -n 0 -t rbd --image img)
	holder=$(holder)
	[[ $holder == 127.0.0.1:0/* ]]
	run -5 --separate-stderr ublk add -t rbd --image img
	[ "${stderr_lines[0]}" = "ublk: error: cannot lock img: the client at $holder has locked it" ]
	[[ ${stderr_lines[1]} == *hint:*--read-only ]]
	run rbd lock ls img
	[[ $output == *"$holder"* ]]
	run ! rbd bench --io-type write --io-total 4K img
	fio_verify "$dev" --size=1M
	ublk del 0
	run -0 rbd lock ls img
	[ -z "$output" ]
	# One that has no such lock is served, and a note says so.
	rbd create --size 16M --image-feature layering free
	run -0 --separate-stderr ublk add -n 0 -t rbd --image free
	[[ $stderr == *'nothing keeps other clients from writing to free: it has no exclusive lock'* ]]
	fio_verify /dev/ublkb0 --size=1M
	before=$(holder)
	kill_server 0
	ublk recover 0
	is_shut_out "$before"
	fio_verify /dev/ublkb0 --size=1M
	ublk del 0
}

# is_shut_out ADDRESS: the cluster takes nothing from that client any more.
is_shut_out()
{
	monitor '{"prefix": "osd blocklist ls"}' | grep -qF "$1 "
}

@test "a client sees nothing of servers that are killed: the new one breaks the dead one's lock, and fences it off" {
	up
	dev=$(ublk add -n 0 -t rbd --image img -q 2)
	id=$(detail 0 .remote.id)
	before=$(holder)
	outlives_its_servers "$dev"
	[ "$(detail 0 .remote.id)" = "$id" ]
	[ "$(holder)" != "$before" ]
	is_shut_out "$before"
	ublk del 0
}

# bats test_tags=long
@test "a server that ends in order, for another one or for none, lets go of its lock, and is not fenced off" {
	only_on_kernel 6.16 'QUIESCE'
	up
	dev=$(ublk add -n 0 -t rbd --image img -q 2)
	before=$(holder)
	start_verified "$dev" 4096
	writes_on "$dev"
	ublk upgrade 0
	writes_on "$dev"
	ublk quiesce 0
	run -0 rbd lock ls img
	[ -z "$output" ]
	ublk recover 0
	end_verified "$dev" 4096
	run ! is_shut_out "$before"
	ublk del 0
}

# bats test_tags=long
@test "the profile rbd is enough, for a striped image of a namespace and a device that is restarted, too" {
	up
	ceph_user storage
	rbd namespace create rbd/space
	rbd create --size 64M --object-size 1M --stripe-unit 64K --stripe-count 4 rbd/space/striped
	dev=$(ublk add -n 0 -t rbd --image rbd/space/striped --user storage --cluster ceph --restart)
	# A round of stripes.
	[ "$(blockdev --getioopt "$dev")" = $((256 << 10)) ]
	before=$(holder)
	start_verified "$dev" 4096 --bsrange=4k-512k
	writes_on "$dev"
	kill -KILL "$(detail 0 .server.pid)"
	wait_for 60 has_other_holder "$before"
	is_shut_out "$before"
	writes_on "$dev"
	end_verified "$dev" 4096
	ublk del 0
}

# has_other_holder ADDRESS: than that one, and it is live.
has_other_holder()
{
	[[ $(detail 0 '[.state, .remote.holder]') == '["live","127.0.0.1:0/'* && $(holder) != "$1" ]]
}

# bats test_tags=long
@test "a monitor and an OSD that are stopped, killed and come again cost no request and no data" {
	up bluestore
	dev=$(ublk add -n 0 -t rbd --image img -q 2)
	start_verified "$dev" 8192 --bsrange=4k-64k
	writes_on "$dev"
	osd_pause
	sleep 10
	osd_resume
	writes_on "$dev"
	mon_kill
	writes_on "$dev"
	mon_start
	writes_on "$dev"
	osd_kill
	osd_start
	writes_on "$dev"
	end_verified "$dev" 8192
	ublk del 0
}

# bats test_tags=long
@test "a network that is cut for half a minute costs no request and no data, nor does a server that dies meanwhile" {
	up bluestore net
	dev=$(ublk add -n 0 -t rbd --image img)
	start_verified "$dev" 8192 --bsrange=4k-64k
	writes_on "$dev"
	ceph_cut
	sleep 30
	ceph_join
	writes_on "$dev"
	ceph_cut
	kill_server "$dev"
	run -7 --separate-stderr ublk recover 0 --timeout 5
	ceph_join
	ublk recover 0
	end_verified "$dev" 8192
	ublk del 0
}

# bats test_tags=long
@test "a file system survives the death of its OSD and of its server" {
	up bluestore
	dev=$(ublk add -n 0 -t rbd --image img)
	fs_on "$dev" ext4 mnt
	for ((round = 0; round < 2; round++)); do
		head -c 3M /dev/urandom >mnt/$round
		sync -f mnt
		head -c 1M /dev/urandom >mnt/later$round
		sha256sum mnt/$round mnt/later$round >>sums
		osd_kill
		kill_server "$dev"
		osd_start
		ublk recover 0
	done
	sync -f mnt
	echo 3 >/proc/sys/vm/drop_caches
	sha256sum -c --quiet sums
	umount mnt
	fsck.ext4 -fn "$dev"
	ublk del 0
}

# bats test_tags=long
@test "a full cluster says so to who writes, and can be read" {
	up
	dev=$(ublk add -n 0 -t rbd --image img)
	dd if=/dev/urandom of=block bs=4k count=1 status=none
	dd if=block of="$dev" bs=4k count=1 oflag=direct status=none
	fio_verify "$dev" --offset=16M --size=16M
	ceph_full
	wait_for 30 has_no_space
	dd if="$dev" bs=4k count=1 iflag=direct status=none | cmp - block
	ceph_not_full
	wait_for 30 dd if=block of="$dev" bs=4k seek=1 count=1 oflag=direct conv=notrunc status=none
	ublk del 0
}

has_no_space()
{
	run dd if=/dev/zero of="$dev" bs=4k seek=1 count=1 oflag=direct conv=notrunc status=none
	[[ $output == *'No space left on device'* ]]
}

# bats test_tags=long
@test "a client that is shut out fails clearly, and has another one when it is told to" {
	up
	dev=$(ublk add -n 0 -t rbd --image img --log-file log)
	run -0 --separate-stderr ublk recover 0
	[[ $stderr == *'ublkb0 is live: there is nothing to recover'* ]]
	is_shut_out_now
	run ! dd if="$dev" of=/dev/null bs=4k count=1 iflag=direct status=none
	wait_for 10 grep -q 'another client has had this one shut out' log
	ublk show 0 >out
	grep -q 'status: *another client has had its server shut out of what it serves, [0-9]* seconds ago, and all I/O fails' out
	grep -q 'action: *when nobody else uses that: ublk recover 0' out
	before=$(detail 0 .server.pid)
	start_reads
	run -0 --separate-stderr ublk recover 0
	[ "$output" = "$dev" ]
	[[ $stderr == *'ublkb0 has a new server: the one before was shut out of what it serves'* ]]
	[ "$(detail 0 .server.pid)" != "$before" ]
	[ "$(detail 0 .away)" = null ]
	wait "$reads"
	fio_verify "$dev" --size=1M
	# An upgrade does it, too, where it can be had.
	if kernel_at_least 6.16; then
		is_shut_out_now
		ublk upgrade 0
		fio_verify "$dev" --size=1M
	fi
	ublk del 0
}

# bats test_tags=long
@test "what a server that is shut out has in hand is done by the next one, or fails, as --recovery says" {
	local held
	up
	for mode in reissue requeue; do
		# Held by the server itself, long after it is shut out: as a request that never ends.
		dev=$(ublk add -n 0 -t rbd --image img --recovery "$mode" --layer delay,ms=30000,ops=read)
		head -c 4k /dev/urandom >"$mode.written"
		dd if="$mode.written" of="$dev" bs=4k oflag=direct conv=notrunc status=none
		dd if="$dev" of="$mode.read" bs=4k count=1 iflag=direct 2>"$mode.err" 3>&- &
		held=$!
		wait_for 10 in_flight "$dev" 1
		is_shut_out_now
		if [ "$mode" = reissue ] || ! kernel_at_least 6.16; then
			run -0 --separate-stderr ublk recover 0
			[[ $stderr == *'ublkb0 has a new server'* ]]
		else
			# One that parks, and can't: it waits for what it has.
			run -7 ublk quiesce 0 --timeout 1
			ublk upgrade 0
		fi
		if [ "$mode" = reissue ]; then
			wait "$held"
			cmp reissue.read reissue.written
		else
			ends_with 1 "$held"
			grep -q 'Input/output error' requeue.err
		fi
		ublk del 0
	done
}

# is_shut_out_now: $dev, of number 0, and it has noticed.
is_shut_out_now()
{
	ceph_blocklist "$(holder)"
	wait_for 30 write_fails
	[ "$(detail 0 .away.fenced)" = true ]
}

# start_reads: of $dev, as job $reads, until one succeeds.
start_reads()
{
	until dd if="$dev" of=/dev/null bs=4k count=1 iflag=direct status=none 2>/dev/null; do :; done 3>&- &
	reads=$!
}

# bats test_tags=long
@test "an image that another client has locked meanwhile stays with that one, and the server that is shut out goes on" {
	up
	dev=$(ublk add -n 0 -t rbd --image img)
	is_shut_out_now
	before=$(detail 0 .server.pid)
	other=$(ublk add -n 1 -t rbd --image img)
	run -5 --separate-stderr ublk recover 0
	[[ $stderr == *'cannot recover ublkb0, whose server goes on: cannot lock img: the client at '*' has locked it'* ]]
	[ "$(detail 0 .server.pid)" = "$before" ]
	write_fails
	[ "$(detail 0 .away.fenced)" = true ]
	fio_verify "$other" --size=1M
	# Nor is it any other's when the server is dead.
	kill_server "$dev"
	run -5 --separate-stderr ublk recover 0 --timeout 5
	[[ $stderr == *'cannot lock img: the client at '*' has locked it'* ]]
	fio_verify "$other" --size=1M
	ublk del 1
	ublk recover 0
	fio_verify "$dev" --size=1M
	ublk del 0
}

# bats test_tags=long
@test "a recovery that dies with the image's lock is told from others when its client has gone" {
	up
	dev=$(ublk add -n 0 -t rbd --image img)
	start_verified "$dev" 4096
	writes_on "$dev"
	kill_server "$dev"
	before=$(holder)
	run ! env UBLK_FAULT=start-recovery:kill "$UBLK" recover 0
	[ "$(holder)" = "$before" ]
	is_shut_out "$before"
	run -5 --separate-stderr ublk recover 0 --timeout 5
	[[ $stderr == *'cannot lock img: the client at '*' has locked it'* && $stderr != *"$before"* ]]
	# Of several one serves, and the others are content.
	ublk recover 0 & first=$!
	ublk recover 0 & second=$!
	wait "$first"
	wait "$second"
	[ "$(holder)" != "$before" ]
	end_verified "$dev" 4096
	ublk del 0
}

write_fails()
{
	run dd if=/dev/zero of="$dev" bs=4k count=1 oflag=direct conv=notrunc status=none
	[[ $output == *'Input/output error'* ]]
}

# bats test_tags=long
@test "another size of the image is told, and the device follows when it is told to" {
	up
	dev=$(ublk add -n 0 -t rbd --image img --log-file log)
	rbd resize --no-progress --size 96M img
	wait_for 20 grep -q 'what it serves has 100663296 bytes by now, and the device 67108864' log
	if kernel_at_least 6.16; then
		run ! ublk resize 0 128M
		ublk resize 0 max
		[ "$(blockdev --getsize64 "$dev")" = $((96 << 20)) ]
		fio_verify "$dev" --offset=90M --size=4M
	fi
	# A device that waits has its own size, whatever the image has by then.
	kill_server "$dev"
	rbd resize --no-progress --size 128M img
	ublk recover 0
	fio_verify "$dev" --size=1M
	rbd resize --no-progress --allow-shrink --size 32M img
	wait_for 20 grep -q 'what it serves has 33554432 bytes by now' log
	dd if="$dev" of=/dev/null bs=4k count=1 iflag=direct status=none
	for at in 40 63; do
		run ! dd if="$dev" of=/dev/null bs=1M skip=$at count=1 iflag=direct status=none
		run ! dd if=/dev/zero of="$dev" bs=1M seek=$at count=1 oflag=direct conv=notrunc status=none
	done
	kill_server "$dev"
	run -1 --separate-stderr ublk recover 0
	[[ $stderr == *'img has become smaller'* ]]
	ublk del 0
}

# bats test_tags=long
@test "an image is known by what the cluster calls it: another name is followed, another image is not taken" {
	up
	dev=$(ublk add -n 0 -t rbd --image img)
	dd if=/dev/urandom of=block bs=4k count=1 status=none
	dd if=block of="$dev" bs=4k count=1 oflag=direct status=none
	rbd mv img other
	rbd create --size 64M img
	kill_server "$dev"
	ublk recover 0
	dd if="$dev" bs=4k count=1 iflag=direct status=none | cmp - block
	run ! rbd rm --no-progress other
	rbd rm --no-progress img
	if ! kernel_at_least 6.16; then
		# A server that was killed watches it for another half a minute.
		ublk del 0
		return
	fi
	ublk quiesce 0
	rbd rm --no-progress other
	rbd create --size 64M img
	run -1 --separate-stderr ublk recover 0
	[[ $stderr == *'cannot serve img: the image has been removed'* ]]
	ublk del 0
}

# bats test_tags=long
@test "what is acknowledged is in the cluster, also of an image that is to have a cache, however that is said" {
	local value
	up
	dd if=/dev/urandom of=block bs=64k count=1 status=none
	for value in true 1; do
		rbd config image set img rbd_cache $value
		rbd config image set img rbd_cache_writethrough_until_flush false
		dev=$(ublk add -n 0 -t rbd --image img)
		[ "$(</sys/block/ublkb0/queue/write_cache)" = 'write through' ]
		dd if=/dev/zero of="$dev" bs=64k count=1 oflag=direct conv=fsync,notrunc status=none
		dd if=block of="$dev" bs=64k oflag=direct conv=notrunc status=none
		fallocate -z -o 4096 -l 4096 "$dev"
		dd if=/dev/zero of=block bs=4k seek=1 count=1 conv=notrunc status=none
		kill_server "$dev"
		ublk recover 0
		dd if="$dev" bs=64k count=1 iflag=direct status=none | cmp - block
		ublk del 0
	done
	rbd config image set img rbd_persistent_cache_mode rwl
	fails 6 'cannot serve img: it is to have a persistent cache, and where a server lives there is no place for one' \
		--image img
}

# bats test_tags=long
@test "a device whose cluster does not answer can be taken away" {
	up
	dev=$(ublk add -n 0 -t rbd --image img)
	dd if=/dev/urandom of="$dev" bs=4k count=1 oflag=direct status=none
	osd_pause
	dd if="$dev" of=/dev/null bs=4k count=1 iflag=direct status=none 2>/dev/null 3>&- &
	wait_for 20 in_flight "$dev" 1
	run ! ublk del 0 --timeout 5
	ublk del --force 0
	wait "$!" || true
	wait_for 30 nothing_left
	osd_resume
}

@test "without its program an image is not served, and the package is named" {
	mkdir bin
	cp "$UBLK" "${UBLK%/*}/ublk-server" bin
	: >ceph.conf
	run -1 --separate-stderr bin/ublk add -t rbd --image img --conf ceph.conf
	[ "${stderr_lines[0]}" = 'ublk: error: cannot serve target rbd: its server program is not there (package ublk-rbd)' ]
	nothing_left
}
