# SPDX-License-Identifier: MIT
# Eight processes do whatever can be done with three devices, at random, for ten minutes. What may be true
# of a command: it ends in time, with a status that has a meaning; and of its devices: there are never two
# servers of one, a block that was written holds that or what was written later, and whatever state a device
# is left in, it can be brought back or deleted. The seed is printed: UBLK_VERBS_SEED=N draws the same
# again, as far as eight processes can.
# kernels: newest
# cpus: 2
# minutes: 60
# no sanitizers
# long

load helpers
load servers

SECONDS_IN_ALL=${UBLK_VERBS_SECONDS:-600}
PROCESSES=8
DEVICES=3

setup()
{
	device_setup
	seed=${UBLK_VERBS_SEED:-$EPOCHSECONDS}
	echo "seed $seed"
	mkdir log written
}

# does VERB...: by the program, which has to end and to mean what it says; what it says is kept.
does()
{
	local status=0
	# shellcheck disable=SC2153
	"$DEADLINE" 300 "$UBLK" "$@" >"out.$me" 2>"err.$me" || status=$?
	sed -n "s/^ublk: error: /$1: /p" "err.$me" >>"log/errors.$me"
	echo "$1 $status" >>"log/done.$me"
	case $status in
	0) return 0 ;;
	# Some settings are not for every device.
	2) [[ $1 == set && $(<"err.$me") == 'ublk: error: '* ]] || broken "$* is wrong: $(<"err.$me")" ;;
	# Failed; there is none; in use, or somebody else is at it; in time.
	1 | 4 | 5 | 7)
		[[ $(grep -c '^ublk: error: ' "err.$me") -ge 1 ]] || broken "$* says nothing ($status)"
		;;
	*) broken "$* ends with $status: $(<"err.$me")" ;;
	esac
	return 1
}

broken()
{
	printf '%s\n' "process ${me-of the test}: $*" >>log/broken
}

# writes ID: a block of this process's own on a device, with a number that grows. That may take until somebody
# brings the device back. What succeeded is the last one that has to be there; what failed may be.
writes()
{
	local mine=written/$1.$me
	number=$((number + 1))
	printf 'try %d\n' "$number" >>"$mine"
	printf '%-4096d' "$number" >"block.$me"
	if dd if="block.$me" of="/dev/ublkb$1" bs=4096 seek="$me" count=1 oflag=direct \
		conv=notrunc,nocreat status=none 2>/dev/null; then
		printf 'ok %d\n' "$number" >>"$mine"
	fi
}

# adds ID
adds()
{
	local options=(-t loop -f "$PWD/$1.img" -n "$1")
	((RANDOM % 2)) || options+=(--restart)
	((RANDOM % 2)) || options+=(-q 2)
	((RANDOM % 3)) || options+=(--data-path user-copy)
	does add "${options[@]}"
}

one_step()
{
	local id=$((RANDOM % DEVICES)) pid
	local settings=("--poll-us=$((RANDOM % 3 * 20))" "--cpus=$((RANDOM % 2))" '--default=cpus' '--restart'
		'--default=restart' "--buffer-memory=$((4 + RANDOM % 8))M" "--log-level=info" '--scheduler=none')
	case $((RANDOM % 26)) in
	0 | 1 | 2) adds "$id" || true ;;
	3) does del --timeout 20 "$id" || true ;;
	4) does del --force --timeout 30 "$id" || true ;;
	5 | 6 | 7) does recover --timeout 30 "$id" || true ;;
	8) does resize --timeout 10 "$id" "$((8 + RANDOM % 8))M" || true ;;
	9) does resize --timeout 10 --force "$id" "$((8 + RANDOM % 8))M" || true ;;
	10) does quiesce --timeout 10 "$id" || true ;;
	11 | 12) does upgrade --timeout 30 "$id" || true ;;
	13)
		pid=$(server_of "$id" 2>/dev/null) || true
		[[ -z $pid || $pid == - ]] || kill -KILL "$pid" 2>/dev/null || true
		;;
	14)
		pid=$(server_of "$id" 2>/dev/null) || true
		if [[ -n $pid && $pid != - ]] && kill -STOP "$pid" 2>/dev/null; then
			pause 0.5
			kill -CONT "$pid" 2>/dev/null || true
		fi
		;;
	15) ! does list --json || jq -e .devices "out.$me" >/dev/null || broken "list: $(<"out.$me")" ;;
	16) ! does show --json "$id" || jq -e .devices "out.$me" >/dev/null || broken "show: $(<"out.$me")" ;;
	17) ! does stat --json || jq -e .devices "out.$me" >/dev/null || broken "stat: $(<"out.$me")" ;;
	18) does recover --all --timeout 30 || true ;;
	19 | 20) does set --timeout 10 "$id" "${settings[RANDOM % ${#settings[@]}]}" || true ;;
	*) writes "$id" ;;
	esac
}

