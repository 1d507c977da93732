# SPDX-License-Identifier: MIT
# The memory of buffers goes back to the system when a queue is idle, and never takes data along.
# cpus: 2
# kernels: newest
# long kernels: 6.12 6.18
# build: faults

load helpers
load servers
load backings

# has_given_back DEV
has_given_back()
{
	[ "$(buffers_of "$1" resident)" -eq 0 ]
}

# write_pattern FILE_OR_DEV: 8 MiB in which every 4 KiB differ.
write_pattern()
{
	seq -f '%4095.0f' 2048 | dd of="$1" bs=512K iflag=fullblock oflag=direct status=none
}

@test "after a load the buffers go back, and the device works on" {
	make_image a.img 64M
	dev=$(ublk add -t loop -f a.img -q 2 --data-path copy)
	fio --name=load --filename="$dev" --rw=randwrite --bs=512k --iodepth=64 --ioengine=libaio \
		--direct=1 --size=64M --verify=crc32c --do_verify=0 --output=fio.log
	[ "$(buffers_of "$dev" resident)" -gt 4000000 ]
	[ "$(detail "$dev" .idle_buffers)" = '"returned"' ]
	wait_for 10 has_given_back "$dev"
	fio --name=load --filename="$dev" --rw=randwrite --bs=512k --iodepth=64 --ioengine=libaio \
		--direct=1 --size=64M --verify=crc32c --verify_only --output=fio.log
	ublk del "$dev"
}

# paths: arguments of each data path that has buffers, on this kernel.
paths()
{
	printf '%s\n' '--data-path copy' '--data-path user-copy' '--data-path get-data'
	! kernel_at_least 7.0 || printf '%s\n' '--data-path copy --batch on' '--data-path user-copy --batch on'
}

# have_no_more_than_one DEV...: of its largest requests in its buffers.
have_no_more_than_one()
{
	local dev
	for dev; do
		[ "$(buffers_of "$dev" resident)" -le 524288 ] || return
	done
}

# read_from_stalled_disks: on each path at once, reads a pattern off a device whose disk answers the
# reads when it is told to, while the rest of its buffers goes back. Leaves the pattern in `want`,
# and what was read in `got.0`, ...; sets `tried` to the paths.
read_from_stalled_disks()
{
	local disks=() devs=() readers=() sectors=32768 at
	mapfile -t tried < <(paths)
	write_pattern want
	for at in "${!tried[@]}"; do
		disks[at]=$(make_ram_disk 16)
		map_disk "slow$at" "0 $sectors linear ${disks[at]} 0"
		# shellcheck disable=SC2086 # options
		devs[at]=$(ublk add -t loop -f "/dev/mapper/slow$at" --direct on --no-partition-scan ${tried[at]})
		# Two at a time, so that there is something to give back.
		dd if=want of="${devs[at]}" bs=4M oflag=direct status=none
		[ "$(buffers_of "${devs[at]}" resident)" -gt 524288 ]
		change_map "slow$at" "0 $sectors delay ${disks[at]} 0 60000 ${disks[at]} 0 0"
		dd if="${devs[at]}" of="got.$at" bs=512K count=16 iflag=direct status=none 3>&- &
		readers[at]=$!
	done
	for at in "${!tried[@]}"; do
		wait_for 5 in_flight "${devs[at]}" 1
	done
	wait_for 12 have_no_more_than_one "${devs[@]}"
	# Longer than it takes until the next time.
	sleep 5
	for at in "${!tried[@]}"; do
		in_flight "${devs[at]}" 1
		# The others at full speed.
		change_map "slow$at" "0 $sectors linear ${disks[at]} 0"
		ends_with 0 "${readers[at]}"
	done
	ublk del --all
}

# bats test_tags=long
@test "a request that the backing is slow to answer keeps its buffer, on every path" {
	read_from_stalled_disks
	for at in "${!tried[@]}"; do
		cmp "got.$at" want || { echo "${tried[at]}"; return 1; }
	done
}

# bats test_tags=long
@test "the check itself sees a buffer that is taken away too early, on every path" {
	export UBLK_FAULT=give-back-busy
	read_from_stalled_disks
	for at in "${!tried[@]}"; do
		run cmp "got.$at" want
		[ "$status" -eq 1 ] || { echo "${tried[at]}"; return 1; }
	done
}
