# SPDX-License-Identifier: MIT
# What `watch` tells of devices: what happens to them, when it happens, and each thing once.
# kernels: newest
# long kernels: 6.12
# cpus: 2

load helpers
load servers
load deaf

# Those of what a device is, but that it is dead, which may be seen or not while it is deleted.
LIFE=added,live,quiesced,failed,recovered,resized,deleted

# watch ARGS...: what it tells goes to `told`; its process is $watcher. It is ready.
watch()
{
	"$UBLK" watch "$@" >told 2>told.err 3>&- &
	watcher=$!
	wait_for 20 grep -qE '(  |")ready(  |")' told
}

# events: "DEVICE EVENT DETAIL", without numbers of processes. (The name of one that is being made may not be known yet.)
events()
{
	awk '$4 != "ready" { $1 = $3 = ""; print }' told | sed -E 's/^ +//; s/ +/ /g; s/server [0-9]+/server/; s/\([0-9]+\)/(N)/g'
}

# has_told LINE...: these events and no others, by now.
has_told()
{
	[[ $(events) == "$(printf '%s\n' "$@")" ]]
}

# tells LINE...: the same, in a moment.
tells()
{
	wait_for 20 has_told "$@" || { cat told told.err; return 1; }
}

# ends: the watch, by a signal.
ends()
{
	kill -TERM "$watcher"
	ends_with 143 "$watcher"
	[ ! -s told.err ]
}

# sleeps_for_ever PID: it is in poll(), which has no deadline.
sleeps_for_ever()
{
	[[ $(<"/proc/$1/syscall") =~ ^7\ 0x[0-9a-f]+\ 0x[0-9a-f]+\ 0x(ffffffff)?ffffffff\  ]]
}

@test "what becomes of a device is told, from when it is made until it is gone" {
	watch --event "$LIFE"
	dev=$(ublk add -t null --name disk)
	tells 'ublkb0 added -' 'ublkb0 live server'
	park "$dev"
	tells 'ublkb0 added -' 'ublkb0 live server' 'ublkb0 quiesced server gone'
	ublk recover disk
	tells 'ublkb0 added -' 'ublkb0 live server' 'ublkb0 quiesced server gone' 'ublkb0 recovered server'
	ublk del disk
	tells 'ublkb0 added -' 'ublkb0 live server' 'ublkb0 quiesced server gone' 'ublkb0 recovered server' \
		'ublkb0 deleted -'
	[ "$(awk '$3 == "disk"' told | wc -l)" -ge 4 ]
	# In order of time, which is the machine's.
	sort -c -k 1,1 told
	[[ $(head -n 1 told) == "$(date -u +%F)"T*Z* ]]
	ends
}

@test "the end of a device that has no recovery, or fails its requests, is told as that" {
	watch --event "$LIFE,dead"
	dev=$(ublk add -t null --recovery none)
	kill_server "$dev"
	tells 'ublkb0 added -' 'ublkb0 live server' 'ublkb0 dead -'
	ublk del "$dev"
	tells 'ublkb0 added -' 'ublkb0 live server' 'ublkb0 dead -' 'ublkb0 deleted -'
	ends
	only_on_kernel 6.13 '--recovery fail'
	watch --event "$LIFE"
	dev=$(ublk add -t null --recovery fail)
	kill_server "$dev"
	tells 'ublkb0 added -' 'ublkb0 live server' 'ublkb0 failed server gone'
	ublk recover "$dev"
	tells 'ublkb0 added -' 'ublkb0 live server' 'ublkb0 failed server gone' 'ublkb0 recovered server'
	ends
	ublk del "$dev"
}

@test "a device that is parked on purpose is told as that, and an upgrade as another server, once" {
	only_on_kernel 6.16 'QUIESCE'
	ublk add -t null
	watch --json=lines --event "$LIFE"
	ublk upgrade 0
	wait_for 20 grep -q recovered told
	pid=$(server_of 0)
	ublk quiesce 0
	wait_for 20 grep -q '"cause":"parked"' told
	# That there is none for a moment may be seen or not.
	[ "$(jq -r 'select(.event != "ready" and .cause != "gone") | "\(.event) \(.pid)"' told | xargs)" = \
		"recovered $pid quiesced null" ]
	ends
	ublk del 0
}

