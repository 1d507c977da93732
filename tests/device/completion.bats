# SPDX-License-Identifier: MIT
# What is offered where there are devices, as the shells are told it (as they show it:
# completion_long.bats).
# kernels: newest
# long kernels: 6.12

load helpers
load completions

@test "each verb offers the devices that it can do something about, with state and backing" {
	three
	[ "$(asked del '')" = "$(printf '%s\t%s\n' 0 'alpha: live, null' alpha 'ublkb0: live, null' \
		1 "beta: quiesced, loop $PWD/a.img" beta "ublkb1: quiesced, loop $PWD/a.img" \
		2 "$failed, null")" ]
	[ "$(asked show '')" = "$(asked del '')" ]
	[ "$(asked recover '' | cut -f 1 | paste -sd ' ')" = '1 beta 2' ]
	[ "$(asked recover -n '' | cut -f 1 | paste -sd ' ')" = '1 2' ]
	[ "$(asked del -n '' | cut -f 1 | paste -sd ' ')" = '0 1 2' ]
}

@test "a device that is named already is not offered again, however it was named" {
	three
	[ "$(asked del 0 '' | cut -f 1 | paste -sd ' ')" = '1 beta 2' ]
	[ "$(asked del /dev/ublkb0 beta '' | cut -f 1 | paste -sd ' ')" = 2 ]
	[ "$(asked del -n 1 ublkc0 '' | cut -f 1 | paste -sd ' ')" = 2 ]
	[[ $(asked del --all '' | cut -f 1) != *alpha* ]]
}

@test "a device is offered in the form that was begun" {
	at_end ublk del --all
	ublk add -t null
	[ "$(asked show /d | cut -f 1)" = /dev/ublkb0 ]
	[ "$(asked show ub | cut -f 1 | paste -sd ' ')" = 'ublkb0 0' ]
}

@test "a path that holds anything stays in its line, and drives no terminal" {
	name=$'bad\n\t\e[31mname"\\\u00e4'
	make_image "$name" 1M
	at_end ublk del --all
	ublk add -t loop -f "$name"
	asked del '' >out
	[ "$(wc -l <out)" -eq 1 ]
	[[ $(<out) == $'0\tlive, loop '*$'/bad\\x0a\\x09\\x1b[31mname"\\\u00e4' ]]
}

@test "nobody is offered numbers, and told nothing" {
	three
	run -0 --separate-stderr setpriv --reuid=nobody --regid=nogroup --clear-groups "$UBLK" complete -- del ''
	[ "$(tail -n +2 <<<"$output" | cut -f 1 | paste -sd ' ')" = '0 1 2' ]
	[ -z "$stderr" ]
}

@test "without a driver nothing is offered, and nothing said" {
	modprobe -r ublk_drv
	run -0 --separate-stderr "$UBLK" complete -- recover -n ''
	[ -z "$(tail -n +2 <<<"$output")$stderr" ]
	[ ! -e /dev/ublk-control ]
}

@test "a dozen devices are offered, in their order" {
	at_end ublk del --all
	for ((i = 0; i < 12; i++)); do
		ublk add -t null --name "d$i" >/dev/null
	done
	asked del '' | cut -f 1 | grep -v d | diff - <(seq 0 11)
	[ "$(asked del '' | grep -c ': live, null$')" -eq 24 ]
}
