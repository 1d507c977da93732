# SPDX-License-Identifier: MIT
# What a Debian machine needs to build and test: packages, build folders, and whether its own
# kernel serves. Sourced after common.sh, never run.
# shellcheck shell=bash

declare -gA PACKAGES=(
	[build]='gcc cmake make pkg-config libc6-dev liburing-dev libjson-c-dev libncurses-dev libcmocka-dev librados-dev librbd-dev libgoogle-perftools-dev libgnutls28-dev scdoc'
	[test]='bats fio jq gojq man-db mandoc tmux ncurses-base zsh fish bash-completion e2fsprogs xfsprogs fdisk dmsetup strace util-linux procps kmod perl-base python3 python3-jsonschema udev systemd dosfstools lvm2 sshfs openssh-sftp-server nbdkit nbd-client nbd-server qemu-utils gnutls-bin iproute2'
	[vm]='qemu-system-x86 busybox-static cpio kmod xz-utils zstd util-linux'
	[package]='lintian dpkg-dev file'
	[chroot]='mmdebstrap'
	[lint]='clang clang-format cppcheck shellcheck'
	[chart]='gnuplot-nox'
)

# as_root CMD...: as root, or through sudo where that asks nothing.
as_root()
{
	if ((EUID == 0)); then
		"$@"
	else
		sudo -n "$@"
	fi
}

can_be_root()
{
	((EUID == 0)) || sudo -n true 2>/dev/null
}

# missing_packages GROUP...: the names of those that are not installed.
missing_packages()
{
	local group wanted=() installed
	for group; do
		# A list, to be split.
		# shellcheck disable=SC2206
		wanted+=(${PACKAGES[$group]})
		[[ $group != vm ]] || virtiofsd_path >/dev/null || wanted+=(virtiofsd)
	done
	installed=$(dpkg-query -W -f '${Package} ${db:Status-Status}\n' "${wanted[@]}" 2>/dev/null |
		sed -n 's/ installed$//p') || true
	printf '%s\n' "${wanted[@]}" | sort -u | grep -vxF -e "$installed" || true
}

# virtiofsd is a package of its own from Debian 13 on; before, it came with QEMU.
virtiofsd_path()
{
	local path
	for path in /usr/libexec/virtiofsd /usr/lib/qemu/virtiofsd; do
		[[ ! -x $path ]] || { printf '%s\n' "$path" && return; }
	done
	return 1
}

# apt_get ARGS...: quiet unless it fails, and patient with another one that runs.
apt_get()
{
	local out
	out=$(as_root env DEBIAN_FRONTEND=noninteractive apt-get -qq -y \
		-o DPkg::Lock::Timeout=600 "$@" 2>&1 </dev/null) && return
	printf '%s\n' "$out" | tail -n 20 >&2
	return 1
}

# debian_mirror: the one that the machine's own apt uses.
debian_mirror()
{
	local uri
	uri=$(apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' 'Label: Debian' |
		sort -u | head -n 1)
	[[ -n $uri ]] || die 125 'the apt configuration names no Debian mirror'
	printf '%s\n' "$uri"
}

