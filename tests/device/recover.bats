# SPDX-License-Identifier: MIT
# A server that died, and the one that takes its place.
# cpus: 2
# kernels: 6.12 newest

load helpers
load servers
load backings

@test "reissue: a client sees nothing of two servers killed in the middle of its writes" {
	make_image a.img 16M
	dev=$(ublk add -t loop -f a.img --recovery reissue)
	start_verified "$dev" 8192
	for ((round = 1; round <= 2; round++)); do
		pid=$(server_of "$dev")
		writes_on "$dev"
		kill -KILL "$pid"
		wait_for 10 is_state "$dev" quiesced
		run -0 ublk recover "$dev"
		[ "$output" = "$dev" ]
		[ "$(state_of "$dev")" = live ]
	done
	end_verified "$dev" 8192
	ublk del "$dev"
}

@test "reissue: what was under way when the server died is written by the next one" {
	make_slow_disk 16
	dev=$(ublk add -t loop -f "$slow" --recovery reissue)
	slow_down 60000
	pid=$(server_of "$dev")
	dd if=/dev/urandom of=block bs=4096 count=1 status=none
	dd if=block of="$dev" bs=4096 seek=3 oflag=direct status=none &
	writer=$!
	wait_for 10 is_delayed
	kill -KILL "$pid"
	speed_up
	wait_for 20 is_gone "$pid"
	ublk recover "$dev"
	ends_with 0 "$writer"
	dd if="$dev" bs=4096 skip=3 count=1 iflag=direct status=none | cmp - block
	ublk del "$dev"
}

@test "requeue: what was under way when the server died fails, and later I/O works after recovery" {
	make_slow_disk 16
	dev=$(ublk add -t loop -f "$slow" --recovery requeue)
	slow_down 60000
	pid=$(server_of "$dev")
	write_block "$dev" 3 2>dd.err &
	writer=$!
	wait_for 10 is_delayed
	kill -KILL "$pid"
	speed_up
	ends_with 1 "$writer"
	grep -q 'Input/output error' dd.err
	wait_for 10 is_state "$dev" quiesced
	dd if=/dev/urandom of="$dev" bs=4096 count=1 seek=4 oflag=direct status=none &
	writer=$!
	wait_for 10 is_waiting "$writer"
	ublk recover "$dev"
	ends_with 0 "$writer"
	read_block "$dev"
	ublk del "$dev"
}

@test "fail: I/O fails while there is no server, and works after recovery" {
	only_on_kernel 6.13 "--recovery fail"
	make_image a.img 16M
	dev=$(ublk add -t loop -f a.img --recovery fail)
	write_block "$dev"
	kill_server "$dev"
	wait_for 10 is_state "$dev" failed
	run ! write_block "$dev"
	run ! read_block "$dev"
	run -0 ublk recover "$dev"
	[ "$(state_of "$dev")" = live ]
	write_block "$dev"
	read_block "$dev"
	ublk del "$dev"
}

@test "fail: a kernel without it refuses the device" {
	only_before_kernel 6.13 "--recovery fail"
	make_image a.img 16M
	run ublk add -t loop -f a.img --recovery fail
	[ "$status" -eq 6 ]
	[[ $output == *"--recovery fail"* ]]
}

@test "none: the disk goes with its server; what is left is listed as dead and can be deleted" {
	dev=$(ublk add -t mem --size 16M)
	write_block "$dev"
	kill_server "$dev"
	wait_for 10 is_state "$dev" dead
	[ ! -e "$dev" ]
	run ublk recover "$dev"
	[ "$status" -eq 1 ]
	[[ $output == *"without recovery"* ]]
	run -0 ublk show "$dev"
	[[ $output == *status:* && $output == *action:*"ublk del 0"* ]]
	ublk del "$dev"
}

@test "none: what was under way fails" {
	make_slow_disk 16
	dev=$(ublk add -t loop -f "$slow" --recovery none)
	slow_down 60000
	pid=$(server_of "$dev")
	write_block "$dev" 2>/dev/null &
	writer=$!
	wait_for 10 is_delayed
	kill -KILL "$pid"
	speed_up
	ends_with 1 "$writer"
	wait_for 10 is_state "$dev" dead
	ublk del "$dev"
}

