#!/bin/busybox sh
# shellcheck shell=dash
# SPDX-License-Identifier: MIT
# The guest's first program, run by busybox in the initramfs. Puts the root file system
# together: the host's, read-only, below a writable layer in memory. Then guest.sh takes over.
# What it needs to know stands in /vm, written by the host side.

/bin/busybox --install -s /bin
mount -t devtmpfs dev /dev
mount -t proc proc /proc
mount -t sysfs sys /sys

fail()
{
	echo "vm-boot: $*" >/dev/console
	poweroff -f
}

while read -r module; do
	insmod "/vm/modules/$module" || fail "cannot load $module"
done </vm/modules/order

mount -t virtiofs -o ro host /host || fail 'cannot mount the host root'
mount -t tmpfs -o size=75% rw /rw
mkdir /rw/upper /rw/work
mount -t overlay -o lowerdir=/host,upperdir=/rw/upper,workdir=/rw/work root /new ||
	fail 'cannot mount the overlay'

# /tmp and /run are empty, but the project may well lie in one of them: what is to be
# seen there is bound back from the overlay, reached through a second mount of it.
mount --bind /new /root
mount -t tmpfs -o size=75%,mode=1777 tmp /new/tmp
mount -t tmpfs -o mode=755 run /new/run
while read -r dir; do
	case $dir in
	/tmp/* | /run/*)
		mkdir -p "/new$dir"
		mount --bind "/root$dir" "/new$dir" || fail "cannot bind $dir"
		;;
	esac
done </vm/visible
umount /root

release=$(uname -r)
mkdir -p "/new/lib/modules/$release"
mount --bind "/host$(cat /vm/kernel)/usr/lib/modules/$release" "/new/lib/modules/$release" ||
	fail 'cannot bind the modules'

mkdir -p /new/run/vm/bin /new/run/lock
cp /bin/busybox /new/run/vm/bin/
cp /vm/command /vm/cwd /vm/settings /vm/guest.sh /new/run/vm/
for dir in dev proc sys; do
	mount --move "/$dir" "/new/$dir"
done
exec switch_root /new /run/vm/bin/busybox sh /run/vm/guest.sh
