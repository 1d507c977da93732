#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# The units, as they are installed.

load helpers

setup()
{
	cd "$BATS_TEST_TMPDIR" || return
	DESTDIR=$PWD/root cmake --install "$BUILD" >install.txt
	units=$(dirname "$(find root -type f -name ublk.target)")
}

@test "systemd finds nothing wrong with the units" {
	mkdir units
	cp "$units"/ublk* units
	# Where the program will be is not where it is.
	sed -i -E "s|^(ExecStart=)[^ ]*/ublk |\1$UBLK |" units/ublk@.service
	cp units/ublk@.service units/ublk@disk.service
	run systemd-analyze verify "$PWD/units/ublk@disk.service" "$PWD/units/ublk.target"
	[ "$status" -eq 0 ]
	# What it says of other units of this machine is not ours.
	[ "$(grep ublk <<<"$output")" = '' ] || { printf '%s\n' "$output"; return 1; }
}

@test "a wrong unit would be found" {
	mkdir units
	sed -E "s|^(ExecStart=)[^ ]*/ublk |\1$UBLK |; s/^KillMode=.*/KillMod=x/" "$units/ublk@.service" \
		>units/ublk@disk.service
	run systemd-analyze verify "$PWD/units/ublk@disk.service"
	[[ $output == *ublk@disk.service*KillMod* ]]
}

@test "the service runs the installed program on the file of its name" {
	grep -qE "^ExecStart=/[^ ]*/sbin/ublk add --foreground --adopt --config /etc/ublk/%i\.conf$" \
		"$units/ublk@.service"
	program=$(sed -nE 's/^ExecStart=([^ ]+) .*/\1/p' "$units/ublk@.service")
	[ -x "root$program" ]
	[ -d root/etc/ublk ]
	# It has no second try at what that does not mend.
	printf 'quees = 1\n' >a.conf
	ub add --foreground --adopt --config a.conf
	grep -qE "^RestartPreventExitStatus=(.* )?$status( |$)" "$units/ublk@.service"
}

# enabled_as NAME: what systemctl makes of it.
enabled_as()
{
	systemctl --root="$PWD/root" enable "ublk@$1.service" >/dev/null 2>&1 || return
	find root/etc/systemd/system/ublk.target.wants -name 'ublk@*' -printf '%f\n' -delete
}

@test "the service of a file is named as the file if that has what the manual says, and else is another file's" {
	units=root/usr/lib/systemd/system
	mkdir -p "$units"
	find root -type f -path '*/systemd/system/*' -exec cp -n -t "$units" {} +
	for name in disk my-disk my-root.2 a_b a:b X9; do
		[ "$(enabled_as "$name")" = "ublk@$name.service" ]
	done
	[ "$(enabled_as 'größe')" = 'ublk@gr\xc3\xb6\xc3\x9fe.service' ]
	[ "$(enabled_as 'my disk')" = 'ublk@my\x20disk.service' ]
	[ "$(enabled_as a+b)" = 'ublk@a\x2bb.service' ]
}

@test "the preset enables the target, and no device by itself" {
	preset=$(find root -name 90-ublk.preset)
	[ "$(grep -v '^#' "$preset")" = $'enable ublk.target\ndisable ublk@.service' ]
}

@test "the manual's unit for a root file system is one, and sets the name by which its server survives" {
	awk '/^```/ { on = 0 } /^\[Unit\]$/ { on = 1 } on' "$TOP/doc/man/ublk.8.scd" >manual.service
	grep -q '^ExecStart=@/[^ ]*/ublk @ublk add --foreground ' manual.service
	# Newer than what may be here.
	sed -i -e '/^SurviveFinalKillSignal=/d' -e "s|@/usr/sbin/ublk|@$UBLK|" manual.service
	run systemd-analyze verify "$PWD/manual.service"
	[ "$status" -eq 0 ]
	[ "$(grep manual <<<"$output")" = '' ] || { printf '%s\n' "$output"; return 1; }
}

@test "what a server has to say goes to the journal" {
	grep -qx StandardError=journal "$units/ublk@.service"
}
