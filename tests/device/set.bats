# SPDX-License-Identifier: MIT
# What can be changed of a device that is there is changed, at once and for good.
# build: faults
# kernels: newest
# long kernels: 6.12 6.18
# cpus: 2

load helpers
load backings
load servers

setup()
{
	device_setup
	modprobe bfq
}

teardown()
{
	pgrep -f '(^|/)ublk supervise$' | xargs -r kill
	device_teardown
}

# add_pooled [OPTION...]: $dev, whose buffers come from a pool, and its $server.
add_pooled()
{
	make_image a.img 32M
	dev=$(ublk add -n 0 -t loop -f a.img --data-path user-copy --buffer-memory 4M "$@")
	server=$(server_of "$dev")
}

# asked KEY: what the record of device 0 says.
asked()
{
	jq -c ".spec.$1" /run/ublk/0.json
}

# cpus_of PID: of each thread that serves a queue.
cpus_of()
{
	local task name
	for task in "/proc/$1/task/"*; do
		read -r name <"$task/comm"
		[[ $name != ublk*-q* ]] || awk '/^Cpus_allowed_list/ { print $2 }' "$task/status"
	done | xargs
}

# refused STATUS WORDS ARGS...: nothing is changed, and said why.
refused()
{
	local before
	before=$(</run/ublk/0.json)
	run --separate-stderr ublk set "${@:3}"
	printf '%s\n' "$stderr"
	[[ $status -eq $1 && -z $output && $stderr == "ublk: error: "*"$2"* ]] || return
	[[ $(</run/ublk/0.json) == "$before" ]]
}

# has_another DEV PID: a server other than that.
has_another()
{
	local pid
	is_state "$1" live && pid=$(server_of "$1") && [[ $pid != "$2" ]]
}

@test "its threads run on other CPUs, and by default on each queue's again; the next server's do, too" {
	make_image a.img 32M
	dev=$(ublk add -t loop -f a.img -q 2)
	server=$(server_of "$dev")
	usual=$(cpus_of "$server")
	run -0 ublk set "$dev" --cpus 1
	[ -z "$output" ]
	[ "$(cpus_of "$server")" = '1 1' ]
	ublk set -n 0 --cpus 0,1
	[ "$(cpus_of "$server")" = '0 1' ]
	[ "$(asked cpus)" = '"0,1"' ]
	park "$dev"
	ublk recover "$dev"
	server=$(server_of "$dev")
	[ "$(cpus_of "$server")" = '0 1' ]
	# The second of the two cannot: the first stays where it was.
	refused 1 'its threads cannot run on the CPUs of --cpus 1,77: Invalid argument' 0 --cpus 1,77
	[ "$(cpus_of "$server")" = '0 1' ]
	refused 2 '--cpus takes numbers and ranges' 0 --cpus 3-1
	ublk set 0 --default cpus
	[ "$(cpus_of "$server")" = "$usual" ]
	[ "$(asked cpus)" = null ]
	ublk del 0
}

# busy_ticks PID: how long its threads have run, in user space.
busy_ticks()
{
	local stat
	read -r stat <"/proc/$1/stat"
	read -ra stat <<<"${stat##*) }"
	echo "${stat[11]}"
}

# cost_of_reads PID: what three reads cost it in user space, until it sleeps after each.
cost_of_reads()
{
	local before n
	before=$(busy_ticks "$1")
	for ((n = 0; n < 3; n++)); do
		read_block /dev/ublkb0
		wait_for 20 sleeps "$1" || return
	done
	echo $(($(busy_ticks "$1") - before))
}

@test "its threads look for requests for a while before they sleep, and do not any more" {
	make_image a.img 32M
	dev=$(ublk add -t loop -f a.img)
	server=$(server_of "$dev")
	ublk set 0 --poll-us 1000000
	[ "$(asked poll_us)" = 1000000 ]
	# It learns of it when it wakes.
	read_block "$dev"
	(($(cost_of_reads "$server") > 150))
	ublk set 0 --default poll-us
	[ "$(asked poll_us)" = 0 ]
	wait_for 20 sleeps "$server"
	(($(cost_of_reads "$server") < 100))
	ublk del 0
}

