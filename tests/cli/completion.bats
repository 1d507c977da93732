#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# Completions as a user meets them: Tab is pressed in the three real shells, in a terminal.
# shellcheck disable=SC2154 # out, err and status come from ub()

load helpers
. "$TOP/tests/lib/common.sh"
. "$TOP/tests/lib/shells.bash"

setup()
{
	trace_the_test_only
	# What is run after all notes its words, and what is asked is asked of the real one.
	UBLK_DIR=$BATS_TEST_TMPDIR/bin
	mkdir -p "$UBLK_DIR" "$BATS_TEST_TMPDIR/here"
	cat >"$UBLK_DIR/ublk" <<-EOF
		#!/bin/bash
		case \$1 in
		complete | completion) exec "$(realpath "$UBLK")" "\$@" ;;
		esac
		printf '%q\n' "\$@" >"$BATS_TEST_TMPDIR/words.new"
		mv "$BATS_TEST_TMPDIR/words.new" "$BATS_TEST_TMPDIR/words"
	EOF
	chmod +x "$UBLK_DIR/ublk"
	cd "$BATS_TEST_TMPDIR/here" || return
}

teardown()
{
	end_shell
}

# in_each FUNCTION: runs it in each shell, loaded; `shell` is its name.
in_each()
{
	local shell
	for shell in "${SHELLS[@]}"; do
		start_shell "$shell"
		load
		"$1" || { printf 'in %s\n' "$shell"; return 1; }
	done
}

@test "ublk completion prints what is checked in" {
	cmp "$TOP/completions/ublk" <(ublk completion bash)
	cmp "$TOP/completions/_ublk" <(ublk completion zsh)
	cmp "$TOP/completions/ublk.fish" <(ublk completion fish)
}

@test "the scripts are valid for their shells" {
	bash -n "$TOP/completions/ublk"
	zsh -n "$TOP/completions/_ublk"
	fish -n "$TOP/completions/ublk.fish"
}

@test "completion wants a shell that it knows" {
	ub completion
	exits 2
	says 'completion: no shell is named'
	ub completion tcsh
	exits 2
	says "completion: unknown shell 'tcsh'"
	ub completion fishy
	says "did you mean 'fish'?"
	ub completion bash zsh
	exits 2
	silent
}

@test "what the shells ask is in no help, and is suggested to nobody" {
	ub help
	[[ $out != *'complete '* ]] || told
	ub complet
	says "did you mean 'completion'?"
	[[ $(ublk complete -- '') != *$'\ncomplete\t'* ]]
}

@test "what the shells ask never says a word on standard error" {
	local line
	for line in '' 'nope|' 'add|--nope|' 'add|-t|nope|' 'add|-t|loop|-f|' 'list|-o|nope,|' 'del|' \
		'del|-n|' '--help|' '-x|' 'add|--cpus|x-,|' 'add|--json=|' 'list|-j|extra|' 'help|nope|'; do
		mapfile -d '|' -t words <<<"$line"
		words[-1]=${words[-1]%$'\n'}
		without_driver ub complete -- "${words[@]}"
		exits 0
		[[ -z $err ]] || told
	done
	ub complete
	exits 0
	[[ -z $out$err ]] || told
}

verbs()
{
	completes 'ublk li' 'ublk list' &&
		offers 'ublk ' add list show memory del recover features completion help version -- complete &&
		offers 'ublk --' --help --version &&
		completes 'ublk help rec' 'ublk help recover' &&
		completes 'ublk completion f' 'ublk completion fish' &&
		offers_nothing 'ublk frobnicate '
}

@test "verbs" {
	in_each verbs
}

