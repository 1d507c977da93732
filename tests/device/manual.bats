# SPDX-License-Identifier: MIT
# What the manual shows is what happens: the examples of every page are typed (tests/lib/typed), each page's in
# an empty folder.
# cpus: 2
# kernels: newest
# long kernels: 6.12
# no sanitizers
# minutes: 20

load helpers

# is_for_this_kernel PAGE: quiesce, resize and upgrade are nothing without Linux 6.16.
is_for_this_kernel()
{
	[[ $1 != */ublk-@(quiesce|resize|upgrade).8.scd ]] || kernel_at_least 6.16
}

# bats test_tags=long
@test "the examples of every page print what the page says, and leave nothing behind" {
	requires jq mkfs.ext4 mkswap
	for page in "${UBLK%/*}"/man/*.scd; do
		is_for_this_kernel "$page" || continue
		mkdir "$BATS_TEST_TMPDIR/$(basename "$page")"
		cd "$BATS_TEST_TMPDIR/$(basename "$page")"
		at_end unmount "$PWD/mnt"
		diff -u "$page" <("$TOP/tests/lib/typed" "$page" || echo 'and fails')
		wait_for 5 nothing_left || { what_is_left; return 1; }
	done
}
