# SPDX-License-Identifier: MIT
# As many devices as a machine of 4 GiB is to have.
# kernels: 6.12 newest
# no sanitizers
# minutes: 40
# long

load helpers

setup()
{
	device_setup
}

DEVICES=1000

@test "a thousand devices are added 32 at a time, listed, read, and removed with one command" {
	# Before Linux 6.15 so many need leave.
	echo $((DEVICES * 2)) >/sys/module/ublk_drv/parameters/ublks_max
	for ((i = 0; i < DEVICES; i++)); do
		truncate -s 4M "$i"
	done
	seq 0 $((DEVICES - 1)) | xargs -P 32 -I'{}' "$UBLK" add -n '{}' -t loop -f '{}' >/dev/null
	[ "$(ublk list --json | jq -c '[.devices[] | select(.state == "live") | .id] == [range(1000)]')" = true ]
	[ "$(ublk memory --json | jq .measured)" -eq $DEVICES ]
	for i in 0 500 999; do
		dd if="/dev/ublkb$i" of=/dev/null bs=4k count=1 iflag=direct status=none
	done
	ublk del --all >/dev/null
	nothing_left
}
