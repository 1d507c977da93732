# SPDX-License-Identifier: MIT
# What is on the screen of `ublk top`, on a terminal that tmux plays, with devices that do something.
# kernels: newest
# long kernels: 6.12
# cpus: 2

load helpers
load servers

setup()
{
	device_setup
	requires tmux fio
	unset NO_COLOR
	export TMUX_TMPDIR=$PWD
}

teardown()
{
	tmux_ kill-server 2>/dev/null || true
	device_teardown
}

tmux_()
{
	tmux -L tests -f /dev/null "$@"
}

# terminal WIDTH HEIGHT: one of that size, with a shell on it.
terminal()
{
	tmux_ new-session -d -x "$1" -y "$2" "PS1='shell ' exec bash --norc --noprofile"
	wait_for 20 sees '^shell'
	saved=$(on_tty stty -g)
}

# on_tty CMD...: with the terminal as standard input.
on_tty()
{
	"$@" <"$(tmux_ display -p '#{pane_tty}')"
}

# types LINE: and Enter.
types()
{
	tmux_ send-keys -l "$1"
	tmux_ send-keys Enter
}

# presses KEY...: as tmux calls them.
presses()
{
	tmux_ send-keys "$@"
}

seen()
{
	tmux_ capture-pane -p "$@"
}

# sees REGEX: a line of the screen.
sees()
{
	seen | grep -qE -- "$1"
}

# shows REGEX: now or soon.
shows()
{
	wait_for 30 sees "$1" || { echo "not there: $1"; seen; return 1; }
}

# shows_not REGEX
shows_not()
{
	wait_for 30 sees_not "$1" || { echo "still there: $1"; seen; return 1; }
}

sees_not()
{
	! sees "$1"
}

# begins ARGS...: it, on the terminal, until it is drawn.
begins()
{
	types "$UBLK top $*"
	shows '^ublk top +devices: '
}

# is_given_back STATUS: the shell has the terminal as it was, and what ended has left that.
is_given_back()
{
	shows '^shell'
	[ "$(tmux_ display -p '#{alternate_on} #{cursor_flag}')" = '0 1' ]
	# The shell's own line editor may have it just now.
	wait_for 20 has_settings
	types "echo status \$?"
	shows "^status $1\$"
}

has_settings()
{
	[[ $(on_tty stty -g) == "$saved" ]]
}

# fits WIDTH HEIGHT: so many lines, and none is longer; the last one has the keys.
fits()
{
	[ "$(seen | wc -l)" = "$2" ]
	[ "$(seen | wc -L)" -le "$1" ]
	seen | tail -n 1 | grep -q '^q quit  h help'
}

# loads DEV RATE: so many reads, and a third of that writes, by the second.
loads()
{
	fio --name=load --filename="$1" --rw=randrw --rwmixread=75 --bs=4k --iodepth=16 --direct=1 --ioengine=io_uring \
		--time_based --runtime=600 --rate_iops="$2,$(($2 / 3))" >fio.out 2>&1 &
}

# line ID: of the list, in single words.
line()
{
	seen | grep -E "^ +$1 " | tr -s ' '
}

# ids: of the list, from above.
ids()
{
	seen | sed -nE '4,$s/^ +([0-9]+) .*/\1/p' | xargs
}

ids_are()
{
	[[ $(ids) == "$1" ]]
}

begin_three()
{
	make_image a.img 64M
	ublk add -n 0 -t loop -f a.img --name database -q 2
	ublk add -n 1 -t null --name scratch
	ublk add -n 12 -t mem --size 16M
}

