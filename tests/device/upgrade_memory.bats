# SPDX-License-Identifier: MIT
# What a device of the target mem keeps is handed over by an upgrade, and dies with its server else.
# build: faults
# kernels: newest
# long kernels: 6.12 6.18
# cpus: 2

load helpers
load servers
load memory_devices

setup()
{
	memory_setup
}

@test "what was written is there after an upgrade, and after the next, with nothing copied or taken" {
	truncate -s 64M data
	for from in 3 17 40; do
		dd if=/dev/urandom of=data bs=1M seek=$from count=5 conv=notrunc status=none
	done
	# A part of a page, too.
	dd if=/dev/urandom of=data bs=512 seek=60001 count=3 conv=notrunc status=none
	add 64M
	write 3 5
	write 17 5
	dd if=data of="$dev" bs=512 seek=60001 skip=60001 count=3 oflag=direct status=none
	write 40 5
	# What was never written takes no memory when it is read: the data, the piece of a page, the bits.
	same
	[ "$(in_memory)" -eq $((15 * 1024 + 4 + 4)) ]
	upgrade
	# All of it is told of the new server, whoever has touched it.
	wait_for 20 has_in_memory $((15 * 1024 + 4 + 4))
	same
	[ "$(in_memory)" -eq $((15 * 1024 + 4 + 4)) ]
	# The new server gives back what the old one has taken.
	blkdiscard -o 17M -l 5M "$dev"
	fallocate -p -o 17M -l 5M data
	same
	[ "$(in_memory)" -eq $((10 * 1024 + 4 + 4)) ]
	# Zeroes that begin and end within pages.
	fallocate -z -o $((41 * 1048576 + 512)) -l 1048576 "$dev"
	fallocate -p -o $((41 * 1048576 + 512)) -l 1048576 data
	same
	upgrade
	same
	ublk del 0
}

@test "it goes on with the size that it has come to" {
	truncate -s 16M data
	dd if=/dev/urandom of=data bs=1M count=16 conv=notrunc status=none
	add 16M
	write 0 16
	if kernel_at_least 6.16; then
		ublk resize 0 300M
		truncate -s 300M data
		upgrade
		same
		ublk resize --force 0 10M
		truncate -s 10M data
		upgrade
		ublk resize 0 40M
		truncate -s 40M data
		same
	fi
	upgrade
	same
	[ "$(jq .target.size /run/ublk/0.json)" -eq "$(stat -c %s data)" ]
	ublk del 0
	# Neither whole pages nor whole words of bits.
	truncate -s $((1048576 + 512)) data
	dd if=/dev/urandom of=data bs=512 count=2049 conv=notrunc status=none
	add $((1048576 + 512))
	dd if=data of="$dev" bs=512 oflag=direct status=none
	upgrade
	same
	ublk del 0
}

@test "a size that changes while nobody serves it is the new server's" {
	only_on_kernel 6.16 'UPDATE_SIZE'
	truncate -s 16M data
	dd if=/dev/urandom of=data bs=1M count=16 conv=notrunc status=none
	add 16M
	write 0 16
	for size in 40M 8M; do
		upgrade_at start-recovery
		ublk resize --force 0 "$size"
		pkill -CONT -x ublk-server
		wait_for 20 is_gone "$command"
		wait_for 20 is_served_alone || { cat out.log; return 1; }
		truncate -s "$size" data
		same
	done
	ublk resize 0 24M
	truncate -s 24M data
	same
	ublk del 0
}

# survives_upgrades OPTION...: a device's data, and each request, under a load.
survives_upgrades()
{
	add 16M "$@"
	start_verified "$dev" 8192
	for _ in 1 2 3; do
		writes_on "$dev"
		upgrade
	done
	end_verified "$dev" 8192
	ublk del 0
}

@test "under a load no request fails" {
	survives_upgrades --mlock -q 2
}

# bats test_tags=long
@test "under a load no request fails, on every path" {
	survives_upgrades --data-path copy
	survives_upgrades --data-path user-copy -q 2
	survives_upgrades --data-path get-data
}

