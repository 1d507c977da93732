# SPDX-License-Identifier: MIT
# Tab where the driver is broken: the shells offer what they can, say nothing, and go on.
# kernels: 6.12 newest
# minutes: 60
# long
# build: faults
# no sanitizers

load helpers
load completions

# put_aside: the control node; it comes back before the devices are removed.
put_aside()
{
	mv /dev/ublk-control /dev/away
	at_end mv -f /dev/away /dev/ublk-control
}

# in_each_shell CHECK [AS...]: CHECK is called in each shell, which AS runs.
in_each_shell()
{
	cd here || return
	for shell in "${SHELLS[@]}"; do
		start_shell "$shell" "${@:2}"
		load
		"$1"
		# It is still to be talked to.
		completes 'ublk feat' 'ublk features'
	done
	# Nor is anybody left who waits.
	wait_for 10 no_completion_runs
}

no_completion_runs()
{
	! pgrep -f 'ublk complete' >/dev/null
}

only_numbers()
{
	offers 'ublk del ' 0 1 2 -- alpha beta
	completes 'ublk show /dev/ublkb1' 'ublk show /dev/ublkb1'
}

nothing()
{
	offers_nothing 'ublk del '
	offers_nothing 'ublk recover -n '
}

# Of those that were told of before.
alpha_and_numbers()
{
	offers 'ublk del ' 0 alpha 1 2 -- beta
}

@test "a control node that is a file: numbers are offered, as everybody sees them" {
	three
	put_aside
	: >/dev/ublk-control
	in_each_shell only_numbers
}

@test "a control node that nobody answers at: numbers are offered" {
	three
	put_aside
	mkfifo /dev/ublk-control
	in_each_shell only_numbers
	rm /dev/ublk-control
	# Another driver's.
	mknod /dev/ublk-control c 1 3
	[ "$(asked del '' | cut -f 1 | xargs)" = '0 1 2' ]
}

@test "a driver that can't be asked for what it can do: numbers are offered" {
	three
	in_each_shell only_numbers env UBLK_FAULT=features
}

@test "a driver that tells of no device: nothing is offered" {
	three
	in_each_shell nothing env UBLK_FAULT=info
}

@test "a driver that hangs at the first command: numbers are offered" {
	three
	in_each_shell only_numbers env UBLK_FAULT=features:stop
}

@test "a driver that hangs at the second device: what it told before is offered, and numbers" {
	three
	in_each_shell alpha_and_numbers env UBLK_FAULT=info@2:stop
}
