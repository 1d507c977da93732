# SPDX-License-Identifier: MIT
# Programs that the kernel's events of devices do not reach.
# shellcheck shell=bash

# new_net: a network namespace of a user namespace, where no uevents come; its process is $space.
new_net()
{
	unshare --mount --user --map-root-user --net sleep 1000 3>&- &
	space=$!
	wait_for 20 is_in_another_net "$space"
}

is_in_another_net()
{
	[[ $(readlink "/proc/$1/ns/net") != $(readlink /proc/self/ns/net) ]]
}

# in_net CMD...: there, in place of this shell.
in_net()
{
	exec nsenter --net="/proc/$space/ns/net" "$@"
}

# without_nodes CMD...: there too, and with a /dev that has no node but the driver's own.
without_nodes()
{
	# shellcheck disable=SC2016 # not this shell's
	in_net unshare --mount sh -c '
		touch control && mount --bind /dev/ublk-control control && mount -t tmpfs none /dev &&
		mknod -m 600 /dev/null c 1 3 && touch /dev/ublk-control &&
		mount --bind control /dev/ublk-control && exec "$@"' sh "$@"
}
