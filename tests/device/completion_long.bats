# SPDX-License-Identifier: MIT
# What Tab offers where there are devices: pressed in the three real shells, in a terminal.
# kernels: 6.12 newest
# minutes: 30
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
