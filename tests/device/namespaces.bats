# SPDX-License-Identifier: MIT
# Containers, as far as unshare(1) makes them: a server keeps nothing of the mounts that are around
# it, and finds its limits behind them.
# kernels: newest
# long kernels: 6.12

load helpers
load servers

# container CMD: a mount namespace of its own, which what is mounted outside comes to, and with peers
# inside, as systemd in a container makes it.
container()
{
	unshare --mount --propagation slave bash -c "mount --make-rshared / && $1"
}

# mounted_device: in a container, and the container ends.
mounted_device()
{
	make_image a.img 64M
	mkfs.ext4 -qF a.img
	mkdir m
	container "'$UBLK' add -t loop -f a.img && mount /dev/ublkb0 m && echo hello >m/f && sync"
}

# mounts_of PID: where it has any. With the sanitizers its errands need a dynamic loader besides.
mounts_of()
{
	local loader=-
	[[ $UBLK != *build-sanitize* ]] || loader='/usr/lib(64)?'
	cut -d' ' -f5 "/proc/$1/mountinfo" | grep -vxE -- "$loader" | sort | xargs
}

@test "where a server lives there is nothing but the kernel's own, its records' and its log's directory" {
	dev=$(ublk add -t null --log-file log.txt)
	server=$(server_of "$dev")
	[ "$(mounts_of "$server")" = "/ /dev /log /proc /run/ublk /sys" ]
	# Of no peer group, and nobody's slave.
	run -1 grep -E ' (shared|master):' "/proc/$server/mountinfo"
	[ "$(readlink "/proc/$server/root")" = / ]
	ublk del "$dev"
}

@test "a container that ends with the device mounted leaves a device that can be deleted" {
	mounted_device
	run -0 ublk del 0
	e2fsck -fp a.img
}

@test "a server that is killed after that leaves a device that can be recovered" {
	mounted_device
	park 0
	run -0 ublk recover 0
	ublk del 0
	e2fsck -fp a.img
}

@test "mounts made private and unmounted leave a device that can be deleted" {
	make_image a.img 64M
	dev=$(ublk add -t loop -f a.img)
	mkfs.ext4 -qF "$dev"
	mkdir m
	mount "$dev" m
	mount --make-rprivate m
	umount m
	run -0 ublk del 0
}

@test "a server whose caller has only private mounts keeps none of them" {
	disk=$(make_ram_disk 32)
	mkfs.ext4 -qF "$disk"
	mkdir -p m
	unshare --mount --propagation private bash -c "
		mount '$disk' m && mkdir m/sub && mount -t tmpfs none m/sub &&
		'$UBLK' add -t null && umount m/sub m"
	# As if nobody had ever mounted it.
	mkfs.ext4 -qF "$disk"
	ublk del 0
}

@test "a log on a private mount is opened again" {
	mkdir m
	unshare --mount --propagation private bash -c "
		mount -t tmpfs none m && '$UBLK' add -t null --log-file m/log && mv m/log m/old &&
		touch added && exec sleep 1000" &
	box=$!
	wait_for 20 test -e added
	kill -HUP "$(server_of 0)"
	wait_for 10 grep -qs 'opened again' "/proc/$box/root$PWD/m/log"
	end_job "$box"
	ublk del 0
}

# bind FROM TO: with what is mounted below; what becomes of that stays there.
bind()
{
	mkdir -p "$2" && mount --rbind "$1" "$2" && mount --make-rslave "$2" && at_end umount -l "$PWD/$2"
}

@test "in a chroot: it works with /proc, and without says what is missing" {
	mkdir -p root/{proc,run,tmp}
	for dir in usr lib lib64 bin sbin etc sys dev; do
		[[ ! -e /$dir ]] || bind "/$dir" "root/$dir"
	done
	bind "$(dirname "$UBLK")" root/build
	make_image root/tmp/a.img 16M
	run chroot root /build/ublk add -t loop -f /tmp/a.img
	[ "$status" -eq 1 ]
	[[ $output == *"/proc is not mounted"*"hint: mount -t proc proc /proc"* ]]
	mount -t proc proc root/proc
	at_end umount -l "$PWD/root/proc"
	run -0 chroot root /build/ublk add -t loop -f /tmp/a.img
	[ "$output" = /dev/ublkb0 ]
	[ "$(mounts_of "$(servers)")" = "/ /dev /proc /run/ublk /sys" ]
	run -0 chroot root /build/ublk del 0
}

# in_group GROUP CMD...: in a control group of 32 MiB.
in_group()
{
	local group=/sys/fs/cgroup/$1
	[[ -e /sys/fs/cgroup/cgroup.controllers ]] || mount -t cgroup2 cgroup2 /sys/fs/cgroup
	echo +memory >/sys/fs/cgroup/cgroup.subtree_control
	mkdir -p "$group"
	at_end rmdir "$group"
	echo 32M >"$group/memory.max"
	bash -c "echo \$\$ >$group/cgroup.procs && exec \"\$@\"" - "${@:2}"
}

@test "memory.max is seen in a control group's namespace" {
	run in_group a unshare --cgroup --mount bash -c "
		umount -l /sys/fs/cgroup; mount -t cgroup2 none /sys/fs/cgroup
		mkdir /sys/fs/cgroup/b; echo \$\$ >/sys/fs/cgroup/b/cgroup.procs
		'$UBLK' add -t mem --size 256M; rc=\$?
		echo \$\$ >/sys/fs/cgroup/cgroup.procs; rmdir /sys/fs/cgroup/b; exit \$rc"
	[ "$status" -eq 1 ]
	[[ $output == *"memory of the control group"*"33554432 are allowed"* ]]
}

@test "memory.max is seen behind private mounts" {
	run in_group a unshare --mount --propagation private "$UBLK" add --stay -t mem --size 256M
	[ "$status" -eq 1 ]
	[[ $output == *"memory of the control group"*"33554432 are allowed"* ]]
}

# A container's processes with numbers of their own. From there it can't be seen who else has the device
# open, which before Linux 7.0 only --force passes over.
@test "in a process namespace: a device, or the reason why there is none" {
	run unshare --pid --fork --mount-proc bash -c "'$UBLK' add -t null; rc=\$?; '$UBLK' del --force --if-exists 0; exit \$rc"
	printf '%s\n' "$status: $output"
	if kernel_at_least 6.18 || ! kernel_at_least 6.16; then
		[ "$status" -eq 0 ]
	else
		[ "$status" -eq 6 ]
		[[ $output == *"process namespace"*hint:* ]]
	fi
}
