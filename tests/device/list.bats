# SPDX-License-Identifier: MIT
# What `list` shows: which devices, in which order, and again when they change.
# kernels: newest
# long kernels: 6.12

load helpers
load servers
load deaf

# ids ARGS...: the numbers that list shows, in a line.
ids()
{
	ublk list --no-header -o ID "$@" | tr -s ' \n' ' ' | sed 's/^ //; s/ $//'
}

three_devices()
{
	make_image a.img 8M
	ublk add -n 0 -t null --size 1G --name b >/dev/null
	ublk add -n 1 -t loop -f a.img --name a >/dev/null
	ublk add -n 2 -t mem --size 900K >/dev/null
}

# watch FILE ARGS...: list --watch, whose output goes there; its process is $watcher.
watch()
{
	"$UBLK" list --watch "${@:2}" >"$1" 2>"$1.err" &
	watcher=$!
}

# has_times COUNT FILE TEXT
has_times()
{
	[[ $(grep -cF -- "$3" "$2") -eq $1 ]]
}

# last_line_is FILE LINE
last_line_is()
{
	[[ $(tail -n 1 "$1") == "$2" ]]
}

# sleeps_for_ever PID: it is in poll(), which has no deadline.
sleeps_for_ever()
{
	[[ $(<"/proc/$1/syscall") =~ ^7\ 0x[0-9a-f]+\ 0x[0-9a-f]+\ 0x(ffffffff)?ffffffff\  ]]
}

# has FILE TEXT
has()
{
	grep -qF -- "$2" "$1"
}

@test "filters choose by state, target and whose it is; what they leave out is in no form of output" {
	three_devices
	kill -KILL "$(column_of 1 PID)"
	wait_for 20 is_state 1 quiesced
	[ "$(ids --state live)" = '0 2' ]
	[ "$(ids --state quiesced)" = 1 ]
	[ "$(ids --state dead,failed)" = '' ]
	[ "$(ids --state live,quiesced)" = '0 1 2' ]
	[ "$(ids --target loop)" = 1 ]
	[ "$(ids --target null --state quiesced)" = '' ]
	mv /run/ublk/2.json kept
	[ "$(ids --managed)" = '0 1' ]
	[ "$(ids --target mem)" = '' ]
	mv kept /run/ublk/2.json
	[ "$(ublk list --json --target loop | jq -c '[.devices[].id]')" = '[1]' ]
	[ "$(ublk list --json=lines --state live | jq -c .id | tr '\n' ' ')" = '0 2 ' ]
	ublk del --all
}

@test "rows stand in the order that is asked for, also in JSON" {
	three_devices
	[ "$(ids --sort SIZE)" = '2 1 0' ]
	[ "$(ids --sort -size)" = '0 1 2' ]
	[ "$(ids --sort NAME)" = '1 0 2' ]
	[ "$(ids --sort -NAME)" = '0 1 2' ]
	[ "$(ids --sort STATE,-ID)" = '2 1 0' ]
	[ "$(ublk list --json --sort SIZE | jq -c '[.devices[].id]')" = '[2,1,0]' ]
	[ "$(ids --sort -RESIDENT | wc -w)" -eq 3 ]
	ublk del --all
}

@test "columns are added to the usual ones, and no heads are printed if none are wanted" {
	ublk add -t null --size 1G >/dev/null
	[ "$(ublk list -o +PATH | awk 'NR == 1 { print $1, $NF } NR == 2 { print $1, $NF }')" = $'ID PATH\n0 /dev/ublkb0' ]
	[ "$(ublk list --no-header -o PATH,SIZE)" = '/dev/ublkb0  1G' ]
	ublk del 0
	[ -z "$(ublk list --no-header)" ]
}

@test "a watched list is printed again after each change, by what happened and not by time" {
	watch out -o ID,STATE,NAME
	wait_for 20 has out 'ID  STATE  NAME'
	make_image a.img 8M
	ublk add -t loop -f a.img --name vol >/dev/null
	wait_for 20 has out ' 0  live   vol'
	kill -KILL "$(column_of 0 PID)"
	wait_for 20 has out ' 0  quiesced  vol'
	ublk recover 0 >/dev/null
	wait_for 20 has_times 2 out ' 0  live '
	ublk del 0
	wait_for 20 last_line_is out 'ID  STATE  NAME'
	# Nothing is printed twice, a blank line stands between, and nothing is drawn.
	[ -z "$(awk -v RS= '$0 == former; { former = $0 }' out)" ]
	run -1 has out $'\e'
	wait_for 20 sleeps_for_ever "$watcher"
	kill -TERM "$watcher"
	ends_with 143 "$watcher"
	[ ! -s out.err ]
}

