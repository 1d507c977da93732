# SPDX-License-Identifier: GPL-2.0-or-later
# What a Debian machine needs to build and test: packages, build folders, and whether its own
# kernel serves. Sourced after common.sh, never run.
# shellcheck shell=bash

declare -gA PACKAGES=(
	[build]='gcc cmake make pkg-config libc6-dev liburing-dev libjson-c-dev libcmocka-dev scdoc'
	[test]='bats fio jq e2fsprogs xfsprogs fdisk strace util-linux procps psmisc python3'
	[vm]='qemu-system-x86 busybox-static cpio kmod xz-utils zstd util-linux'
	[lint]='clang clang-format cppcheck shellcheck'
)

# From Debian 13 on virtiofsd is a package of its own; before, it came with qemu.
if [[ -n $(apt-cache pkgnames virtiofsd 2>/dev/null | grep -x virtiofsd) ]]; then
	PACKAGES[vm]+=' virtiofsd'
fi

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
	local group pkg
	for group; do
		for pkg in ${PACKAGES[$group]}; do
			[[ $(dpkg-query -W -f '${db:Status-Status}' "$pkg" 2>/dev/null) == installed ]] ||
				printf '%s\n' "$pkg"
		done
	done | sort -u
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

# need_packages GROUP...: installs what is missing; ends the script where that is impossible.
need_packages()
{
	local missing
	mapfile -t missing < <(missing_packages "$@")
	((${#missing[@]})) || return 0
	can_be_root || die 125 "not root; install first: apt-get install ${missing[*]}"
	note "installing ${missing[*]}"
	{ apt_get update && apt_get install --no-install-recommends "${missing[@]}"; } ||
		die 125 "cannot install: ${missing[*]}"
}
