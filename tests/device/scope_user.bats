# SPDX-License-Identifier: MIT
# An ordinary user's server has a scope from his own manager, under a real systemd, which is process 1 of
# namespaces of its own, and with the real udev.
# kernels: newest
# long kernels: 6.12
# no sanitizers

load helpers
load servers
load systemd
load udevd

# One that systemd finds by name, on any machine.
USER_ID=$(id -u nobody)
RULES=/run/udev/rules.d/60-ublk.rules

setup()
{
	device_setup
	umask 022
	requires setpriv udevadm
	root=$(mktemp -d)
	at_end rm -rf "$root" "/run/user/$USER_ID"
	chmod 755 "$root"
	install -d -o "$USER_ID" "/run/user/$USER_ID"
	DESTDIR=$root cmake --install "$(dirname "$UBLK")" --prefix /usr/local >install.txt
	ln -s ../libexec/ublk/ublk-server "$root/usr/local/sbin/ublk-server"
	mkdir -p "${RULES%/*}"
	sed "s|/usr/local/|$root&|" "$root/usr/local/lib/udev/rules.d/60-ublk.rules" >"$RULES"
	at_end rm -f "$RULES"
	start_udevd
	at_end end_udevd
	wait_for 20 everybody_may_add
	at_end chmod 600 /dev/ublk-control
	boot
}

teardown()
{
	[[ $BATS_TEST_COMPLETED ]] || cat console
	device_teardown
}

everybody_may_add()
{
	timeout 5 udevadm trigger --action=add --settle /dev/ublk-control || true
	[[ $(stat -c %a /dev/ublk-control) == 666 ]]
}

# boot: until the user's manager is there, as logind starts it. It has one unit, a service that is over when
# it has added a device.
boot()
{
	copy_units {shutdown,umount,final,poweroff}.target systemd-poweroff.service
	printf '[Unit]\nDefaultDependencies=no\nWants=user@%s.service\n' "$USER_ID" >units/default.target
	cat >units/user@.service <<-END
		[Unit]
		DefaultDependencies=no
		[Service]
		User=%i
		Slice=user-%i.slice
		Type=notify
		Environment=XDG_RUNTIME_DIR=/run/user/%i HOME=/ SYSTEMD_UNIT_PATH=$root/units SYSTEMD_LOG_TARGET=console
		ExecStart=/usr/lib/systemd/systemd --user
		Delegate=yes
		KillMode=mixed
	END
	mkdir "$root/units"
	printf '[Unit]\nDefaultDependencies=no\n' >"$root/units/default.target"
	printf '[Unit]\nDefaultDependencies=no\n[Service]\nType=oneshot\nKillSignal=SIGKILL\nExecStart=%s\n' \
		"$root/usr/local/sbin/ublk add -t null" >"$root/units/once.service"
	boot_systemd
	wait_for 60 is_up "user@$USER_ID.service"
}

# as_user CMD...: in his session.
as_user()
{
	within setpriv --reuid "$USER_ID" --regid "$USER_ID" --clear-groups --inh-caps=-all \
		env "XDG_RUNTIME_DIR=/run/user/$USER_ID" "$@"
}

has_run()
{
	[[ $(as_user systemctl --user show -P ActiveState "$1") == inactive ]]
}

@test "a server of an ordinary user outlives the unit that has started it, in a scope of his own manager" {
	as_user systemctl --user start once
	wait_for 20 is_state 0 live
	wait_for 20 has_run once
	group=$(sed -n 's/^0:://p' "/proc/$(servers)/cgroup")
	printf 'group: %s\n' "$group"
	[[ $group == "/booted/user.slice/user-$USER_ID.slice/user@$USER_ID.service/app.slice/ublk-"*.scope ]]
	[ "$(as_user systemctl --user show -P ActiveState "${group##*/}")" = active ]
	as_user "$root/usr/local/sbin/ublk" del 0
	wait_for 60 has_run "${group##*/}"
}
