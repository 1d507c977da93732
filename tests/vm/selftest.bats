#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# The harness itself: what goes into the machine and what comes out.
# shellcheck disable=SC2154 # stderr and stderr_lines come from run

bats_require_minimum_version 1.5.0

TOP=$(cd "$BATS_TEST_DIRNAME/../.." && pwd)

# vm ARGS...: the harness, from a folder of the test's own.
vm()
{
	"$BATS_TEST_DIRNAME/run" "$@"
}

setup()
{
	cd "$BATS_TEST_TMPDIR" || return
}

@test "exit status 0, 3 and 255 pass through" {
	for expected in 0 3 255; do
		run -$expected vm -- bash -c "exit $expected"
	done
}

@test "arguments arrive as they are" {
	run -0 vm -- printf '<%s>' 'a b' "it's" '"q"' '' '$HOME' '*' $'tab\tline\nend'
	[ "$output" = $'<a b><it\'s><"q"><><$HOME><*><tab\tline\nend>' ]
}

@test "stdout and stderr arrive apart, whole and byte for byte" {
	head -c 3M /dev/urandom >out.want
	head -c 1M /dev/urandom >err.want
	vm -- bash -c 'cat out.want; cat err.want >&2' >out 2>err
	cmp out out.want
	cmp err err.want
}

@test "the current folder is seen, and what is written there is forgotten" {
	mkdir 'a b'
	cd 'a b'
	echo inside >file
	run -0 vm -- bash -c 'cat file; echo changed >file; cat file'
	[ "$output" = $'inside\nchanged' ]
	[ "$(cat file)" = inside ]
}

@test "every kernel series has ublk, and the modules that tests load" {
	for kernel in 6.12 6.18 7.2 newest; do
		run -0 vm --kernel "$kernel" -- bash -c '
			set -e
			for m in null_blk loop xfs brd scsi_debug dm_mod; do modprobe $m; done
			test -c /dev/ublk-control
			uname -r'
		[[ $kernel == newest || $output == "$kernel".* ]]
	done
}

@test "a program whose pages were dropped runs its own code, not that of one which lay there before" {
	run -0 vm -- bash -c '
		programs=(arch env groups hostid id link logname nproc printenv sync tee truncate tty unlink wc yes)
		for ((i = 0; i < 20; i++)); do
			echo 3 >/proc/sys/vm/drop_caches
			for program in $(shuf -e "${programs[@]}"); do
				"$program" --version >/dev/null || exit
			done
		done'
}

@test "a crash is 126, with one line that says so before the log's" {
	run -126 --separate-stderr vm -- bash -c 'echo c >/proc/sysrq-trigger'
	[ "${stderr_lines[0]}" = 'vm: the kernel crashed:' ]
}

@test "a warning in the kernel's log fails a command that succeeded" {
	run -126 --separate-stderr vm -- bash -c 'echo "WARNING: CPU: 0 PID: 1 at x.c:1" >/dev/kmsg'
	[[ $stderr == 'vm: the kernel complained:'*'WARNING: CPU: 0'* ]]
}

@test "a harmless line of the list does not" {
	run -0 vm -- bash -c 'echo "UBSAN: array-index-out-of-bounds in io_uring/rsrc.c:1" >/dev/kmsg'
}

@test "the emulator's own death has the command run once more" {
	run -126 --separate-stderr vm -- bash -c 'echo tried
		echo "Oops: int3: 0000 [#1] SMP" >/dev/kmsg
		echo c >/proc/sysrq-trigger'
	[ "$output" = $'tried\ntried' ]
	[[ ${stderr_lines[0]} == 'vm: the emulator'* ]]
}

@test "with --once it is 127" {
	run -127 --separate-stderr vm --once -- bash -c 'echo tried
		echo "Oops: int3: 0000 [#1] SMP" >/dev/kmsg
		echo c >/proc/sysrq-trigger'
	[ "$output" = tried ]
	[[ ${stderr_lines[0]} == 'vm: the emulator, not the kernel, died'* ]]
}

@test "a hang is 124 at the deadline" {
	run -124 --separate-stderr vm --timeout 12 -- sleep 1000
	[ "$stderr" = 'vm: the deadline of 12 s passed' ]
}

# hangs FILE: a bats file whose test waits for a server that does not answer.
hangs()
{
	# Else bats would take it for a test of this file.
	local at=@
	cat >"$1" <<-END
		load $TOP/tests/device/helpers
		load $TOP/tests/device/servers
		setup() { device_setup; }
		teardown() { end_jobs; device_teardown; }
		${at}test "hangs" {
			dev=\$(ublk add -t null --log-file log)
			kill -STOP "\$(server_of "\$dev")"
			dd if="\$dev" of=/dev/null bs=4k count=1 iflag=direct 3>&- &
			at_end kill -CONT "\$(server_of "\$dev")"
			$2
		}
	END
}

# tells DIR: there is what one wants to see of it.
tells()
{
	[ "$(cat "$1/reason")" ]
	jq -e '.devices[0].state == "live"' "$1/list.json"
	jq -e '.devices[0].id == 0' "$1/show/0.json"
	grep 'ublk0-q0' "$1"/processes/ublk-server-*
	grep 'do_signal_stop' "$1"/processes/ublk-server-*
	grep '^CachedSqHead' "$1"/processes/ublk-server-*
	grep 'hctx0/busy:.*op=READ' "$1/queues/ublkb0"
	grep '"token"' "$1/records/0.json"
	grep serving "$1/logs"
	grep 'task:dd' "$1/dmesg"
}

