# SPDX-License-Identifier: MIT
# The guest's process 1 once the root is there: mounts the rest, runs the command with its
# output on two virtio ports, reports, powers off, or leaves the machine to systemd. The shell's `wait`
# reaps orphans.
# Run by busybox sh, of which nothing on the host can deprive it.
# shellcheck shell=dash disable=SC2154

VM=/run/vm
# shellcheck source=/dev/null
. $VM/settings

$VM/bin/busybox --install -s $VM/bin
PATH=$VM/bin

mount_all()
{
	mkdir -p /dev/pts /dev/shm /dev/hugepages
	mount -t devpts -o gid=5,mode=620,ptmxmode=666 devpts /dev/pts
	mount -t tmpfs -o mode=1777 shm /dev/shm
	mount -t hugetlbfs hugepages /dev/hugepages
	mount -t cgroup2 cgroup2 /sys/fs/cgroup
	mount -t debugfs debugfs /sys/kernel/debug
	mount -t tracefs tracefs /sys/kernel/tracing
	ln -s /proc/self/fd /dev/fd
	ln -s fd/0 /dev/stdin
	ln -s fd/1 /dev/stdout
	ln -s fd/2 /dev/stderr
	modprobe configfs
	mount -t configfs configfs /sys/kernel/config
	# As systemd leaves it: a mount made in one namespace shows in the others.
	mount --make-rshared /
}

modprobe()
{
	/sbin/modprobe "$@"
}

# SETTING_hung is 0 where the guest's clock runs ahead of the work (exact mode).
tune()
{
	echo "$SETTING_hung" >/proc/sys/kernel/hung_task_timeout_secs
	echo -1 >/proc/sys/kernel/hung_task_warnings
	[ "$SETTING_hung" != 0 ] || echo 0 >/proc/sys/kernel/watchdog
	hostname vm
	ip link set lo up
}

# The port with a name, as udev would link it.
port()
{
	for dir in /sys/class/virtio-ports/*; do
		if [ "$(cat "$dir/name")" = "$1" ]; then
			echo "/dev/${dir##*/}"
			return
		fi
	done
}

# A port can be opened only once, while programs open /dev/stdout again: they get a pipe.
start_pumps()
{
	mkfifo $VM/out $VM/err
	cat $VM/out >"$(port out)" &
	pumps=$!
	cat $VM/err >"$(port err)" &
	pumps="$pumps $!"
}

run_command()
{
	env -i PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/root \
		USER=root SHELL=/bin/bash TERM=dumb LANG=C.UTF-8 UBLK_VM=1 \
		UBLK_CACHE="$SETTING_cache" UBLK_EVIDENCE=$VM/evidence /bin/bash -c '
			cd "$(</run/vm/cwd)" || exit
			mapfile -d "" -t command </run/vm/command
			exec "${command[@]}"' vm </dev/null >$VM/out 2>$VM/err
}

# Shortly before the host's deadline ends the machine: what hangs in it is told, and kept.
start_watchdog()
{
	at=$(sed -n 's/.* vm\.watchdog=\([0-9]*\).*/\1/p' /proc/cmdline)
	[ -n "$at" ] || return
	(
		left=$((at - $(date +%s)))
		[ $left -le 0 ] || sleep $left
		echo 'vm: the deadline is near; what runs:' >/dev/kmsg
		echo l >/proc/sysrq-trigger
		PATH=/usr/sbin:/usr/bin:/sbin:/bin UBLK_VM=1 UBLK_EVIDENCE=$VM/evidence \
			/bin/bash "$SETTING_top/tests/lib/evidence" machine \
			"the machine's deadline is near" >$VM/err 2>&1 </dev/null
		send_evidence
	) &
}

# What was kept goes to the host.
send_evidence()
{
	[ ! -d $VM/evidence ] || tar -C $VM/evidence -c . >"$(port evidence)"
}

# Sets others to every process but this one, the pumps and the kernel's threads.
find_others()
{
	others=
	for dir in /proc/[0-9]*; do
		pid=${dir#/proc/}
		case " 1 2 $pumps " in
		*" $pid "*) continue ;;
		esac
		read -r stat 2>/dev/null <"$dir/stat" || continue
		# After the name, which may hold anything: the state and the parent.
		# shellcheck disable=SC2086
		set -- ${stat##*) }
		[ "$1" = Z ] || [ "$2" = 2 ] || others="$others $pid"
	done
	[ -n "$others" ]
}

# Asks first: a server that is told to go takes its device away. The pumps end when nobody
# holds the pipes any more.
end_others()
{
	for signal in TERM KILL; do
		find_others || return
		# shellcheck disable=SC2086
		kill -$signal $others 2>/dev/null
		tries=60
		while find_others && [ $tries -gt 0 ]; do
			usleep 50000
			tries=$((tries - 1))
		done
	done
}

# What the command has mounted as /sysroot becomes the root, as at the end of an initial RAM file system.
take_root()
{
	modules=/lib/modules/$(uname -r)
	mkdir -p "/sysroot$modules"
	mount --bind "$modules" "/sysroot$modules"
	# What is shared cannot be moved.
	mount --make-rprivate /
	# By its path: without /proc the shell finds no command of its own.
	for dir in dev proc sys run; do
		$VM/bin/busybox mount --move "/$dir" "/sysroot/$dir"
	done
	cd /sysroot || return
	.$VM/bin/busybox mount --move . /
}

# The machine is systemd's from here on, as the command has left it. What it says is to come to the
# console whole.
become_systemd()
{
	# shellcheck disable=SC2086
	wait $pumps
	echo 7 >/proc/sys/kernel/printk
	echo on >/proc/sys/kernel/printk_devkmsg
	cd /
	! grep -q ' /sysroot ' /proc/mounts || take_root
	exec .$VM/bin/busybox chroot . /usr/bin/env -i TERM=dumb SYSTEMD_LOG_TARGET=kmsg \
		PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin /lib/systemd/systemd
}

mount_all 2>/dev/null
tune 2>/dev/null
modprobe -a ublk_drv virtio_blk || echo "vm-boot: cannot load ublk_drv" >/dev/console
start_pumps
# For what servers have to say where no file is asked for.
$SETTING_systemd || syslogd -O $VM/syslog
$SETTING_systemd || start_watchdog
run_command
status=$?
[ $status != 0 ] || ! $SETTING_systemd || become_systemd
end_others
# shellcheck disable=SC2086
wait $pumps
send_evidence
dmesg -r >"$(port log)"
read -r uptime _ </proc/uptime
printf 'exit %s\nuptime %s\n' "$status" "${uptime%.*}" >"$(port status)"
poweroff -f
