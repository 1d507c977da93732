#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# A Debian 13 whose root file system is on a device: its server was started before systemd, as an initial
# RAM file system would, and the machine reboots. It happens once; what is told of it are the tests.
# long

load helpers

# /dev/vda is what the root's device serves.
setup_file()
{
	local debian
	cd "$BATS_FILE_TMPDIR" || return
	new_scene
	debian=$("$TOP/tests/package/chroot" trixie systemd udev kmod e2fsprogs liburing2 libjson-c5)
	new_fs sysroot.img 1G "$debian"
	cat >first <<-'END'
		touch /etc/initrd-release
		/usr/local/sbin/ublk add -n 0 -t loop -f /dev/vda
		rm /etc/initrd-release
		mkdir /sysroot
		mount /dev/ublkb0 /sysroot
	END
	mkdir -p root/var/own
	writer own /var/own
	unmarked_survivor
	device_on_the_root
	happen --disk sysroot.img --disk kept.img
}

setup()
{
	cd "$BATS_FILE_TMPDIR" || return
}

teardown()
{
	[[ $BATS_TEST_COMPLETED ]] || cat console
}

# The manual's unit, without the name in the command line that is something special.
unmarked_survivor()
{
	new_fs kept.img 64M
	printf 'type = loop\nfile = /dev/vdb\nid = 1\n' >root/etc/ublk/root.conf
	manual_unit | sed 's/=@\([^ ]*\) @ublk /=\1 /' | unit ublk-root.service
	kept kept /dev/ublkb1 $'Requires=ublk-root.service\nAfter=ublk-root.service'
}

device_on_the_root()
{
	new_fs root/var/disk.img 64M
	printf 'type = loop\nfile = /var/disk.img\nid = 7\n' >root/etc/ublk/disk.conf
	echo '/dev/ublkb7 /srv ext4 defaults,x-systemd.requires=ublk@disk.service 0 2' >>fstab
	writer writer '/srv 50' 'After=own.service kept-writer.service'
}

@test "nothing is waited for in vain, killed, or taken away from its users" {
	in_order 'systemd-shutdown\[1\]: Rebooting'
	never 'timed out|stop job|SIGKILL to PID|I/O error'
	never 'Failed unmounting.*(srv|kept)'
}

@test "a root on a device is made read-only after all processes have been ended, while it is served" {
	in_order 'wrote [0-9]+ to /var/own$' 'Sending SIGTERM to remaining' 'Sending SIGKILL to remaining' \
		'EXT4-fs \(ublkb0\): re-mounted .* ro' 'Rebooting'
	lost_nothing sysroot.img /var/own /var/own
}

@test "a device whose file is on that root loses nothing" {
	in_order 'Started ublk@disk.service' 'wrote [0-9]+ to /srv$' 'EXT4-fs \(ublkb7\): unmounting' \
		'Stopping ublk@disk.service' 'EXT4-fs \(ublkb0\): re-mounted .* ro'
	debugfs -R 'dump /var/disk.img disk.img' sysroot.img
	lost_nothing disk.img /srv
}

@test "SurviveFinalKillSignal= alone has a server outlive all others too" {
	outlived_all ublkb1 kept.img /kept
}