@test "recover waits until the dead server's last write is over: file on a slow disk" {
	make_slow_disk 64
	# Nothing that the file system still has to write when it is mounted, nor times of files: what is delayed is
	# the device's.
	mkfs.ext4 -q -O ^has_journal -E lazy_itable_init=0 "$slow"
	mkdir m
	mount -o lazytime "$slow" m
	at_end unmount "$PWD/m"
	dd if=/dev/zero of=m/a.img bs=1M count=4 conv=fsync status=none
	dev=$(ublk add -t loop -f m/a.img --direct on --recovery requeue)
	pid=$(server_of "$dev")
	dd if=/dev/urandom of=block bs=4096 count=1 status=none
	sync -f m
	slow_down 3000
	dd if=block of="$dev" oflag=direct bs=4096 status=none 2>/dev/null &
	wait_for 20 is_delayed
	kill -KILL "$pid"
	is_delayed
	run -0 ublk recover "$dev"
	is_not_delayed
	speed_up
	dd if=m/a.img iflag=direct bs=4096 count=1 status=none | cmp - block
	ublk del "$dev"
}

# bats test_tags=long
@test "recover waits until the dead server's last write is over: a slow disk itself" {
	make_slow_disk 16
	dev=$(ublk add -t loop -f "$slow" --recovery requeue)
	slow_down 3000
	pid=$(server_of "$dev")
	write_block "$dev" 2>/dev/null &
	wait_for 10 is_delayed
	kill -KILL "$pid"
	is_delayed
	run -0 ublk recover "$dev"
	is_not_delayed
	ublk del "$dev"
}

# bats test_tags=long
@test "recover waits for a server that was killed, as long as one of its threads does not end" {
	make_slow_disk 16
	dev=$(ublk add -t loop -f "$slow" --direct off --recovery requeue)
	slow_down 3000
	pid=$(server_of "$dev")
	dd if=/dev/urandom of="$dev" bs=4096 count=1 oflag=direct conv=fsync status=none 2>/dev/null &
	wait_for 10 is_delayed
	kill -KILL "$pid"
	is_delayed
	run -0 --separate-stderr ublk recover --all
	[ "$output" = "$dev" ]
	[ "$(server_of "$dev")" != "$pid" ]
	speed_up
	read_block "$dev"
	ublk del "$dev"
}

@test "recover gives up in time when the lock does not come, and works later" {
	make_slow_disk 16
	dev=$(ublk add -t loop -f "$slow" --recovery requeue)
	slow_down 60000
	pid=$(server_of "$dev")
	write_block "$dev" 2>/dev/null &
	wait_for 10 is_delayed
	kill -KILL "$pid"
	run ublk recover --timeout 1 "$dev"
	[ "$status" -eq 5 ] || [ "$status" -eq 7 ]
	is_delayed
	speed_up
	ublk recover "$dev"
	ublk del "$dev"
}

@test "recover without the file says so, changes nothing, and works when the file is back" {
	disk=$(make_ram_disk 320)
	fs_on "$disk" xfs fs
	make_image fs/a.img 16M
	dev=$(ublk add -t loop -f fs/a.img)
	cp /run/ublk/0.json before.json
	park "$dev"
	umount fs
	run ublk recover "$dev"
	[ "$status" -eq 1 ]
	[[ $output == *"fs/a.img: No such file"* ]]
	is_state "$dev" quiesced
	cmp before.json /run/ublk/0.json
	mount "$disk" fs
	ublk recover "$dev"
	read_block "$dev"
	ublk del "$dev"
}

# refuses PATTERN: the quiesced device $dev stays as it is, and the one line tells why.
refuses()
{
	run --separate-stderr ublk recover "$dev"
	printf '%s %s\n' "$status" "$stderr"
	[ "$status" -eq 1 ]
	[ "$(grep -c '^ublk: error: ' <<<"$stderr")" -eq 1 ]
	# A pattern.
	# shellcheck disable=SC2053
	[[ $stderr == $1 ]]
	is_state "$dev" quiesced
}

