# SPDX-License-Identifier: MIT
# What the manual shows is what happens: the examples of every page are typed, one after the other, in an
# empty folder, and what they print is compared.
# kernels: newest
# long kernels: 6.12
# minutes: 20

load helpers

# examples PAGE: the lines of its literal blocks: commands after "# " or "$ ", and what they print.
examples()
{
	awk '/^# / && !literal { on = $0 == "# EXAMPLES" } /^```/ { literal = !literal; next } on && literal' \
		"${UBLK%/*}/man/$1.scd"
}

# alike: numbers and the widths of columns are the machine's, and the folder is where the test is.
alike()
{
	sed -E "s|$PWD/|/srv/|g; s/\b0x[0-9a-f]+\b/N/g; s/\b[0-9]+(\.[0-9]+)*[KMGT]?\b/N/g; s/ +/ /g; s/^ //; s/ \$//"
}

# is_shown EXPECTED: it is what was printed, where a line of dots stands for any number of lines.
is_shown()
{
	local line pattern=
	while IFS= read -r line; do
		[[ $line != ... ]] || { pattern+='*' && continue; }
		# Each character for itself. (What bash has for this differs from version to version.)
		# shellcheck disable=SC2001
		pattern+=$(sed 's/[^[:alnum:] ]/\\&/g' <<<"$line")$'\n'
	done < <(alike <<<"$1")
	# A pattern.
	# shellcheck disable=SC2053
	[[ "$(alike <printed)"$'\n' == $pattern ]]
}

# type_in COMMAND: in this shell, since what it opens stays open.
type_in()
{
	typed=0
	eval "$1" >printed 2>&1 || typed=$?
}

# try COMMAND EXPECTED: types it and compares. What only looks is tried again for a while: the driver takes
# a moment to see that a server has died.
try()
{
	local tries=0
	until type_in "$1" && is_shown "$2"; do
		if ((tries++ >= 50)) || [[ $1 != 'ublk list'* && $1 != 'ublk show'* ]]; then
			printf '%s\nprints:\n%s\nnot:\n%s\n' "$1" "$(<printed)" "$2"
			return 1
		fi
		sleep 0.1
	done
	if [[ $2 == *'ublk: error: '* ]]; then
		((typed > 0))
	else
		((typed == 0))
	fi || { printf '%s\nends with %s\n' "$1" "$typed"; return 1; }
}

# try_page PAGE: its examples.
try_page()
{
	local line command='' expected=''
	while IFS= read -r line; do
		if [[ $line == [#$]' '* ]]; then
			[[ -z $command ]] || try "$command" "$expected" || return
			command=${line#??} expected=
		else
			expected+=${expected:+$'\n'}$line
		fi
	done < <(examples "$1")
	try "$command" "$expected"
}

@test "the examples of every page print what the page says, and leave nothing behind" {
	requires jq mkfs.ext4 mkswap
	for page in "${UBLK%/*}"/man/*.scd; do
		page=$(basename "$page" .scd)
		mkdir "$BATS_TEST_TMPDIR/$page"
		cd "$BATS_TEST_TMPDIR/$page"
		at_end unmount "$PWD/mnt"
		try_page "$page" || { echo "in $page"; return 1; }
		wait_for 5 nothing_left || { echo "$page leaves something"; return 1; }
	done
}
