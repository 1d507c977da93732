#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# The walls of the house, held by reading the includes.

setup()
{
	cd "$BATS_TEST_DIRNAME/../.." || return
}

# includes FOLDER: the project's own headers that the files of lib/FOLDER include.
includes()
{
	grep -ohE '^#include "[a-z_/]+\.h"' lib/"$1"/*.[ch] | sed -E 's/.*"(.*)".*/\1/' | sort -u
}

# only FOLDER PATTERN: fails with the headers that FOLDER may not know.
only()
{
	local bad
	bad=$(includes "$1" | grep -vE "^($2)" || true)
	[[ -z $bad ]] || { printf 'lib/%s includes:\n%s\n' "$1" "$bad"; return 1; }
}

@test "the library never includes the command line" {
	for header in cli/*.h; do
		run grep -rnE "#include \"(.*/)?$(basename "$header")\"" lib
		[ "$status" -eq 1 ] || { printf '%s\n' "$output"; return 1; }
	done
}

@test "base knows nobody" {
	only base 'base/'
}

@test "kernel knows only base" {
	only kernel 'kernel/|base/'
}

@test "memory knows only base and the kernel's layouts" {
	only memory 'memory/|base/|kernel/uapi\.h'
}

@test "queue knows base, kernel layouts, memory and targets" {
	only queue 'queue/|base/|kernel/uapi\.h|memory/|target/target\.h'
}

@test "targets see the queue through one small header" {
	only target 'target/|base/|kernel/uapi\.h|memory/|queue/io\.h'
}

@test "device never includes the server or the queue" {
	only device 'device/|base/|kernel/|memory/|target/'
}

@test "json-c only in the record and the JSON output" {
	run grep -rlE '#include <json-c' cli lib
	[ "$(sort <<<"$output" | grep -vE '^(lib/device/(record|json)[a-z_]*\.[ch]|cli/json[a-z_]*\.[ch])$')" = "" ]
}

@test "liburing only in control commands and queue files" {
	run grep -rlE '#include <liburing' cli lib
	[ "$(sort <<<"$output" | grep -vE '^(lib/kernel/ctrl\.c|lib/queue/[a-z]+\.[ch])$')" = "" ]
}