@test "a deadline leaves evidence: a test's own, and its file's" {
	hangs own.bats 'wait_for 1 false'
	hangs file.bats 'wait'
	cat >./hang <<-END
		$TOP/tests/lib/bats-group 600 . "" "build:\$(realpath --relative-to=$TOP own.bats)"
		$TOP/tests/lib/bats-group 5 . "" "build:\$(realpath --relative-to=$TOP file.bats)"
	END
	run -0 vm --evidence evidence -- bash ./hang
	printf '%s\n' "$output"
	[[ $output == *'not ok 1 hangs'*'evidence: the test failed (hangs)'*'hctx0/busy:'* ]]
	[[ $output == *'evidence: build:'*'file.bats has not ended after its 5 s'*'hctx0/busy:'* ]]
	tells evidence/own.bats_1-1
	tells evidence/file.bats-1
}

@test "a deadline leaves evidence: the machine's" {
	cat >./hang <<-END
		cd /tmp
		$TOP/build/ublk add -t null
		kill -STOP "\$(pgrep -x ublk-server)"
		dd if=/dev/ublkb0 of=/dev/null bs=4k count=1 iflag=direct
	END
	run -124 vm --timeout 90 --evidence evidence -- bash ./hang
	printf '%s\n' "$output"
	[[ $output == *"evidence: the machine's deadline is near"*'hctx0/busy:'* ]]
	grep 'hctx0/busy:.*op=READ' evidence/machine-1/queues/ublkb0
	grep serving evidence/machine-1/syslog
}

@test "processes that stay behind do not keep the machine up" {
	run -0 vm --timeout 60 -- bash -c '(trap "" TERM; sleep 1000) & sleep 1000 & echo over'
	[ "$output" = over ]
}

@test "--expect-poweroff tells a power cut from a command that ended" {
	run -0 vm --expect-poweroff -- bash -c 'echo b >/proc/sysrq-trigger; sleep 100'
	run -125 vm --expect-poweroff -- true
	run -125 vm -- bash -c 'echo b >/proc/sysrq-trigger; sleep 100'
}

@test "--disk keeps what is written to it" {
	truncate -s 16M 'a,disk'
	run -0 vm --disk 'a,disk' -- bash -c 'echo kept | dd of=/dev/vda conv=notrunc,fsync status=none'
	[ "$(head -c 4 'a,disk')" = kept ]
}

@test "--numa makes nodes" {
	run -0 vm --cpus 4 --numa 2 -- bash -c 'cat /sys/devices/system/node/node?/cpulist'
	[ "$output" = $'0-1\n2-3' ]
}

@test "--exact counts instructions: the same work takes the same time" {
	# The first rounds share the processor with what the kernel still does after its start.
	count='for round in 1 2 3 4; do
			start=${EPOCHREALTIME/./}
			for ((i = 0; i < 20000; i++)); do :; done
			took=$((${EPOCHREALTIME/./} - start))
		done
		echo $took'
	one=$(vm --exact -- bash -c "$count")
	two=$(vm --exact -- bash -c "$count")
	((one > 0 && (one - two) * 100 < one && (two - one) * 100 < one))
}

@test "two machines at once do not disturb each other" {
	vm -- bash -c 'echo one; exit 4' >one &
	first=$!
	run -5 vm --kernel 6.12 -- bash -c 'echo two; exit 5'
	[ "$output" = two ]
	status=0
	wait "$first" || status=$?
	[ "$status" -eq 4 ]
	[ "$(cat one)" = one ]
}

# descendants PID: and itself.
descendants()
{
	local child
	echo "$1"
	for child in $(pgrep -P "$1"); do
		descendants "$child"
	done
}

# alive PID...: any that is more than a zombie.
alive()
{
	local pid stat
	for pid; do
		read -r stat 2>/dev/null <"/proc/$pid/stat" || continue
		[[ ${stat##*) } == Z* ]] || return 0
	done
	return 1
}

@test "SIGTERM leaves no process and no file behind" {
	mkdir tmp
	# Not through the function: the pid is to be the harness's own.
	TMPDIR=$PWD/tmp "$BATS_TEST_DIRNAME/run" -- bash -c 'echo up; sleep 1000' >out 3>&- &
	harness=$!
	timeout 60 bash -c 'until grep -q up out; do sleep 0.1; done'
	mapfile -t pids < <(descendants "$harness")
	[ "${#pids[@]}" -ge 4 ]
	kill -TERM "$harness"
	status=0
	wait "$harness" || status=$?
	[ "$status" -eq 143 ]
	timeout 10 bash -c "$(declare -f alive); while alive ${pids[*]}; do sleep 0.1; done"
	[ -z "$(ls tmp)" ]
}

@test "a bad option, a kernel that is not there and a missing disk are 125" {
	run -125 vm --bogus -- true
	run -125 vm --kernel 5.5 -- true
	run -125 vm --disk /nonexistent -- true
	run -125 vm
}