# sleeps PID: all of its threads do.
sleeps()
{
	! grep -hE '^State:' "/proc/$1/task/"*/status | grep -qv sleeping
}

# resident: bytes of buffers that device 0 has in memory.
resident()
{
	ublk memory 0 --json | jq '[.devices[0].regions[] | select(.name == "buffers").resident] | add'
}

# under_load DEV: large requests, many at once.
under_load()
{
	fio --name=large --filename="$1" --rw=randwrite --bs=512k --iodepth=32 --size=32M --direct=1 \
		--ioengine=libaio --verify=crc32c --output=fio.log
}

@test "the memory of its buffers has another limit, in both directions" {
	add_pooled
	ublk set "$dev" --buffer-memory 1M
	[ "$(asked buffer_memory)" = 1048576 ]
	under_load "$dev"
	[ "$(jq .memory.plan.buffers.most /run/ublk/0.json)" -eq 1048576 ]
	(($(resident) <= 1048576))
	ublk set "$dev" --buffer-memory 16M
	under_load "$dev" &
	wait_for 60 has_more_than 2000000
	wait "$!"
	ublk set "$dev" --default buffer-memory
	[ "$(asked buffer_memory)" = 0 ]
	refused 2 '--buffer-memory 4096 is too little' 0 --buffer-memory 4K
	ublk del 0
	dev=$(ublk add -t loop -f a.img --data-path copy)
	refused 2 '--buffer-memory is for --data-path user-copy and get-data' 0 --buffer-memory 4M
	ublk del 0
}

# has_more_than BYTES: of buffers.
has_more_than()
{
	(($(resident) > $1))
}

@test "buffers that are locked in memory are as many as at the start, until there is another server" {
	add_pooled --mlock
	for size in 2M 8M; do
		refused 1 'with --mlock all buffers were taken at the start, 4M: change that without a server' \
			0 --buffer-memory "$size"
	done
	ublk set 0 --buffer-memory 4M --poll-us 1
	park "$dev"
	ublk set 0 --buffer-memory 8M
	ublk recover 0
	[ "$(jq .memory.plan.buffers.most /run/ublk/0.json)" -ge $((8 << 20)) ]
	ublk del 0
}

@test "a memory limit holds for what comes after, and is refused if there may be more already" {
	add_pooled
	refused 1 'it may come to ' 0 --memory-limit 1M
	[[ $stderr == *'and its --memory-limit would be 1M'* && $stderr == *'hint: see where it goes: ublk memory 0'* ]]
	ublk set 0 --memory-limit 16M
	[ "$(asked memory_limit)" = 16777216 ]
	refused 1 'and its --memory-limit would be 16M' 0 --buffer-memory 32M
	# All or nothing.
	refused 1 'and its --memory-limit would be 16M' 0 --poll-us 7 --buffer-memory 32M
	ublk set 0 --default memory-limit --buffer-memory 32M
	ublk del 0
}

@test "its disk has another scheduler" {
	make_image a.img 32M
	dev=$(ublk add -t loop -f a.img)
	ublk set 0 --scheduler mq-deadline
	grep -qF '[mq-deadline]' /sys/block/ublkb0/queue/scheduler
	park "$dev"
	ublk recover 0
	grep -qF '[mq-deadline]' /sys/block/ublkb0/queue/scheduler
	refused 1 'this kernel has no I/O scheduler cfq' 0 --scheduler cfq
	refused 2 '--scheduler takes 1 to 15' 0 --scheduler A
	# What its server refuses is not done by halves.
	refused 1 'cannot run on the CPUs' 0 --scheduler bfq --cpus 77
	grep -qF '[mq-deadline]' /sys/block/ublkb0/queue/scheduler
	ublk set 0 --scheduler keep
	grep -qF '[mq-deadline]' /sys/block/ublkb0/queue/scheduler
	ublk set 0 --default scheduler
	grep -qF '[none]' /sys/block/ublkb0/queue/scheduler
	[ "$(asked scheduler)" = null ]
	ublk del 0
}