@test "a watched list as JSON lines has a line for each device that changed, and for one that is gone" {
	ublk add -n 4 -t null --size 1G >/dev/null
	watch lines --json=lines
	wait_for 20 has lines '"id":4'
	make_image a.img 8M
	ublk add -n 5 -t loop -f a.img >/dev/null
	wait_for 20 has lines '"id":5,"name":null,"path":"/dev/ublkb5","state":"live"'
	kill -KILL "$(column_of 5 PID)"
	wait_for 20 has lines '"id":5,"name":null,"path":"/dev/ublkb5","state":"quiesced"'
	ublk recover 5 >/dev/null
	wait_for 20 is_live_again lines 5
	ublk del 5
	wait_for 20 has lines '{"schema":"ublk.deleted_device/1","id":5,"name":null,"path":"/dev/ublkb5"}'
	kill -TERM "$watcher"
	ends_with 143 "$watcher"
	# The other device did not change.
	[ "$(grep -c '"id":4' lines)" -eq 1 ]
	[ "$(jq -r .schema lines | sort -u | tr '\n' ' ')" = 'ublk.deleted_device/1 ublk.device/1 ' ]
	[ ! -s lines.err ]
	ublk del 4
}

# is_live_again FILE ID: the last line of it says so.
is_live_again()
{
	grep "\"id\":$2," "$1" | tail -n 1 | grep -q '"state":"live".*"alive":true'
}

@test "a watched list tells of a device that is not selected any more, and of none that never was" {
	ublk add -n 4 -t null --size 1G >/dev/null
	make_image a.img 8M
	ublk add -n 5 -t loop -f a.img >/dev/null
	watch lines --json=lines --state live --target loop
	wait_for 20 has lines '"id":5'
	kill -KILL "$(column_of 5 PID)"
	wait_for 20 has lines '"state":"quiesced"'
	ublk del 4
	ublk recover 5 >/dev/null
	wait_for 20 is_live_again lines 5
	run -1 has lines '"id":4'
	kill -TERM "$watcher"
	ends_with 143 "$watcher"
	ublk del 5
}

@test "who stops reading a watched list ends it, though nothing changes" {
	mkfifo pipe
	"$UBLK" list --watch >pipe 2>err &
	watcher=$!
	head -n 1 pipe >first
	ends_with 1 "$watcher"
	[ "$(cat err)" = 'ublk: error: cannot write to standard output: Broken pipe' ]
	# Of the shell that is called.
	# shellcheck disable=SC2016
	run -1 bash -c '"$0" list --watch >/dev/full' "$UBLK"
	[[ $output == 'ublk: error: cannot write to standard output: No space left on device' ]]
}

# Nor is there a node in /dev that could be watched: only servers and records tell.
@test "where neither uevents nor nodes come, a watched list shows each change all the same" {
	new_net
	without_nodes "$UBLK" list --watch -o ID,STATE >out 2>out.err 3>&- &
	watcher=$!
	wait_for 20 has out 'ID  STATE'
	# Of other programs there is no record.
	UBLK_RUNTIME_DIR=/run/elsewhere ublk add -t null --recovery requeue >/dev/null
	wait_for 20 has out ' 0  live'
	kill -KILL "$(column_of 0 PID)"
	wait_for 20 has out ' 0  quiesced'
	UBLK_RUNTIME_DIR=/run/elsewhere ublk recover 0 >/dev/null
	wait_for 20 has_times 2 out ' 0  live'
	ublk del 0
	wait_for 20 last_line_is out 'ID  STATE'
	kill -TERM "$watcher"
	ends_with 143 "$watcher"
	[ ! -s out.err ]
	kill -KILL "$space"
	rm -rf /run/elsewhere
}

# On a terminal of 12 rows, which then has 6: what is drawn, by a program that plays the terminal.
@test "on a terminal a watched list is drawn over, cut to the window, and ends at ^C with the screen as it was" {
	for n in 0 1 2 3 4 5 6 7; do
		ublk add -n "$n" -t null --size 1M >/dev/null
	done
	"$TOP/tests/device/terminal" "$UBLK" list --watch -o ID,STATE >seen
	cat seen
	[ "$(sed -n 1p seen)" = 'entered: yes, rows 9, last "7  live", scrolled: no' ]
	[ "$(sed -n 2p seen)" = 'smaller: rows 6, last "... and 4 more"' ]
	[ "$(sed -n 3p seen)" = 'changed: "0  live" is gone' ]
	[ "$(sed -n 4p seen)" = 'ended: by signal 2, left: yes, cursor: yes, wraps: yes' ]
	ublk del --all
}
