#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# `add --dry-run` needs neither root nor a driver, and makes nothing.
# shellcheck disable=SC2154 # out, err and status come from ub()

load helpers

# planned JQ_FILTER: of the JSON that was printed.
planned()
{
	jq -c "$1" <<<"$out"
}

@test "the plan lists every region, and the totals are their sums" {
	without_driver ub add -t mem --size 1M -d 64 --max-io 128K --dry-run --json
	exits 0
	[ "$(planned '[.regions[] | [.name, .queue, .mapped]] | .[0:6]')" = \
		'[["descriptors",0,4096],["rings",null,8192],["rings",0,8192],["state",0,8192],["stacks",0,131072],["buffers",0,8388608]]' ]
	[ "$(planned '[.regions[] | select(.name == "target") | .mapped]')" = '[1048576]' ]
	for key in mapped start most locked pinned charged; do
		[ "$(planned ".total.$key")" = "$(planned "[.regions[].$key] | add")" ]
	done
	[ "$(planned '[.regions[] | select(.start > .most or .most > .mapped)] | length')" = 0 ]
	[ "$(planned '[.regions[] | select(.queue != null and .name == "buffers") | .node != null] | all')" = true ]
}

@test "the plan is a table for people" {
	without_driver ub add -t null --dry-run
	exits 0
	prints 'REGION'
	prints 'buffers'
	prints '64M'
	prints 'fits:'
}

@test "a plan opens the file only to look at it" {
	truncate -s 1M "$BATS_TEST_TMPDIR/a.img"
	touch -d '2020-01-01' "$BATS_TEST_TMPDIR/a.img"
	before=$(stat -c '%Y %s %b' "$BATS_TEST_TMPDIR/a.img")
	without_driver ub add -t loop -f "$BATS_TEST_TMPDIR/a.img" --dry-run
	exits 0
	[ "$(stat -c '%Y %s %b' "$BATS_TEST_TMPDIR/a.img")" = "$before" ]
	ub add -t loop -f "$BATS_TEST_TMPDIR/new.img" --create 1M --dry-run
	exits 0
	[ ! -e "$BATS_TEST_TMPDIR/new.img" ]
	ub add -t loop -f "$BATS_TEST_TMPDIR/none.img" --dry-run
	[ "$status" -ne 0 ]
	says 'none.img'
}

@test "a memory limit chooses the data path, and the buffers, that fit" {
	ub add -t null --memory-limit 100M --dry-run --json
	[ "$(planned '[.data_path, .fits]')" = '["copy",true]' ]
	ub add -t null --memory-limit 8M --dry-run --json
	[ "$(planned '[.data_path, .fits]')" = '["user-copy",true]' ]
	[ "$(planned '.total.most <= 8388608 and .total.most > 8300000')" = true ]
	says 'note: data path user-copy, with '
	ub add -t null --memory-limit 8M --data-path copy --dry-run --json
	[ "$(planned '[.data_path, .fits]')" = '["copy",false]' ]
	ub add -t null --memory-limit 1M --dry-run --json
	[ "$(planned '.fits')" = false ]
	ub add -t mem --size 16M --memory-limit 8M --dry-run --json
	[ "$(planned '.fits')" = false ]
}

@test "bad specifications are refused as without --dry-run" {
	ub add -t null --dry-run --depth 0
	exits 2
	ub add -t mem --dry-run
	exits 2
}
