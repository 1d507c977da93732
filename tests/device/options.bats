# SPDX-License-Identifier: MIT
# The options of memory together, on every path. (The sanitizers do not let mlock() be.)
# kernels: newest
# long kernels: 6.12
# no sanitizers

load helpers
load backings
load options

setup()
{
	device_setup
	options_setup
}

@test "what is counted is locked with the rest, where that is asked for" {
	dev=$(ublk add -t null --mlock)
	[ "$(ublk show --json "$dev" | jq -c '.devices[0].regions[] | select(.name == "stats") | [.mapped, .resident, .locked]')" = \
		'[8192,8192,8192]' ]
	ublk del "$dev"
}

# bats test_tags=long
@test "locked, in huge pages, capped, limited and on a node, every path serves" {
	while read -r path; do
		pooled=() huge=(--huge-pages)
		[[ $path != user-copy* && $path != get-data* ]] || pooled=(--buffer-memory 8M)
		[[ $path != zero-copy* ]] || huge=()
		# shellcheck disable=SC2086 # options
		serves $path --mlock --numa-node 0 --memory-limit 48M "${huge[@]}" "${pooled[@]}"
	done < <(paths)
}
