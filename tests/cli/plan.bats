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
	[ "$(planned '[.regions[] | [.name, .queue, .mapped]] | .[0:7]')" = \
		'[["descriptors",0,4096],["rings",null,8192],["rings",0,8192],["state",0,8192],["stats",0,8192],["stacks",0,131072],["buffers",0,8388608]]' ]
	[ "$(planned '[.regions[] | select(.name == "target") | .mapped]')" = '[1052672]' ]
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

@test "the plan has the layers, outermost first, as they are typed" {
	ub add -t null --dry-run --layer delay,ms=5,ops=read --layer "log,file=$BATS_TEST_TMPDIR/a,,b" --json
	exits 0
	[ "$(planned .layers)" = "[\"delay,ms=5,ops=read\",\"log,file=$BATS_TEST_TMPDIR/a,,b\"]" ]
	ub add -t null --dry-run --layer delay,ms=5
	prints 'layers:                 delay,ms=5'
	ub add -t null --dry-run --json
	[ "$(planned .layers)" = '[]' ]
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

# is_senseless PATH OPTIONS...: where there are no buffers there is nothing to cap or to make huge, and on
# path copy nothing to cap.
is_senseless()
{
	case " ${*:2} " in
	*' --buffer-memory '*) [[ $1 == copy* || $1 == zero-copy* ]] && return ;;&
	*' --huge-pages '*) [[ $1 == zero-copy* ]] && return ;;
	esac
	return 1
}

@test "the options of memory are planned in every combination on every path, or refused with the reason" {
	grep -q '^Hugepagesize:' /proc/meminfo
	truncate -s 1M "$BATS_TEST_TMPDIR/a.img"
	all=('--mlock' '--huge-pages' '--buffer-memory 4M' '--memory-limit 64M' '--numa-node 0')
	for path in copy user-copy get-data zero-copy 'copy --batch on' 'user-copy --batch on' 'zero-copy --batch on'; do
		for ((mask = 0; mask < 32; mask++)); do
			options=()
			for bit in 0 1 2 3 4; do
				# Two words.
				# shellcheck disable=SC2206
				((!(mask >> bit & 1))) || options+=(${all[bit]})
			done
			# shellcheck disable=SC2086
			without_driver ub add -t loop -f "$BATS_TEST_TMPDIR/a.img" --dry-run --json -d 8 --data-path $path "${options[@]}"
			if is_senseless "$path" "${options[@]}"; then
				exits 2
				[[ $err =~ 'are no buffers'|'every request has its buffer'|'has none on path zero-copy' ]]
				continue
			fi
			exits 0
			printf '{"mask":%s,"plan":%s}' "$mask" "$out"
		done
	done >"$BATS_TEST_TMPDIR/plans"
	[ "$(jq -n '[inputs] | length' <"$BATS_TEST_TMPDIR/plans")" -eq $((7 * 32 - 2 * 16 - 2 * 24)) ]
	jq -en '[inputs | .mask as $mask | def with(bit): ($mask / bit | floor) % 2 == 1; .plan |
		(with(1) == (.total.locked > 0)) and
		(with(2) == ([.regions[] | select(.name == "buffers") | .page_size] | (max // 0) > 4096)) and
		((with(4) | not) or (([.regions[] | select(.name == "buffers") | .most] | add) == 4194304)) and
		(with(8) == ([.limits[] | select(.name == "memory-limit") | .have] == [67108864])) and
		([.regions[] | select(.name == "state") | .node] == [0])] | all' <"$BATS_TEST_TMPDIR/plans"
}

@test "bad specifications are refused as without --dry-run" {
	ub add -t null --dry-run --depth 0
	exits 2
	ub add -t mem --dry-run
	exits 2
}
