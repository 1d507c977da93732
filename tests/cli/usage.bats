#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# What is wrong with a command line is said before anything is done.
# shellcheck disable=SC2154 # out, err and status come from ub()

load helpers

# wrong TEXT ARGS...: usage errors that name TEXT, and print nothing.
wrong()
{
	local text=$1
	shift
	ub "$@"
	exits 2
	silent
	says "ublk: error: "
	says "$text"
	says "hint: ublk "
}

@test "without a command the usage goes to standard error" {
	ub
	exits 2
	silent
	says "Usage: ublk COMMAND"
}

@test "an unknown command is guessed" {
	wrong "unknown command 'lst': did you mean 'list'?" lst
	wrong "unknown command 'delete': did you mean 'del'?" delete
	wrong "unknown command 'frobnicate'" frobnicate
	wrong "unknown command 'dell': did you mean 'del'?" help dell
}

@test "an unknown option is guessed" {
	wrong "unknown option '--jsn': did you mean '--json'?" list --jsn
	wrong "unknown option '--queue': did you mean '--queues'?" add -t null --queue 2
	wrong "unknown option '-x'" list -x
	wrong "unknown option '--frobnicate'" --frobnicate
}

@test "del without a device is a usage error" {
	wrong "del: no device is named" del
	wrong "del: no device is named" del --force
	wrong "del: option '--all' and '0' exclude each other" del --all 0
	wrong "del: options '--all' and '--id' exclude each other" del --all -n 0
}

@test "show and recover want a device" {
	wrong "show: no device is named" show
	wrong "recover: no device is named" recover
}

@test "-n takes numbers only" {
	wrong "'abc' is no number" del -n abc
	wrong "'ublkb3' is no number" show --id=ublkb3
	wrong "'-1' is no number" recover -n -1
	wrong "out of range" del -n 99999999999999999999
}

@test "add wants a target" {
	wrong "option '--type TYPE' is missing" add
	wrong "option '--type TYPE' is missing" add --size 1G
	wrong "unknown target 'lop': did you mean 'loop'?" add -t lop
	wrong "option '--type' is given twice" add -t null -t loop
}

@test "an option of another target names its target" {
	wrong "option '--file' is one of target loop, not of target null" add -t null --file x
	wrong "option '-f' is one of target loop, not of target mem" add -f x --size 1G -t mem
}

@test "a target's required options are missed" {
	wrong "target loop needs '--file FILE'" add -t loop
	wrong "target mem needs '--size SIZE'" add -t mem
}

@test "numbers of add that are out of range, or none, are refused" {
	wrong "--queues': 0 is out of range: 1 to 4096" add -t null -q 0
	wrong "--queues': 4097 is out of range" add -t null -q 4097
	wrong "--depth': 0 is out of range: 1 to 4096" add -t null -d 0
	wrong "--depth': 5000 is out of range" add -t null -d 5000
	wrong "--max-io': 3K is out of range: 4K to 32M" add -t null -b 3K
	wrong "--max-io': 64M is out of range" add -t null -b 64M
	wrong "--max-io 4097 is no multiple of the page" add -t null -b 4097
	wrong "--id': '-1' is no number" add -t null -n -1
	wrong "--id': 'abc' is no number" add -t null -n abc
	wrong "--id': 9999999999 is out of range: 0 to 1048575" add -t null -n 9999999999
	wrong "--size': 0 is out of range" add -t null --size 0
	wrong "--size': '1X' is no size" add -t null --size 1X
	wrong "--size': '1.3' is no size" add -t null --size 1.3
	wrong "--size': 99999999999T is out of range" add -t mem --size 99999999999T
	wrong "3000 is no power of two" add -t null --logical-block-size 3000
	wrong "8192 is larger than a page" add -t null --logical-block-size 8192
}

@test "values of add are checked" {
	wrong "'often' is not one of: none, requeue, reissue, fail" add -t null --recovery often
	wrong "its data dies with its server" add -t mem --size 1M --recovery requeue --restart
	wrong "--name 3 would be taken for a device's number" add -t null --name 3
	wrong "--name ublkb3 would be taken for a device's number" add -t null --name ublkb3
	wrong '--name x-part1 would be taken for a partition of a device' add -t null --name x-part1
	wrong "--name takes letters, digits" add -t null --name ../x
	wrong "is given twice" add -t null -q1 --queues=2
	wrong "exclude each other" add -t null --foreground --no-wait
	wrong "--adopt is for --foreground" add -t null --adopt
	wrong "unexpected argument '3'" add -t null 3
}

