#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# Configuration files: what is read from them, and what is wrong with them.
# shellcheck disable=SC2154 # out, err and status come from ub()

load helpers

setup()
{
	cd "$BATS_TEST_TMPDIR" || return
	umask 022
}

# conf LINE...: makes a.conf.
conf()
{
	printf '%s\n' "$@" >a.conf
}

# reads [ARGS...]: a.conf is good, and $out has the plan.
reads()
{
	ub add --dry-run --json --config a.conf "$@"
	exits 0
}

# refuses STATUS TEXT [FILE]: the file is not read, in one line that names it.
refuses()
{
	ub add --dry-run --config "${3-a.conf}"
	exits "$1"
	silent
	[[ $(grep -c '^ublk: error: ' <<<"$err") -eq 1 && $(grep -vc '^hint: ' <<<"$err") -eq 1 ]] || told
	says "ublk: error: cannot read ${3-a.conf}: $2"
}

# plan FILTER: of jq, over what was printed.
plan()
{
	jq -e "$1" <<<"$out" >/dev/null || told
}

@test "a file has the long options as keys, type for -t, and comments" {
	truncate -s 1M img
	conf '# a disk' '' "type = loop" "file = $PWD/img # behind a blank" '  queues=2' $'depth\t=\t16  ' \
		'max-io = 64K' 'mlock = yes' 'read-only = no'
	reads
	plan '.queues == 2 and .depth == 16 and .max_io == 65536 and .total.locked > 0'
}

@test "what is typed beside --config counts more than what the file says" {
	conf 'type = mem' 'size = 1G' 'depth = 16' 'queues = 2'
	reads -d 8 --size 1M
	plan '.depth == 8 and .queues == 2 and .total.mapped < 100000000'
	# Also where the file has no such key, and the target needs it.
	conf 'type = mem'
	reads --size 1M
	ub add --dry-run --config a.conf -t null
	exits 2
	says "options '--config' and '--type' exclude each other"
}

@test "a quoted value may have any byte but NUL in it" {
	name=$'with # "quotes", \\ and\nnewlines \x01\xfe '
	truncate -s 1M "$name"
	conf 'type = loop' "file = \"$PWD/with # \\\"quotes\\\", \\\\ and\\nnewlines \\x01\\xFE \"  # so"
	reads
	conf 'type = loop' 'file = "/img'
	refuses 2 'line 2: the quote does not end'
	conf 'type = loop' 'file = "/img" b'
	refuses 2 'line 2: there is more behind the quote'
	for escape in '\q' '\x0' '\x00' '\x'; do
		conf 'type = loop' "file = \"$escape\""
		refuses 2 'line 2: '
	done
}

@test "an unknown key is named with file and line, and guessed" {
	conf '# a' 'type = null' 'quees = 2'
	refuses 2 "line 3: unknown key 'quees' (did you mean 'queues'?)"
	says 'hint: see the keys, which are the long options: ublk add --help'
	conf 'type = null' 'frobnicate = 2'
	refuses 2 "line 2: unknown key 'frobnicate'"
	conf 'typ = null'
	refuses 2 "there is no key 'type'"
}

@test "a key of another target is told as that" {
	conf 'type = null' 'file = /img'
	refuses 2 "line 2: key 'file' is one of target loop, not of target null"
}

@test "a duplicate key is told with both lines" {
	conf 'type = null' 'queues = 1' '' 'queues = 1'
	refuses 2 "line 4: key 'queues' is in line 2 already"
	conf 'type = null' 'type = null'
	refuses 2 "line 2: key 'type' is in line 1 already"
}

@test "what is of one call is no key" {
	for key in no-wait timeout strict; do
		conf 'type = null' "$key = 1"
		refuses 2 "line 2: option '--$key' is of one call, and no key"
	done
	conf 'type = loop' 'file = /img' 'create = 1M'
	refuses 2 "line 3: option '--create' is of one call, and no key"
	for key in config dry-run json foreground adopt; do
		conf 'type = null' "$key = yes"
		refuses 2 "line 2: "
	done
}

@test "a wrong value is told with file, line and option" {
	conf 'type = nul'
	refuses 2 "line 1: unknown target 'nul': did you mean 'null'?"
	conf 'type = null' 'queues = many'
	refuses 2 "line 2: option '--queues': 'many' is no number"
	conf 'type = null' 'mlock = on'
	refuses 2 "line 2: key 'mlock': 'on' is neither yes nor no"
	conf 'type = null' 'recovery = maybe'
	refuses 2 "line 2: option '--recovery': 'maybe' is not one of:"
	conf 'type = loop' 'file = img'
	refuses 2 "line 2: key 'file' is no absolute path: img"
	conf 'type = loop'
	refuses 2 "target loop needs the key 'file'"
	conf 'type = null' 'queues ='
	refuses 2 "line 2: key 'queues' has no value"
	conf 'type = null' 'queues'
	refuses 2 "line 2: it is no 'key = value': 'queues'"
	conf 'type = null' '= 3'
	refuses 2 "line 2: there is no key before the '='"
	# What only all keys together make wrong.
	conf 'type = null' 'queues = 2' 'threads = 3'
	ub add --dry-run --config a.conf
	exits 2
	says "$PWD/a.conf: --threads 3 is no multiple of --queues 2"
}