# recovers PATTERN: and says what the pattern matches, or nothing.
recovers()
{
	run --separate-stderr ublk recover "$dev"
	printf '%s %s\n' "$status" "$stderr"
	[ "$status" -eq 0 ]
	# shellcheck disable=SC2053
	[[ $stderr == $1 ]]
	is_state "$dev" live
}

# inode_again FILE NUMBER: a new file of 16M that has an old one's inode number.
inode_again()
{
	local i
	for ((i = 0; i < 50; i++)); do
		make_image "$1" 16M
		[[ $(stat -c %i "$1") != "$2" ]] || return 0
		mv "$1" "$1.$i"
		sync -f .
	done
	return 1
}

# bats test_tags=newest
@test "recover refuses a file that has taken the place of the right one, its inode number too" {
	fs_on "$(make_ram_disk 64)" ext4 fs
	make_image fs/a.img 16M
	dev=$(ublk add -t loop -f fs/a.img)
	inode=$(stat -c %i fs/a.img)
	park "$dev"
	rm fs/a.img
	sync -f fs
	inode_again fs/a.img "$inode"
	refuses "*another one has taken its place: inode $inode on *, born *, not inode $inode on *, born *"
	# And it is nobody's.
	ublk del "$(ublk add -t loop -f fs/a.img)"
	ublk del "$dev"
}

# bats test_tags=newest
@test "recover finds a file that was renamed, and one whose link leads elsewhere now" {
	mkdir sub
	make_image a.img 16M
	make_image other.img 16M
	ln -s a.img link
	write_block a.img 7
	dev=$(ublk add -t loop -f link)
	park "$dev"
	ln -sfn other.img link
	recovers "*link is another file now: * is served, $PWD/a.img*"
	cmp "$dev" a.img
	park "$dev"
	ln -sfn sub/b.img link
	mv a.img sub/b.img
	mv other.img a.img
	recovers ''
	park "$dev"
	rm link
	mv sub/b.img c.img
	recovers "*link is not there any more: * is served, $PWD/c.img*"
	cmp "$dev" c.img
	run -0 jq -r '.backing | .path, .real' /run/ublk/0.json
	[ "$output" = "$PWD/link"$'\n'"$PWD/c.img" ]
	ublk del "$dev"
}

# bats test_tags=newest
@test "recover of a file that has grown serves what was served; one that is too short is refused" {
	make_image a.img 16M
	dev=$(ublk add -t loop -f a.img)
	park "$dev"
	truncate -s 8M a.img
	refuses '*the device has 16777216 bytes of it, from 0 on, and it ends at 8388608 now*'
	truncate -s 32M a.img
	recovers ''
	[ "$(blockdev --getsize64 "$dev")" -eq 16777216 ]
	ublk del "$dev"
}

# bats test_tags=newest
@test "recover knows a logical volume by its UUID, grown or not, and no disk by its number alone" {
	ram=$(make_ram_disk 64)
	map_disk lv "0 32768 linear $ram 0"
	dmsetup rename lv --setuuid LVM-of-a-test
	dev=$(ublk add -t loop -f /dev/mapper/lv)
	park "$dev"
	dmsetup remove lv
	dmsetup create lv --uuid LVM-of-a-test --table "0 65536 linear $ram 0"
	recovers ''
	[ "$(blockdev --getsize64 "$dev")" -eq 16777216 ]
	ublk del "$dev"
	dmsetup remove lv

	map_disk plain "0 32768 linear $ram 0"
	dev=$(ublk add -t loop -f /dev/mapper/plain)
	change_map plain "0 65536 linear $ram 0"
	park "$dev"
	recovers ''
	park "$dev"
	number=$(dmsetup info -c --noheadings -o major,minor plain)
	dmsetup remove plain
	dmsetup create plain --table "0 32768 linear $ram 0"
	[ "$(dmsetup info -c --noheadings -o major,minor plain)" = "$number" ]
	refuses "*not the block device * taken its place: disk $number with sequence number *, not disk $number with *"
	ublk del "$dev"
}

