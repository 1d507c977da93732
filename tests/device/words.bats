# SPDX-License-Identifier: MIT
# What is said of devices and files: no name reaches a terminal or a log raw, and a failure has one exit
# status, whoever becomes the server.
# kernels: newest
# long kernels: 6.12

load helpers

# An escape sequence, a line of its own, bytes that are no UTF-8, and a command in one character.
EVIL=$'a\e[31m\nublk: error: b\xff\xc3\xc2\x9bc'
SHOWN='a\x1b[31m\x0aublk: error: b\xff\xc3\xc2\x9bc'

# harmless FILE...: no control characters but the ends of lines, and valid UTF-8.
harmless()
{
	! LC_ALL=C grep -anP '[\x00-\x09\x0b-\x1f\x7f]|\xc2[\x80-\x9f]' "$@" || return
	iconv -f UTF-8 -t UTF-8 "$@" >/dev/null
}

# shown FILE: it has the name, harmless.
shown()
{
	if ! harmless "$1" || ! grep -qF -- "$SHOWN" "$1"; then
		cat -v "$1"
		return 1
	fi
}

# told ARGS...: what ublk says, and its exit status in $status.
told()
{
	status=0
	ublk "$@" >told.txt 2>&1 || status=$?
	shown told.txt
}

@test "a name of any bytes reaches no terminal raw: errors, hints, notes, tables, show and JSON" {
	make_image "$EVIL" 16M
	mkdir "dir$EVIL"
	told add -t loop -f "$EVIL/none"
	[ "$status" -ne 0 ]
	told add -t loop -f "dir$EVIL"
	[ "$status" -ne 0 ]
	ublk add -t loop -f "$EVIL" >/dev/null
	told add -t loop -f "$EVIL"
	[ "$status" -eq 5 ]
	for args in list 'list -o ID,BACKING' 'list --no-header --sort BACKING' 'show 0'; do
		# Words.
		# shellcheck disable=SC2086
		told $args
		[ "$status" -eq 0 ]
	done
	for args in 'list --json' 'list --json=lines' 'show --json 0' 'show --json=lines 0'; do
		# shellcheck disable=SC2086
		ublk $args >json
		harmless json
		jq -e '[.. | strings | select(contains("a\u001b[31m\nublk: error: b") and contains("\u009bc"))] | length > 0' json
	done
	[ "$(wc -l <json)" -eq 1 ]
	mkfs.ext4 -qF /dev/ublkb0
	mount /dev/ublkb0 "dir$EVIL"
	told del 0
	[ "$status" -eq 5 ]
	# The hint can be typed.
	eval "$(sed -n 's/^hint: \(umount .*\)/\1/p' told.txt)"
	ublk del 0
	truncate -s 12M "$EVIL"
	rm "$EVIL"
}

@test "a name of any bytes stands in no log and no line of a foreground server raw" {
	make_image "$EVIL" 16M
	ublk add -t loop -f "$EVIL" --log-file log >/dev/null
	server=$(column_of 0 PID)
	kill -KILL "$server"
	mv "$EVIL" "kept$EVIL"
	rm "kept$EVIL"
	wait_for 20 is_quiesced 0
	told recover 0
	[ "$status" -ne 0 ]
	ublk show 0 >show.txt
	shown show.txt
	harmless log
	# Of the background, it goes to the log; of the foreground, to the terminal.
	status=0
	"$UBLK" add --foreground -t loop -f "$EVIL" >foreground.txt 2>&1 || status=$?
	[ "$status" -eq 1 ]
	shown foreground.txt
	ublk del --force 0
	run -1 "$(dirname "$UBLK")/ublk-server" own "/dev/ublkc$EVIL"
	printf '%s\n' "$output" >own.txt
	harmless own.txt
}

is_quiesced()
{
	[[ $(state_of "$1") == quiesced ]]
}

# both STATUS ARGS...: the same in the background and in the foreground, said in the same words.
both()
{
	local expected=$1 before status
	shift
	status=0
	"${as[@]}" "$UBLK" add "$@" >before.txt 2>&1 || status=$?
	before=$status
	status=0
	# One that serves instead of failing is not waited for.
	timeout --foreground 20 "${as[@]}" "$UBLK" add --foreground "$@" >after.txt 2>&1 || status=$?
	if [[ $before -ne $expected || $status -ne $expected ]] || ! cmp before.txt after.txt; then
		echo "$*: $before, then $status"
		cat before.txt after.txt
		return 1
	fi
}

@test "a failure of add has one exit status and one message, in the foreground as in the background" {
	as=()
	make_image a.img 16M
	make_image b.img 16M
	mkdir dir
	printf 'short' >tiny
	ublk add -n 7 -t loop -f a.img --name vol >/dev/null
	both 1 -t loop -f missing.img
	both 1 -t loop -f dir
	both 5 -t loop -f a.img
	both 2 -t null --size 1X
	both 2 -t loop -f b.img --size 0
	both 2 -t loop -f b.img --logical-block-size 3000
	both 1 -t loop -f b.img --size 1G
	both 1 -t loop -f tiny
	both 5 -n 7 -t null
	both 5 -t null --name vol
	both 1 -t null --memory-limit 4K
	both 2 -t null --no-such-option
	both 2 -t loop
	# Not permitted: nobody, whom the driver's node does not let in.
	cp "$UBLK" "$(dirname "$UBLK")/ublk-server" "$BATS_TEST_TMPDIR"
	chmod 755 "$BATS_TEST_TMPDIR"
	as=(setpriv --reuid 65534 --regid 65534 --clear-groups)
	both 3 -t null
	as=()
	[ "$(ublk list --no-header -o ID | tr -d ' ')" = 7 ]
	ublk del 7
}