@test "a file without a newline at its end, with CRLF, or empty lines only, is read as it is meant" {
	printf 'type = null\ndepth = 8' >a.conf
	reads
	plan '.depth == 8'
	printf 'type = null\r\ndepth = 8\r\n' >a.conf
	reads
	plan '.depth == 8'
	printf '\n\r\n  \n#\n' >a.conf
	refuses 2 "there is no key 'type'"
	: >a.conf
	refuses 2 "there is no key 'type'"
}

@test "1 MiB of one line, and a NUL, are refused" {
	{ printf 'type = null\nname = '; head -c 1048576 /dev/zero | tr '\0' a; } >a.conf
	refuses 2 'it has more than 65536 bytes'
	{ printf 'type = null\nname = '; head -c 65000 /dev/zero | tr '\0' a; } >a.conf
	ub add --dry-run --config a.conf
	exits 2
	says '--name takes 1 to 64 characters'
	printf 'type = null\nna\0me = b\n' >a.conf
	refuses 2 'line 2: there is a NUL in it'
}

@test "control characters in a file do not reach the terminal" {
	conf 'type = null' $'\e[31mred = 1'
	ub add --dry-run --config a.conf
	exits 2
	[[ $err != *$'\e'* ]] || told
	says '\x1b[31mred'
}

@test "a link is followed, and judged by what it leads to" {
	conf 'type = null'
	mv a.conf real
	ln -s real a.conf
	reads
	chmod 666 real
	refuses 3 'others than root may write it (mode 0666)'
	ln -sf none a.conf
	refuses 1 'No such file or directory'
	ln -sf a.conf a.conf
	refuses 1 'Too many levels'
}

@test "a FIFO, a folder, a device and a file that is not there are refused at once" {
	mkfifo pipe.conf
	refuses 2 'it is no regular file' pipe.conf
	mkdir folder.conf
	refuses 2 'it is no regular file' folder.conf
	refuses 2 'it is no regular file' /dev/null
	refuses 1 'No such file or directory' none.conf
	refuses 1 'Not a directory' /dev/null/a.conf
}

@test "root reads no file that others may write, or that is another user's" {
	conf 'type = null'
	for mode in 662 620; do
		chmod "$mode" a.conf
		refuses 3 "others than root may write it (mode 0$mode)"
	done
	says 'hint: let root alone write it: chown root:root FILE && chmod go-w FILE'
	chmod 644 a.conf
	chown nobody a.conf
	refuses 3 "it is not root's, but that of user $(id -u nobody)"
}

@test "the device's name is the file's, and has to be one" {
	for name in -a .. 3 ublkb3 ü "$(printf 'a%.0s' {1..250})" 'a b'; do
		printf 'type = null\n' >"./$name.conf"
		ub add --dry-run --config "./$name.conf"
		exits 2
		says ': --name '
		# Unless the file gives another one.
		printf 'type = null\nname = a\n' >"./$name.conf"
		ub add --dry-run --config "./$name.conf"
		exits 0
	done
	printf 'type = null\nname = a/b\n' >a.conf
	ub add --dry-run --config a.conf
	exits 2
	says '--name takes letters, digits and _ . + -'
	ub add --dry-run --config "$(printf 'a%.0s' {1..300}).conf"
	exits 1
	says 'File name too long'
	ub add --dry-run --config ''
	exits 1
	says 'cannot read '
}

@test "a wrong file is an error in JSON too, of the stage config" {
	conf 'type = null' 'quees = 1'
	ub add --dry-run --json --config a.conf
	exits 2
	jq -e '.schema == "ublk.error/1" and .error.stage == "config" and .error.code == "EINVAL"' <<<"$out"
}

@test "apply: a folder without files is nothing to do, and one that is not there is an error" {
	mkdir conf
	touch conf/.hidden.conf conf/.conf conf/readme conf/a.conf~
	ub apply --folder conf
	exits 0
	silent
	ub apply --folder conf --json
	"$TOP/tests/cli/validate" <<<"$out"
	ub apply --folder none
	exits 1
	says "cannot read none: No such file or directory"
	ub apply --folder conf none
	exits 1
	says "cannot read $PWD/conf/none.conf: No such file or directory"
	# Nothing is removed since /etc was not there.
	ub apply --folder none --prune
	exits 1
}

@test "apply: names do not lead out of the folder" {
	mkdir conf
	for name in ../a a/b .. . '' /etc/a; do
		ub apply --folder conf -- "$name"
		exits 2
		says "is no name of a configuration file"
	done
	ub apply --folder conf --prune a
	exits 2
	says '--prune and names exclude each other'
	# Any other byte can be in one.
	printf 'quees = 1\n' >$'conf/-\xfc\n.conf'
	ub apply --folder conf
	exits 2
	says "cannot read $PWD/conf/-\\xfc\\x0a.conf: there is no key 'type'"
	ub apply --folder conf -- $'-\xfc\n'
	exits 2
}

@test "apply: root reads no folder that others may write" {
	mkdir conf
	chmod 777 conf
	ub apply --folder conf
	exits 3
	says "cannot read $PWD/conf: others than root may write it (mode 0777)"
	chmod 755 conf
	chown nobody conf
	ub apply --folder conf
	exits 3
	says "it is not root's"
}

@test "apply: two files of one name are an error of the second" {
	mkdir conf
	printf 'type = null\n' >conf/a.conf
	printf 'type = null\nname = a\n' >conf/b.conf
	ub apply --folder conf --dry-run --json
	says "cannot read $PWD/conf/b.conf: the name 'a' is that of $PWD/conf/a.conf"
	"$TOP/tests/cli/validate" <<<"$out"
	jq -e '.files[1].result == "failed"' <<<"$out"
}
