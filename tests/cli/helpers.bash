# SPDX-License-Identifier: MIT
# What the tests of the command line share. They need a build (UBLK names its program, or build/ has
# it), and no driver.
# shellcheck shell=bash

TOP=$(cd "$BATS_TEST_DIRNAME/../.." && pwd)
UBLK=${UBLK:-$TOP/build/ublk}
BUILD=$(dirname "$UBLK")
PATH=$BUILD:$PATH
export NO_COLOR=1

# ub ARGS...: runs ublk; what it prints is in $out and $err, its exit status in $status.
ub()
{
	status=0
	ublk "$@" >"$BATS_TEST_TMPDIR/out" 2>"$BATS_TEST_TMPDIR/err" || status=$?
	out=$(<"$BATS_TEST_TMPDIR/out")
	err=$(<"$BATS_TEST_TMPDIR/err")
}

# told: what ub saw, and a failure.
told()
{
	printf 'status %s\nout: %s\nerr: %s\n' "$status" "$out" "$err"
	return 1
}

# exits STATUS
exits()
{
	[[ $status -eq $1 ]] || told
}

# says TEXT: standard error has it.
says()
{
	[[ $err == *"$1"* ]] || told
}

# prints TEXT: standard output has it.
prints()
{
	[[ $out == *"$1"* ]] || told
}

silent()
{
	[[ -z $out ]] || told
}

# without_driver CMD...: runs CMD where there is no /dev/ublk-control.
without_driver()
{
	[[ -e /dev/ublk-control ]] || { "$@"; return; }
	# In a mount namespace of its own, on a /dev that has only what a program needs.
	# shellcheck disable=SC2016
	unshare --mount -- bash -ec '
		new=$(mktemp -d)
		mount -t tmpfs none "$new"
		cp -a /dev/null /dev/zero /dev/full "$new"
		mount --move "$new" /dev
		rmdir "$new"
		exec "$@"' bash "$@"
}