@test "a scheduler that the record can't be told of is not left on the disk" {
	small_records
	make_image a.img 32M
	dev=$(ublk add -t loop -f a.img)
	rm /run/ublk/.0.spare
	fill_records
	run -1 --separate-stderr ublk set 0 --scheduler bfq
	[[ $stderr == *"its record can't be written: No space left on device"* ]]
	grep -qF '[none]' /sys/block/ublkb0/queue/scheduler
	rm /run/ublk/full
	ublk del 0
}

# mounted_disk NAME: a file system of its own there; sets `disk`.
mounted_disk()
{
	disk=$(make_ram_disk 32)
	mkfs.ext4 -q "$disk"
	mkdir "$1"
	mount "$disk" "$1"
	at_end unmount "$PWD/$1"
}

# is_free DISK: nobody has it mounted, anywhere.
is_free()
{
	python3 -c 'import os, sys; os.open(sys.argv[1], os.O_RDONLY | os.O_EXCL)' "$1" 2>/dev/null
}

@test "its log goes on in another file, which is rotated, and keeps no file system that it has left" {
	make_image a.img 32M
	dev=$(ublk add -t loop -f a.img)
	server=$(server_of "$dev")
	mounted_disk one
	first=$disk
	mounted_disk two
	ublk set 0 --log-file one/log
	grep -q "ublk-server\[$server\]: ublkb0: changed: log-file" one/log
	[ "$(asked log_file)" = "\"$PWD/one/log\"" ]
	ublk set 0 --log-file two/log
	umount one
	wait_for 10 is_free "$first"
	grep -q 'changed: log-file' two/log
	mv two/log two/old
	kill -HUP "$server"
	wait_for 10 grep -q 'log file opened again' two/log
	# Within the same folder.
	# A link is followed here: the server lives elsewhere.
	: >one/aim
	ln -s "$PWD/one/aim" two/link
	ublk set 0 --log-file two/link
	grep -q 'changed: log-file' one/aim
	[ "$(jq -r .spec.log_file /run/ublk/0.json)" = "$PWD/one/aim" ]
	ublk set 0 --log-file two/other
	ublk set 0 --poll-us 0
	grep -q 'changed: poll-us' two/other
	run -1 grep -q 'changed: poll-us' two/log
	refused 1 "cannot open log file $PWD/none/log: No such file or directory" 0 --log-file none/log
	ublk set 0 --poll-us 1
	grep -q 'changed: poll-us' two/other
	# The next server goes on there.
	park "$dev"
	ublk recover 0
	grep -q 'recovered' two/other
	ublk set 0 --default log-file
	grep -q 'ublkb0: changed: log-file' /run/vm/syslog
	umount two
	wait_for 10 is_free "$disk"
	run -0 cut -d' ' -f5 "/proc/$(server_of "$dev")/mountinfo"
	[[ $output != *log* ]]
	ublk del 0
}

@test "a log that cannot be written to is refused, and leaves nothing mounted" {
	make_image a.img 32M
	dev=$(ublk add -t loop -f a.img --log-file log)
	mounted_disk one
	mkdir one/log
	refused 1 'cannot open log file '"$PWD"'/one/log: Is a directory' 0 --log-file one/log
	refused 1 'cannot run on the CPUs' 0 --log-file one/file --cpus 77
	umount one
	wait_for 10 is_free "$disk"
	ublk set 0 --poll-us 1
	grep -q 'changed: poll-us' log
	ublk del 0
}

@test "who asks from another mount namespace means his own file" {
	make_image a.img 32M
	dev=$(ublk add -t loop -f a.img)
	mkdir m
	unshare --mount bash -c "mount -t tmpfs none m && '$UBLK' set 0 --log-file m/log && grep -q log-file m/log && cp m/log seen"
	[ -s seen ]
	[ ! -e m/log ]
	ublk del 0
}

