#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# The package in the Debians that it is for, with devices that live. Each test is a virtual machine,
# whose root file system has the Debian's in a folder.
# long
# minutes: 60

bats_require_minimum_version 1.5.0

load helpers

# Kept between runs: building is quick then.
PACKAGES=$TOP/build-package

# The older version is this one with another number: a package of the tarball, edited.
setup_file()
{
	local version
	mkdir -p "$PACKAGES/new"
	rm -rf "$PACKAGES/old" "$PACKAGES"/new/*.{deb,tar.gz}
	package "$TOP" "$PACKAGES/new" || return
	mkdir "$PACKAGES/old"
	tar -C "$PACKAGES/old" --strip-components=1 -xf "$PACKAGES"/new/ublk-*.tar.gz || return
	version=$(sed -nE '1s/^ublk \(([^)]+)-[0-9]+\).*/\1/p' "$TOP/lib/packaging/changelog")
	sed -i "s/^project(ublk VERSION $version /project(ublk VERSION 0.0.9 /" "$PACKAGES/old/CMakeLists.txt"
	sed -i "1s/($version-/(0.0.9-/" "$PACKAGES/old/lib/packaging/changelog"
	package "$PACKAGES/old" "$PACKAGES/old/build"
}

# happens SCENARIO SUITE: in the machine, in a chroot of that Debian.
happens()
{
	local root=/
	[[ $2 == here ]] || root=$("$BATS_TEST_DIRNAME/chroot" "$2" libgnutls30)
	cd "$root" || return
	run "$TOP/tests/vm/run" --timeout 600 -- "$BATS_TEST_DIRNAME/scenario" "$1" \
		"$(the_deb "$PACKAGES/old/build")" "$(the_deb "$PACKAGES/new")"
	printf '%s\n' "$output"
	return "$status"
}

@test "Debian 12: the package installs, and a device can be added, used and deleted" {
	happens install bookworm
}

@test "Debian 13: the package installs, and a device can be added, used and deleted" {
	happens install trixie
}

@test "Debian 12: an upgrade touches no device, and the new version carries on with those of the old" {
	happens upgrade bookworm
}

@test "Debian 13: an upgrade touches no device, and the new version carries on with those of the old" {
	happens upgrade trixie
}

@test "Debian 12: removal and purge touch no device, and leave nothing behind" {
	happens remove bookworm
}

@test "Debian 13: removal and purge touch no device, and leave nothing behind" {
	happens remove trixie
}

@test "the maintainer scripts have udev and systemd read their files anew where they run, udev look at what there is, and do nothing else" {
	happens scripts here
}

@test "where udev runs, a device that was there has its links once the package is installed, and a user can add one" {
	happens udev here
}