# bats test_tags=long
@test "recover takes the right file where numbers are invented: FAT by its birth, FUSE by its place" {
	modprobe vfat
	disk=$(make_ram_disk 64)
	mkfs.vfat "$disk" >/dev/null
	mkdir fs remote
	mount "$disk" fs
	at_end unmount "$PWD/fs"
	make_image fs/a.img 16M
	dev=$(ublk add -t loop -f fs/a.img)
	inode=$(stat -c %i fs/a.img)
	park "$dev"
	umount fs
	mount "$disk" fs
	make_image fs/b.img 16M
	[ "$(stat -c %i fs/a.img)" != "$inode" ]
	recovers ''
	park "$dev"
	mv fs/b.img fs/a.img
	refuses '*another one has taken its place*'
	ublk del "$dev"

	mkfifo pipe
	# The pipe is what they talk by.
	# shellcheck disable=SC2094
	/usr/lib/openssh/sftp-server <pipe | sshfs -f -o passive ":$PWD/fs" remote >pipe &
	at_end unmount "$PWD/remote"
	wait_for 20 mountpoint -q remote
	run --separate-stderr ublk add -t loop -f remote/a.img
	[ "$status" -eq 0 ]
	[[ $stderr == *'nothing firm is known of '*'/remote/a.img'* ]]
	inode=$(stat -c %i remote/a.img)
	park "$dev"
	echo 2 >/proc/sys/vm/drop_caches
	make_image remote/b.img 16M
	wait_for 10 test "$(stat -c %i remote/a.img)" != "$inode"
	# Whose it is, is known as little by its number.
	run ublk add -t loop -f remote/a.img
	[ "$status" -eq 5 ]
	recovers '*nothing firm is known of *'
	cmp "$dev" remote/a.img
	ublk del "$dev"
}

@test "recover of a live device changes nothing and succeeds" {
	dev=$(ublk add -t null)
	pid=$(server_of "$dev")
	run -0 --separate-stderr ublk recover "$dev"
	[[ $stderr == *"nothing to recover"* ]]
	[ "$(server_of "$dev")" = "$pid" ]
	ublk del "$dev"
}

# container CMD: a namespace of processes of its own, which stays. Leaves it in $box.
container()
{
	rm -f box.status
	unshare --pid --fork --mount-proc --kill-child bash -c "($1) >box.log 2>&1; echo \$? >box.status; exec sleep 1000" &
	box=$!
	wait_for 60 test -s box.status
	[ "$(<box.status)" -eq 0 ] || { cat box.log; return 1; }
}

# bats test_tags=newest
@test "a device that is served in another namespace of processes is live, and del and recover know it" {
	make_image a.img 16M
	container "'$UBLK' add -t loop -f a.img"
	server=$(servers)
	run -0 ublk show --json 0
	[ "$(jq -r '.devices[0].server | .pid, .alive' <<<"$output" | xargs)" = "$server true" ]
	run -0 ublk show 0
	[[ $output != *status:* ]]
	run -0 --separate-stderr ublk recover 0
	[[ $stderr == *"nothing to recover"* ]]
	# From a third one nothing can be told, which counts as life.
	run -0 unshare --pid --fork --mount-proc "$UBLK" show --json 0
	[ "$(jq -r '.devices[0].server | .pid, .alive' <<<"$output" | xargs)" = "null null" ]
	run -0 --separate-stderr unshare --pid --fork --mount-proc "$UBLK" recover 0
	[[ $stderr == *"nothing to recover"* ]]
	end_job "$box" KILL
	wait_for 10 is_state 0 quiesced
	ublk recover 0
	read_block /dev/ublkb0
	ublk del 0
	container "'$UBLK' add -t loop -f a.img"
	ublk del 0
	kill -KILL "$box"
}

@test "of two recovers at once one wins, the other sees that it is done, and the device lives" {
	make_image a.img 16M
	dev=$(ublk add -t loop -f a.img)
	for ((i = 0; i < 2; i++)); do
		pid=$(server_of "$dev")
		kill -KILL "$pid"
		wait_for 10 is_gone "$pid"
		ublk recover "$dev" >one.log 2>&1 &
		one=$!
		ublk recover "$dev" >two.log 2>&1 &
		two=$!
		status=0
		wait "$one" || status=1
		wait "$two" || status=$((status + 1))
		cat one.log two.log
		[ "$status" -eq 0 ]
		is_state "$dev" live
		read_block "$dev"
		[ "$(pgrep -cx ublk-server)" -eq 1 ]
	done
	ublk del "$dev"
}

