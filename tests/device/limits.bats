# SPDX-License-Identifier: MIT
# Processes that may not have all they want: of descriptors, of memory. The sanitizers need more of
# it than any limit here leaves.
# cpus: 2
# kernels: newest
# long kernels: 6.12
# no sanitizers

# shellcheck disable=SC2154 # bats sets stderr

load helpers

# works_or_fails CMD...: an add under a limit. Either the device works, or there is one error line
# and nothing.
works_or_fails()
{
	run --separate-stderr timeout -k 5 60 "$@"
	printf '%s: %s %s\n' "$*" "$status" "$stderr"
	if [[ $status -eq 0 ]]; then
		dd if=/dev/ublkb0 of=/dev/null bs=4096 count=1 iflag=direct status=none
		ublk del 0
	else
		[ "$status" -lt 100 ]
		[ "$(grep -c '^ublk: error: ' <<<"$stderr")" -eq 1 ]
		failed=true
	fi
	nothing_left
}

@test "few descriptors: each limit gives a working device or a clear failure, never a hang" {
	failed=false
	for n in 8 10 12 14 24; do
		works_or_fails prlimit --nofile=$n:$n "$UBLK" add -t null -q 2
	done
	[ $failed = true ]
	works_or_fails prlimit --nofile=8:1024 "$UBLK" add -t null -q 2
}

# Who may lift such a limit has it lifted for the server.
@test "little address space: each limit gives a working device or a clear failure" {
	failed=false
	for mib in 8 12 24 64; do
		works_or_fails prlimit --as=$((mib << 20)) setpriv --bounding-set=-sys_resource \
			--inh-caps=-sys_resource "$UBLK" add -t mem --size 32M
	done
	[ $failed = true ]
	run -0 --separate-stderr prlimit --as=$((24 << 20)) "$UBLK" add -t mem --size 32M
	ublk del 0
}
