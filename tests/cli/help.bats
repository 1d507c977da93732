#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# Help and version need no driver, and tell of everything that there is.
# shellcheck disable=SC2154 # out, err and status come from ub()

load helpers

@test "version is printed without a driver" {
	without_driver ub version
	exits 0
	[[ $out =~ ^ublk\ [0-9]+\.[0-9]+\.[0-9]+$ ]]
	ub --version
	[[ $out =~ ^ublk\ [0-9] ]]
	ub -V
	exits 0
}

@test "help names every command, and each explains itself" {
	local verb
	without_driver ub help
	exits 0
	prints "Exit status:"
	for verb in add list show memory del recover run wait features doctor completion help version; do
		ub help
		prints "  $verb "
		ub "$verb" --help
		exits 0
		prints "Usage: ublk $verb"
		prints "--help"
		local by_option=$out
		ub help "$verb"
		[[ $out == "$by_option" ]]
		ub "$verb" -h
		[[ $out == "$by_option" ]]
	done
	ub --help
	prints "Commands:"
}

@test "help of add has the options of every target, or of the one that is chosen" {
	ub add --help
	prints "Options of target null"
	prints "Options of target loop"
	ub add --help -t loop
	exits 0
	prints "Options of target loop"
	prints "--file FILE"
	[[ $out != *"Options of target null"* ]] || told
}

@test "help says which columns there are" {
	ub list --help
	prints "Columns for -o:"
	prints "BACKING"
}

@test "help is not cut short by what else is given" {
	ub del --all --help
	exits 0
	prints "Usage: ublk del"
}

@test "lines of the help fit into a hundred columns" {
	local verb
	for verb in add list show memory del recover run wait features doctor completion help version; do
		ub help "$verb"
		[[ -z $(awk 'length > 100' <<<"$out") ]] || told
	done
}
