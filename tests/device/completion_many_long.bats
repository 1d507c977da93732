# SPDX-License-Identifier: MIT
# Tab among a thousand devices, in the three real shells. They have 3 GiB of memory, more with sanitizers.
# kernels: newest
# minutes: 60
# no sanitizers
# long

load helpers
load completions

@test "among a thousand devices Tab finds one, and shows them all to who asks" {
	at_end "$UBLK" del --all --timeout 300
	seq 0 999 | xargs -P 4 -I{} "$UBLK" add -t null --depth 1 --name 'd{}' --id '{}' >/dev/null
	ublk add -t null --depth 1 --name last
	asked del '' | cut -f 1 | grep -v '[dl]' | diff - <(seq 0 1000)
	[ "$(asked del '' | grep -c ': live, null$')" -eq 2002 ]
	cd here || return
	for shell in "${SHELLS[@]}"; do
		start_shell "$shell"
		load
		completes 'ublk del la' 'ublk del last'
		completes 'ublk show d77 la' 'ublk show d77 last'
		# All of them: two shells ask before that, one pages.
		type_in 'ublk del '
		press Tab
		press Tab
		case $shell in
		bash) shown 'Display all 2002 possibilities\? \(y or n\)' && type_in n ;;
		zsh) shown 'do you wish to see all 2002 possibilities' && type_in n ;;
		fish) shown 'rows 1 to [0-9]+ of [0-9]+|more rows' ;;
		esac
		press C-c
		clear_line
		completes 'ublk feat' 'ublk features'
	done
}
