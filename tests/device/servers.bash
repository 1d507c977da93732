# SPDX-License-Identifier: MIT
# Servers that are killed, stopped and started again, and backings that are slow or fail. Sourced
# after helpers.bash.
# shellcheck shell=bash

# server_of DEV: the pid of its server.
server_of()
{
	ublk list --json | jq -er --arg p "$1" '.devices[] | select(.path == $p) | .server.pid'
}

# is_state DEV STATE
is_state()
{
	[[ $(state_of "$1") == "$2" ]]
}

# is_gone PID: it has ended (a zombie has).
is_gone()
{
	local stat
	read -r stat 2>/dev/null <"/proc/$1/stat" || return 0
	[[ ${stat##*) } == Z* ]]
}

# is_stopped PID: by SIGSTOP.
is_stopped()
{
	local stat
	read -r stat 2>/dev/null <"/proc/$1/stat" || return 1
	[[ ${stat##*) } == T* ]]
}

# is_waiting PID: in the kernel, for something that no signal ends.
is_waiting()
{
	local stat
	read -r stat 2>/dev/null <"/proc/$1/stat" || return 1
	[[ ${stat##*) } == D* ]]
}

# kill_server DEV: as the out-of-memory killer would.
kill_server()
{
	kill -KILL "$(server_of "$1")"
}

# in_flight DISK N: at least N requests are under way, as the kernel counts them.
in_flight()
{
	local reads writes
	read -r reads writes <"/sys/block/${1#/dev/}/inflight"
	((reads + writes >= $2))
}

none_in_flight()
{
	! in_flight "$1" 1
}

# has_written DISK N: at least N writes have been done since it was made.
has_written()
{
	local stat
	read -ra stat <"/sys/block/${1#/dev/}/stat"
	((stat[4] >= $2))
}

# no_server: no process of ours is left.
no_server()
{
	! pgrep -x ublk-server >/dev/null
}

# ends_with STATUS PID: waits for the child, and says how it ended.
ends_with()
{
	local status=0
	wait "$2" || status=$?
	[[ $status -eq $1 ]] || { printf 'process %s ended with %s, not %s\n' "$2" "$status" "$1"; return 1; }
}

# Nobody answers libdevmapper's cookies here: it makes the nodes itself.
export DM_DISABLE_UDEV=1

NULLB=/sys/kernel/config/nullb

# make_slow_disk NAME MILLISECONDS MEGABYTES: /dev/NAME, a ram disk each of whose requests takes so long.
make_slow_disk()
{
	modprobe null_blk nr_devices=0
	mkdir "$NULLB/$1"
	echo "$3" >"$NULLB/$1/size"
	echo 1 >"$NULLB/$1/memory_backed"
	set_slowness "$1" "$2"
	[ -b "/dev/$1" ]
}

# set_slowness NAME MILLISECONDS: of a disk of make_slow_disk that nobody has open.
set_slowness()
{
	echo 0 >"$NULLB/$1/power"
	if (($2)); then
		echo 2 >"$NULLB/$1/irqmode"
		echo "$(($2 * 1000000))" >"$NULLB/$1/completion_nsec"
	else
		echo 0 >"$NULLB/$1/irqmode"
	fi
	echo 1 >"$NULLB/$1/power"
}

# make_disk_with_slow_writes MILLISECONDS MEGABYTES: /dev/mapper/slow on /dev/ram, which is fast.
make_disk_with_slow_writes()
{
	requires dmsetup
	modprobe -a dm_mod dm_delay
	make_slow_disk ram 0 "$2"
	dmsetup create slow --table "0 $(($2 * 2048)) delay /dev/ram 0 0 /dev/ram 0 $1"
}

# remove_disks: all that these functions made, and mounts of this test; for teardown.
remove_disks()
{
	local dir
	if mountpoint -q m; then
		umount -l m
	fi
	[[ ! -d $NULLB ]] || dmsetup remove_all --force 2>/dev/null || true
	for dir in "$NULLB"/*/; do
		[[ ! -d $dir ]] || { echo 0 >"$dir/power" && rmdir "$dir"; }
	done
}
