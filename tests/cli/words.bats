#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# What is wrong is said in words that help, and that no name can turn into something else.
# shellcheck disable=SC2154 # out, err and status come from ub()

load helpers

# An escape sequence, a line of its own, bytes that are no UTF-8, and a command in one character.
evil=$'a\e[31m\nublk: error: b\xff\xc3\xc2\x9bc\u202e'

# harmless FILE...: no control characters but the ends of lines, valid UTF-8, and not turned round.
harmless()
{
	! LC_ALL=C grep -anP '[\x00-\x09\x0b-\x1f\x7f]|\xc2[\x80-\x9f]|\xe2\x80[\x8e\x8f\xa8-\xae]' "$@" || return
	iconv -f UTF-8 -t UTF-8 "$@" >/dev/null
}

# quoted ARGS...: an error of one line, and harmless.
quoted()
{
	without_driver ub "$@"
	[[ $status -ne 0 && $(grep -c '^ublk: error: ' <<<"$err") -eq 1 ]] || told
	[[ $err == *'\x1b[31m\x0aublk: error: b\xff\xc3\xc2\x9bc\xe2\x80\xae'* ]] || told
	harmless "$BATS_TEST_TMPDIR/err" "$BATS_TEST_TMPDIR/out"
}

bats_require_minimum_version 1.5.0

@test "the check for harmful characters finds each of them" {
	local text
	for text in $'\e' $'\t' $'\x7f' $'\xc2\x9b' $'\xff' $'\xe2\x80\xae' $'\r'; do
		printf 'a%sb\n' "$text" >"$BATS_TEST_TMPDIR/text"
		run harmless "$BATS_TEST_TMPDIR/text"
		[[ $status -ne 0 ]]
	done
	printf 'äé\n' >"$BATS_TEST_TMPDIR/text"
	harmless "$BATS_TEST_TMPDIR/text"
}

@test "no word of a command line reaches the terminal raw" {
	quoted "$evil"
	quoted help "$evil"
	quoted "--$evil"
	quoted list "--$evil"
	quoted list "$evil"
	quoted list -o "$evil"
	quoted list --sort "$evil"
	quoted list --state "$evil"
	quoted list --target "$evil"
	quoted list "--json=$evil"
	quoted add -t "$evil"
	quoted add -t null --size "$evil"
	quoted add -t null --recovery "$evil"
	quoted add -t null --cpus "$evil"
	quoted del -n "$evil"
	quoted add -t loop --dry-run -f "/nonexistent/$evil"
}

@test "in JSON a character that a terminal obeys is written by its number, and means the same" {
	without_driver ub list --json --sort "x${evil}y"
	harmless "$BATS_TEST_TMPDIR/out"
	[[ $out == *'\u009bc\u202ey'* ]] || told
	jq -e '.error.message | contains("a\u001b[31m\nublk: error: b") and contains("\u009bc\u202ey")' <<<"$out"
}

@test "every unknown word is answered by the nearest one that there is" {
	while read -r args; do
		# Words.
		# shellcheck disable=SC2086
		ub ${args%%:*}
		exits 2
		says "did you mean '${args##*: }'?"
	done <<-'EOT'
		lsit: list
		LIST: list
		--verison: --version
		list --sorted SIZE: --sort
		list -o Stat: STATE
		list --sort -siez: SIZE
		list --state live,qiesced: quiesced
		list --json=line: lines
		list --target lopo: loop
		add -t lopo: loop
		add -t loop --fil x: --file
		add -t null --recovery requue: requeue
		add -t loop -f x --direct of: off
		add -t null --data-path zerocopy: zero-copy
		features -o presnt: PRESENT
	EOT
	ub list -o xyzzy
	[[ $err != *'did you mean'* ]]
}

@test "JSON lines are for results that are rows of objects" {
	local verb
	for verb in version features memory; do
		ub "$verb" --json=lines
		exits 2
		says "$verb: option '--json': 'lines' is not one of: document"
		without_driver ub "$verb" --json=document
		[[ $status -ne 2 ]] || told
		[[ $(jq -r .schema <<<"$out") == ublk.* ]]
	done
	ub add -t null --dry-run --json=lines
	exits 2
	says "--dry-run prints one document"
	ub list --watch --json
	exits 2
	says "--watch with JSON prints lines: --json=lines"
	ub list --json --json=lines
	exits 2
	says "given twice"
	ub list --no-header --json
	exits 2
	without_driver ub list -j lines
	exits 2
	says "unexpected argument 'lines'"
	without_driver ub list -j
	[[ $(jq -r .schema <<<"$out") == ublk.error/1 ]]
}