@test "run wants a command, and its options end there" {
	wrong "run: no command is given" run -t null
	wrong "run: no command is given" run -t null --
	wrong "option '--type TYPE' is missing" run -- true
	wrong "option '--type TYPE' is missing" run true -t null
	wrong "unknown option '--foreground'" run -t null --foreground -- true
	wrong "unknown option '--adopt'" run -t null --adopt -- true
	wrong "unknown option '--json'" run -t null --json -- true
	wrong "option '--file' is one of target loop, not of target null" run -t null --file x -- true
	wrong "target loop needs '--file FILE'" run -t loop -- true --file x
}

@test "run does not run its command after a usage error, or without a driver" {
	ub run -t null --depth 0 -- touch "$BATS_TEST_TMPDIR/ran"
	exits 2
	without_driver ub run -t null -- touch "$BATS_TEST_TMPDIR/ran"
	exits 6
	says "hint: "
	[[ ! -e $BATS_TEST_TMPDIR/ran ]]
}

@test "watch takes kinds of events that there are, devices that can be, and prints lines of JSON" {
	wrong "'born' is not one of: added, live, quiesced, failed, dead, recovered, resized, error, stalled, unstalled, restart, used, unused, deleted" \
		watch --event added,born
	wrong "no device can be named '/dev/sda'" watch 0 /dev/sda
	wrong "0 is out of range" watch --count 0
	wrong "0 is out of range: 1 to 86400" watch --timeout 0
	ub watch --json
	exits 2
	says "ublk: error: watch: events as JSON are lines: --json=lines"
}

@test "set wants a device and something to change, and refuses what can't be, with the way to it" {
	wrong 'set: no device is named' set --poll-us 1
	wrong 'set: nothing to change is named' set 0
	wrong 'set: nothing to change is named' set 0 --timeout 1
	wrong "option '--depth' can't be changed while the device is there: remove it, and add it anew" set 0 -d 4
	wrong "option '--file' can't be changed while the device is there" set 0 -f a.img
	wrong "option '--size' is not changed by this, but by: ublk resize DEV" set 0 --size 1G
	wrong "option '--strict' is for devices that are made" set 0 --strict
	wrong "unknown option '--cpu': did you mean '--cpus'?" set 0 --cpu 1
	wrong "'id' is not one of: cpus, poll-us" set 0 --default id
	wrong "options '--cpus' and '--default cpus' exclude each other" set 0 --cpus 1 --default restart,cpus
	ub set --help
	[[ $out != *--depth* ]]
}

@test "wait wants one device, and a state that there is" {
	wrong "wait: no device is named" wait --state live
	wrong "option '--state live|quiesced|failed|dead|gone' is missing" wait 3
	wrong "'alive' is not one of: live, quiesced, failed, dead, gone" wait 3 --state alive
	wrong "unexpected argument '4'" wait 3 4 --state live
	wrong "unexpected argument '3'" wait -n 4 3 --state live
	wrong "0 is out of range: 1 to 86400" wait 3 --state live --timeout 0
	wrong "'soon' is no number" wait 3 --state live --timeout soon
}

@test "wait without a driver says so at once" {
	without_driver ub wait 3 --state gone --timeout 600
	exits 6
}

@test "columns are checked before the driver is asked" {
	wrong "unknown column 'stat': did you mean 'STATE'?" list -o id,stat
	wrong "unknown column ''" list -o +
	wrong "unknown column 'nope'" features -o nope
}

@test "a usage error in JSON mode is JSON too" {
	ub list --json -o id
	exits 2
	says "exclude each other"
	[[ $(jq -r .schema <<<"$out") == ublk.error/1 ]]
	ub add -t null --bogus --json
	exits 2
	says "unknown option '--bogus'"
	[[ $(jq -r .error.stage <<<"$out") == usage ]]
	[[ $(jq -r .error.code <<<"$out") == EINVAL ]]
	[[ $(jq -r '.error.hints[0]' <<<"$out") == "ublk add --help" ]]
}

@test "an error is one line, whatever bytes it has" {
	ub del $'a\nublk: error: b\e[31m'
	[[ $(grep -c '^ublk: error: ' <<<"$err") -eq 1 ]] || told
	[[ $err != *$'\e'* ]] || told
}
