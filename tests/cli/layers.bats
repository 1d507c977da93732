#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# The walls of the house, held by reading the includes.

load helpers.bash

setup()
{
	cd "$TOP" || return
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

# What `ublk features` says of each: that one is not asked for, only understood.
@test "a feature of the driver is told as used if the code names it, and only then" {
	named=$(grep -rhowE 'UBLK_F_[A-Z_]+' lib cli --include='*.[ch]' --exclude=features.c --exclude=uapi.h |
		grep -vx UBLK_F_IO_DESC_SIZE | sort -u)
	used=$(tr '\n' ' ' <lib/kernel/features.c | tr '}' '\n' | grep -w 'used = true' |
		grep -owE 'UBLK_F_[A-Z_]+' | sort -u)
	diff <(printf '%s\n' "$named") <(printf '%s\n' "$used")
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

@test "what is counted knows nobody" {
	only stats 'stats/'
}

@test "queue knows base, kernel layouts, memory, targets, layers and what is counted" {
	only queue 'queue/|layer/layer\.h|base/|kernel/(uapi|workers)\.h|memory/|stats/stats\.h|target/(target|io)\.h'
}

@test "targets know neither queues nor devices: they see an I/O through one small header" {
	only target 'target/|base/|kernel/(uapi|sysfs)\.h|memory/|nbd/|tls/tls\.h'
}

@test "what librbd does knows the target alone" {
	only rbd 'rbd/|base/|kernel/uapi\.h|target/(target|io|rbd)\.h'
	run grep -rlE '#include <(rbd|rados)/' cli lib
	[ "$(grep -v '^lib/rbd/' <<<"$output")" = "" ]
}

@test "layers know targets, and neither queues nor devices" {
	only layer 'layer/|base/|kernel/uapi\.h|target/(target|io)\.h'
}

@test "the protocol of NBD knows no target" {
	only nbd 'nbd/|base/|process/(beside|forget|program|run)\.h|tls/tls\.h'
}

@test "TLS knows no protocol above it, and its helper nothing but what they say to each other" {
	only tls 'tls/(tls|message)\.h|base/|process/(beside|program)\.h'
	only tls/helper 'tls/(message|helper/helper)\.h|base/|process/(beside|forget)\.h'
}

@test "gnutls only in the helper" {
	run grep -rlE '#include <gnutls' cli lib
	[ "$(grep -v '^lib/tls/helper/' <<<"$output")" = "" ]
	[[ $(readelf -d "$BUILD/ublk-tls") == *NEEDED*libgnutls* ]]
}

@test "what is asked knows targets and layers, and neither processes nor devices" {
	only spec 'spec/|layer/layer\.h|base/|kernel/(uapi|node)\.h|target/target\.h'
}

@test "what is kept knows what is asked" {
	only record 'record/|spec/|base/|kernel/(uapi|node)\.h|memory/(layout|plan)\.h|target/target\.h'
}

@test "processes know nothing of devices" {
	only process 'process/|base/'
}

@test "what may be had knows what is asked and kept" {
	only budget 'budget/|layer/layer\.h|spec/|record/|process/|base/|kernel/|memory/|target/target\.h'
}

@test "a device from outside knows neither server nor queue" {
	only device 'device/|spec/|record/|budget/|process/|base/|kernel/|memory/|stats/|target/'
}

# symbols DIR...: what the object files there define and want. A build may have files of sources that
# are no more.
symbols()
{
	find "${@/#/$BUILD/CMakeFiles/}" -name '*.o' -print0 | sort -z | xargs -0 nm -A |
		sed -nE 's|^.*\.dir/(.*)\.o:([0-9a-f]+)? +([A-Za-z]) (.*)$|\1 \3 \4|p' |
		while read -r source rest; do
			[[ ! -e $source ]] || printf '%s %s\n' "$source" "$rest"
		done
}

# circles AT-LEAST DIR...: fails with files that need each other, and if there is less to look at.
circles()
{
	symbols "${@:2}" >"$BATS_TEST_TMPDIR/symbols"
	awk 'FNR == NR { if ($2 ~ /[A-TV-Z]/) home[$3] = $1; next }
	     $2 == "U" && home[$3] { print $1, home[$3] }' \
		"$BATS_TEST_TMPDIR/symbols" "$BATS_TEST_TMPDIR/symbols" >"$BATS_TEST_TMPDIR/edges"
	[[ $(wc -l <"$BATS_TEST_TMPDIR/edges") -gt $1 ]]
	run tsort "$BATS_TEST_TMPDIR/edges"
	[[ $status -eq 0 ]] || { printf '%s\n' "$output" | grep '^tsort:'; return 1; }
}

@test "no two files of the library need each other" {
	circles 200 ub.dir/lib ublk-server.dir/lib
}

@test "no two files of the command line need each other" {
	circles 100 ubcli.dir/cli ublk.dir/cli
}

@test "where an I/O stands, and how many are busy or idle, changes in one file alone" {
	run grep -rlE '(->|\.)(busy|idle)\b|\b(io|ios\[[^]]*\])(->|\.)state\b' lib/queue
	[ "$(grep -v '^lib/queue/state\.h$' <<<"$output")" = "" ]
}

@test "a queue does not ask whether it has batches" {
	run grep -rlE '\bq->batch\b' lib/queue
	[ "$(sort <<<"$output")" = $'lib/queue/batch.c\nlib/queue/batch.h\nlib/queue/elements.c\nlib/queue/queue.c' ]
}

@test "json-c only in the record and the JSON output" {
	run grep -rlE '#include <json-c' cli lib
	[ "$(sort <<<"$output" | grep -vE '^(lib/(record/(to|from)_json\.c|spec/json_[a-z]+\.[ch])|cli/json[a-z_]*\.[ch])$')" = "" ]
}

@test "liburing only in control commands and queue files" {
	run grep -rlE '#include <liburing' cli lib
	[ "$(sort <<<"$output" | grep -vE '^(lib/kernel/(ctrl|workers)\.c|lib/queue/[a-z]+\.[ch])$')" = "" ]
}

@test "ncurses only in the screen of top, and not in a server" {
	run grep -rlE '#include <(curses|ncurses|term)' cli lib
	[ "$output" = cli/top_screen.c ]
	nm "$BUILD/ublk" >"$BATS_TEST_TMPDIR/ublk"
	nm "$BUILD/ublk-server" >"$BATS_TEST_TMPDIR/server"
	grep -qw newterm "$BATS_TEST_TMPDIR/ublk"
	[ "$(grep -cwE 'newterm|setupterm' "$BATS_TEST_TMPDIR/server")" = 0 ]
}
