# SPDX-License-Identifier: MIT
# A udev of the test's own, where the machine has none. Loaded after helpers.
# shellcheck shell=bash

# start_udevd: sets `udevd`, its process. One that somebody else runs, or that an earlier test has left, is no
# help: whose links were those?
start_udevd()
{
	! udevadm control --ping --timeout=2 2>/dev/null || { echo 'there is a udevd'; return 1; }
	setsid /usr/lib/systemd/systemd-udevd </dev/null >/dev/null 2>&1 3>&- &
	# No job, which a teardown would end before its time; and known to the tests of a whole file.
	disown
	export udevd=$!
	wait_for 20 udevadm control --ping --timeout=5 2>/dev/null
}

udevd_is_gone()
{
	! kill -0 "$udevd" 2>/dev/null
}

# end_udevd: that of systemd 252, told to exit, now and then closes its socket and stays, without a worker;
# then the next test had two of them.
end_udevd()
{
	udevadm control --exit
	wait_for 10 udevd_is_gone || kill -KILL "$udevd"
	wait_for 10 udevd_is_gone
}
