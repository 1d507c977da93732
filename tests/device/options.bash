# SPDX-License-Identifier: MIT
# The options of memory. Sourced after backings.bash.
# shellcheck shell=bash

options_setup()
{
	echo 20 >/proc/sys/vm/nr_hugepages
	at_end sh -c 'echo 0 >/proc/sys/vm/nr_hugepages'
	make_image a.img 16M
}

# paths: what --data-path takes on this kernel, each also in batches.
paths()
{
	printf '%s\n' copy user-copy get-data
	! kernel_at_least 6.16 || echo zero-copy
	! kernel_at_least 7.0 || printf '%s\n' 'copy --batch on' 'user-copy --batch on' 'zero-copy --batch on'
}

# serves PATH OPTIONS...: a device that keeps its data, and does what the options say.
serves()
{
	local dev
	dev=$(ublk add -t loop -f a.img --direct off -d 64 --data-path "$@")
	fio_verify "$dev" --bsrange=4k-512k --size=8M
	ublk show --json "$dev" >show.json
	jq -e --arg options " $* " --arg path "$1" '
		def has(word): $options | contains(" \(word) ");
		.devices[0] | [.regions[] | select(.name == "buffers")] as $buffers |
		.data_path == $path and ((has("--batch") | not) or .batch) and
		(has("--mlock") == (.memory.locked > 0)) and
		(has("--huge-pages") == ([$buffers[].page_size] | (max // 0) > 4096)) and
		((has("--buffer-memory") | not) or ([$buffers[].resident] | add) <= 8388608) and
		((has("--memory-limit") | not) or .memory.resident <= 50331648)' show.json >/dev/null ||
		{ echo "$*"; cat show.json; return 1; }
	ublk del "$dev"
}
