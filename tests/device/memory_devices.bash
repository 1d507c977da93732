# SPDX-License-Identifier: MIT
# Devices of the target mem that are upgraded. Sourced after servers.bash.
# shellcheck shell=bash

memory_setup()
{
	device_setup
	echo 0 >/proc/sys/vm/overcommit_memory
	if kernel_at_least 6.16; then
		how=()
	else
		how=(--by-recovery)
	fi
}

# add SIZE OPTION...: $dev, number 0.
add()
{
	dev=$(ublk add -n 0 -t mem --size "$1" --recovery reissue "${@:2}" 2>add.err) || { cat add.err; return 1; }
}

# upgrade: by another process, which is the only one afterwards.
upgrade()
{
	local before
	before=$(server_of 0)
	run -0 ublk upgrade "${how[@]}" 0
	[ "$(server_of 0)" != "$before" ]
	wait_for 10 is_gone "$before"
	[ "$(servers | wc -l)" -eq 1 ]
}

# in_memory: KiB of it that the server has.
in_memory()
{
	ublk show 0 --json | jq '.devices[0].regions[] | select(.name == "target").resident / 1024'
}

has_in_memory()
{
	[[ $(in_memory) == "$1" ]]
}

# write MIB-FROM MIB: of the file `data`, at the same place.
write()
{
	dd if=data of="$dev" bs=1M seek="$1" skip="$1" count="$2" conv=notrunc oflag=direct status=none
}

# same: the device has what `data` has.
same()
{
	blockdev --flushbufs "$dev"
	cmp "$dev" data
}
