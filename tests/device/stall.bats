# SPDX-License-Identifier: MIT
# A request that is in hand for too long (--stall-sec): who is told of it, on which path, and when not.
# kernels: newest
# long kernels: 6.12 6.18
# minutes: 20
# build: faults

load helpers
load servers

setup()
{
	device_setup
	disk=$(make_ram_disk 32)
	dmsetup create hanging --table "0 65536 linear $disk 0"
	at_end dmsetup remove --force hanging
}

# add ARGS...: a device on the disk; sets `dev`.
add()
{
	dev=$(ublk add -t loop -f /dev/mapper/hanging --no-partition-scan --log-file "$PWD/log" "$@")
	# The first of each kind is not among those whose end the kernel carries out.
	request read
	request write
}

# request read|write: one block, alone.
request()
{
	local args=(bs=4k count=1 seek=1 skip=1 conv=notrunc status=none)
	case $1 in
	read) dd if="$dev" of=/dev/null iflag=direct "${args[@]}" ;;
	write) dd if=/dev/zero of="$dev" oflag=direct "${args[@]}" ;;
	esac
}

hang()
{
	dmsetup suspend --nolockfs hanging
	at_end dmsetup resume hanging
}

# hang_with read|write: a request that does not end; sets `client`.
hang_with()
{
	hang
	request "$1" 3>&- &
	client=$!
}

# is_told OP: by `show`.
is_told()
{
	show=$(ublk show "$dev")
	[[ $show =~ status:\ +for\ ([0-9]+)\ seconds\ its\ server\ \(process\ [0-9]+\)\ has\ had\ a\ request\ in\ hand\ that\ takes\ too\ long,\ now\ a\ $1\ \(queue\ 0\) ]]
}

is_told_no_more()
{
	! ublk show "$dev" | grep -q 'in hand'
}

goes_on()
{
	dmsetup resume hanging
	wait "$client"
	wait_for 20 is_told_no_more
	grep -Eq 'ublkb[0-9]+: queue 0 goes on, after [0-9]+ s$' log
}

# metric NAME [OP]: its value.
metric()
{
	ublk stat --prometheus "$dev" >metrics
	sed -n "s/^ublk_$1{device=\"ublkb[0-9]*\"${2:+,op=\"$2\"}} //p" metrics
}

@test "a request that its disk does not end is told in the log, by show and watch and as a metric, and its end" {
	add --data-path copy --stall-sec 5 --name stuck
	"$UBLK" watch --json=lines --event stalled,unstalled --count 2 >lines 3>&- &
	watcher=$!
	wait_for 20 grep -q ready lines
	[ "$(metric requests_stalled write) $(metric requests_stalled read) $(metric stalled_seconds)" = '0 0 0' ]
	hang_with write
	wait_for 40 is_told write
	((BASH_REMATCH[1] >= 5))
	grep -q 'action: *see what it does: ps -o pid,stat,wchan:32,args -Lp ' <<<"$show"
	grep -q 'ublkb0: queue 0: a write has been in hand for more than 5 s$' log
	[ "$(metric requests_stalled write) $(metric requests_stalled read)" = '1 0' ]
	[ "$(metric stalled_seconds)" -ge 5 ]
	wait_for 20 grep -q '"stalled"' lines
	goes_on
	ends_with 0 "$watcher"
	[ "$(metric requests_stalled write) $(metric stalled_seconds)" = '0 0' ]
	[ "$(grep -c 'in hand' log)" = 1 ]
	[ "$(jq -r '"\(.event) \(.name) \(.operation)"' lines | xargs)" = \
		'ready null null stalled stuck write unstalled stuck null' ]
	[ "$(jq -s '.[1].stalled_seconds >= 5 and .[2].stalled_seconds == null' lines)" = true ]
	while read -r line; do
		echo "$line" >line.json
		to_be_validated line.json
	done <lines
	# It was a long one, not one of the clock's rounds.
	[ "$(ublk stat --json "$dev" | jq '.devices[0].write.longest_ns > 5e9')" = true ]
	ublk del "$dev"
}

# bats test_tags=long
@test "one whose end the kernel is to carry out is told, too" {
	only_on_kernel 6.16 'zero-copy'
	add --data-path zero-copy --stall-sec 5
	hang_with read
	wait_for 40 is_told read
	((BASH_REMATCH[1] >= 5))
	goes_on
	ublk del "$dev"
}

# bats test_tags=long
@test "with batches, user-copy and get-data, and of several threads the one that has it" {
	local options=('--data-path user-copy' '--data-path get-data' '--data-path copy -q 2 --threads 1')
	if kernel_at_least 7.0; then
		options+=('--data-path copy --batch on' '--data-path zero-copy --batch on')
	fi
	for option in "${options[@]}"; do
		# Several.
		# shellcheck disable=SC2086
		add $option --stall-sec 5
		hang_with read
		wait_for 40 is_told read || { echo "$option"; cat log; false; }
		goes_on
		ublk del "$dev"
		rm log
	done
}

@test "a thread that does not come back from a call is told" {
	fs_on /dev/mapper/hanging ext4 fs
	make_image fs/a.img 16M
	sync
	dev=$(UBLK_FAULT=brief ublk add -t loop -f fs/a.img --direct off --no-partition-scan \
		--data-path copy --stall-sec 5 --log-file "$PWD/log")
	request write
	hang
	xfs_io -c fsync "$dev" 3>&- &
	client=$!
	wait_for 60 is_told flush || { cat log; false; }
	grep -q 'queue 0: a flush has been in hand for more than 5 s, and its thread does not come back' log
	goes_on
	ublk del "$dev"
}

# bats test_tags=long
@test "a server that was stopped has not had its requests in hand for all that time" {
	add --data-path copy --stall-sec 5
	hang_with read
	sleep 1
	kill -STOP "$(servers)"
	sleep 20
	dmsetup resume hanging
	kill -CONT "$(servers)"
	wait "$client"
	request read
	! grep -q 'in hand' log || { cat log; false; }
	ublk del "$dev"
}

# bats test_tags=long
@test "with 0 nothing is told, and by default not before 30 seconds" {
	add --data-path copy --stall-sec 0
	hang_with read
	sleep 20
	is_told_no_more
	dmsetup resume hanging
	wait "$client"
	ublk del "$dev"
	add --data-path copy
	hang_with read
	sleep 25
	is_told_no_more
	wait_for 40 is_told read
	((BASH_REMATCH[1] >= 30))
	goes_on
	ublk del "$dev"
}

# bats test_tags=long
@test "what a dead server had in hand is not stalled, and neither is it with the next one" {
	add --data-path copy --stall-sec 5 --recovery reissue
	hang_with read
	wait_for 40 is_told read
	kill_server "$dev"
	[ "$(metric requests_stalled read)" = 0 ]
	dmsetup resume hanging
	wait_for 20 is_state "$dev" quiesced
	ublk recover "$dev"
	wait "$client"
	is_told_no_more
	[ "$(metric requests_stalled read)" = 0 ]
	ublk del "$dev"
}

# main_thread_slept: how often, so far.
main_thread_slept()
{
	awk '/^voluntary/ { print $2 }' "/proc/$1/task/$1/status"
}

# bats test_tags=long
@test "a server whose device has nothing to do looks no more" {
	add --data-path copy --stall-sec 1
	pid=$(servers)
	# Some time after what was last done.
	sleep 13
	before=$(main_thread_slept "$pid")
	sleep 9
	[ "$(main_thread_slept "$pid")" = "$before" ]
	ublk del "$dev"
}