@test "at 80 by 24 every device has a line with what it does by the second, and keys change what is shown" {
	begin_three
	loads /dev/ublkb0 200
	terminal 80 24
	begins
	fits 80 24
	shows '^ ID NAME +READS WRITES +READ WRITTEN +R99 +W99 INFLIGHT QUEUES FULL'
	shows '^  0 database +[1-9][0-9]* +[1-9][0-9]* +[0-9.]+[KM] +[0-9.]+K +[0-9.]+[um]s +[0-9.]+[um]?s +[0-9]+ \[.*\]$'
	shows '^  1 scratch +0 +0 +0 +0 +- +- +0 \[ +\]$'
	shows '^ 12 - '
	shows '^ublk top +devices: 3 +by ID +by the second, each 1 s +[0-9:]{8}$'
	shows '^reads [1-9][0-9]* of .*writes [1-9].*errors 0 +in flight [0-9]+$'
	# The order.
	presses r
	wait_for 20 ids_are '12 1 0'
	presses r '>' '>' '>' '>'
	shows 'by READS, falling'
	wait_for 20 ids_are '0 1 12'
	presses r
	shows 'by READS  '
	wait_for 20 ids_are '1 12 0'
	# The filter, as it is typed.
	presses / s C r
	shows '^filter: sCr +Enter keeps it'
	wait_for 20 ids_are 1
	presses Enter
	shows 'devices: 1 of 3, with sCr'
	fits 80 24
	presses Escape
	wait_for 20 ids_are '1 12 0'
	# Totals are those of ublk stat.
	presses t
	shows 'since added'
	presses t
	shows 'by the second'
	presses h
	shows '^ublk top: keys'
	shows '^  r +order the other way round'
	presses h
	shows '^ublk top +devices'
	# One device that is the last in the list.
	presses End Enter
	shows '^ublkb0  database  by the second'
	shows '^live  64M  2 x 128 requests  counted by the server  loop /'
	shows '^ +0 +0 +[0-9]+ +[0-9]+ '
	shows '^ +1 +0 +[0-9]+ +[0-9]+ '
	shows '^ +time +reads  50 % [0-9.]+[um]s  99 % [0-9.]+[um]?s +writes  50 %'
	shows '^ +< [0-9.]+[um]s +[0-9]+ \[\|+ *\] +[0-9]+ \['
	fits 80 24
	presses Enter
	shows '^ublk top +devices'
	presses q
	is_given_back 0
	kill %1
	wait %1 || true
	ublk del --all
}

# bats test_tags=long
@test "at 200 by 50 there are more columns, and every other size that the window gets is used" {
	begin_three
	loads /dev/ublkb0 100
	terminal 200 50
	begins --sort -READ database 12
	fits 200 50
	shows '^ +ID  NAME +STATE +READS +WRITES +READ +WRITTEN +FLUSHES +DISCARDS +ERRORS +R50 +R99 +R999 +W50 +W99 +W999 +INFLIGHT  QUEUES FULL'
	shows '^ +0  database +live +[1-9][0-9]* '
	wait_for 20 ids_are '0 12'
	presses Enter
	shows '^QUEUE  THREAD  '
	shows ' time .* reads  50 % .* writes  50 % '
	fits 200 50
	tmux_ resize-window -x 60 -y 12
	wait_for 20 fits 60 12
	shows '^ublkb0  database'
	presses Escape
	shows '^ublk top'
	shows '^ +0 database +[1-9]'
	fits 60 12
	# One line is the least.
	tmux_ resize-window -x 12 -y 2
	tmux_ resize-window -x 1 -y 1
	tmux_ resize-window -x 300 -y 80
	wait_for 20 fits 300 80
	shows 'WRITES .* QUEUES FULL'
	# One that is gone has no line, one that was not named neither.
	ublk del 12
	wait_for 20 ids_are 0
	kill %1
	wait %1 || true
	ublk del 0
	shows 'there is no device'
	presses q
	is_given_back 0
	ublk del 1
}