@test "another size is told, with the one before" {
	only_on_kernel 6.16 'UPDATE_SIZE'
	make_image a.img 16M
	ublk add -t loop -f a.img
	watch --json=lines
	ublk resize 0 --grow-backing 48M
	wait_for 20 grep -q resized told
	[ "$(jq -c 'select(.event == "resized") | [.id, .old_size, .size]' told)" = '[0,16777216,50331648]' ]
	ends
	watch
	ublk resize 0 32M
	tells 'ublkb0 resized 48M to 32M'
	ends
	ublk del 0
}

@test "a device of another program is told as well" {
	watch --json=lines
	export UBLK_RUNTIME_DIR=/run/elsewhere
	at_end rm -rf /run/elsewhere
	dev=$(ublk add -t null --name theirs)
	wait_for 20 grep -q '"event":"live"' told
	park "$dev"
	wait_for 20 grep -q '"event":"quiesced"' told
	ublk del "$dev"
	wait_for 20 grep -q '"event":"deleted"' told
	[ "$(jq -c 'select(.event == "quiesced") | [.id, .name, .managed, .cause, .restart_state]' told)" = \
		'[0,null,false,null,null]' ]
	ends
}

@test "a number that changes hands is told as a device that goes and one that comes" {
	ublk add -t null -n 0 --name first
	watch --event "$LIFE"
	kill -STOP "$watcher"
	wait_for 10 is_stopped "$watcher"
	ublk del 0
	ublk add -t null -n 0 --name second
	kill -CONT "$watcher"
	tells 'ublkb0 deleted -' 'ublkb0 added -' 'ublkb0 live server'
	[ "$(awk '{ print $3, $4 }' told | xargs)" = '- ready first deleted second added second live' ]
	ends
	ublk del 0
}

# sum OPERATION: of all errors that were told.
sum()
{
	jq -s --arg operation "$1" 'map(select(.operation == $operation).errors) | add' told
}

sums_are()
{
	[[ "$(sum read) $(sum write)" == "$1 $2" ]]
}

@test "requests that fail are told by operation, as many as have failed, also those before a server's death" {
	make_image half.img 32M
	dev=$(ublk add -t loop -f half.img --no-partition-scan --layer error,offset=16M)
	! dd if="$dev" of=/dev/null bs=4k count=1 skip=5000 iflag=direct status=none || return 1
	watch --json=lines --event error,quiesced
	for n in 1 2 3; do
		! dd if="$dev" of=/dev/null bs=4k count=1 skip=$((5000 + n)) iflag=direct status=none || return 1
		! write_block "$dev" $((5000 + n)) || return 1
	done
	wait_for 20 sums_are 3 3
	! write_block "$dev" 5000 || return 1
	kill_server "$dev"
	wait_for 20 grep -q quiesced told
	wait_for 20 sums_are 3 4
	ublk recover "$dev"
	! write_block "$dev" 5000 || return 1
	wait_for 20 sums_are 3 5
	ends
	ublk del "$dev"
}

# last_is LINE: of the events, by now.
last_is()
{
	[[ $(events | tail -n 1) == "$1" ]]
}

# in_use LINE: what is told last, in a moment: before it, a slow mount may have the device open itself. Nothing
# looks for users so soon without an event.
in_use()
{
	wait_for 20 last_is "$1" || { cat told; return 1; }
}

