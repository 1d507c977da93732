# SPDX-License-Identifier: MIT
# Giving memory back under everything that could make it go wrong: a disk that stalls for longer and
# shorter than the time of idleness, pauses about that time, servers that are killed and recovered;
# and every byte compared, on each data path, for twenty minutes in all. Which mishaps come when is
# drawn by a seed that a failure prints: with UBLK_TORTURE_SEED=N in the (virtual) machine's
# environment they come again.
# kernels: newest
# build: faults
# no sanitizers
# long
# minutes: 120

load helpers
load servers
load backings

MINUTES=${UBLK_TORTURE_MINUTES:-20}
PATHS=7

setup()
{
	device_setup
	seed=${UBLK_TORTURE_SEED:-$EPOCHSECONDS}
	echo "seed $seed"
	RANDOM=$seed
	sectors=131072
	disk=$(make_ram_disk 64)
	map_disk moody "0 $sectors delay $disk 0 0"
}

# stall MILLISECONDS: each request that comes from now on takes so long.
stall()
{
	change_map moody "0 $sectors delay $disk 0 $1"
}

# Sets `pause`, milliseconds: about the time after which memory goes back, 4 to 8 s. (A number drawn
# in a subshell would not be the seed's.)
draw_pause()
{
	pause=$((2500 + RANDOM % 7500))
}

kill_and_recover()
{
	local pid
	pid=$(server_of "$1")
	kill -KILL "$pid"
	wait_for 60 is_gone "$pid"
	ublk recover "$1" >/dev/null
	is_state "$1" live
}

# mishaps DEV FIO: until that has ended.
mishaps()
{
	while kill -0 "$2" 2>/dev/null; do
		case $((RANDOM % 5)) in
		# To the end: a disk that is told to stall no longer answers at once.
		0 | 1) draw_pause && stall "$pause" && sleep "$((pause / 1000 + 1))" && stall 0 ;;
		2) kill_and_recover "$1" && sleep 1 ;;
		3) draw_pause && stall "$pause" && sleep 1 && kill_and_recover "$1" && stall 0 ;;
		*) sleep "$((1 + RANDOM % 3))" ;;
		esac || return
		mishaps=$((mishaps + 1))
	done
}

# torture SECONDS ARGS...: rounds of a load with mishaps, a pause, and a comparison of everything
# with mishaps. The load pauses by itself, too: fio thinks for some seconds after some requests.
torture()
{
	local end=$((SECONDS + $1)) rounds=0 mishaps=0 job fio
	shift
	dev=$(ublk add -t loop -f /dev/mapper/moody --direct on --recovery reissue "$@")
	while ((SECONDS < end)); do
		draw_pause
		job=(--name=torture --filename="$dev" --direct=1 --ioengine=libaio --iodepth=48
			--rw=randwrite --bsrange=4k-512k --size=48M
			--randseed=$((rounds + 1)) --verify=crc32c --verify_fatal=1
			--thinktime="${pause}ms" --thinktime_blocks=$((40 + RANDOM % 200)))
		fio "${job[@]}" --do_verify=0 >fio.log 2>&1 3>&- &
		fio=$!
		mishaps "$dev" "$fio"
		ends_with 0 "$fio" || { cat fio.log; return 1; }
		draw_pause
		sleep "$((pause / 1000))"
		fio "${job[@]}" --verify_only >fio.log 2>&1 3>&- &
		fio=$!
		mishaps "$dev" "$fio"
		ends_with 0 "$fio" || { cat fio.log; return 1; }
		rounds=$((rounds + 1))
	done
	echo "$rounds rounds, $mishaps mishaps"
	ublk del "$dev"
}

@test "copy: no byte is lost" {
	torture $((MINUTES * 60 / PATHS)) --data-path copy
}

@test "user-copy: no byte is lost" {
	torture $((MINUTES * 60 / PATHS)) --data-path user-copy
}

@test "user-copy with a small pool: no byte is lost" {
	torture $((MINUTES * 60 / PATHS)) --buffer-memory 2M -q 2
}

@test "zero-copy: no byte is lost" {
	torture $((MINUTES * 60 / PATHS)) --data-path zero-copy
}

@test "get-data with a small pool: no byte is lost" {
	torture $((MINUTES * 60 / PATHS)) --data-path get-data --buffer-memory 2M
}

@test "copy in batches: no byte is lost" {
	torture $((MINUTES * 60 / PATHS)) --data-path copy --batch on -q 2
}

@test "zero-copy in batches: no byte is lost" {
	torture $((MINUTES * 60 / PATHS)) --data-path zero-copy --batch on
}

# sees_the_mistake ARGS...: of the build that gives busy buffers back, most often within a minute; on a
# machine that had much else to do it once took more than ten. Whether fio has ended by it or has not,
# it is over.
sees_the_mistake()
{
	export UBLK_FAULT=give-back-busy
	run torture 1500 "$@"
	echo "$output"
	[ "$status" -ne 0 ]
	[[ $output == *verify:* ]]
	stall 0
	ublk del --force 0
}

@test "copy: the same test sees buffers that are taken away too early" {
	sees_the_mistake --data-path copy
}

@test "get-data: the same test sees buffers that are taken away too early" {
	sees_the_mistake --data-path get-data
}

@test "batches: the same test sees buffers that are taken away too early" {
	sees_the_mistake --data-path copy --batch on
}

@test "user-copy: the same test sees buffers that are taken away too early" {
	sees_the_mistake --data-path user-copy
}
