# SPDX-License-Identifier: MIT
# Debian's cloud kernels: which there are, and which is wanted. Sourced after common.sh, never run.
#
# apt does the work, with the machine's own mirror and settings but with lists and sources of its
# own, so that the machine's are not touched.
# shellcheck shell=bash

VM_CACHE=$CACHE/vm
KEYRING=/usr/share/keyrings/debian-archive-keyring.gpg

# bookworm's own kernel is older than ublk as a module; these have it.
SUITES=(bookworm-backports trixie trixie-backports sid)

# private_apt CMD...: an apt command that sees only our lists and sources.
private_apt()
{
	APT_CONFIG=$VM_CACHE/apt/apt.conf "$@"
}

write_apt_config()
{
	local dir=$VM_CACHE/apt uri suite
	uri=$(debian_mirror) || exit
	[[ -r $KEYRING ]] || die 125 "missing: $KEYRING (package debian-archive-keyring)"

	mkdir -p "$dir/lists/partial" "$dir/archives/partial"
	for suite in "${SUITES[@]}"; do
		printf 'deb [arch=amd64 signed-by=%s] %s %s main\n' "$KEYRING" "$uri" "$suite"
	done >"$dir/sources.list"
	cat >"$dir/apt.conf" <<-EOF
		Dir::State::Lists "$dir/lists";
		Dir::Cache "$dir";
		Dir::Etc::SourceList "$dir/sources.list";
		Dir::Etc::SourceParts "/dev/null";
		Dir::Etc::Preferences "/dev/null";
		Dir::Etc::PreferencesParts "/dev/null";
		APT::Architecture "amd64";
		APT::Sandbox::User "root";
		Acquire::Languages "none";
	EOF
}

# Reads the suites again and writes the names of their kernels, oldest first, to the index.
refresh_index()
{
	local out index=$VM_CACHE/kernels
	write_apt_config
	out=$(private_apt apt-get -qq update 2>&1) ||
		die 125 "cannot read the kernel lists: ${out##*$'\n'}"
	private_apt apt-cache pkgnames linux-image- |
		sed -nE 's/^linux-image-([0-9].*-cloud-amd64)$/\1/p' |
		sort -V | awk -F '[.]' '$1 > 6 || ($1 == 6 && $2 >= 12)' >"$index.part"
	[[ -s $index.part ]] || die 125 'the mirror has no cloud kernel of 6.12 or later'
	mv "$index.part" "$index"
}

# pick_kernel WANTED: the highest release of that X.Y (or X.Y.Z), or of all for `newest`.
pick_kernel()
{
	local wanted=$1
	[[ $wanted != newest ]] || wanted=
	[[ -s $VM_CACHE/kernels ]] || return 1
	awk -v w="$wanted" '
		w == "" || index($0, w ".") == 1 || index($0, w "+") == 1 || $0 == w { last = $0 }
		END { if (last == "") exit 1; print last }' "$VM_CACHE/kernels"
}

fetched()
{
	[[ -d $VM_CACHE/kernel/$1 ]] || "$TOP/tests/vm/fetch-kernel" "$1" >&2
}

# ensure_kernel WANTED: fetched if need be. Prints the release.
# The lists are read again when they do not know the version, or name a package that has gone.
ensure_kernel()
{
	local wanted=$1 release
	mkdir -p "$VM_CACHE/kernel"
	exec {lock}>"$VM_CACHE/lock"
	flock "$lock"
	release=$(pick_kernel "$wanted") || {
		refresh_index
		release=$(pick_kernel "$wanted") ||
			die 125 "no cloud kernel $wanted on the mirror (--list-kernels shows all)"
	}
	fetched "$release" || {
		refresh_index
		release=$(pick_kernel "$wanted") || die 125 "no cloud kernel $wanted any more"
		fetched "$release" || die 125 "cannot fetch Linux $release"
	}
	exec {lock}>&-
	printf '%s\n' "$release"
}

list_kernels()
{
	mkdir -p "$VM_CACHE"
	(
		flock 9
		refresh_index
	) 9>"$VM_CACHE/lock"
	cat "$VM_CACHE/kernels"
}
