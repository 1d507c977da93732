# SPDX-License-Identifier: MIT
# What became of each test. Sourced, never run. $RESULTS is a folder with a file for each test file
# on each kernel: `plan N`, then `pass`, `fail` or `skip`, the milliseconds that it took and the test's
# name. A file that is begun anew starts over, so what ran twice counts once; a test that was planned
# and never reported failed. What a failed one had to say follows it, as `say LINE`.
# shellcheck shell=bash

# result_file LABEL JOB
result_file()
{
	printf '%s/%s' "$RESULTS" "$(tr -c 'A-Za-z0-9.\n-' _ <<<"$1 $2")"
}

# expect LABEL JOB: it shall run; until it begins it counts as one failure.
expect()
{
	printf 'plan 1\n' >"$(result_file "$1" "$2")"
}

# More than this is told of a test.
LONG_MS=10000

# report STATUS LABEL JOB NAME [MILLISECONDS]: for the reader and for the count.
report()
{
	local where=${3#*:} took=''
	[[ $3 == build:* || $3 != *:* ]] || where+=" (${3%%:*})"
	((${5:-0} < LONG_MS)) || took=" ($((($5 + 500) / 1000)) s)"
	printf '%s %s %s\n' "$1" "${5:-0}" "$4" >>"$(result_file "$2" "$3")"
	printf '%-4s  %-7s %s: %s%s\n' "${1/pass/ok}" "$2" "${where#tests/}" "$4" "$took"
}

# collect LABEL <TAP: of one or more jobs, as bats-group prints it. Those that came to their end are
# added to `ended`.
collect()
{
	local label=$1 line job='' name took failed=false
	while IFS= read -r line; do
		case $line in
		'#begin '*)
			job=${line#\#begin } failed=false
			: >"$(result_file "$label" "$job")"
			;;
		'#end '*)
			ended+=("$job")
			[[ $line == '#end 0' ]] || file_ended "$label" "$job" "${line#\#end }"
			;;
		1..*) printf 'plan %s\n' "${line#1..}" >>"$(result_file "$label" "$job")" ;;
		'ok '* | 'not ok '*)
			name=${line#not }
			name=${name#ok }
			name=${name#* } took=0
			if [[ $name =~ ^(.*)\ in\ ([0-9]+)ms(\ #.*)?$ ]]; then
				name=${BASH_REMATCH[1]}${BASH_REMATCH[3]} took=${BASH_REMATCH[2]}
			fi
			failed=false
			case $line in
			'not ok '*)
				failed=true
				report fail "$label" "$job" "$name" "$took"
				;;
			*' # skip kernel: '*) report skip "$label" "$job" "$name" ;;
			*' # skip'*) report fail "$label" "$job" "$name (this is no reason to skip)" ;;
			*) report pass "$label" "$job" "$name" "$took" ;;
			esac
			;;
		*)
			printf '      %s\n' "${line#\# }"
			! $failed || printf 'say %s\n' "${line#\# }" >>"$(result_file "$label" "$job")"
			;;
		esac
	done
}

# file_ended LABEL JOB STATUS: bats failed; if no test did, this is the failure.
file_ended()
{
	local file
	file=$(result_file "$1" "$2")
	if (($3 == 124 || $3 == 137)); then
		report fail "$1" "$2" 'ends before its deadline'
	elif ! grep -q '^fail ' "$file"; then
		report fail "$1" "$2" "is run by bats (status $3)"
	fi
}

# closing_line: prints the sum of all. Return: 0 if something ran and nothing failed.
closing_line()
{
	local passed failed skipped
	read -r passed failed skipped < <(find "$RESULTS" -type f -exec awk '
		FNR == 1 { close_file() }
		$1 == "plan" { plan = $2 }
		$1 != "plan" && $1 != "say" { n[$1]++; seen++ }
		function close_file() { if (plan > seen) n["fail"] += plan - seen; plan = seen = 0 }
		END { close_file(); print n["pass"] + 0, n["fail"] + 0, n["skip"] + 0 }' /dev/null {} +)
	printf '%s passed, %s failed' "$passed" "$failed"
	((skipped == 0)) || printf ', %s skipped' "$skipped"
	printf '\n'
	((failed == 0 && passed > 0))
}

# slowest_files: with their seconds, the slowest one first.
slowest_files()
{
	local file
	for file in "$RESULTS"/*; do
		awk -v file="${file##*/}" '$1 != "plan" && $1 != "say" { ms += $2 }
			END { if (ms >= 1000) printf "%6d s  %s\n", ms / 1000, file }' "$file"
	done | sort -rn
}

# More than this many lines of what a failed test said are not told a second time.
SAID_LINES=40

# failed_tests: tells once more what failed and what it said, and what was planned and never reported.
failed_tests()
{
	local file
	for file in "$RESULTS"/*; do
		[[ -s $file ]] || continue
		awk -v file="${file##*/}" -v lines="$SAID_LINES" '
			$1 == "say" && said++ < lines { sub(/^say /, "      "); print }
			$1 == "say" { next }
			$1 == "plan" { plan = $2 }
			$1 != "plan" { seen++ }
			$1 == "fail" { said = 0; sub(/^fail [0-9]+ /, ""); print "fail  " file ": " $0 }
			END { if (plan > seen) print "fail  " file ": " plan - seen " tests did not run" }' "$file"
	done
}