options()
{
	completes 'ublk del --forc' 'ublk del --force' &&
		offers 'ublk list --' --columns --json --help &&
		completes 'ublk features --json -' 'ublk features --json --help' &&
		offers 'ublk list -o ID --' --sort --help -- --columns --json &&
		completes 'ublk list -jo ID --h' 'ublk list -jo ID --help' &&
		offers 'ublk del --all --' --force --async -- --all --id &&
		offers 'ublk del -n 3 --' --force -- --all --id &&
		offers 'ublk del 3 --' --force --id -- --all &&
		offers 'ublk add --foreground --' --type -- --no-wait --foreground &&
		offers_nothing 'ublk del -- -'
}

@test "options, but none that is given already or excluded by what is given" {
	in_each options
}

targets()
{
	offers 'ublk add -t ' null loop mem && completes 'ublk add -t lo' 'ublk add -t loop' &&
		completes 'ublk add --type=lo' 'ublk add --type=loop' &&
		completes 'ublk add -tlo' 'ublk add -tloop' &&
		offers 'ublk add -t loop --' --file --direct --create --size --queues -- --type &&
		offers 'ublk add -t null --' --size --queues -- --file --direct &&
		offers 'ublk add --' --type --queues -- --file --size
}

@test "targets, and each target's own options" {
	in_each targets
}

values()
{
	completes 'ublk add --recovery req' 'ublk add --recovery requeue' &&
		completes 'ublk add --recovery=req' 'ublk add --recovery=requeue' &&
		offers 'ublk add --data-path ' auto copy user-copy get-data zero-copy &&
		completes 'ublk add -t loop --direct au' 'ublk add -t loop --direct auto' &&
		completes 'ublk add --scheduler mq' 'ublk add --scheduler mq-deadline' &&
		offers_nothing 'ublk add --size ' && offers_nothing 'ublk add -t loop --queues='
}

@test "choices, after a blank and after =, and nothing where any number is right" {
	in_each values
}

columns()
{
	offers 'ublk list -o S' STATE SIZE -- ID QUEUES &&
		shows_column ID,BACK BACKING && shows_column id,back backing &&
		shows_column +BACK BACKING && shows_column ID,STATE,SI SIZE || return
	type_in 'ublk list --columns=UI'
	press Tab
	shown '^@ ublk list --columns=UID' && clear_line
}

# shows_column BEGUN WHOLE: a comma may follow, and zsh sets one.
shows_column()
{
	type_in "ublk list -o $1"
	press Tab
	shown "^@ ublk list -o $(quoted "${1%[,+]*}")[,+]$2,?\$" && clear_line
}

@test "columns, one after the other, in either case, and none twice" {
	in_each columns
	ub complete -- list -o ID,STATE,
	prints $'NAME\t'
	[[ $out != *$'\nID\t'* && $out != *$'\nSTATE\t'* ]] || told
}

layers()
{
	offers 'ublk add -t null --layer ' delay error rate readonly-after log -- null &&
		shows_layer del delay && shows_layer delay,m 'delay,ms=' &&
		shows_layer error,errno=ENOS 'error,errno=ENOSPC'
}

# shows_layer BEGUN WHOLE: a comma may follow.
shows_layer()
{
	type_in "ublk add -t null --layer $1"
	press Tab
	shown "^@ ublk add -t null --layer $(quoted "$2"),?\$" && clear_line
}

@test "layers, their keys, and what those may be" {
	in_each layers
}

descriptions()
{
	type_in 'ublk add -t '
	press Tab
	press Tab
	shown 'loop +(--|\() ?a file or another block device' && clear_line
}

@test "each candidate has its description" {
	in_each descriptions
}

@test "CPUs with their nodes, and nodes with their CPUs" {
	local cpu
	read -r cpu _ < <(tr ',-' '  ' </sys/devices/system/cpu/online)
	ub complete -- add --cpus ''
	[[ ${out%%$'\n'*} == list$'\t' ]]
	prints $'\n'"$cpu"$'\tnode '
	ub complete -- add --cpus "$cpu,"
	[[ $out != *$'\n'"$cpu"$'\t'* ]] || told
	ub complete -- add --numa-node ''
	prints $'\n0\tCPUs '
}