@test "recover --all takes those that need it, and only those" {
	make_image a.img 16M
	make_image b.img 16M
	a=$(ublk add -t loop -f a.img)
	b=$(ublk add -t loop -f b.img)
	c=$(ublk add -t null)
	d=$(ublk add -t mem --size 16M)
	keep=$(server_of "$c")
	park "$a"
	park "$b"
	kill_server "$d"
	wait_for 10 is_state "$d" dead
	run -0 --separate-stderr ublk recover --all
	[ "$output" = "$a"$'\n'"$b" ]
	[ "$(server_of "$c")" = "$keep" ]
	read_block "$a"
	read_block "$b"
	ublk del --all
}

# bats test_tags=newest
@test "recover of a device whose record is lost is refused; del removes it" {
	make_image a.img 16M
	dev=$(ublk add -t loop -f a.img)
	park "$dev"
	lose_record 0
	run ublk recover "$dev"
	[ "$status" -eq 1 ]
	[[ $output == *"another program's, or its record is lost"* ]]
	run -0 ublk list --json
	[ "$(jq -r '.devices[0].managed' <<<"$output")" = false ]
	ublk del "$dev"
}

# bats test_tags=newest
@test "a record that cannot be used says why, and one of another version is used all the same" {
	dev=$(ublk add -t null)
	park "$dev"
	chmod g+w /run/ublk
	at_end chmod g-w /run/ublk
	run ublk recover "$dev"
	[ "$status" -eq 1 ]
	[[ $output == *"cannot recover ublkb0: cannot use /run/ublk: others than its owner may write there"* ]]
	run ublk recover --all
	[ "$status" -eq 1 ]
	run -0 ublk show "$dev"
	[[ $output == *"status: "*"its server died"*"others than its owner may write there"* ]]
	[[ $output == *"action: "*"ls -la /run/ublk"*"ublk recover"*"ublk del --force 0"* ]]
	[[ $(ublk list --json | jq -r '.devices[0].record_error') == *"may write there" ]]
	chmod g-w /run/ublk
	[ "$(ublk list --json | jq '.devices[0].record_error')" = null ]
	# What an older version did not write, and a newer one might.
	jq 'del(.granted, .memory, .notes, .server.threads, .spec.poll_us, .version) + {more: [{}]}' \
		/run/ublk/0.json >new.json
	cp new.json /run/ublk/0.json
	run -0 ublk recover "$dev"
	read_block "$dev"
	park "$dev"
	jq '.target.type = "qcow9"' /run/ublk/0.json >new.json
	cp new.json /run/ublk/0.json
	run ublk recover "$dev"
	[ "$status" -eq 1 ]
	[[ $output == *"target.type has a value that this version does not know"* ]]
	ublk del "$dev"
}

# is_recorded DEV: its record names the server that it has.
is_recorded()
{
	[[ $(jq .server.pid /run/ublk/0.json) == "$(server_of "$1")" ]]
}

# bats test_tags=newest
@test "a full disk with the records keeps no request waiting, and what could not be written is written later" {
	small_records
	dev=$(ublk add -t null --name disk)
	fill_records
	park "$dev"
	run -0 --separate-stderr ublk recover "$dev"
	[ -z "$stderr" ]
	is_recorded "$dev"
	# As an older version left it: without room for another record.
	rm /run/ublk/.0.spare
	fill_records
	park "$dev"
	run -0 --separate-stderr ublk recover "$dev"
	[[ $stderr == "ublk: note: its record could not be written, and will be later: "* ]]
	[ "$(state_of "$dev")" = live ]
	[ "$(server_of "$dev")" = "$(servers)" ]
	run ! is_recorded "$dev"
	run -0 ublk recover "$dev"
	rm /run/ublk/full
	wait_for 20 is_recorded "$dev"
	park "$dev"
	ublk recover "$dev"
	ublk del disk
}

