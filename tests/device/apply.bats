# SPDX-License-Identifier: MIT
# apply: the machine's devices as the configuration files say.
# kernels: newest
# long kernels: 6.12

load helpers
load servers

setup()
{
	device_setup
	umask 022
	mkdir conf
	make_image a.img 16M
	printf 'type = loop\nfile = %s/a.img\nrecovery = reissue\n' "$PWD" >conf/a.conf
	printf 'type = mem\nsize = 1M\n' >conf/b.conf
}

teardown()
{
	[[ $BATS_TEST_COMPLETED ]] || cat out err 2>/dev/null || true
	device_teardown
}

# applies STATUS [ARGS...]: what it prints is in out and err.
applies()
{
	local status=0
	ublk apply --folder conf "${@:2}" >out 2>err || status=$?
	[ "$status" -eq "$1" ]
}

# result_of NAME [ARGS...]: of `apply --json`, which goes to the file json.
result_of()
{
	ublk apply --folder conf --json "${@:2}" >json 2>err || true
	to_be_validated json &&
		jq -r --arg name "$1" '.files[] | select(.name == $name).result' json
}

@test "apply adds what is missing, and a second one changes nothing" {
	applies 0 --dry-run
	[ "$(awk '{ print $1, $2, $3 }' out)" = $'NAME RESULT DEVICE\na would-add -\nb would-add -' ]
	nothing_left
	applies 0
	[ "$(awk '{ print $1, $2 }' out)" = $'NAME RESULT\na added\nb added' ]
	a=$(column_of 0 PID) b=$(column_of 1 PID)
	fio_verify /dev/ublkb0
	applies 0
	[ "$(awk '{ print $1, $2, $3 }' out)" = \
		$'NAME RESULT DEVICE\na unchanged /dev/ublkb0\nb unchanged /dev/ublkb1' ]
	[ "$(column_of 0 PID) $(column_of 1 PID)" = "$a $b" ]
	ublk del a b
	applies 0 b
	[ "$(awk '{ print $1, $2 }' out)" = $'NAME RESULT\nb added' ]
	[ "$(result_of b b)" = unchanged ]
	ublk del b
}

@test "apply recovers what is quiesced or failed, and no data is lost" {
	applies 0
	write_block /dev/ublkb0
	park 0
	[ "$(result_of a --dry-run)" = would-recover ]
	[ "$(state_of 0)" = quiesced ]
	applies 0
	grep -qE '^a +recovered +/dev/ublkb0' out
	grep -qE '^b +unchanged' out
	[ "$(state_of 0)" = live ]
	cmp -n 4096 a.img /dev/ublkb0
	ublk del a b
	printf 'type = loop\nfile = %s/a.img\nrecovery = fail\n' "$PWD" >conf/a.conf
	if kernel_at_least 6.13; then
		applies 0 a
		kill_server 0
		wait_for 20 is_state 0 failed
		[ "$(result_of a a)" = recovered ]
		[ "$(state_of 0)" = live ]
		ublk del a
	fi
}

@test "what can't be recovered is an error, and the others are applied" {
	applies 0
	kill_server 1
	wait_for 20 is_state 1 dead
	ublk del a
	applies 1
	grep -q 'ublk: error: cannot recover ublkb1: it was made without recovery' err
	[ "$(result_of a)" = unchanged ]
	[ "$(result_of b)" = failed ]
	ublk del a b
}

@test "a live device that differs is told by its keys, and left as it is" {
	applies 0
	pid=$(column_of 0 PID)
	printf 'type = loop\nfile = %s/a.img\nqueues = 2\nid = 7\ndirect = auto\n' "$PWD" >conf/a.conf
	for arg in --dry-run --timeout=60; do
		applies 5 "$arg" a
		grep -qF "ublk: error: ublkb0 differs from $PWD/conf/a.conf: queues is 1, not 2, id is 0, not 7" err
		grep -q 'hint: .*ublk del 0 && ublk apply' err
		grep -qE '^a +differs +/dev/ublkb0 +queues, *id' out
	done
	[ "$(column_of 0 PID)" = "$pid" ]
	[ "$(result_of a)" = differs ]
	jq -e '.files[0].differences == [{"key": "queues", "configured": "2", "actual": "1"},
		{"key": "id", "configured": "7", "actual": "0"}]' json
	# One that its server has left goes on as it was, and is told all the same.
	park 0
	applies 5 a
	grep -qE '^a +recovered +/dev/ublkb0' out
	[ "$(state_of 0)" = live ]
	printf 'type = null\n' >conf/a.conf
	applies 5 a
	grep -q 'type is loop, not null' err
	ublk del a b
}

@test "a device of the name that was added by hand is taken as it is" {
	ublk add -t loop -f a.img --name a
	applies 0 a
	grep -qE '^a +unchanged +/dev/ublkb0' out
	ublk del a
}