# gets_file BEGUN FILE: what is begun with those keys, completed by Tab and entered, reaches ublk so.
gets_file()
{
	local option
	for option in '-f ' '--file=' '--file '; do
		rm -f "$BATS_TEST_TMPDIR/words"
		type_in "ublk add -t loop $option$1"
		press Tab
		# The shell has done with the Tab before it takes what is typed next.
		type_in ' --last'
		press Enter
		wait_for 60 test -e "$BATS_TEST_TMPDIR/words"
		printf '%q\n' add -t loop >want
		case $option in
		*=) printf '%q\n' "--file=$2" ;;
		*) printf '%q\n' "${option% }" "$2" ;;
		esac >>want
		echo --last >>want
		diff want "$BATS_TEST_TMPDIR/words" || { screen; return 1; }
	done
	clear_line
}

files()
{
	gets_file my 'my file' && gets_file quo "quo'te" && gets_file dou 'dou"ble' &&
		gets_file new $'new\nline' && gets_file "'my" 'my file' && gets_file '"my' 'my file' &&
		gets_file '\$d' '$dollar' && gets_file 'folder/in' 'folder/inner' &&
		gets_file col 'col:on=x'
}

@test "files of whatever name, quoted as it is needed" {
	mkdir folder
	touch 'my file' "quo'te" 'dou"ble' $'new\nline' '$dollar' folder/inner col:on=x
	in_each files
}

elsewhere()
{
	completes 'some/where/ublk li' 'some/where/ublk list' &&
		completes 'VAR=1 ublk li' 'VAR=1 ublk list' &&
		completes 'true; ublk li' 'true; ublk list' &&
		completes 'my\ folder/ublk li' 'my\ folder/ublk list' &&
		offers_nothing 'no/where/ublk li'
}

@test "a program that is not installed is asked by its own path, and one that is missing not at all" {
	mkdir some 'my folder'
	ln -s "$(realpath "$BUILD")" some/where
	ln -s "$(realpath "$UBLK")" 'my folder/ublk'
	in_each elsewhere
}

@test "nothing is said where there is no ublk at all, or one that fails" {
	local shell
	# No other one either.
	PATH=${PATH//"$BUILD:"/}
	for shell in "${SHELLS[@]}"; do
		start_shell "$shell"
		load
		printf '#!/bin/sh\necho oops >&2\nexit 1\n' >"$BATS_TEST_TMPDIR/bad"
		chmod +x "$BATS_TEST_TMPDIR/bad"
		mv "$UBLK_DIR/ublk" "$BATS_TEST_TMPDIR/good"
		offers_nothing 'ublk li'
		mv "$BATS_TEST_TMPDIR/bad" "$UBLK_DIR/ublk"
		offers_nothing 'ublk li'
		mv "$BATS_TEST_TMPDIR/good" "$UBLK_DIR/ublk"
	done
}

@test "a function named ublk is not called by Tab" {
	start_shell bash
	load
	run_line 'ublk() { echo called; }'
	completes 'ublk li' 'ublk list'
}

@test "installed, each shell finds them of its own accord" {
	local shell root=$BATS_TEST_TMPDIR/root
	DESTDIR=$root cmake --install "$BUILD" --prefix /usr/local >/dev/null
	LOAD=(
		[bash]=". /usr/share/bash-completion/bash_completion; XDG_DATA_DIRS=$root/usr/local/share:/usr/share"
		[zsh]="fpath=($root/usr/local/share/zsh/site-functions \$fpath); autoload -Uz compinit; compinit -u -D"
		[fish]="set -p fish_complete_path $root/usr/local/share/fish/vendor_completions.d /usr/share/fish/completions"
	)
	for shell in "${SHELLS[@]}"; do
		start_shell "$shell"
		load
		completes 'ublk li' 'ublk list'
		completes 'ublk add --recovery=req' 'ublk add --recovery=requeue'
		completes 'nice ublk li' 'nice ublk list' || { echo "in $shell"; return 1; }
	done
}
