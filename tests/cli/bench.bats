#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# The benchmark's arithmetic and manners. What it measures is no test.
# shellcheck disable=SC2154 # stderr comes from run

bats_require_minimum_version 1.5.0

setup()
{
	BENCH=$BATS_TEST_DIRNAME/../bench
	result=$BATS_TEST_TMPDIR/result.json
}

bench()
{
	"$BENCH/run" "$@"
}

row()
{
	printf '{"kind":"row","part":"%s","group":"file","name":"%s","auto":%s}\n' "$@"
}

# cell PART ROW ROUND IOS MS
cell()
{
	printf '{"kind":"cell","part":"%s","row":"%s","cell":"read-4k-32","round":%s,"ios":%s,"ms":%s,' "$@"
	printf '"iops":%s,"us":{"p50":%s,"p99":8,"p999":null}}\n' $(($4 * 1000 / $5)) "$4"
}

make_result()
{
	{
		printf '{"kind":"machine","linux":"7.2.1","fio":"3.33","ublk":"ublk 0.1.0"}\n'
		row exact 'kernel loop' false
		row exact 'loop copy' true
		cell exact 'kernel loop' 1 10000 500
		cell exact 'kernel loop' 2 10000 500
		cell exact 'loop copy' 1 12500 500
		cell exact 'loop copy' 2 20000 1000
		printf '{"kind":"missing","part":"exact","name":"loop zero-copy","why":"too old"}\n'
		row plain 'kernel loop' false
		row plain 'loop copy' true
		for round in 1 2 3; do
			cell plain 'kernel loop' "$round" $((1000 * round)) 1000
			cell plain 'loop copy' "$round" $((1000 * round * round)) 1000
		done
	} | jq -s -L "$BENCH" --arg set full 'include "result"; result($set)' >"$result"
}

value()
{
	jq -c "$1" "$result"
}

@test "instructions per I/O are 500 million for each second, of all rounds together" {
	make_result
	[[ $(value '.exact.rows[0].cells["read-4k-32"]') == '{"instructions":25000,"rounds":[25000,25000]}' ]]
	[[ $(value '.exact.rows[1].cells["read-4k-32"]') == '{"instructions":23077,"rounds":[20000,25000]}' ]]
	[[ $(value '.exact.spread.worst') == '{"row":"loop copy","cell":"read-4k-32","percent":22.22}' ]]
}

@test "a ratio is the median of each round relative to the same round of the reference" {
	make_result
	[[ $(value '.plain.rows[1].reference') == '"kernel loop"' ]]
	[[ $(value '.plain.rows[1].cells["read-4k-32"] | [.iops_ratio, .p50_ratio, .p99_ratio, .p999_ratio]') == \
		'[2,2,1,null]' ]]
}

@test "a bar is judged by what auto takes" {
	make_result
	[[ $(value '.bars | map([.row, .of, .ratio, .met])') == '[["loop copy","kernel loop",0.923,true]]' ]]
}

@test "what was measured is shown again, with what is missing" {
	make_result
	bench --from "$result" >"$BATS_TEST_TMPDIR/out"
	grep -qE '^kernel loop +25,000$' "$BATS_TEST_TMPDIR/out"
	grep -qE '^loop copy \* +23,077$' "$BATS_TEST_TMPDIR/out"
	grep -qF 'Not here (exact): loop zero-copy: too old' "$BATS_TEST_TMPDIR/out"
	run bench --from "$result" --compare "$result"
	[[ $output == '2 cells compared, 0 differ by 1 % or more, the most by 0.00 %' ]]
	[[ $(bench --from "$result" --json | jq -S .) == "$(jq -S . "$result")" ]]
}

@test "wrong usage is one line and status 2" {
	for wrong in --nonsense --kernel '--parts exact,slow' '--peer name' '--from /dev/null' extra; do
		# Words.
		# shellcheck disable=SC2086
		run --separate-stderr -2 bench $wrong
		[[ -z $output && $stderr == bench:*--help* && $(wc -l <<<"$stderr") -eq 1 ]]
	done
}
