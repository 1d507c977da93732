#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# The result goes to standard output, and one that does not arrive is a failure.
# shellcheck disable=SC2154 # out, err and status come from ub()

load helpers
bats_require_minimum_version 1.5.0

@test "a full output is a failure" {
	local args
	for args in version "version --json" help "help add"; do
		# shellcheck disable=SC2086
		run --separate-stderr bash -c 'ublk "$@" >/dev/full' bash $args
		[ "$status" -eq 1 ]
		[[ $stderr == "ublk: error: cannot write to standard output: No space left on device" ]]
	done
}

@test "a closed output is a failure" {
	run --separate-stderr bash -c 'ublk version >&-'
	[ "$status" -eq 1 ]
	[[ $stderr == "ublk: error: cannot write to standard output: Bad file descriptor" ]]
}

@test "a reader who went away is a failure, not a death by signal" {
	run bash -c 'set -o pipefail; { sleep 0.2; ublk version; } | true'
	[ "$status" -eq 1 ]
}

@test "closed standard descriptors do no harm" {
	run bash -c 'ublk version <&- 2>&-'
	[ "$status" -eq 0 ]
	[[ $output == ublk\ * ]]
}

@test "without the driver everything that needs it exits 6, with a hint" {
	for args in list "show 0" "del 0" "del --all" "recover 0" "recover --all" features; do
		# shellcheck disable=SC2086
		without_driver ub $args
		exits 6
		silent
		says "ublk: error: "
		says "hint: "
	done
}

@test "errors in JSON mode are JSON on standard output" {
	without_driver ub list --json
	exits 6
	says "ublk: error: "
	[[ $(jq -r .schema <<<"$out") == ublk.error/1 ]]
	[[ $(jq -r .error.stage <<<"$out") == control ]]
}

@test "there are no colours without a terminal" {
	unset NO_COLOR
	TERM=xterm ub help
	[[ $out != *$'\e'* ]]
}