@test "one bad file among ten: nine are applied, and the status tells" {
	rm conf/*
	for i in {0..9}; do
		printf 'type = null\n' >"conf/n$i.conf"
	done
	echo 'quees = 1' >>conf/n4.conf
	applies 1
	grep -qF "cannot read $PWD/conf/n4.conf: line 2: unknown key 'quees'" err
	[ "$(grep -c added out)" -eq 9 ]
	[ "$(ublk list | wc -l)" -eq 10 ]
	# Its own status, if it is alone.
	applies 2 n4
	chmod 666 conf/n4.conf
	applies 3 n4
	applies 1
	[ "$(grep -c unchanged out)" -eq 9 ]
	ublk del --all
}

@test "what fails to be added leaves nothing, and does not keep the others" {
	printf 'type = loop\nfile = %s/none.img\n' "$PWD" >conf/A.conf
	# Another one of the same backing.
	cp conf/a.conf conf/a2.conf
	applies 1
	grep -qF "$PWD/conf/A.conf: cannot open $PWD/none.img: No such file or directory" err
	[ "$(result_of A)" = failed ]
	[ "$(result_of a)" = unchanged ]
	[ "$(result_of a2)" = failed ]
	[ "$(result_of b)" = unchanged ]
	ublk del a b
}

@test "--prune removes only what came from a file that is gone, and never what is used" {
	applies 0
	ublk add -t null --name hand
	printf 'type = null\n' >elsewhere.conf
	ublk add --config elsewhere.conf
	rm elsewhere.conf conf/a.conf
	applies 0
	[ "$(result_of a --prune --dry-run)" = would-remove ]
	[ "$(ublk list | wc -l)" -eq 5 ]
	exec 7</dev/ublkb0
	applies 1 --prune
	grep -q "cannot stop ublkb0: it is in use: open by .*($$)" err
	exec 7<&-
	applies 0 --prune
	grep -qE '^a +removed +/dev/ublkb0' out
	[ "$(ublk list -o NAME | sort)" = "$(printf '%s\n' NAME b elsewhere hand | sort)" ]
	ublk del b elsewhere hand
}

@test "--prune keeps a device whose file has another name now, and all if a file can't be read" {
	applies 0
	mv conf/a.conf conf/c.conf
	echo 'name = a' >>conf/c.conf
	applies 0 --prune
	grep -qE '^a +unchanged' out
	rm conf/c.conf
	echo wrong >conf/d.conf
	applies 1 --prune
	grep -q 'note: nothing is removed: .*/d.conf could not be read' err
	[ "$(state_of 0)" = live ]
	rm conf/d.conf
	# A file that is there, whatever it is, is not gone.
	ln -s none conf/a.conf
	applies 1 --prune
	[ "$(state_of 0)" = live ]
	ublk del a b
}

@test "--prune removes nothing if the folder has no file at all, as one that is not mounted" {
	mkdir kept
	cp conf/* kept
	mount --bind kept conf
	at_end unmount "$PWD/conf"
	applies 0
	umount conf
	rm conf/*
	for arg in --dry-run --timeout=60; do
		applies 1 --prune "$arg"
		grep -qF "ublk: error: cannot remove ublkb0, nor any other device whose file is gone: there is no configuration file at all in $PWD/conf" err
		grep -q 'hint: if a file system belongs there, mount it; if they are to go: ublk del DEV' err
		[ ! -s out ]
	done
	[ "$(column_of 0 STATE) $(column_of 1 STATE)" = 'live live' ]
	# What is hidden, or has another name, is none.
	touch conf/.a.conf conf/a.conf.old
	applies 1 --prune
	mount --bind kept conf
	rm conf/a.conf
	applies 0 --prune
	grep -qE '^a +removed' out
	ublk del b
	# Nothing to remove is no error.
	rm conf/b.conf
	applies 0 --prune
}

@test "--prune knows a file's folder by whatever path it was given" {
	mkdir bound
	mount --bind conf bound
	at_end unmount "$PWD/bound"
	ln -s conf linked
	ublk add --config bound/a.conf
	ublk add --config linked/b.conf
	printf 'type = null\n' >conf/c.conf
	# Of another folder, though of this name.
	mkdir -p other/conf
	printf 'type = null\n' >other/conf/d.conf
	ublk add --config other/conf/d.conf
	rm conf/[ab].conf other/conf/d.conf
	applies 0 --prune
	grep -qE '^a +removed' out
	grep -qE '^b +removed' out
	[ "$(ublk list -o NAME | sort | xargs)" = 'NAME c d' ]
	ublk del c d
}

@test "many applies at once make each device once" {
	for i in {0..5}; do
		printf 'type = null\n' >"conf/n$i.conf"
	done
	for i in {1..6}; do
		"$UBLK" apply --folder conf >"out$i" 2>"err$i" &
		pids+=($!)
	done
	for pid in "${pids[@]}"; do
		wait "$pid" || { cat err?; return 1; }
	done
	[ "$(cat out? | grep -c added)" -eq 8 ]
	[ "$(cat out? | grep -c unchanged)" -eq 40 ]
	[ "$(ublk list | wc -l)" -eq 9 ]
	ublk del --all
}

@test "another apply at work is waited for, and no longer than the deadline" {
	python3 -c '
import fcntl, os, time
os.makedirs("/run/ublk", exist_ok=True)
fd = os.open("/run/ublk/.apply.lock", os.O_RDWR | os.O_CREAT, 0o600)
fcntl.lockf(fd, fcntl.LOCK_EX)
open("locked", "w").close()
time.sleep(600)' &
	holder=$!
	wait_for 20 test -e locked
	applies 7 --timeout 1
	grep -q 'another ublk apply is at work' err
	# What only looks waits for nobody.
	applies 0 --dry-run
	kill "$holder"
	applies 0
	ublk del a b
}

@test "a signal ends apply after the device that is under way, and what was done is told" {
	for i in {10..60}; do
		printf 'type = null\n' >"conf/n$i.conf"
	done
	"$UBLK" apply --folder conf >out 2>err &
	apply=$!
	wait_for 20 is_state 1 live
	kill -TERM "$apply"
	status=0
	wait "$apply" || status=$?
	[ "$status" -eq 143 ]
	grep -qE '^a +added' out
	grep -qE '^n60 +skipped' out
	[ ! -s err ]
	[ "$(grep -c added out)" -eq "$(ublk list --json | jq '.devices | length')" ]
	ublk del --all
}
