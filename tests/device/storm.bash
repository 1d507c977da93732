# SPDX-License-Identifier: MIT
# A device whose servers are killed at random moments under a client that verifies, also while they
# recover it. Sourced after servers.bash. Which moments is drawn by a seed that a failure prints: with
# UBLK_STORM_SEED=N they are drawn again.
# shellcheck shell=bash

storm_setup()
{
	device_setup
	seed=${UBLK_STORM_SEED:-$EPOCHSECONDS}
	echo "seed $seed"
	RANDOM=$seed
	exec {nothing}<> <(:)
}

# nap FROM TO: milliseconds. Without a process: under this load that takes as long as the nap.
nap()
{
	local ms=$(($1 + RANDOM % ($2 - $1 + 1)))
	printf -v ms '%d.%03d' $((ms / 1000)) $((ms % 1000))
	read -rt "$ms" -u "$nothing" || true
}

# may_die PID: before Linux 7.0 a server that dies with some of its tags fetched takes the device with
# it for good (wedge.bats): there only one that has not opened it yet. It is stopped, and does not
# come to that point meanwhile.
may_die()
{
	kernel_at_least 7.0 || ! has_opened "$1"
}

has_opened()
{
	local fd
	for fd in "/proc/$1/fd"/*; do
		[[ ! $fd -ef /dev/ublkc0 ]] || return 0
	done
	return 1
}

# kill_servers: all that there are. Return: 0 if there were any; `kills` counts them.
kill_servers()
{
	local pid found=1
	for pid in $(servers); do
		kill -KILL "$pid" 2>/dev/null || continue
		found=0
		kills=$((kills + 1))
	done
	return "$found"
}

# break_recovery DEV: one that ends, by itself or killed, at any moment.
break_recovery()
{
	local command pid
	"$UBLK" recover "$1" >recover.log 2>&1 3>&- &
	command=$!
	nap 10 400
	for pid in $(servers); do
		kill -STOP "$pid" 2>/dev/null || continue
		if may_die "$pid"; then
			kill -KILL "$pid"
			kills=$((kills + 1)) broken=$((broken + 1))
		fi
		kill -CONT "$pid" 2>/dev/null || true
	done
	wait "$command" || true
}

# storm KILLS ARGS...: of `add`. After each recovery the client's requests go on being answered, and
# at the end every block is what it wrote.
storm()
{
	local want=$1 kills=0 broken=0 recoveries=0 requests told=0 disk dev
	shift
	# A disk that takes its time: there is always something under way.
	disk=$(make_ram_disk 32 512 irqmode=2 completion_nsec=10000000)
	dev=$(ublk add -n 0 -t loop -f "$disk" --no-partition-scan --recovery reissue --log-file server.log "$@")
	# A sum that an emulated processor is quick at.
	start_verified "$dev" 8192 --bsrange=4k-64k --iodepth=32 --verify=xxhash
	while ((kills < want)); do
		nap 10 500
		kill_servers
		((kills / 100 == told)) || { told=$((kills / 100)) && echo "# $kills kills" >&3; }
		((RANDOM % 3)) || break_recovery "$dev"
		ublk recover "$dev" >/dev/null
		recoveries=$((recoveries + 1))
		requests "$dev"
		wait_for 60 has_done "$dev" $((requests + 40)) || { echo "stands after $kills kills"; return 1; }
	done
	end_verified "$dev" 8192
	ublk del "$dev"
	remove_ram_disks
	echo "# $kills kills, $broken of them of recoveries, $recoveries recoveries: $*" >&3
}