# process N: one of them.
process()
{
	local me=$1 number=0 until=$((SECONDS + SECONDS_IN_ALL))
	RANDOM=$((seed + me))
	while ((SECONDS < until)); do
		one_step
	done
}

# holders ID: processes that have its char device open.
holders()
{
	local fd pids=()
	for fd in /proc/[0-9]*/fd/*; do
		[[ $fd -ef /dev/ublkc$1 ]] || continue
		fd=${fd#/proc/}
		pids+=("${fd%%/*}")
	done
	printf '%s\n' "${pids[@]}" | sort -u | sed '/^$/d'
}

# watch_servers: the driver lets one process open it.
watch_servers()
{
	local me=watcher id holders
	while [[ ! -e over ]]; do
		for ((id = 0; id < DEVICES; id++)); do
			holders=$(holders "$id")
			(($(wc -w <<<"$holders") <= 1)) || broken "servers of $id: $holders"
		done
		pause 0.5
	done
}

# bring_back ID: whatever it has come to, so that what was waiting to be written gets there. What an earlier
# recovery, or somebody's command, is at comes to its end first.
bring_back()
{
	case $(state_of "$1") in
	gone | live) return 0 ;;
	dead) ublk del --force "$1" ;;
	*) ublk recover "$1" ;;
	esac
}

# have_ended: the processes. Who writes may have to wait until somebody brings the device back.
have_ended()
{
	local id pid
	for ((id = 0; id < DEVICES; id++)); do
		bring_back "$id" || true
	done
	for pid in "${processes[@]}"; do
		is_gone "$pid" || return 1
	done
}

# check_blocks ID: of each process the last block that succeeded, or a later one.
check_blocks()
{
	local mine me is ok tried word number
	for mine in written/"$1".*; do
		[[ -e $mine ]] || continue
		me=${mine##*.} ok=0 tried=0
		while read -r word number; do
			[[ $word != ok ]] || ok=$number
			tried=$number
		done <"$mine"
		is=$(dd if="$1.img" bs=4096 skip="$me" count=1 status=none | tr -d '\0 ')
		((${is:-0} >= ok && ${is:-0} <= tried)) ||
			broken "device $1, process $me: tried $tried, wrote $ok, has ${is:-0}"
	done
}

@test "whatever is done with three devices by eight processes at once, none is lost, and no block" {
	for ((id = 0; id < DEVICES; id++)); do
		make_image "$id.img" 16M
	done
	watch_servers 3>&- &
	watcher=$!
	processes=()
	for ((n = 0; n < PROCESSES; n++)); do
		process "$n" 3>&- &
		processes+=("$!")
	done
	ends_at=$((SECONDS + SECONDS_IN_ALL))
	while ((SECONDS < ends_at)); do pause 1; done
	wait_for 180 have_ended || broken "these do not end: $(ps -o pid,stat,wchan:32,args --ppid "$(IFS=, && echo "${processes[*]}")")"
	touch over
	wait "$watcher"
	for ((id = 0; id < DEVICES; id++)); do
		wait_for 60 bring_back "$id"
		[ "$(state_of "$id")" = gone ] || ublk del --timeout 60 "$id"
		check_blocks "$id"
	done
	echo "what was done, and how it ended:"
	sort log/done.* | uniq -c | paste -sd ,
	echo "what was said:"
	sed -E 's/[0-9]+/N/g' log/errors.* | sort | uniq -c | sort -rn | head -n 25
	[ ! -e log/broken ] || { cat log/broken; false; }
	# Each verb has succeeded now and then, or nothing was tried.
	for verb in add del recover resize quiesce upgrade list show stat; do
		grep -qx "$verb 0" log/done.* || { echo "no $verb has succeeded"; false; }
	done
	wait_for 20 nothing_left
}