# need_packages GROUP...: installs what is missing; ends the script where that is impossible.
need_packages()
{
	local missing
	mapfile -t missing < <(missing_packages "$@")
	((${#missing[@]})) || return 0
	can_be_root || die 125 "not root; install first: apt-get install ${missing[*]}"
	note "installing ${missing[*]}"
	apt_get update || die 125 "cannot read the package lists, to install: ${missing[*]}"
	apt-cache pkgnames virtiofsd | grep -qx virtiofsd ||
		mapfile -t missing < <(printf '%s\n' "${missing[@]}" | grep -vx virtiofsd)
	apt_get install --no-install-recommends "${missing[@]}" ||
		die 125 "cannot install: ${missing[*]}"
}

# need_promtool: Prometheus's checker, without the server that its package starts. Sets `promtool`.
need_promtool()
{
	local dir
	promtool=$(command -v promtool || printf '%s\n' "$CACHE/promtool")
	[[ ! -x $promtool ]] || return 0
	note 'fetching promtool (once)'
	! can_be_root || apt_get update || die 125 'cannot read the package lists, to fetch promtool'
	dir=$(mktemp -d)
	mkdir -p "$CACHE"
	if (cd "$dir" && apt-get -qq download prometheus 2>apt.log &&
		dpkg-deb --fsys-tarfile prometheus_*.deb | tar -x ./usr/bin/promtool) &&
		cp "$dir/usr/bin/promtool" "$promtool.$$" && mv "$promtool.$$" "$promtool"; then
		rm -r "$dir"
		return
	fi
	cat "$dir/apt.log" >&2
	rm -r "$dir"
	die 125 'cannot fetch promtool, of the package prometheus'
}

# need_ceph: a monitor, an OSD and the tools of a Ceph, unpacked into $CACHE/ceph (bin, lib, classes) and not
# installed: their packages would start and enable services on this machine. Of the release whose
# library is installed, which is what they talk to.
need_ceph()
{
	local dir release lock
	release=$(dpkg-query -W -f '${Version}' librados2)
	mkdir -p "$CACHE"
	exec {lock}>"$CACHE/ceph.lock"
	flock "$lock"
	if [[ $(cat "$CACHE/ceph/release" 2>/dev/null) != "$release" ]]; then
		note 'fetching Ceph (once)'
		! can_be_root || apt_get update || die 125 'cannot read the package lists, to fetch Ceph'
		dir=$(mktemp -d "$CACHE/ceph.XXXXXX")
		if ! unpack_ceph "$dir" "$release" 2>"$dir/log"; then
			cat "$dir/log" >&2
			rm -r "$dir"
			die 125 'cannot fetch Ceph, of the packages ceph-mon, ceph-osd, ceph-common and rbd-nbd'
		fi
		rm -rf "$CACHE/ceph"
		chmod 755 "$dir"
		mv "$dir" "$CACHE/ceph"
	fi
	exec {lock}>&-
}

# unpack_ceph DIR RELEASE: the packages, and the libraries that they would have brought.
unpack_ceph()
(
	cd "$1" || return
	mapfile -t wanted < <(printf "%s=$2\n" ceph-{base,mon,osd,common} rbd-nbd librados2 librbd1)
	plan=$(apt-get install -s --no-install-recommends "${wanted[@]}") || return
	mapfile -t libraries < <(sed -n 's/^Inst \(lib[^ ]*\).*/\1/p' <<<"$plan" | grep -vE '^lib(rados2|rbd1)$')
	mkdir root bin lib classes && apt-get -qq download "${wanted[@]}" "${libraries[@]}" >&2 || return
	for package in ./*.deb; do
		dpkg-deb -x "$package" root || return
	done
	mv -t bin root/usr/bin/{ceph-{mon,osd,authtool},monmaptool,rbd,rados,rbd-nbd} &&
		find root -regextype egrep -regex '.*/libcls_(journal|lock|rbd)\.so.*' -exec mv -t classes {} + &&
		find root ! -type d -name 'lib*.so*' -exec mv -t lib {} + &&
		rm -r root log ./*.deb && printf '%s\n' "$2" >release
)

# build_in DIR [CMAKE OPTION...]: configures and builds there. Quiet but for warnings; one at a
# time, since several test runs may share a folder.
build_in()
{
	local dir=$1 log=$1/build.log
	shift
	mkdir -p "$dir"
	if ! (
		flock 9
		cmake -S "$TOP" -B "$dir" "$@" && cmake --build "$dir" -j "$(nproc)"
	) 9>"$dir/.lock" >"$log" 2>&1 </dev/null; then
		grep -E 'error|warning' -A 5 "$log" >&2 || tail -n 30 "$log" >&2
		die 125 "cannot build in $dir (all of it is in $log)"
	fi
	grep -E 'warning' -A 5 "$log" >&2 || true
}

# have_ublk: does this machine's own kernel serve? Root, Linux 6.12, the driver, and io_uring not
# forbidden (by the system call itself: seccomp forbids it too, and shows nowhere).
have_ublk()
{
	local version
	version=$(uname -r)
	[[ $(printf '%s\n' 6.12 "${version%%-*}" | sort -V | head -n 1) == 6.12 ]] || return
	can_be_root || return
	[[ -e /dev/ublk-control ]] || as_root modprobe ublk_drv 2>/dev/null || return
	as_root sh -c ': <>/dev/ublk-control' 2>/dev/null || return
	as_root perl -e 'exit(syscall(425, 1, my $params = "\0" x 120) < 0)'
}
