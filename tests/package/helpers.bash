# SPDX-License-Identifier: MIT
# How the tests make packages. They need no driver.
# shellcheck shell=bash

# shellcheck disable=SC2034 # the tests use it
TOP=$(cd "$BATS_TEST_DIRNAME/../.." && pwd)

# package SOURCE BUILD: makes the packages, and the source tarball, of a source folder in a build
# folder; all that is said is in BUILD.log.
package()
{
	{
		cmake -S "$1" -B "$2" -DUB_TESTS=OFF -DCMAKE_INSTALL_PREFIX=/usr &&
			cmake --build "$2" -j "$(nproc)" &&
			cmake --build "$2" --target dist &&
			cmake --build "$2" --target deb
	} >"$2.log" 2>&1 </dev/null || {
		tail -n 30 "$2.log" >&2
		return 1
	}
}

# the_deb BUILD [PACKAGE]: the package there, the main one or that one.
the_deb()
{
	local debs=("$1/${2:-ublk}"_*.deb)
	[[ ${#debs[@]} -eq 1 && -f ${debs[0]} ]] || { echo "not one package ${2:-ublk} in $1" >&2; return 1; }
	printf '%s\n' "${debs[0]}"
}

# empty NAME TEXT: fails with the text if there is any.
empty()
{
	[[ -z $2 ]] || { printf '%s:\n%s\n' "$1" "$2"; return 1; }
}
