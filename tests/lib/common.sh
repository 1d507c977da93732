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

# wait_for SECONDS CMD...: until CMD succeeds, for things without an event to wait for.
# Return: 0, or 1 when the time was up first.
wait_for()
{
	local end=$((${EPOCHREALTIME/[^0-9]/} + $1 * 1000000))
	shift
	until "$@"; do
		((${EPOCHREALTIME/[^0-9]/} < end)) || return 1
		sleep 0.05
	done
}
