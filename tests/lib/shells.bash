# SPDX-License-Identifier: MIT
# Real shells in a real terminal (tmux), whose keys are pressed as a user presses them, and whose
# screen is read. Sourced after common.sh; $UBLK_DIR is the folder of the ublk that they find.
# shellcheck shell=bash

# shellcheck disable=SC2034 # used by those that source this
SHELLS=(bash zsh fish)
PROMPT='@ '

# A server of its own for each shell: one that ends would take the next one's session along.
terminals=0

in_tmux()
{
	tmux -f /dev/null -S "$BATS_TEST_TMPDIR/tmux.$terminals" "$@" 3>&-
}

# How each is started, without a user's own settings, and how it loads what $UBLK_DIR has. zsh keeps
# what it has found of its own completions for the next one.
declare -gA START=(
	[bash]='env PS1="@ " bash --norc --noprofile'
	[zsh]="env PS1='@ ' DUMP='$BATS_RUN_TMPDIR/zcompdump' zsh -f"
	[fish]='fish --no-config -C "set -g fish_greeting; set -g fish_autosuggestion_enabled 0; function fish_prompt; echo -n \"@ \"; end"'
)
declare -gA LOAD=(
	[bash]='source <(ublk completion bash)'
	[zsh]='autoload -Uz compinit; compinit -u -d "$DUMP"; source <(ublk completion zsh)'
	[fish]='ublk completion fish | source'
)

# start_shell NAME [AS...]: in the current folder; AS is a command that runs it.
start_shell()
{
	local name=$1
	shift
	end_shell
	terminals=$((terminals + 1))
	mkdir -p "$BATS_TEST_TMPDIR/home"
	[[ -z $* ]] || chmod 777 "$BATS_TEST_TMPDIR/home"
	in_tmux new-session -d -x 120 -y 60 -s "$name" \
		"exec $* env HOME='$BATS_TEST_TMPDIR/home' PATH='$UBLK_DIR:$PATH' LANG=C.UTF-8 ${START[$name]}"
	shown '^@$'
}

# load: what makes that shell complete; its screen is empty then.
load()
{
	run_line "${LOAD[$(in_tmux display-message -p '#S')]}"
}

# run_line COMMAND: to its end.
run_line()
{
	type_in "$1; echo 'do''ne'"
	press Enter
	# On an emulated processor zsh takes its time over its own completions.
	shown '^done$' 300 && clear_line
}

end_shell()
{
	in_tmux kill-server 2>/dev/null || true
}

# What a person sees, without empty lines.
screen()
{
	in_tmux capture-pane -p | sed -e 's/ *$//' -e '/^$/d'
}

type_in()
{
	in_tmux send-keys -l -- "$1"
}

press()
{
	in_tmux send-keys "$@"
}

screen_has()
{
	screen | grep -qE -e "$1"
}

# shown REGEX [SECONDS]: a line of the screen matches before long.
shown()
{
	wait_for "${2-60}" screen_has "$1" || { printf 'not shown: %s\n' "$1"; screen; return 1; }
}

is_empty()
{
	[[ $(screen) == "${PROMPT% }" ]]
}

# What was typed is given up, and what was shown is gone.
clear_line()
{
	press C-e C-u C-l
	wait_for 60 is_empty || { screen; return 1; }
}

# quoted TEXT: as a regular expression.
quoted()
{
	sed 's/[][\.*^$+?(){}|/]/\\&/g' <<<"$1"
}

# completes TEXT TO: one Tab makes the line so.
completes()
{
	type_in "$1"
	press Tab
	shown "^$PROMPT$(quoted "$2")\$" || return
	clear_line
}

# line_shown WORD: as one of those that are offered, at a line's beginning or between blanks.
offered()
{
	grep -qE -e "(^| )$(quoted "$1")( |\$)" <<<"$(screen | grep -v "^$PROMPT")"
}

# offers TEXT WORD... [-- WORD...]: Tab shows the ones, and not the others.
offers()
{
	local text=$1 word wanted=true
	shift
	type_in "$text"
	press Tab
	press Tab
	for word; do
		if [[ $word == -- ]]; then
			wanted=false
		elif $wanted; then
			wait_for 60 offered "$word" ||
				{ printf '%s is not offered\n' "$word"; screen; return 1; }
		elif offered "$word"; then
			printf '%s is offered\n' "$word"
			screen
			return 1
		fi
	done
	clear_line
}

# offers_nothing TEXT: however often Tab is pressed, nothing is inserted, shown or said.
offers_nothing()
{
	type_in "$1"
	press Tab
	press Tab
	type_in Z
	shown "${1##* }Z\$" || return
	[[ $(screen) == "$PROMPT$1Z" ]] || { printf 'something is shown:\n'; screen; return 1; }
	clear_line
}
