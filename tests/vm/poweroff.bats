#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# A machine goes down with a mounted device: what lies on the disk below it is whole afterwards.
# shellcheck disable=SC2154 # stderr and stderr_lines come from run

bats_require_minimum_version 1.5.0

TOP=$(cd "$BATS_TEST_DIRNAME/../.." && pwd)
UBLK=${UBLK:-$TOP/build/ublk}

setup()
{
	cd "$BATS_TEST_TMPDIR" || return
	truncate -s 64M disk.img
	# What a machine does when it goes down, as systemd and sysvinit do: asks every process to
	# end, waits, kills the rest, unmounts, powers off. Only the shell itself is left out.
	cat >go_down <<-'END'
		wait_for()
		{
			local end=$((SECONDS + $1))
			shift
			until "$@"; do ((SECONDS < end)) || return 1; sleep 0.1; done
		}
		no_server()
		{
			! pgrep -x ublk-server >/dev/null
		}
		others()
		{
			ps -e -o pid=,ppid=,comm= | awk -v me="$$" '$2 != 2 && $1 > 2 && $1 != me && $3 != "cat" && $3 != "sh" && $3 != "sleep" { print $1 }'
		}
		go_down()
		{
			kill -TERM $(others) 2>/dev/null
			# It was asked to end, and goes on serving what is mounted.
			wait_for 10 grep -q 'in use' log || exit 8
			umount m
			wait_for 10 no_server || exit 9
			sync
			echo o >/proc/sysrq-trigger
			sleep 60
		}
	END
	cat >./write <<-'END'
		set -e
		. ./go_down
		mkdir m
		dev=$("$1" add -t loop -f /dev/vda --log-file log)
		mkfs.ext4 -q "$dev"
		mount "$dev" m
		dd if=/dev/urandom of=m/data bs=1M count=8 status=none
		sha256sum <m/data >m/sum
		go_down
	END
	cat >verify <<-'END'
		set -e
		mkdir m
		# A clean file system needs no repair, and its journal is empty.
		e2fsck -fn /dev/vda
		dumpe2fs -h /dev/vda 2>/dev/null | grep '^Filesystem state: *clean$'
		if dumpe2fs -h /dev/vda 2>/dev/null | grep needs_recovery; then exit 1; fi
		mount -o ro /dev/vda m
		sha256sum <m/data | cmp - m/sum
	END
}

@test "a mounted device is served while the machine goes down, and its file system is clean afterwards" {
	for kernel in 6.12 newest; do
		rm disk.img
		truncate -s 64M disk.img
		run "$BATS_TEST_DIRNAME/run" --kernel "$kernel" --timeout 300 --disk disk.img --expect-poweroff -- \
			bash write "$UBLK"
		[[ $status -eq 0 ]] || { echo "$kernel: $output"; return 1; }
		run "$BATS_TEST_DIRNAME/run" --kernel "$kernel" --timeout 300 --disk disk.img -- bash verify
		[[ $status -eq 0 ]] || { echo "$kernel: $output"; return 1; }
	done
}

@test "a power cut loses nothing that was synced" {
	cat >./cut <<-'END'
		set -e
		mkdir m
		dev=$("$1" add -t loop -f /dev/vda)
		mkfs.ext4 -q "$dev"
		mount "$dev" m
		dd if=/dev/urandom of=m/data bs=1M count=8 status=none
		sha256sum <m/data >m/sum
		sync -f m
		echo o >/proc/sysrq-trigger
		sleep 60
	END
	run "$BATS_TEST_DIRNAME/run" --timeout 300 --disk disk.img --expect-poweroff -- bash cut "$UBLK"
	[[ $status -eq 0 ]] || { echo "$output"; return 1; }
	run "$BATS_TEST_DIRNAME/run" --timeout 300 --disk disk.img -- bash -c '
		mkdir m && mount /dev/vda m && sha256sum <m/data | cmp - m/sum'
	[[ $status -eq 0 ]] || { echo "$output"; return 1; }
}
