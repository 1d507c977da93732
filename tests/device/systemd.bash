# SPDX-License-Identifier: MIT
# A real systemd, which is process 1 of namespaces of its own.
# shellcheck shell=bash

# copy_units NAME...: of systemd's own, into the folder `units`.
copy_units()
{
	mkdir -p units || return
	local unit
	for unit; do
		cp "/usr/lib/systemd/system/$unit" units || return
	done
}

# boot_systemd: with the units of the folder `units`, and no bus; what it says is in the file `console`.
# The job's number here is $booted; it ends with the test.
boot_systemd()
{
	local cgroup=/sys/fs/cgroup/booted
	mkdir -p "$cgroup"
	at_end end_systemd
	(
		echo "$BASHPID" >"$cgroup/cgroup.procs"
		# shellcheck disable=SC2016 # not this shell's
		exec env -i PATH="$PATH" container=test SYSTEMD_UNIT_PATH="$PWD/units" \
			SYSTEMD_LOG_TARGET=console TERM=dumb unshare --pid --mount --cgroup \
			--fork --kill-child --mount-proc --propagation slave bash -c '
				umount -l /sys/fs/cgroup && mount -t cgroup2 cgroup2 /sys/fs/cgroup &&
					exec /usr/lib/systemd/systemd --system' >console 2>&1 3>&-
	) &
	booted=$!
}

# Stopped processes too.
end_systemd()
{
	kill -KILL "$booted" 2>/dev/null || true
	rm -rf /run/systemd
}

# is_up UNIT: systemd has come to that. Sets `init`, its number here.
is_up()
{
	init=$(<"/proc/$booted/task/$booted/children")
	init=${init% }
	[[ -n $init ]] && within systemctl -q is-active "$1" 2>/dev/null
}

# within CMD...: where systemd is process 1.
within()
{
	nsenter -t "$init" -p -m -C "$@"
}
