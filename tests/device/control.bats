# SPDX-License-Identifier: MIT
# A server's control socket: who may speak with it, and what he can't do to it.
# build: faults
# kernels: newest
# long kernels: 6.12 6.18

load helpers
load backings
load servers

# add_device: one with a socket, of which $server, $socket and $token are known.
add_device()
{
	make_image a.img 16M
	dev=$(ublk add -n 0 -t loop -f a.img)
	learn
}

learn()
{
	server=$(server_of "$dev")
	ublk show "$dev" --json >show.json
	socket=$(jq -r '.devices[0].control_socket' show.json)
	token=$(jq -r .token /run/ublk/0.json)
}

# hears WHAT ANSWER [COUNT]: said that, the server answers this, and goes on.
hears()
{
	local answer
	answer=$("$TOP/tests/device/speak" "$socket" "$token" "$1" ${3+"$3"})
	[[ $answer == "$2" ]] || { echo "$1: $answer, not $2"; return 1; }
	[[ $("$TOP/tests/device/speak" "$socket" "$token" status) == 0 ]] || { echo "$1, and no more"; return 1; }
}

files_of_server()
{
	find "/proc/$server/fd" -mindepth 1 | wc -l
}

@test "a server can be spoken with beside its record, by root alone, and show tells" {
	add_device
	[ "$socket" = /run/ublk/0.sock ]
	[ "$(stat -c '%F %a %u' "$socket")" = 'socket 600 0' ]
	[ "$(jq -r .server.socket /run/ublk/0.json)" = "$socket" ]
	[ "$(jq -c '.devices[0] | [.server_answers, .served_seconds < 100, .status]' show.json)" = '[true,true,null]' ]
	run -0 ublk show 0
	[[ $output =~ 'control socket:'\ +/run/ublk/0.sock ]]
	hears status 0
	# Were its mode no help, it would look who it is.
	chmod 777 "$socket"
	[ "$(setpriv --reuid 65534 --regid 65534 --clear-groups python3 - "$socket" "$token" status <"$TOP/tests/device/speak")" = closed ]
	ublk del 0
	[ ! -e "$socket" ]
}

@test "whatever is said to it, a server serves and answers" {
	make_image a.img 16M
	dev=$(ublk add -n 0 -t loop -f a.img)
	server=$(server_of "$dev")
	files=$(files_of_server)
	learn
	hears empty closed
	hears half closed
	hears long closed
	hears rubbish closed
	hears other-magic closed
	hears other-version ENOTSUP
	hears other-op ENOTSUP
	hears other-token ENODEV
	hears hand-over 'ENODATA, 0 descriptors' # there is nothing that could be
	if kernel_at_least 6.16; then
		hears descriptors 'not taken'
	else
		hears descriptors 0
	fi
	hears silent '0, closed'
	hears many 0 5000
	hears deaf closed 1000000
	[ "$(server_of "$dev")" = "$server" ]
	wait_for 10 has_files "$files" || { ls -l "/proc/$server/fd"; return 1; }
	write_block "$dev"
	read_block "$dev"
	ublk del 0
}

# has_files COUNT: the server has so many open; who has gone is seen when he has.
has_files()
{
	[[ $(files_of_server) -eq $1 ]]
}

@test "I/O goes on while somebody speaks without end" {
	add_device
	"$TOP/tests/device/speak" "$socket" "$token" many 1000000000 >many.out &
	talker=$!
	fio --name=load --filename="$dev" --rw=randrw --bs=4k --iodepth=16 --size=16M --direct=1 \
		--ioengine=libaio --verify=crc32c --output=fio.log
	is_gone "$talker" && { cat many.out; return 1; }
	kill -KILL "$talker"
	wait "$talker" || true
	hears status 0
	ublk del 0
}

@test "a server that does not answer is told as such, and what to look at" {
	add_device
	kill -STOP "$server"
	run -0 ublk show 0
	kill -CONT "$server"
	printf '%s\n' "$output"
	[[ $output =~ 'server answers:'\ +no ]]
	[[ $output == *"its server (process $server) has not answered for 2 seconds"* ]]
	[[ $output == *"ps -o pid,stat,wchan:32,args -Lp $server"* ]]
	learn
	[ "$(jq -c '.devices[0] | [.server_answers, .status]' show.json)" = '[true,null]' ]
	ublk del 0
}

@test "a server that can make no socket serves all the same" {
	make_image a.img 16M
	run -0 --separate-stderr env UBLK_FAULT=control:ENOSPC "$UBLK" add -n 0 -t loop -f a.img
	[[ $stderr == *'note: it has no control socket, and cannot be spoken with: No space left on device'* ]]
	dev=$output
	learn
	[ "$(jq -c '.devices[0] | [.control_socket, .server_answers, .status]' show.json)" = '[null,null,null]' ]
	write_block "$dev"
	# The next one makes it.
	park "$dev"
	ublk recover 0
	learn
	hears status 0
	park "$dev"
	run -0 --separate-stderr env UBLK_FAULT=control:ENOSPC "$UBLK" recover 0
	[[ $stderr == *'it has no control socket'* ]]
	[ "$(ublk show 0 --json | jq -c '.devices[0].control_socket')" = null ]
	ublk del 0
}

@test "after a server's death its socket is the next one's" {
	add_device
	old=$server
	park "$dev"
	[ "$("$TOP/tests/device/speak" "$socket" "$token" status)" = ECONNREFUSED ]
	[ "$(ublk show 0 --json | jq -c '.devices[0].server_answers')" = null ]
	# Whatever has taken the name meanwhile.
	rm "$socket"
	ln -s /etc/passwd "$socket"
	ublk recover 0
	learn
	[ "$server" != "$old" ]
	[ -S "$socket" ]
	[ ! -L "$socket" ]
	hears status 0
	kill -TERM "$server"
	wait_for 20 is_gone "$server"
	nothing_left
}
