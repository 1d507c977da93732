# SPDX-License-Identifier: MIT
# What tests of completions with devices share. Loaded after helpers.
# shellcheck shell=bash

. "$TOP/tests/lib/shells.bash"

setup()
{
	device_setup
	UBLK_DIR=$BATS_TEST_TMPDIR/bin
	mkdir "$UBLK_DIR" "$BATS_TEST_TMPDIR/here"
	ln -s "$(realpath "$UBLK")" "$UBLK_DIR/ublk"
	# For nobody, too.
	chmod 755 "$BATS_RUN_TMPDIR" "$BATS_TEST_TMPDIR"
}

teardown()
{
	end_shell
	device_teardown
}

# lose_server DEV: its server is killed, and the driver has seen it.
lose_server()
{
	kill -KILL "$(column_of "$1" PID)"
	wait_for 20 has_state "$1" "$2"
}

has_state()
{
	[[ $(state_of "$1") == "$2" ]]
}

# asked WORD...: what a shell is told.
asked()
{
	ublk complete -- "$@" | tail -n +2
}

# Three of them: live with a name, quiesced, and failed, or quiesced too where the driver does not have that;
# sets `failed` to which.
three()
{
	local policy=fail
	failed=failed
	kernel_at_least 6.13 || { policy=requeue && failed=quiesced; }
	make_image a.img 1M
	at_end ublk del --all
	ublk add -t null --name alpha
	ublk add -t loop -f a.img --name beta
	ublk add -t null --recovery "$policy"
	lose_server 1 quiesced
	lose_server 2 "$failed"
}