@test "a server that fails after the other one has ended leaves it to the program before, with all of it" {
	truncate -s 16M data
	dd if=/dev/urandom of=data bs=1M count=16 conv=notrunc status=none
	add 16M
	write 0 16
	for kind in EIO kill; do
		run -1 env UBLK_FAULT="other-ended:$kind" "$UBLK" upgrade "${how[@]}" 0
		[[ $output == *'; a server of the program before has it again'* ]] || { echo "$output"; return 1; }
		same
	done
	# Not if that one fails, too.
	run -1 env UBLK_FAULT=start-recovery "$UBLK" upgrade "${how[@]}" 0
	[[ $output == *'; its data is lost: ublk del 0'* ]] || { echo "$output"; return 1; }
	is_state 0 quiesced
	ublk del 0
}

# upgrade_at STEP: $command, whose new server has come to that step and stopped there: $server.
upgrade_at()
{
	before=$(server_of 0)
	UBLK_FAULT=$1:stop env --default-signal=INT "$UBLK" upgrade "${how[@]}" 0 >out.log 2>&1 3>&- &
	command=$!
	wait_for 20 new_one_stopped || { cat out.log; return 1; }
}

new_one_stopped()
{
	server=$(pgrep -nx ublk-server) && [[ $server != "$before" ]] && is_stopped "$server"
}

is_served_alone()
{
	[[ $(servers | wc -l) == 1 ]] && is_state 0 live
}

# bats test_tags=long
@test "whoever kills the command or the new server, nothing is lost" {
	truncate -s 16M data
	dd if=/dev/urandom of=data bs=1M count=16 conv=notrunc status=none
	add 16M
	write 0 16
	steps=(end-other other-ended start-recovery char)
	# From there on an older driver can't begin again.
	! kernel_at_least 7.0 || steps+=(fetch-half end-recovery)
	for step in "${steps[@]}"; do
		for whom in 'KILL command' 'KILL server' 'INT command'; do
			upgrade_at "$step"
			signal=${whom% *} whom=${whom#* }
			kill "-$signal" "${!whom}"
			sleep 0.2
			pkill -CONT -x ublk-server || true
			# The command starts the program before, which stops at the same step.
			wait_for 20 ended_or_stopped
			wait_for 20 is_served_alone || { echo "$signal $whom at $step: $(state_of 0)"; cat out.log; return 1; }
			same
		done
	done
	ublk del 0
}

ended_or_stopped()
{
	is_gone "$command" && return
	pkill -CONT -x ublk-server
	return 1
}

@test "without its server it is lost, and says so" {
	add 16M
	kill_server "$dev"
	wait_for 20 is_state 0 quiesced
	run -0 ublk show 0
	[[ $output == *'unless it is being upgraded, its data is lost: requests wait'* && $output == *'ublk del 0'* ]]
	run -1 --separate-stderr ublk recover 0
	[[ $stderr == 'ublk: error: cannot recover ublkb0: its data has died with its server'*'hint: give it up: ublk del 0' ]]
	run -1 --separate-stderr ublk upgrade "${how[@]}" 0
	[[ $stderr == 'ublk: error: cannot upgrade ublkb0: its data has died with its server'*'hint: give it up: ublk del 0' ]]
	dd if="$dev" of=/dev/null bs=4k count=1 iflag=direct 2>dd.err 3>&- &
	reader=$!
	ublk del --force 0
	ends_with 1 "$reader"
	add 16M
	if kernel_at_least 6.16; then
		run -1 --separate-stderr ublk quiesce 0
		[[ $stderr == *'its data would be lost, since only an upgrade takes that along' ]]
	fi
	is_state 0 live
	ublk del 0
	[ "$(pgrep -cx ublk-server)" -eq 0 ]
}

@test "only whoever means this very device is given its memory" {
	add 16M
	run -0 "$TOP/tests/device/speak" /run/ublk/0.sock "$(jq -r .token /run/ublk/0.json)" hand-over-other-token
	[ "$output" = 'ENODEV, 0 descriptors' ]
	run -0 "$TOP/tests/device/speak" /run/ublk/0.sock "$(jq -r .token /run/ublk/0.json)" hand-over
	[ "$output" = '0, 1 descriptors' ]
	run -0 setpriv --reuid 65534 --regid 65534 --clear-groups "$TOP/tests/device/speak" /run/ublk/0.sock 0 hand-over
	[ "$output" = EACCES ]
	ublk del 0
}

# bats test_tags=long
