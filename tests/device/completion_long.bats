# SPDX-License-Identifier: MIT
# What Tab offers where there are devices: pressed in the three real shells, in a terminal.
# kernels: 6.12 newest
# minutes: 60
# long

load helpers
load completions

@test "Tab shows devices in each shell" {
	three
	cd here
	for shell in "${SHELLS[@]}"; do
		start_shell "$shell"
		load
		completes 'ublk del al' 'ublk del alpha'
		offers 'ublk del ' 0 alpha 1 beta 2
		offers 'ublk recover ' 1 beta 2 -- 0 alpha
		offers 'ublk del alpha ' 1 beta 2 -- 0
		completes 'ublk show /dev/ublkb2' 'ublk show /dev/ublkb2'
		completes 'ublk recover --id=1' 'ublk recover --id=1'
		type_in 'ublk recover '
		press Tab
		press Tab
		shown "beta +(--|\() ?ublkb1: quiesced, loop .*a.img"
		clear_line
	done
}

@test "nobody is offered numbers in each shell, and told nothing" {
	three
	cd here
	for shell in "${SHELLS[@]}"; do
		start_shell "$shell" setpriv --reuid=nobody --regid=nogroup --clear-groups
		load
		offers 'ublk del ' 0 1 2 -- alpha
		completes 'ublk del 0 /dev/ublkb1' 'ublk del 0 /dev/ublkb1'
	done
}

@test "without a driver nothing is offered in any shell, and nothing said" {
	modprobe -r ublk_drv
	cd here
	for shell in "${SHELLS[@]}"; do
		start_shell "$shell"
		load
		offers_nothing 'ublk del '
		offers_nothing 'ublk recover -n '
		[ ! -e /dev/ublk-control ]
	done
}
