# SPDX-License-Identifier: MIT
# What the tests share in which systemd boots a machine, and takes it down. They run on the host: they
# make a scene, let it happen in a virtual machine, and look at its console and disks afterwards.
# shellcheck shell=bash

bats_require_minimum_version 1.5.0

# shellcheck source=tests/lib/common.sh
. "${BASH_SOURCE[0]%/*}/../lib/common.sh"

UBLK=${UBLK:-$TOP/build/ublk}

# new_scene: an empty one in this folder; see `machine`.
new_scene()
{
	mkdir -p root/etc/ublk root/etc/systemd/system.control root/usr/local/bin units images || return
	touch fstab enabled
	DESTDIR=$PWD/root cmake --install "$(dirname "$UBLK")" >install.txt || return
	cp "$BATS_TEST_DIRNAME/write" root/usr/local/bin/
}

# new_fs FILE SIZE [FOLDER]: a file system, with what is in the folder.
new_fs()
{
	truncate -s "$2" "$1" && mkfs.ext4 -qF ${3:+-d "$3"} "$1"
}

# unit NAME <TEXT: one of the scene.
unit()
{
	cat >"units/$1"
}

# happen [OPTION...]: the scene, until the machine has gone down.
happen()
{
	"$TOP/tests/vm/run" --mem 2G --timeout 900 --systemd --keep-log console "$@" -- \
		"$BATS_TEST_DIRNAME/machine" "$PWD" || { cat console; return 1; }
}

# is_clean IMAGE: it was unmounted, and nothing is wrong.
is_clean()
{
	e2fsck -fn "$1" || return
	[[ $(dumpe2fs -h "$1" 2>/dev/null | grep -c needs_recovery) -eq 0 ]] ||
		{ echo "$1 was not unmounted"; return 1; }
}

# unpack IMAGE FOLDER: its files.
unpack()
{
	mkdir -p "$2" && debugfs -R "rdump / $2" "$1" 2>/dev/null
}

# lost_nothing IMAGE FOLDER [WHERE]: it is clean, and has all that `write` wrote to that folder of the
# machine, which is its root or WHERE in it.
lost_nothing()
{
	local n file
	n=$(sed -nE "s|.*: wrote ([0-9]+) to $2\$|\1|p" console)
	[[ $n -gt 0 ]] || { echo "nothing was written to $2"; return 1; }
	is_clean "$1" || return
	for file in synced written; do
		debugfs -R "cat ${3-}/$file" "$1" 2>/dev/null | cmp - <(seq "$n") || return
	done
}

# in_order PATTERN...: the console has a line that matches the first, after it one that matches the
# second, and so on.
in_order()
{
	awk -v count=$# 'BEGIN { for (i = 1; i <= count; i++) { pattern[i] = ARGV[i]; ARGV[i] = "" } at = 1 }
		at <= count && $0 ~ pattern[at] { at++ }
		END { if (at <= count) { print "the console has no, or too early: " pattern[at]; exit 1 } }' "$@" <console
}

# never PATTERN: the console has nothing that matches.
never()
{
	! grep -E -- "$1" console
}

# writer NAME FOLDER [DIRECTIVE]: a service that writes there; with a count in FOLDER, the one that has
# the machine go down.
writer()
{
	unit "$1.service" <<-END
		[Unit]
		RequiresMountsFor=${2%% *}
		${3-}
		[Service]
		ExecStart=/usr/local/bin/write $2
	END
}

# kept NAME DEV [DIRECTIVE]: a file system /NAME that nobody but systemd-shutdown unmounts, as the root's,
# and who writes there.
kept()
{
	mkdir "root/$1"
	unit "$1.mount" <<-END
		[Unit]
		DefaultDependencies=no
		${3-}
		[Mount]
		What=$2
		Where=/$1
	END
	writer "$1-writer" "/$1"
}

# manual_unit: that of ublk(8) for a root file system.
manual_unit()
{
	awk '/^```/ { on = 0 } /^\[Unit\]$/ { on = 1 } on' "$TOP/doc/man/ublk.8.scd" |
		sed -E 's|^(ExecStart=@?)/usr/sbin/|\1/usr/local/sbin/|'
}

# outlived_all DEV IMAGE FOLDER: what is on the device was unmounted after all processes had been ended.
outlived_all()
{
	in_order "wrote [0-9]+ to $3\$" 'Sending SIGTERM to remaining' 'Sending SIGKILL to remaining' \
		"EXT4-fs \\($1\\): unmounting" 'All filesystems.* (detached|unmounted)'
	lost_nothing "$2" "$3"
}
