# SPDX-License-Identifier: MIT
# What the README and the tour show is what happens. tests/tour writes them anew.
# cpus: 2
# kernels: newest
# no sanitizers

load helpers

# shows PAGE: what it shows, typed in an empty folder on a file system as others have; and nothing is
# left behind.
shows()
{
	fs_on "$(make_ram_disk 512)" ext4 "$PWD/srv" 2>/dev/null
	at_end unmount "$PWD/srv/mnt"
	diff -u "$TOP/$1" <(cd srv && "$TOP/tests/lib/typed" "$TOP/$1" || echo 'and fails')
	wait_for 5 nothing_left || { what_is_left; return 1; }
}

@test "the README shows what happens" {
	only_on_kernel 7.0 'what it shows'
	requires mkfs.ext4
	shows README.md
}

# bats test_tags=long
@test "the tour shows what happens" {
	only_on_kernel 7.0 'what it shows'
	requires jq mkfs.ext4
	shows doc/tour.md
}
