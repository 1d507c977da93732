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

# end_udevd: one that does not go when it is told to is told of, with what its workers are doing.
end_udevd()
{
	udevadm control --exit
	! wait_for 30 udevd_is_gone || return 0
	ps -o pid,ppid,stat,wchan:20,args -p "$(pgrep -d , udev)"
	kill -KILL "$udevd"
	return 1
}