@test "who uses a device is told when that changes: who has it open, a mount, a device above" {
	make_image a.img 64M
	dev=$(ublk add -t loop -f a.img)
	modprobe ext4
	mkfs.ext4 -qF "$dev"
	mkdir files
	watch --event used,unused
	mount "$dev" files
	at_end unmount "$PWD/files"
	in_use "ublkb0 used mounted on $PWD/files (ublkb0)"
	umount files
	in_use 'ublkb0 unused -'
	ends
	watch --event used,unused
	# It only has it open.
	# shellcheck disable=SC2217
	sleep 1000 <"$dev" 3>&- &
	sleeper=$!
	in_use 'ublkb0 used open by sleep (N)'
	kill "$sleeper"
	in_use 'ublkb0 unused -'
	ends
	watch --event used,unused
	map_disk above "0 2048 linear $dev 0"
	in_use "ublkb0 used used by dm-0, above (ublkb0)"
	unmap_disk above
	in_use 'ublkb0 unused -'
	ends
	ublk del "$dev"
}

@test "who only looks at a device, as this program does, is no user" {
	watch --event "$LIFE,used,unused"
	dev=$(ublk add -t null)
	tells 'ublkb0 added -' 'ublkb0 live server'
	ublk show "$dev" >/dev/null
	udev_has "$dev" 1000
	exec 7<"$dev"
	wait_for 20 grep -q ' used ' told
	exec 7<&-
	wait_for 20 grep -q ' unused ' told
	! grep -q udev-worker told || return 1
	end_job "$worker"
	ublk del "$dev"
	wait_for 20 grep -q deleted told
	ends
}

@test "whether a server will be started again is told as well" {
	disk=$(make_ram_disk 64)
	fs_on "$disk" ext4 files
	make_image files/a.img 16M
	dev=$(ublk add -t loop -f files/a.img --restart)
	watch --event restart
	supervisor=$(pgrep -f 'ublk supervise')
	kill -STOP "$supervisor"
	park "$dev"
	umount files
	kill -CONT "$supervisor"
	wait_for 20 grep -q '  restart  *waits' told
	mount "$disk" files
	ublk recover "$dev"
	wait_for 20 eval '[[ $(events | tail -n 1) == "ublkb0 restart watched" ]]'
	ends
	ublk del "$dev"
	wait_for 20 is_gone "$supervisor"
}

@test "only the devices that are named are told of, by number or by a name that there is not yet" {
	ublk add -t null -n 1 --name one
	watch --event "$LIFE" 3 later /dev/ublkb4
	ublk add -t null -n 2 --name two
	ublk add -t null -n 3
	wait_for 20 grep -q 'ublkb3 .* live' told
	ublk add -t null -n 5 --name later
	wait_for 20 grep -q 'ublkb5 .* live' told
	ublk add -t null -n 4
	wait_for 20 grep -q 'ublkb4 .* live' told
	ublk del 1 2 3 4 5
	wait_for 20 eval '[[ $(grep -c deleted told) -eq 3 ]]'
	! grep -qE 'ublkb[12] ' told || return 1
	# It is known by its name until it has gone.
	grep -qE 'ublkb5 +later +deleted' told
	ends
}

@test "a watch ends with 0 after so many events or seconds, and with 7 if not so many came in time" {
	watch --event live --count 2 --timeout 600
	ublk add -t null -n 0
	ublk add -t null -n 1
	ends_with 0 "$watcher"
	has_told 'ublkb0 live server' 'ublkb1 live server'
	run -0 --separate-stderr ublk watch --timeout 1
	[[ $output == *' ready '* && -z $stderr ]]
	run -7 --separate-stderr ublk watch --timeout 1 --count 1
	[ "$stderr" = 'ublk: error: cannot watch any longer: 0 of 1 events have come' ]
	ublk del 0 1
}

