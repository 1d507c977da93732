#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# What is installed and packed, and that it is the same whoever does it. The packages are made twice: `one`
# of the source folder, `two` of its tarball, elsewhere, as somebody with other habits.

bats_require_minimum_version 1.5.0

load helpers

setup_file()
{
	cd "$BATS_FILE_TMPDIR" || return
	package "$TOP" "$PWD/one" || return
	mkdir -p elsewhere/deep
	tar -C elsewhere/deep -xf one/ublk-*.tar.gz && chmod -R g+w elsewhere || return
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
	dpkg-deb -x "$(the_deb one)" unpacked/ublk && dpkg-deb -x "$(the_deb one ublk-rbd)" unpacked/ublk-rbd
}

setup()
{
	cd "$BATS_FILE_TMPDIR" || return
	main=$(the_deb one)
	rbd=$(the_deb one ublk-rbd)
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
		for file in sbin/ublk libexec/ublk/ublk-{server,server-rbd,tls} lib/udev/rules.d/{59,60,61}-ublk.rules \
			share/doc/ublk{,-rbd}/copyright; do
			[[ -f $root/$file ]] || { echo "not there: $prefix/$file"; return 1; }
		done
		[[ -x $root/sbin/ublk && -x $root/libexec/ublk/ublk-server && -x $root/libexec/ublk/ublk-server-rbd &&
			-x $root/libexec/ublk/ublk-tls ]]
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

@test "the packages have what is installed, each its changelog and its overrides, nothing else and nothing twice" {
	{
		files_below installed | sed -E 's|^(\./usr/share/man/.*\.[1-9])$|\1.gz|
			s|^(\./usr/share/zsh)/site-functions/|\1/vendor-completions/|'
		printf './usr/share/%s\n' doc/ublk{,-rbd}/changelog.Debian.gz lintian/overrides/ublk{,-rbd}
	} | sort >expected
	diff expected <({ files_below unpacked/ublk; files_below unpacked/ublk-rbd; } | sort)
}

@test "the package of Ceph's images has their server, its licence, changelog and overrides, and no script" {
	diff <(files_below unpacked/ublk-rbd) <(printf './usr/%s\n' libexec/ublk/ublk-server-rbd \
		share/doc/ublk-rbd/{changelog.Debian.gz,copyright} share/lintian/overrides/ublk-rbd)
	[[ -x unpacked/ublk-rbd/usr/libexec/ublk/ublk-server-rbd ]]
	diff <(dpkg-deb --ctrl-tarfile "$rbd" | tar -t | sort) <(printf '%s\n' ./control ./md5sums)
}

@test "the main package has its scripts, and the folder of configuration files" {
	diff <(dpkg-deb --ctrl-tarfile "$main" | tar -t | sort) <(printf './%s\n' control md5sums postinst postrm)
	[[ -d unpacked/ublk/etc/ublk ]]
}

@test "all in the packages is root's" {
	for deb in "$main" "$rbd"; do
		dpkg-deb -c "$deb" | awk '$2 != "root/root" { print; bad = 1 } END { exit bad }'
	done
}

@test "the programs of the main package are stripped, and static but for the one that begins TLS, which it depends for" {
	for program in unpacked/ublk/usr/sbin/ublk unpacked/ublk/usr/libexec/ublk/ublk-{server,tls}; do
		[[ $program == *-tls ]] || empty "$program needs" "$(readelf -d "$program" | grep NEEDED)"
		empty "$program has" "$(readelf -SW "$program" | grep -E '\.(debug_info|symtab)')"
	done
	[[ $(readelf -d unpacked/ublk/usr/libexec/ublk/ublk-tls | sed -n 's/.*NEEDED.*\[\(.*\)\]/\1/p' | sort) == $'libc.so.6\nlibgnutls.so.30' ]]
	[[ $(dpkg-deb -f "$main" Depends) =~ ^'libc6 (>= '[0-9.]+'), libgnutls30'(t64)?' (>= '[0-9.]+')'$ ]] ||
		{ dpkg-deb -f "$main" Depends; return 1; }
	empty 'the package depends before its installation on' "$(dpkg-deb -f "$main" Pre-Depends)"
}

@test "the server of Ceph's images is stripped, and its package depends on its shared libraries, each with a version, and on the main one of its own" {
	program=unpacked/ublk-rbd/usr/libexec/ublk/ublk-server-rbd
	empty "$program has" "$(readelf -SW "$program" | grep -E '\.(debug_info|symtab)')"
	dpkg-deb -f "$rbd" Depends | sed 's/, /\n/g' | sort >depends
	grep -qxF "ublk (= $(dpkg-deb -f "$main" Version))" depends
	empty 'without a least version' "$(grep -v '^ublk ' depends | grep -vE '^[^ ]+ \(>= [0-9][^ ]*\)$')"
	# The loader's path may lead over a link of folders that dpkg does not know.
	readelf -d "$program" | sed -n 's/.*(NEEDED).*\[\(.*\)\]$/\1/p' >needed
	for library in librbd.so.1 librados.so.2 libtcmalloc_minimal.so.4; do
		grep -qxF "$library" needed || { echo "does not need $library"; return 1; }
	done
	multiarch=$(dpkg-architecture -q DEB_HOST_MULTIARCH)
	while read -r library; do
		dpkg-query -S "*/$multiarch/$library" | sed 's/:.*//'
	done <needed | sort -u >expected
	diff expected <(sed '/^ublk /d; s/ .*//' depends)
}

# built_using DEB LIBRARY...: it names the sources of those, as they are here, and no others.
built_using()
{
	diff <(dpkg-query -W -f '${source:Package} (= ${source:Version})\n' "${@:2}" | sort) \
		<(dpkg-deb -f "$1" Built-Using | sed 's/, /\n/g' | sort)
}

@test "the packages name the sources of what is linked into their programs, as they are here" {
	built_using "$main" libc6-dev libjson-c-dev liburing-dev libncurses-dev
	built_using "$rbd" libjson-c-dev liburing-dev
}

@test "version, architecture and file name of the packages are those of the changelog and the machine" {
	version=$(sed -nE '1s/^ublk \(([^)]+)\).*/\1/p' "$TOP/lib/packaging/changelog")
	arch=$(dpkg --print-architecture)
	for package in ublk ublk-rbd; do
		deb=one/${package}_${version}_$arch.deb
		[[ -f $deb ]]
		[[ $(dpkg-deb -f "$deb" Package) == "$package" ]]
		[[ $(dpkg-deb -f "$deb" Version) == "$version" ]]
		[[ $(dpkg-deb -f "$deb" Architecture) == "$arch" ]]
	done
	[[ $(dpkg-deb -f "$rbd" Source) == ublk ]]
	[[ $(unpacked/ublk/usr/sbin/ublk version) == "ublk ${version%-*}" ]]
}

@test "each package has a summary and a description of its own" {
	for deb in "$main" "$rbd"; do
		dpkg-deb -f "$deb" Description | head -n 1
	done >summaries
	diff summaries - <<-END
		manager for Linux userspace block devices
		userspace block devices of images in a Ceph cluster
	END
	dpkg-deb -f "$rbd" Description | grep -q librbd
	dpkg-deb -f "$main" Description | grep -q 'Linux 6.12'
}

@test "lintian finds no error and no warning in the packages" {
	run lintian --fail-on error,warning --info --tag-display-limit 0 --allow-root "$main" "$rbd"
	[[ $status -eq 0 ]] || { echo "$output"; return 1; }
}

@test "each override of lintian is needed, and has its reason above it" {
	run lintian --show-overrides --display-info --tag-display-limit 0 --allow-root "$main" "$rbd"
	empty 'not needed' "$(grep -- '-override' <<<"$output" | grep -v 'appstream.*60-ublk.rules')"
	for package in ublk ublk-rbd; do
		awk '/^#/ { reason = 1 } /^$/ { reason = 0 }
			/^ublk/ && !reason { print; bad = 1 } END { exit bad }' \
			unpacked/$package/usr/share/lintian/overrides/$package
	done
}

@test "the licence in the packages is the source folder's, and they name those of what both have linked in" {
	for package in ublk ublk-rbd; do
		copyright=unpacked/$package/usr/share/doc/$package/copyright
		diff -w <(sed -n '/^Permission/,$p' "$TOP/LICENSE" | sed '/^$/d') \
			<(sed -n '/^ Permission/,$p' "$copyright" | sed '/^ \.$/d')
		grep -qxF "Copyright: $(sed -n 's/^Copyright (c) //p' "$TOP/LICENSE")" "$copyright"
		for library in json-c liburing; do
			grep -q "^ $library, under the licence" "$copyright"
		done
	done
}

@test "without librbd there is the main package alone, the same as with it, and configuring says so" {
	build=$BATS_TEST_TMPDIR/without
	# Nothing is built anew: the programs are those of the other build.
	run cmake -S "$TOP" -B "$build" -DUB_TESTS=OFF -DCMAKE_INSTALL_PREFIX=/usr -DUB_RBD_LIBRARY=OFF \
		-DCMAKE_SKIP_INSTALL_ALL_DEPENDENCY=ON
	[[ $status -eq 0 && $output == *'no package ublk-rbd'* ]] || { echo "$output"; return 1; }
	cp -r one/{ublk,ublk-server,ublk-tls,man} "$build"
	cmake --build "$build" --target deb
	[[ $(cd "$build" && echo *.deb) == "${main##*/}" ]]
	cmp "$main" "$build/${main##*/}"
	run cmake one
	[[ $status -eq 0 && $output != *'no package ublk-rbd'* ]] || { echo "$output"; return 1; }
}

@test "without what finds the libraries' packages none is made, and the package that has it is named" {
	run bash -c 'umask 022 && cd "$1" && cpack -B "$2" -D "CMAKE_IGNORE_PATH=/bin;/usr/bin"' bash "$PWD/one" "$BATS_TEST_TMPDIR"
	[[ $status -ne 0 && $output == *dpkg-shlibdeps*dpkg-dev* ]] || { echo "$output"; return 1; }
	empty 'made all the same' "$(find "$BATS_TEST_TMPDIR" -name '*.deb')"
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

@test "packages made in different folders by different people are the same" {
	for package in ublk ublk-rbd; do
		cmp "$(the_deb one $package)" "$(the_deb elsewhere/two $package)"
	done
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
