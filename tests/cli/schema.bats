#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# What is printed as JSON is what doc/schema says: every field, no other, of these types.
# shellcheck disable=SC2154 # out, err and status come from ub()

load helpers

validate()
{
	"$TOP/tests/cli/validate" "$@"
}

@test "devices and errors are as documented" {
	"$BUILD/unit_output" "$BATS_TEST_TMPDIR"
	for name in list empty show partly error; do
		validate "$BATS_TEST_TMPDIR/$name.json"
	done
}

@test "every schema but the error's is that of some command" {
	ub version --json
	validate <<<"$out"
	without_driver ub list --json
	validate <<<"$out"
	without_driver ub memory --json
	validate <<<"$out"
	ub add -t null --dry-run --json
	validate <<<"$out"
	ub add -t null --json --bogus
	validate <<<"$out"
}

@test "a document with a field that is not documented is refused" {
	ub version --json
	run validate <<<"$(jq '.more = 1' <<<"$out")"
	[ "$status" -eq 1 ]
	run validate <<<"$(jq 'del(.version)' <<<"$out")"
	[ "$status" -eq 1 ]
}

@test "JSON does not escape slashes" {
	"$BUILD/unit_output" "$BATS_TEST_TMPDIR"
	grep -q '"/dev/ublkb0"' "$BATS_TEST_TMPDIR/list.json"
}