@test "its log has less in it, for the next server, too" {
	make_image a.img 32M
	dev=$(ublk add -t loop -f a.img --log-file log)
	grep -q serving log
	ublk set 0 --log-level warning
	# That was said at the level before, or is not said at all.
	run -1 grep -q 'changed: log-level' log
	[ "$(asked log_level)" = '"warning"' ]
	park "$dev"
	ublk recover 0
	[ "$(grep -c serving log)" = 1 ]
	run -1 grep -q recovered log
	ublk set 0 --default log-level
	grep -q 'changed: log-level' log
	ublk del 0
	dev=$(ublk add -t null --log-file quiet --log-level err)
	[ ! -s quiet ]
	[[ $(ublk show --config 0) == *'log-level = err'* ]]
	ublk del 0
}

@test "it gets a new server when its own dies from now on, or none any more" {
	make_image a.img 32M
	dev=$(ublk add -t loop -f a.img)
	ublk set 0 --restart
	[ "$(ublk show 0 --json | jq -r '.devices[0].restart.state')" = watched ]
	server=$(server_of "$dev")
	kill -KILL "$server"
	wait_for 30 has_another "$dev" "$server"
	ublk set 0 --default restart
	wait_for 10 no_supervisor
	park "$dev"
	# Of one that waits.
	ublk set 0 --restart
	wait_for 30 is_state "$dev" live
	ublk del 0
	wait_for 10 no_supervisor
	dev=$(ublk add -n 0 -t null --recovery none)
	refused 2 '--restart and --recovery none exclude each other' 0 --restart
	ublk del 0
	dev=$(ublk add -n 0 -t mem --size 1M)
	refused 2 '--restart is not for target mem' 0 --restart
	ublk del 0
}

no_supervisor()
{
	! pgrep -f '(^|/)ublk supervise$' >/dev/null
}

@test "a server in the foreground is changed as any, but for who starts the next one" {
	make_image a.img 32M
	ublk_in_background add -n 0 -t loop -f a.img --foreground 2>front.log
	wait_for 20 is_state 0 live
	ublk set 0 --cpus 1
	[ "$(cpus_of "$(server_of 0)")" = 1 ]
	refused 2 '--restart is not for a server in the foreground' 0 --restart
	ublk set 0 --log-file log
	run -1 grep -q log-file front.log
	ublk set 0 --default log-file
	grep -q 'changed: log-file' front.log
	ublk del 0
}

@test "a cap for buffers that a device does not share out is refused, also if nobody has chosen the path" {
	dev=$(ublk add -t null)
	[ "$(ublk show --json 0 | jq -r '.devices[0].data_path')" = copy ]
	refused 2 '--buffer-memory is for --data-path user-copy and get-data: on path copy' 0 --buffer-memory 8M
	park "$dev"
	refused 2 '--buffer-memory is for --data-path user-copy and get-data: on path copy' 0 --buffer-memory 8M
	ublk del 0
}

@test "a device that goes with a command is changed as any, but for who starts the next server" {
	ublk run -t mem --size 1M -- bash -c "
		'$UBLK' set 0 --poll-us 5 && '$UBLK' set 0 --restart; echo \$?" >out 2>&1
	cat out
	[ "$(tail -n 1 out)" = 2 ]
	grep -q -- '--restart is not for' out
}

@test "a device that waits for a server is changed in its record, and its disk is left alone" {
	make_image a.img 32M
	dev=$(ublk add -t loop -f a.img)
	park "$dev"
	dd if="$dev" of=read bs=4k count=1 iflag=direct status=none 3>&- &
	reader=$!
	wait_for 20 is_waiting "$reader"
	ublk set 0 --cpus 1 --poll-us 3 --log-file log --log-level notice
	[ "$(asked cpus) $(asked poll_us) $(asked log_level)" = '"1" 3 "notice"' ]
	refused 1 'its I/O scheduler can be changed only while it has a server' 0 --scheduler bfq
	refused 2 '--cpus takes numbers' 0 --cpus x
	ublk recover 0
	wait "$reader"
	[ "$(cpus_of "$(server_of "$dev")")" = 1 ]
	grep -q recovered log
	run -1 grep -q serving log
	ublk del 0
}

