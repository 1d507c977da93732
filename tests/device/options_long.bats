# SPDX-License-Identifier: MIT
# The options of memory, each alone, on every path that it makes sense on. (The sanitizers do not let
# mlock() be.)
# kernels: 6.12 newest
# no sanitizers
# long

load helpers
load backings
load options

setup()
{
	device_setup
	options_setup
}

@test "each option of memory alone is followed by every path, or refused" {
	while read -r path; do
		for option in --mlock --huge-pages '--buffer-memory 8M' '--memory-limit 48M' '--numa-node 0'; do
			case "$path $option" in
			zero-copy*--huge-pages | zero-copy*--buffer-memory* | copy*--buffer-memory*)
				# shellcheck disable=SC2086 # options
				run --separate-stderr "$UBLK" add -t loop -f a.img -d 64 --data-path $path $option
				[ "$status" -eq 2 ]
				nothing_left
				;;
			*)
				# shellcheck disable=SC2086 # options
				serves $path $option
				;;
			esac
		done
	done < <(paths)
}
