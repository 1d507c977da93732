# SPDX-License-Identifier: MIT
# ublk@NAME.service under a real systemd, which is process 1 of namespaces of its own. (Where the
# driver does not tell who has a device open, before Linux 7.0, a server in such a namespace ends by the
# second SIGTERM only: a stop takes its 30 s there.)
# kernels: newest
# long kernels: 6.12
# no sanitizers

load helpers
load servers
load udevd
load systemd

setup()
{
	device_setup
	umask 022
	start_udevd
	at_end end_udevd
	make_image a.img 64M
	mkdir -p m units /etc/ublk
	printf 'type = loop\nfile = %s/a.img\nid = 7\n' "$PWD" >/etc/ublk/disk.conf
	make_units
	boot
}

teardown()
{
	[[ $BATS_TEST_COMPLETED ]] || cat console
	device_teardown
}

# make_units: ours as they are installed, those of systemd that an orderly end takes, and a mount as
# x-systemd.requires in fstab makes it.
make_units()
{
	local installed where
	DESTDIR=$PWD/root cmake --install "$(dirname "$UBLK")" >/dev/null || return
	installed=$(dirname "$(find root -type f -name ublk.target)")
	cp "$installed"/ublk* units
	sed -i -E "s|^(ExecStart=)[^ ]*/ublk |\1$UBLK |" units/ublk@.service
	copy_units {shutdown,umount,final,poweroff}.target systemd-poweroff.service modprobe@.service
	printf '[Unit]\nDefaultDependencies=no\nWants=ublk.target\n' >units/default.target
	mkdir units/ublk.target.wants
	ln -s ../ublk@.service units/ublk.target.wants/ublk@disk.service
	where=$(systemd-escape --path --suffix mount "$PWD/m")
	cat >"units/$where" <<-END
		[Unit]
		DefaultDependencies=no
		Requires=ublk@disk.service
		After=ublk@disk.service
		Conflicts=umount.target
		Before=umount.target
		[Mount]
		What=/dev/ublkb7
		Where=$PWD/m
		Type=ext4
	END
}

# boot: until the device is there.
boot()
{
	boot_systemd
	at_end rm -f /etc/ublk/disk.conf
	wait_for 60 is_state 7 live
	wait_for 20 is_up ublk@disk.service
}

has_new_server()
{
	local now
	now=$(servers) && [[ -n $now && $now != "$1" ]] && [[ $(state_of 7) == live ]]
}

@test "a server that is killed is started again by systemd, and takes its own device over" {
	was=$(servers)
	write_block /dev/ublkb7
	kill -KILL "$was"
	wait_for 30 has_new_server "$was"
	cmp -n 4096 a.img /dev/ublkb7
	wait_for 20 within systemctl -q is-active ublk@disk.service
	[ "$(within systemctl show -P NRestarts ublk@disk.service)" -eq 1 ]
	within systemctl stop ublk@disk.service
	nothing_left
}

@test "a wrong configuration file is a failure at once, and not tried again" {
	within systemctl stop ublk@disk.service
	echo 'quees = 1' >>/etc/ublk/disk.conf
	run ! within systemctl start ublk@disk.service
	[ "$(within systemctl show -P NRestarts ublk@disk.service)" -eq 0 ]
	[ "$(within systemctl show -P ExecMainStatus ublk@disk.service)" -eq 2 ]
	nothing_left
}

@test "at shutdown the file system is unmounted, then the device goes, and nothing is lost" {
	mkfs.ext4 -qF /dev/ublkb7
	within systemctl start "$PWD/m"
	within dd if=/dev/urandom of="$PWD/m/file" bs=1M count=8 status=none
	sum=$(within md5sum <"/proc/$init/root$PWD/m/file")
	# It hears of no end: the bus ends with systemd.
	within systemctl poweroff 2>/dev/null
	wait_for 60 is_gone "$booted"
	nothing_left
	# Not the journal of a file system that was taken away.
	e2fsck -fn a.img
	[ "$(dumpe2fs -h a.img 2>/dev/null | grep -c needs_recovery)" -eq 0 ]
	[ "$(debugfs -R 'cat /file' a.img 2>/dev/null | md5sum)" = "$sum" ]
}

# bats test_tags=long
@test "a user who never lets go does not hold a shutdown up: the device is taken away" {
	exec 7</dev/ublkb7
	within systemctl poweroff
	wait_for 100 is_gone "$booted"
	exec 7<&-
	wait_for 10 nothing_left
}
