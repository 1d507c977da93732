# SPDX-License-Identifier: MIT
# Small things that every shell part of the tests needs. Sourced, never run.
# shellcheck shell=bash

TOP=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
# Exported, so that children, scripts run by `bash -c` among them, agree on the place.
export TOP

# Everything that is fetched once and used again. git ignores it.
# shellcheck disable=SC2034 # used by those that source this
CACHE=${UBLK_CACHE:-$TOP/.cache}

# The name that starts each message; a script sets its own.
ME=${ME:-tests}

note()
{
	printf '%s: %s\n' "$ME" "$*" >&2
}

# die STATUS MESSAGE...: one line, and out.
die()
{
	local status=$1
	shift
	note "$@"
	exit "$status"
}

# header FILE KEY DEFAULT: what a test file says about itself, in comments at its head.
header()
{
	local value
	value=$(sed -n "s/^# $2: *//p" "$TOP/$1" | head -n 1)
	printf '%s\n' "${value:-$3}"
}

now_us()
{
	now_us=${EPOCHREALTIME/[^0-9]/}
}

# What the piece of work below takes on an emulated processor that nobody else is at.
REFERENCE_US=150000

# measure_slowness: sets `slowness` to how much time things take now, in percent of what they take
# on a machine at rest: 100 at the least.
measure_slowness()
{
	local start i
	now_us && start=$now_us
	for ((i = 0; i < 5000; i++)); do :; done
	now_us
	slowness=$(((now_us - start) * 100 / REFERENCE_US))
	((slowness > 100)) || slowness=100
	((slowness < 3000)) || slowness=3000
}

# is_over START_US SECONDS: so much time has passed; of a machine that is slow now, by as much more.
is_over()
{
	now_us
	((now_us - $1 >= $2 * 1000000)) || return
	measure_slowness
	now_us
	((now_us - $1 >= $2 * 10000 * slowness))
}

# pause SECONDS: as sleep, without a program to be started, which takes half as long under emulation.
pause()
{
	[[ -n ${pause_fd-} ]] || exec {pause_fd}<> <(:)
	read -rt "$1" -u "$pause_fd" || true
}

# wait_for SECONDS CMD...: until CMD succeeds, for things without an event to wait for.
# Return: 0, or 1 when the time was up first.
wait_for()
{
	local seconds=$1 start
	now_us && start=$now_us
	shift
	until "$@"; do
		if is_over "$start" "$seconds"; then
			# The measuring took time, too.
			"$@"
			return
		fi
		pause 0.05
	done
}

# Lets bats follow the commands of the test itself only, not those of the functions that it calls:
# that costs a hundred times what most commands do. `bats --trace` follows all. A failure in a
# function fails the test as ever, and names the test's line. (The two are bats' own, and have to stop
# the following when a command has failed, or another line would be named.)
trace_the_test_only()
{
	((${BATS_TRACE_LEVEL:-0} == 0)) || return 0
	set +T
	declare -ft bats_error_trap bats_check_status_from_trap
}
