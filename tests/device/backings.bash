# SPDX-License-Identifier: MIT
# What tests about data ask of devices and of what lies behind them. Sourced after helpers.bash.
# shellcheck shell=bash

# tmpfs_on DIR MEGABYTES: mounted until the teardown.
tmpfs_on()
{
	mkdir "$1" && mount -t tmpfs -o "size=$2M" tmpfs "$1" && at_end unmount "$(realpath "$1")"
}

# detail DEV JQ_FILTER: a value of a device, as compact JSON.
detail()
{
	ublk show --json "$1" | jq -c ".devices[0] | $2"
}

# buffers_of DEV KEY: bytes of its buffers that are resident, mapped, ... Without jq, which takes long
# to start on an emulated processor, since tests wait for this to change.
buffers_of()
{
	local json
	json=$(ublk show --json "$1") || return
	awk -F '[":, ]+' -v key="$2" '
		/"regions":\[/ { regions = 1 }
		/"plan":\[/ { regions = 0 }
		regions && $2 == "name" { buffers = $3 == "buffers" }
		regions && buffers && $2 == key { sum += $3 }
		END { printf "%.0f\n", sum }' <<<"$json"
}
