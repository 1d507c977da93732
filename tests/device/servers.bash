# SPDX-License-Identifier: MIT
# Servers that are killed, stopped and started again, and backings that are slow or fail. Sourced
# after helpers.bash. Mind that bats' `run -N` sets the variable `i`.
# shellcheck shell=bash

# server_of DEV: the pid of its server.
server_of()
{
	local pid
	pid=$(column_of "$1" PID) && [[ $pid != - ]] && printf '%s\n' "$pid"
}

# is_state DEV STATE
is_state()
{
	[[ $(state_of "$1") == "$2" ]]
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

# lose_record ID...: by hand, with its entries in the index.
lose_record()
{
	local id
	for id; do
		rm -f "/run/ublk/$id."{json,sock} /run/ublk/.index/*/"$id"
	done
}

# park DEV: its server is killed, and it waits for another one.
park()
{
	kill_server "$1" && wait_for 20 is_state "$1" quiesced
}

# end_job PID [SIGNAL]: one of the test's own.
end_job()
{
	kill "-${2-TERM}" "$1"
	wait "$1" || true
}

# udev_has DEV SECONDS: as its worker looks at the device, on a slow machine.
udev_has()
{
	local name='(udev-worker)'
	cp "$(command -v sleep)" "$name"
	"./$name" "$2" 7<"$1" &
	worker=$!
	wait_for 10 is_named "$worker" "$name"
}

is_named()
{
	[[ $(<"/proc/$1/comm") == "$2" ]]
}

read_block()
{
	dd if="$1" of=/dev/null bs=4096 count=1 iflag=direct status=none
}

# write_block DEV [BLOCK]
write_block()
{
	dd if=/dev/urandom of="$1" bs=4096 count=1 seek="${2:-0}" oflag=direct conv=notrunc status=none
}

# requests DEV: sets `requests` to how many have been done since the device was made.
requests()
{
	local stat
	read -ra stat <"/sys/block/${1#/dev/}/stat"
	requests=$((stat[0] + stat[4]))
}

# has_done DEV N
has_done()
{
	requests "$1"
	((requests >= $2))
}

# start_verified DEV KILOBYTES [FIO OPTION...]: a client that writes, then verifies so much, again and
# again, at whatever speed, until end_verified: $fio.
start_verified()
{
	fio --name=verified --filename="$1" --size="$2k" --direct=1 --ioengine=libaio --iodepth=16 \
		--rw=randwrite --bs=4k --loops=1000000 --verify=crc32c --verify_fatal=1 "${@:3}" \
		>fio.log 2>&1 3>&- &
	fio=$!
}

# end_verified DEV KILOBYTES: when all of it has been verified once more.
end_verified()
{
	local stat
	read -ra stat <"/sys/block/${1#/dev/}/stat"
	wait_for 120 has_read "$1" $((stat[0] + 2 * $2 / 4))
	kill -TERM "$fio"
	# What fio says to a signal; an error would add to it.
	ends_with 128 "$fio" || { cat fio.log; return 1; }
}

# outlives_its_servers DEV [FIO OPTION...]: a client that writes and verifies sees nothing of three
# servers that die under it.
outlives_its_servers()
{
	local round requests
	start_verified "$1" 8192 --bsrange=4k-64k --iodepth=32 "${@:2}"
	for ((round = 0; round < 3; round++)); do
		requests "$1"
		wait_for 60 has_done "$1" $((requests + 40))
		kill_server "$1"
		ublk recover "$1"
	done
	end_verified "$1" 8192
}

# writes_on DEV: until it is in the middle of its client's writes.
writes_on()
{
	local stat
	read -ra stat <"/sys/block/${1#/dev/}/stat"
	wait_for 60 has_written "$1" $((stat[4] + 20))
}

# in_flight DISK N: at least N requests are under way, as the kernel counts them.
in_flight()
{
	local reads writes
	read -r reads writes <"/sys/block/${1#/dev/}/inflight"
	((reads + writes >= $2))
}

# has_written DISK N: at least N writes have been done since it was made.
has_written()
{
	local stat
	read -ra stat <"/sys/block/${1#/dev/}/stat"
	((stat[4] >= $2))
}

# has_read DISK N: at least N reads.
has_read()
{
	local stat
	read -ra stat <"/sys/block/${1#/dev/}/stat"
	((stat[0] >= $2))
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

# longer MILLISECONDS: sets `longer` to what that comes to on a machine that is slow now, for what is to
# outlast some steps of a test.
longer()
{
	local slowness=100
	measure_slowness
	longer=$(($1 * slowness / 100))
}

# map_disk NAME TABLE: /dev/mapper/NAME; goes at the teardown.
map_disk()
{
	requires dmsetup && modprobe dm_mod && dmsetup create "$1" --table "$2" &&
		at_end unmap_disk "$1"
}

# small_records: the records get a file system of their own, which fill_records fills to the last page.
small_records()
{
	mkdir -p /run/ublk && mount -t tmpfs -o size=64k,mode=755 records /run/ublk &&
		at_end umount /run/ublk
}

fill_records()
{
	! dd if=/dev/zero of=/run/ublk/full bs=4k oflag=append conv=notrunc status=none 2>/dev/null
}

# unmap_disk NAME: if it is there.
unmap_disk()
{
	[[ ! -e /dev/mapper/$1 ]] || dmsetup remove "$1"
}

# change_map NAME TABLE: what is delayed goes on by the new one at once.
change_map()
{
	dmsetup suspend --noflush "$1" && dmsetup load "$1" --table "$2" && dmsetup resume "$1"
}

# Disks of the kernel's dm can be suspended and changed under whoever has them open, submit what would block, and are no
# servers, which tests count and kill. Where none of that matters, a device of ours with layers serves as well.

# make_slow_disk MEGABYTES: sets `slow` to a disk that answers at once until it is slowed down.
make_slow_disk()
{
	local ram
	ram=$(make_ram_disk "$1")
	map_disk slow "0 $(($1 * 2048)) linear $ram 0"
	at_end speed_up
	# shellcheck disable=SC2034 # for the test
	slow=/dev/$(dmsetup info -c --noheadings -o blkdevname slow)
}

# slow_down MILLISECONDS: from here on each request takes it so long, or longer.
slow_down()
{
	local sectors ram
	longer "$1"
	read -r _ sectors _ ram _ < <(dmsetup table slow)
	change_map slow "0 $sectors delay $ram 0 $longer"
}

# is_delayed: a request waits in the slow disk. (Those that the kernel counts do not wait any more.)
is_delayed()
{
	local status
	read -ra status < <(dmsetup status slow)
	[[ ${status[2]} == delay ]] && ((status[3] + status[4] + status[5] > 0))
}

# write_that_takes MILLISECONDS DEV [BLOCK]: $writer, whose request the slow disk keeps so long, or until
# speed_up.
write_that_takes()
{
	slow_down "$1"
	dd if=/dev/urandom of="$2" bs=4k count=1 seek="${3:-0}" oflag=direct conv=notrunc status=none 3>&- &
	# shellcheck disable=SC2034 # for the test
	writer=$!
	wait_for 20 is_delayed
}

is_not_delayed()
{
	! is_delayed
}

# speed_up: also what is under way.
speed_up()
{
	local sectors ram
	[[ -e /dev/mapper/slow ]] || return 0
	read -r _ sectors _ ram _ < <(dmsetup table slow)
	change_map slow "0 $sectors linear $ram 0"
}