@test "a script gets lines of JSON, first what there is if it asks, and then nothing is missed" {
	dev=$(ublk add -t null --name here)
	exec 7<"$dev"
	# Whatever this shell starts has it open, too: of others than before nothing is told.
	"$UBLK" watch --json=lines --initial --event added,live,unused,quiesced --count 4 >lines 3>&- 7<&- &
	watcher=$!
	wait_for 20 grep -q '"ready"' lines
	[ "$(jq -r '"\(.event) \(.name) \(.state)"' lines)" = $'present here live\nready null null' ]
	[ "$(jq -r '.users[] | select(startswith("open by bash"))' lines | wc -l)" -ge 1 ]
	ublk add -t null -n 1 7<&-
	# Who has the other one open is looked for only after that.
	wait_for 20 grep -q '"event":"live"' lines
	exec 7<&-
	wait_for 20 grep -q '"unused"' lines
	park "$dev"
	ends_with 0 "$watcher"
	[ "$(jq -rs 'map(.schema) | unique | join(" ")' lines)" = ublk.event/1 ]
	[ "$(jq -r .event lines | xargs)" = 'present ready added live unused quiesced' ] || { cat lines; false; }
	[ "$(jq -s 'map(.time_us) | . == sort and .[0] > 1.7e15' lines)" = true ]
	while read -r line; do
		echo "$line" >line.json
		to_be_validated line.json
	done <lines
	run -0 bash -c '"$0" watch --json=lines --count 1 --event deleted 1 | jq -r "select(.event == \"deleted\").path" &
		sleep 1; "$0" del 1; wait' "$UBLK"
	[ "$output" = /dev/ublkb1 ]
	ublk del "$dev"
}

@test "who stops reading ends a watch, though nothing happens" {
	mkfifo pipe
	"$UBLK" watch >pipe 2>err &
	watcher=$!
	head -n 1 pipe >first
	ends_with 1 "$watcher"
	[ "$(cat err)" = 'ublk: error: cannot write to standard output: Broken pipe' ]
}

# waits_to_write PID: its pipe is full.
waits_to_write()
{
	[[ $(<"/proc/$1/wchan") == *pipe_write* ]]
}

@test "a signal ends it though its reader stands still, and whatever else goes on printing" {
	ublk add -n 0 -t null
	mkfifo pipe
	exec 7<>pipe
	dd if=/dev/zero bs=4096 count=16 status=none >&7
	for verb in 'watch --initial' 'watch --initial --json=lines' 'list --watch' 'list --watch --json=lines' \
		'stat --interval 1' 'stat --interval 1 --json=lines'; do
		for signal in TERM INT; do
			# shellcheck disable=SC2086
			env --default-signal=INT "$UBLK" $verb >&7 2>watch.err 3>&- &
			watcher=$!
			wait_for 20 waits_to_write "$watcher" || { echo "$verb"; cat watch.err; return 1; }
			kill "-$signal" "$watcher"
			wait_for 20 is_gone "$watcher" || { kill -KILL "$watcher"; echo "$verb: $signal"; return 1; }
			ends_with $((128 + $(kill -l "$signal"))) "$watcher" || { echo "$verb: $signal"; return 1; }
		done
	done
	exec 7>&-
	ublk del 0
}

@test "a watch sleeps without a deadline where all that it is to tell tells of itself, or there is no device" {
	watch
	wait_for 20 sleeps_for_ever "$watcher"
	dev=$(ublk add -t null)
	wait_for 20 grep -q live told
	# Failed requests tell nobody.
	wait_for 20 eval '! sleeps_for_ever $watcher'
	ends
	watch --event live,quiesced,recovered,deleted
	wait_for 20 sleeps_for_ever "$watcher"
	park "$dev"
	tells 'ublkb0 quiesced server gone'
	wait_for 20 sleeps_for_ever "$watcher"
	ublk del "$dev"
	tells 'ublkb0 quiesced server gone' 'ublkb0 deleted -'
	ends
}

@test "where no uevents come, all the same is told" {
	new_net
	in_net "$UBLK" watch --event "$LIFE" >told 2>told.err 3>&- &
	watcher=$!
	wait_for 20 grep -q ready told
	UBLK_RUNTIME_DIR=/run/elsewhere ublk add -t null
	at_end rm -rf /run/elsewhere
	tells 'ublkb0 added -' 'ublkb0 live server'
	kill_server 0
	tells 'ublkb0 added -' 'ublkb0 live server' 'ublkb0 quiesced -'
	ublk del 0
	wait_for 20 grep -q deleted told
	ends
	kill -KILL "$space"
}
