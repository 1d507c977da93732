#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# What is installed and packed, and that it is the same whoever does it. Two packages are made: `one`
# of the source folder, `two` of its tarball, elsewhere, as somebody with other habits.

bats_require_minimum_version 1.5.0

load helpers

setup_file()
{
	cd "$BATS_FILE_TMPDIR" || return
	package "$TOP" "$PWD/one" || return
	mkdir -p elsewhere/deep
	tar -C elsewhere/deep -xf one/ublk-*.tar.gz || return
	mkdir no-git
	printf '#!/bin/sh\necho "$PWD: git $*" >>%q\nexit 1\n' "$PWD/git.called" >no-git/git
	chmod +x no-git/git
	(
		umask 077
		export TZ=Pacific/Auckland LC_ALL=C PATH=$PWD/no-git:$PATH
		package "$PWD"/elsewhere/deep/ublk-* "$PWD/elsewhere/two"
	) || return
	DESTDIR=$PWD/installed cmake --install one >install.log || return
	mkdir unpacked
	dpkg-deb -x one/*.deb unpacked
}

setup()
{
	cd "$BATS_FILE_TMPDIR" || return
}

# files_below FOLDER
files_below()
{
	(cd "$1" && find . ! -type d | sort)
}

# One build is for /usr, the ordinary one for /usr/local unless it was configured otherwise.
@test "an installation puts programs, udev rules and licence below DESTDIR and the prefix, for all to read" {
	for build in one "${UBLK_BUILD:-$TOP/build}"; do
		prefix=$(sed -n 's/^CMAKE_INSTALL_PREFIX:PATH=//p' "$build/CMakeCache.txt")
		stage=$BATS_TEST_TMPDIR/${build##*/} root=$BATS_TEST_TMPDIR/${build##*/}$prefix
		DESTDIR=$stage cmake --install "$build" >/dev/null
		for file in sbin/ublk libexec/ublk/ublk-server lib/udev/rules.d/{59,60,61}-ublk.rules share/doc/ublk/copyright; do
			[[ -f $root/$file ]] || { echo "not there: $prefix/$file"; return 1; }
		done
		[[ -x $root/sbin/ublk && -x $root/libexec/ublk/ublk-server ]]
		grep -qF "RUN+=\"$prefix/libexec/ublk/ublk-server own" "$root/lib/udev/rules.d/60-ublk.rules"
		grep -qF "IMPORT{program}=\"$prefix/libexec/ublk/ublk-server describe" "$root/lib/udev/rules.d/59-ublk.rules"
		grep -qF 'The above copyright notice and this permission notice' "$root/share/doc/ublk/copyright"
		LC_ALL=C grep -qaP "\\x00$prefix/libexec\\x00" "$root/sbin/ublk"
		empty 'not for all to read' "$(find "$stage" ! -perm -go=r)"
		empty 'folders that not all may enter' "$(find "$stage" -type d ! -perm -go=x)"
		empty 'writable by others' "$(find "$stage" ! -type l -perm /go=w)"
		empty 'outside of the prefix' "$(find "$stage" ! -type d ! -path "$root/*" ! -path "$stage/etc/*")"
	done
}

@test "the package has what is installed, its changelog and its overrides, and nothing else" {
	{
		files_below installed | sed -E 's|^(\./usr/share/man/.*\.[1-9])$|\1.gz|
			s|^(\./usr/share/zsh)/site-functions/|\1/vendor-completions/|'
		printf './usr/share/%s\n' doc/ublk/changelog.Debian.gz lintian/overrides/ublk
	} | sort >expected
	diff expected <(files_below unpacked)
}

@test "all in the package is root's" {
	dpkg-deb -c one/*.deb | awk '$2 != "root/root" { print; bad = 1 } END { exit bad }'
}

@test "the programs of the package are static and stripped, and it depends on nothing" {
	for program in unpacked/usr/sbin/ublk unpacked/usr/libexec/ublk/ublk-server; do
		empty "$program needs" "$(readelf -d "$program" | grep NEEDED)"
		empty "$program has" "$(readelf -SW "$program" | grep -E '\.(debug_info|symtab)')"
	done
	empty 'the package depends on' "$(dpkg-deb -f one/*.deb Depends Pre-Depends)"
}

@test "the package names the sources of what is linked into its programs, as they are here" {
	built_using=$(dpkg-deb -f one/*.deb Built-Using)
	for library in libc6-dev libjson-c-dev liburing-dev libncurses-dev; do
		source=$(dpkg-query -W -f '${source:Package} (= ${source:Version})' "$library")
		[[ ", $built_using," == *", $source,"* ]] || { echo "$source is not in: $built_using"; return 1; }
	done
}

@test "version, architecture and file name of the package are those of the changelog and the machine" {
	version=$(sed -nE '1s/^ublk \(([^)]+)\).*/\1/p' "$TOP/lib/packaging/changelog")
	arch=$(dpkg --print-architecture)
	[[ $(dpkg-deb -f one/*.deb Package) == ublk ]]
	[[ $(dpkg-deb -f one/*.deb Version) == "$version" ]]
	[[ $(dpkg-deb -f one/*.deb Architecture) == "$arch" ]]
	[[ -f one/ublk_${version}_$arch.deb ]]
	[[ $(unpacked/usr/sbin/ublk version) == "ublk ${version%-*}" ]]
}

@test "lintian finds no error and no warning in the package" {
	run lintian --fail-on error,warning --info --tag-display-limit 0 --allow-root one/*.deb
	[[ $status -eq 0 ]] || { echo "$output"; return 1; }
}

@test "each override of lintian is needed, and has its reason above it" {
	run lintian --show-overrides --display-info --tag-display-limit 0 --allow-root one/*.deb
	empty 'not needed' "$(grep -- '-override' <<<"$output" | grep -v 'appstream.*60-ublk.rules')"
	awk '/^#/ { reason = 1 } /^$/ { reason = 0 }
		/^ublk:/ && !reason { print; bad = 1 } END { exit bad }' unpacked/usr/share/lintian/overrides/ublk
}

@test "the licence in the package is the source folder's" {
	diff -w <(sed -n '/^Permission/,$p' "$TOP/LICENSE" | sed '/^$/d') \
		<(sed -n '/^ Permission/,$p' unpacked/usr/share/doc/ublk/copyright | sed '/^ \.$/d')
	grep -qxF "Copyright: $(sed -n 's/^Copyright (c) //p' "$TOP/LICENSE")" unpacked/usr/share/doc/ublk/copyright
}

@test "a package for another prefix than /usr is refused, and says how to have one" {
	run cmake -S "$TOP" -B "$BATS_TEST_TMPDIR/local" -DUB_TESTS=OFF
	run bash -c 'cd "$1" && cpack' bash "$BATS_TEST_TMPDIR/local"
	[[ $status -ne 0 && $output == *'-DCMAKE_INSTALL_PREFIX=/usr'* ]] || { echo "$output"; return 1; }
	empty 'made all the same' "$(find "$BATS_TEST_TMPDIR/local" -name '*.deb')"
}

@test "a package with another umask than 022 is refused, and says how to have one" {
	run bash -c 'umask 027 && cd "$1" && cpack -B "$2"' bash "$PWD/one" "$BATS_TEST_TMPDIR"
	[[ $status -ne 0 && $output == *'umask 022'*deb* ]] || { echo "$output"; return 1; }
	empty 'made all the same' "$(find "$BATS_TEST_TMPDIR" -name '*.deb')"
}

@test "a version that the changelog does not begin with cannot be built" {
	cp -r elsewhere/deep/ublk-* "$BATS_TEST_TMPDIR/other"
	sed -i 's/^project(ublk VERSION [0-9.]*/project(ublk VERSION 9.9.9/' "$BATS_TEST_TMPDIR/other/CMakeLists.txt"
	run cmake -S "$BATS_TEST_TMPDIR/other" -B "$BATS_TEST_TMPDIR/build"
	[[ $status -ne 0 && $output == *changelog*9.9.9* ]] || { echo "$output"; return 1; }
}

@test "two packages, made in different folders by different people, are the same" {
	cmp one/*.deb elsewhere/two/*.deb
}

@test "the source tarball builds without git, and the tarball made of it is the same" {
	[[ ! -e git.called ]] || { cat git.called; return 1; }
	cmp one/ublk-*.tar.gz elsewhere/two/ublk-*.tar.gz
}

@test "the source tarball has every file of the source folder, all in one folder, and nothing else" {
	run tar -tf one/ublk-*.tar.gz
	[[ $(printf '%s\n' "${lines[@]%%/*}" | sort -u) == ublk-[0-9]* ]]
	diff <(cd "$TOP" && find . -name .git -prune -o -path './build*' -prune -o -path ./.cache -prune \
		-o ! -type d ! -name '*~' -print | sort) <(files_below elsewhere/deep/ublk-*)
}

@test "the source tarball has no date, owner or right of this machine" {
	tar --numeric-owner -tvf one/ublk-*.tar.gz >list
	run awk '{ print $2, $4, $5 }' list
	[[ $(printf '%s\n' "${lines[@]}" | sort -u | wc -l) -eq 1 && ${lines[0]} == 0/0* ]]
	run awk '{ print $1 }' list
	[[ $(printf '%s\n' "${lines[@]}" | sort -u | grep -cvE '^(-rw-r--r--|-rwxr-xr-x|drwxr-xr-x|lrwxrwxrwx)$') -eq 0 ]]
}