@test "what was changed is the next program's after an upgrade" {
	only_on_kernel 6.16 'QUIESCE'
	add_pooled
	ublk set 0 --cpus 1 --buffer-memory 2M --log-file log
	ublk upgrade 0
	[ "$(server_of "$dev")" != "$server" ]
	[ "$(cpus_of "$(server_of "$dev")")" = 1 ]
	[ "$(asked buffer_memory)" = 2097152 ]
	grep -q recovered log
	ublk del 0
}

@test "what is changed while a recovery has begun is not lost" {
	add_pooled --log-level info
	park "$dev"
	# It has read the record, and not taken the device over.
	UBLK_FAULT=opened:stop "$UBLK" recover 0 >/dev/null 3>&- &
	recovery=$!
	wait_for 20 some_server_is_stopped
	ublk set 0 --cpus 1 --buffer-memory 2M --poll-us 9 --log-file log
	kill -CONT "$stopped"
	wait "$recovery"
	[ "$(asked cpus) $(asked buffer_memory) $(asked poll_us)" = '"1" 2097152 9' ]
	[ "$(cpus_of "$(server_of "$dev")")" = 1 ]
	grep -q recovered log
	ublk del 0
}

# some_server_is_stopped: sets `stopped`.
some_server_is_stopped()
{
	for stopped in $(servers); do
		! is_stopped "$stopped" || return 0
	done
	return 1
}

@test "what cannot be changed is refused with the way to do it" {
	make_image a.img 32M
	dev=$(ublk add -t loop -f a.img)
	refused 2 "option '--queues' can't be changed while the device is there: remove it, and add it anew" 0 --queues 2
	refused 2 "option '--size' is not changed by this, but by: ublk resize DEV" 0 --size 1M
	refused 2 "option '--direct' can't be changed" 0 --direct off
	refused 2 'nothing to change is named' 0
	refused 2 'no device is named' --poll-us 1
	refused 2 "options '--cpus' and '--default cpus' exclude each other" 0 --cpus 1 --default poll-us,cpus
	refused 4 '7' 7 --poll-us 1
	# Of several each is told.
	dev=$(ublk add -n 3 -t null)
	run -1 --separate-stderr ublk set 3 7 0 --poll-us 2 --cpus 0
	[ "$(grep -c '^ublk: error: ' <<<"$stderr")" = 1 ]
	[ "$(asked poll_us)" = 2 ]
	[ "$(jq .spec.poll_us /run/ublk/3.json)" = 2 ]
	ublk del 0 3
}

@test "of a device without a record nothing is changed" {
	make_image a.img 32M
	dev=$(ublk add -t loop -f a.img)
	lose_record 0
	run -1 --separate-stderr ublk set 0 --poll-us 1
	[[ $stderr == *"cannot change ublkb0: it is another program's"* ]]
	ublk del 0
}

@test "a record that can't be written leaves everything as it was" {
	small_records
	add_pooled --log-file log
	rm /run/ublk/.0.spare
	before=$(cpus_of "$server")
	fill_records
	run -1 --separate-stderr ublk set 0 --cpus 1 --log-file other --log-level err --buffer-memory 1M
	[[ $stderr == *"its record can't be written: No space left on device"* ]]
	rm /run/ublk/full
	[ "$(cpus_of "$server")" = "$before" ]
	wait_for 20 grep -q 'the record is written again' log
	[ "$(asked cpus) $(asked log_level) $(asked buffer_memory)" = 'null "info" 4194304' ]
	[ "$(jq .memory.plan.buffers.most /run/ublk/0.json)" -eq $((4 << 20)) ]
	under_load "$dev"
	(($(resident) > 1 << 20))
	ublk del 0
}

@test "a server that does not answer is told, and changes nothing later" {
	make_image a.img 32M
	dev=$(ublk add -t loop -f a.img)
	server=$(server_of "$dev")
	kill -STOP "$server"
	refused 7 "its server (process $server) does not answer" 0 --timeout 1 --cpus 1
	refused 7 'does not answer' 0 --timeout 1 --cpus 1 --scheduler bfq
	kill -CONT "$server"
	# It has been heard by now.
	ublk show 0 | grep -q 'server answers: *yes'
	[ "$(asked cpus)" = null ]
	grep -qF '[none]' /sys/block/ublkb0/queue/scheduler
	ublk del 0
}

