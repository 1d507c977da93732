#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# A machine of systemd's is rebooted with devices in use, each in another way. It happens once; what is
# told of it are the tests.

load helpers

# /dev/vda has images in a file system; the others are served whole.
setup_file()
{
	cd "$BATS_FILE_TMPDIR" || return
	new_scene
	device_of_fstab
	root_of_container
	device_by_hand
	device_of_initrd
	device_of_root
	wrong_name
	new_fs disk.img 512M images
	happen --disk disk.img --disk hand.img --disk held.img --disk root.img
	unpack disk.img after
}

setup()
{
	cd "$BATS_FILE_TMPDIR" || return
}

teardown()
{
	[[ $BATS_TEST_COMPLETED ]] || cat console
}

# As the manual says.
device_of_fstab()
{
	new_fs images/disk.img 64M
	printf 'type = loop\nfile = /var/lib/images/disk.img\nid = 7\n' >root/etc/ublk/disk.conf
	echo ublk@disk.service >>enabled
	mkdir root/etc/systemd/system.control/ublk@.service.d
	printf '[Unit]\nRequiresMountsFor=/var/lib/images\n' \
		>root/etc/systemd/system.control/ublk@.service.d/images.conf
	cat >>fstab <<-END
		/dev/vda /var/lib/images ext4 defaults 0 2
		/dev/ublkb7 /srv ext4 defaults,x-systemd.requires=ublk@disk.service 0 2
	END
	# It is the one that ends it all.
	writer writer '/srv 50' 'After=inside.service hand-writer.service held-writer.service rooted-writer.service'
}

# With a name that systemd would escape.
root_of_container()
{
	mkdir -p tree/{bin,dev,proc,run,sys,tmp,etc,usr,var}
	cp "$(command -v busybox)" tree/bin/
	touch tree/etc/{os-release,machine-id,resolv.conf}
	cat >tree/bin/write <<-'END'
		#!/bin/busybox sh
		i=0
		trap over=yes TERM
		while [ -z "$over" ]; do
			i=$((i + 1))
			echo $i >>/synced
			busybox sync -d /synced
			echo $i >>/written
			busybox usleep 20000
		done
		echo wrote $i to /inside >&2
	END
	chmod +x tree/bin/write
	new_fs images/root.img 64M tree
	printf 'type = loop\nfile = /var/lib/images/root.img\nid = 8\n' >root/etc/ublk/my-root.2.conf
	unit inside.service <<-END
		[Unit]
		Requires=ublk@my-root.2.service
		After=ublk@my-root.2.service
		[Service]
		RootImage=/dev/ublkb8
		ExecStart=/bin/write
	END
}

# In a scope, which systemd ends beside the mounts, not before them.
device_by_hand()
{
	new_fs hand.img 64M
	mkdir -p root/mnt/hand
	unit hand.service <<-'END'
		[Service]
		Type=oneshot
		RemainAfterExit=yes
		ExecStart=systemd-run --scope --quiet -p TimeoutStopSec=30 /usr/local/sbin/ublk add -n 9 -t loop -f /dev/vdb
		ExecStart=mount /dev/ublkb9 /mnt/hand
	END
	writer hand-writer /mnt/hand After=hand.service
}

# Its server is there before systemd.
device_of_initrd()
{
	new_fs held.img 64M
	cat >first <<-'END'
		touch /etc/initrd-release
		/usr/local/sbin/ublk add -n 10 -t loop -f /dev/vdc
		rm /etc/initrd-release
		mount /dev/ublkb10 /held
	END
	kept held /dev/ublkb10
}

# By the manual's unit.
device_of_root()
{
	new_fs root.img 64M
	printf 'type = loop\nfile = /dev/vdd\nid = 11\n' >root/etc/ublk/root.conf
	manual_unit | unit ublk-root.service
	kept rooted /dev/ublkb11 $'Requires=ublk-root.service\nAfter=ublk-root.service'
}

wrong_name()
{
	unit wrong.service <<-'END'
		[Service]
		Type=oneshot
		ExecStart=-systemctl start "ublk@my disk"
	END
}

@test "nothing is waited for in vain, killed, or taken away from its users" {
	in_order 'systemd-shutdown\[1\]: Rebooting'
	never 'timed out|stop job|SIGKILL to PID|I/O error'
	never 'Failed unmounting.*(srv|images|hand|held|rooted)'
}

@test "a file system of fstab is unmounted, then its service ends, then that is unmounted where its image lies" {
	in_order 'Started ublk@disk.service' 'Mounted srv.mount' 'wrote [0-9]+ to /srv$' 'EXT4-fs \(ublkb7\): unmounting' \
		'Unmounted srv.mount' 'Stopping ublk@disk.service' 'ublk.*: stopped and removed' \
		'EXT4-fs \(vda\): unmounting'
	is_clean disk.img
	lost_nothing after/disk.img /srv
}

@test "the root of a container on a device loses nothing, and a name needs no escaping" {
	in_order 'Started ublk@my-root.2.service' 'Started inside.service' 'wrote [0-9]+ to /inside$' \
		'Stopped inside.service' 'Stopped ublk@my-root.2.service'
	lost_nothing after/root.img /inside
}

@test "a name that is none of a unit is told with the file that there is none of" {
	in_order 'ublk: error: cannot read /etc/ublk/my.x20disk.conf: No such file'
}

@test "a device that was added and mounted by hand is unmounted while it is served" {
	in_order 'Started hand-writer.service' 'wrote [0-9]+ to /mnt/hand$' 'EXT4-fs \(ublkb9\): unmounting' \
		'ublkb9: stopped and removed' 'systemd-shutdown'
	lost_nothing hand.img /mnt/hand
}

@test "a server from an initial RAM file system outlives all others, and its file system is unmounted at the very end" {
	outlived_all ublkb10 held.img /held
}

@test "so does one by the unit of the manual" {
	outlived_all ublkb11 root.img /rooted
}