@test "a device that nobody serves is told as that, and its numbers go on when it is served again" {
	dev=$(ublk add -n 0 -t null)
	terminal 80 24
	begins
	shows '^  0 - .*\[ +\]$'
	kill_server "$dev"
	shows '^  0 - .* (quiesced|no server)$'
	wait_for 20 is_state "$dev" quiesced
	shows '^  0 - .* quiesced$'
	ublk recover "$dev"
	shows '^  0 - .*\[ +\]$'
	lose_record 0
	presses Enter
	shows '^live +250G +1 x 128 requests +counted by the kernel'
	shows '^  the kernel does not tell times'
	presses q
	is_given_back 0
	ublk del 0
}

@test "whatever ends or stops it gives the terminal back" {
	ublk add -n 0 -t null
	terminal 80 24
	begins
	presses C-c
	is_given_back 130
	begins
	pkill -TERM -x ublk -t "$(tmux_ display -p '#{s|/dev/||:pane_tty}')"
	is_given_back 143
	begins
	presses C-z
	shows '^shell'
	wait_for 20 has_settings
	[ "$(tmux_ display -p '#{alternate_on} #{cursor_flag}')" = '0 1' ]
	tmux_ resize-window -x 90 -y 20
	types fg
	shows '^ublk top +devices: 1 '
	wait_for 20 fits 90 20
	# Stopped by somebody who asks nobody.
	pid=$(pgrep -x ublk)
	kill -STOP "$pid"
	wait_for 20 is_stopped "$pid"
	shows '^shell'
	types fg
	shows '^ublk top +devices: 1 '
	# The terminal goes away.
	tmux_ kill-server
	wait_for 20 is_gone "$pid"
	ublk del 0
}

@test "paused it stands still, and still does what keys say" {
	ublk add -n 0 -t null
	terminal 80 24
	begins -i 1
	presses Space
	shows 'each 1 s  paused'
	ublk add -n 1 -t null
	clock=$(seen | head -n 1)
	sleep 2
	[ "$(seen | head -n 1)" = "$clock" ]
	ids_are 0
	presses r
	shows 'by ID, falling'
	presses Space
	wait_for 20 ids_are '1 0'
	presses q
	is_given_back 0
	ublk del --all
}

# has_colour: an escape of one is on the screen.
has_colour()
{
	seen -e | grep -qE $'\e\\[([0-9;]*;)?3[1-6]'
}

@test "colours are there where they may be" {
	ublk add -n 0 -t null
	terminal 80 24
	begins
	wait_for 20 has_colour
	presses q
	is_given_back 0
	types 'clear; export NO_COLOR=1'
	begins
	shows '^  0 - '
	run ! has_colour
	presses q
	is_given_back 0
	ublk del 0
}

@test "without a terminal it is refused, with what there is instead" {
	ublk add -n 0 -t null
	run -2 --separate-stderr ublk top
	[ "$output" = '' ]
	[ "${stderr_lines[0]}" = 'ublk: error: top: it needs a terminal, to draw on and to read keys from' ]
	[ "${stderr_lines[1]}" = 'hint: print it instead: ublk stat --interval 1' ]
	terminal 80 24
	for how in 'TERM=dumb %s' 'TERM= %s' '%s </dev/null' '%s >out' '%s >&-'; do
		# shellcheck disable=SC2059
		types "clear; $(printf "$how" "env $UBLK top"); echo status \$?"
		shows '^status 2$'
	done
	types "clear; TERM=nobodys $UBLK top; echo status \$?"
	shows '^status 1$'
	shows 'cannot draw on this terminal: nothing is known of TERM=nobodys'
	types "clear; $UBLK top 5; echo status \$?"
	shows '^status 4$'
	types "clear; $UBLK top --sort nope; echo status \$?"
	shows '^status 2$'
	ublk del 0
}

@test "an ordinary user sees what may be seen" {
	ublk add -n 0 -t null --name roots
	chmod 666 /dev/ublk-control
	at_end chmod 600 /dev/ublk-control
	terminal 80 24
	types "exec setpriv --reuid 65534 --clear-groups --inh-caps=-all $UBLK top"
	shows '^ublk top +devices: [01] '
	presses q
	ublk del 0
}