# bats test_tags=newest
@test "the log of a recovered device goes on in the same file" {
	dev=$(ublk add -t null --log-file server.log)
	wait_for 10 grep -q serving server.log
	park "$dev"
	cp server.log before.log
	ublk recover "$dev"
	wait_for 10 grep -q recovered server.log
	cmp -n "$(stat -c %s before.log)" server.log before.log
	ublk del "$dev"
	wait_for 10 grep -q stopped server.log
}

# bats test_tags=newest
@test "a log that cannot be opened keeps no request waiting" {
	mkdir -p logs/deep
	dev=$(ublk add -t null --log-file logs/deep/server.log)
	rm -r logs
	park "$dev"
	run -0 --separate-stderr ublk recover "$dev"
	[[ $stderr == "ublk: note: the log goes to the journal, since $PWD/logs/deep/server.log cannot be opened: "* ]]
	mkdir -p logs/deep
	kill -HUP "$(server_of "$dev")"
	wait_for 10 grep -qs 'opened again' logs/deep/server.log
	ublk del "$dev"
}

# bats test_tags=newest
@test "a log that lies on the device itself keeps no request waiting" {
	mkdir m
	make_image a.img 64M
	dev=$(ublk add -t loop -f a.img --recovery requeue --log-file m/server.log)
	fs_on "$dev" ext4 m
	touch m/server.log
	sync -f m
	park "$dev"
	# Whoever opens it now has to read the disk.
	for ((round = 0; round < 3; round++)); do
		timeout 5 tee /proc/sys/vm/drop_caches <<<3 >/dev/null
	done
	run -0 ublk recover --timeout 20 "$dev"
	wait_for 10 grep -q recovered m/server.log
	umount -l m
	ublk del --force "$dev"
}

# bats test_tags=newest
@test "recover of a device that is not there is exit status 4" {
	run ublk recover 7
	[ "$status" -eq 4 ]
}

# bats test_tags=newest
@test "the record of a recovered device names its new server" {
	make_image a.img 16M
	dev=$(ublk add -t loop -f a.img)
	old=$(server_of "$dev")
	park "$dev"
	ublk recover "$dev"
	new=$(server_of "$dev")
	[ "$new" != "$old" ]
	[ "$(jq .server.pid /run/ublk/0.json)" = "$new" ]
	[ "$(pgrep -x ublk-server)" = "$new" ]
	ublk del "$dev"
}

# bats test_tags=newest
@test "a failed write-back is not forgotten by recovery: flushes go on failing" {
	ram=$(make_ram_disk 32)
	map_disk bad "0 65536 linear $ram 0"
	dev=$(ublk add -t loop -f /dev/mapper/bad --direct off)
	change_map bad '0 65536 error'
	run dd if=/dev/urandom of="$dev" bs=4096 count=1 conv=fsync status=none
	[ "$status" -eq 1 ]
	change_map bad "0 65536 linear $ram 0"
	park "$dev"
	ublk recover "$dev"
	run dd if=/dev/urandom of="$dev" bs=4096 count=1 conv=fsync status=none
	[ "$status" -eq 1 ]
	run -0 ublk show "$dev"
	[[ $output == *status:*"a write failed"* ]]
	ublk del "$dev"
}

# interrupt_recovery SIGNAL MILLISECONDS: a recovery that gets the signal so long after its start.
interrupt_recovery()
{
	env --default-signal=INT timeout -s "$1" "$(printf '0.%03d' "$2")" "$UBLK" recover "$dev" >/dev/null 2>&1 || true
}

@test "a recovery that is interrupted or killed leaves the device live or recoverable" {
	make_image a.img 16M
	dev=$(ublk add -t loop -f a.img)
	for signal in INT KILL; do
		for ms in 10 40 80 130; do
			pid=$(server_of "$dev")
			kill -KILL "$pid"
			wait_for 10 is_gone "$pid"
			interrupt_recovery "$signal" "$ms"
			run ublk recover "$dev"
			[ "$status" -eq 0 ] || { echo "$signal after $ms ms"; return 1; }
			is_state "$dev" live
			read_block "$dev"
		done
	done
	[ "$(pgrep -cx ublk-server)" -eq 1 ]
	ublk del "$dev"
}