@test "two who change a device at once both do so" {
	make_image a.img 32M
	dev=$(ublk add -t loop -f a.img)
	for round in 1 2 3 4 5; do
		ublk set 0 --scheduler bfq --poll-us "$round" 3>&- &
		one=$!
		ublk set 0 --scheduler mq-deadline --cpus 1 3>&- &
		wait "$one"
		wait "$!"
		[ "$(asked poll_us)" = "$round" ]
		name=$(asked scheduler)
		grep -qF "[${name//\"/}]" /sys/block/ublkb0/queue/scheduler
	done
	ublk del 0
}

@test "changes under a load lose no I/O" {
	add_pooled -q 2 --log-file log
	start_verified "$dev" 8192 --bsrange=4k-128k
	for round in 1 2 3; do
		writes_on "$dev"
		ublk set 0 --cpus 1 --poll-us 50 --buffer-memory 1M --log-file "log.$round"
		writes_on "$dev"
		ublk set 0 --scheduler bfq
		ublk set 0 --default cpus,poll-us,scheduler --buffer-memory 8M --log-file log
	done
	end_verified "$dev" 8192
	[ "$(server_of "$dev")" = "$server" ]
	ublk del 0
}

# set_against COMMAND...: a device is changed without end while that ends it.
set_against()
{
	local round
	for ((round = 0; round < 8; round++)); do
		dev=$(ublk add -n 0 -t loop -f a.img)
		change_until_gone 3>&- &
		"$@"
		wait "$!" || return
		wait_for 20 nothing_left || { what_is_left; return 1; }
	done
}

# change_until_gone: whatever it meets is said in words, and nothing but that the device or its server goes.
change_until_gone()
{
	local said status
	while status=0; said=$(ublk set 0 --poll-us 1 --cpus 1 2>&1) || status=$?; ((status == 0)); do
		:
	done
	[[ $said =~ 'is about to end'|'was stopped meanwhile'|'has ended meanwhile'|'has no server'|'is dead'|'no device 0'|'no such device'|'has no control socket'|"another program's" ]] ||
		{ printf '%s: %s\n' "$status" "$said"; return 1; }
}

# bats test_tags=long
@test "a change against a deletion leaves neither a record nor a server" {
	make_image a.img 32M
	set_against ublk del 0
	set_against ublk del --force 0
}

@test "a change against a server that is told to end leaves neither a record nor a server" {
	make_image a.img 32M
	set_against end_server
}

end_server()
{
	kill -TERM "$(server_of /dev/ublkb0)"
}

@test "what is no change harms nobody" {
	make_image a.img 32M
	dev=$(ublk add -t loop -f a.img)
	token=$(jq -r .token /run/ublk/0.json)
	for text in '' '{' '[]' '{"queues":4}' '{"poll_us":-1}' '{"poll_us":"x"}' '{"cpus":7}' '{"cpus":null}x' \
		'{"log_file":"relative"}' '{"log_level":"loud"}' '{"":1}' '{"poll_us":1,"id":3}' \
		'{"memory_limit":1}' "$(printf '{%.0s' {1..5000})" "{\"cpus\":\"$(printf '1,%.0s' {1..2000})\"}"; do
		answer=$("$TOP/tests/device/speak" /run/ublk/0.sock "$token" set "$text")
		[[ $answer =~ ^(closed|EBADMSG|EINVAL)$ ]] || { printf '%s: %s\n' "$text" "$answer"; return 1; }
	done
	[ "$("$TOP/tests/device/speak" /run/ublk/0.sock "$token" set "{\"cpus\":\"$(head -c 9000 /dev/zero | tr '\0' 1)\"}")" = closed ]
	[ "$("$TOP/tests/device/speak" /run/ublk/0.sock "$token" status)" = 0 ]
	[ "$(jq .changes /run/ublk/0.json)" = 0 ]
	[ "$("$TOP/tests/device/speak" /run/ublk/0.sock "$token" set '{"poll_us":6}')" = 0 ]
	[ "$(asked poll_us)" = 6 ]
	ublk del 0
}
