#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# The pages of the house: README.md and doc/*.md, and how what they show is typed.

load helpers

setup()
{
	cd "$TOP" || return
	pages=(README.md doc/*.md)
}

# links PAGE: where it leads, but for other machines.
links()
{
	grep -oE '\]\([^)]+\)' "$1" | sed -E 's/^\]\((.*)\)$/\1/' | grep -vE '^[a-z]+:' || true
}

# anchors PAGE: of its headings.
anchors()
{
	sed -nE 's/^#+ //p' "$1" | tr '[:upper:]' '[:lower:]' | sed -E 's/[^a-z0-9 _-]//g; s/ /-/g'
}

@test "every link of a page leads somewhere" {
	for page in "${pages[@]}"; do
		while read -r link; do
			file=$page
			[[ $link == '#'* ]] || file=$(dirname "$page")/${link%%#*}
			[[ -e $file ]] || { echo "$page: $link"; return 1; }
			[[ $link != *'#'* ]] || anchors "$file" | grep -qxF -e "${link#*#}" ||
				{ echo "$page: $link"; return 1; }
		done < <(links "$page")
	done
}

@test "every page of doc is linked from the README or from a page that is" {
	reached=(README.md)
	for ((i = 0; i < ${#reached[@]}; i++)); do
		while read -r link; do
			page=$(realpath --relative-to=. "$(dirname "${reached[i]}")/${link%%#*}")
			[[ $page != *.md || " ${reached[*]} " == *" $page "* ]] || reached+=("$page")
		done < <(links "${reached[i]}")
	done
	diff <(printf '%s\n' "${pages[@]}" | sort) <(printf '%s\n' "${reached[@]}" | sort)
}

@test "the files and folders of ours that a page names are there" {
	find .ci cli lib tests completions doc -type f -printf '%f\n' >"$BATS_TEST_TMPDIR/files"
	for page in "${pages[@]}"; do
		while read -r path; do
			[[ -e $path ]] || { echo "$page: $path"; return 1; }
		done < <(grep -oE '`(\.ci|cli|lib|tests|completions|doc)/[a-z0-9_/.-]+[` ]' "$page" | tr -d '` ')
		grep -oE '`[a-z_]+\.(c|h|bats|cmake|in)`' "$page" | tr -d '`' >"$BATS_TEST_TMPDIR/named" || true
		run grep -vxF -f "$BATS_TEST_TMPDIR/files" "$BATS_TEST_TMPDIR/named"
		[[ -z $output ]] || { echo "$page: $output"; return 1; }
	done
}

# comparison: the rows of the README's table.
comparison()
{
	sed -n '/^## How it compares/,/^Compared/p' README.md | grep '^|' | tail -n +3
}

@test "whatever the README says of ublk beside the others names what holds it" {
	[[ $(comparison | wc -l) -ge 10 ]]
	run grep -vE '^\| \[[^]]+\]\((tests/[a-z]+/[a-z_]+\.bats|doc/performance\.md)\) \|' < <(comparison)
	[[ -z $output ]]
	sed -n '/^Checked by tests/,/^[^-]/p' README.md | grep '^- ' >"$BATS_TEST_TMPDIR/points"
	[[ $(wc -l <"$BATS_TEST_TMPDIR/points") -ge 9 ]]
	run grep -v 'test\](tests/' "$BATS_TEST_TMPDIR/points"
	[[ -z $output ]]
}

# ratio A,B: as the table has it.
ratio()
{
	awk -v a="${1%|*}" -v b="${1#*|}" 'BEGIN { gsub(",", "", a); gsub(",", "", b); printf "%.2f\n", a / b }'
}

# first PATTERN FIELD: of the first line of the figures that matches.
first()
{
	awk -v pattern="$1" -v field="$2" '$0 ~ pattern { print $field; exit }' doc/performance.md
}

@test "the costs that the README compares are those of the figures" {
	read -r _ ours _ kernel _ theirs _ < <(comparison | sed -n 's/.*kernel.s loop\]([^)]*) | \([^|]*\)|\([^|]*\)|[^|]*|\([^|]*\)|.*/x \1 x \2 x \3 x/p')
	[[ $kernel == 1 ]]
	[[ $ours == "$(ratio "$(first '^loop zero-copy +read-4k-32' 4)|$(first '^loop zero-copy +read-4k-32' 5)")" ]]
	theirs_counted=$(first '^. its loop, zero copy .' 7)
	[[ $theirs == "$(ratio "$theirs_counted|$(first '^. kernel loop, direct .' 6)")" ]]
}

# page LINE...: types such a page.
page()
{
	cd "$BATS_TEST_TMPDIR" || return
	printf '%s\n' "$@" >page.md
	"$TOP/tests/lib/typed" page.md >new.md 2>typed.err
}

@test "a page that shows what happens comes out as it went in" {
	page '# Title' '```' '$ cd / && here=1' '$ echo "$PWD $here"' '/ 1' '$ ublk lst' \
		"ublk: error: unknown command 'lst': did you mean 'list'?" 'hint: ublk help' \
		'$ echo $?' '2' '$ echo a; echo' '> echo b' 'a' '...' 'b' '$ false || echo $?' '1' '```' 'Text' '```' \
		'tests/demo' '$ exit 9' '```'
	diff page.md new.md
}

@test "a page that shows something else comes out with what happens" {
	page '```' '$ echo 11M; echo b' '12M' 'b' '```'
	diff <(printf '%s\n' '```' '$ echo 11M; echo b' '11M' 'b' '```') new.md
	page '```' '$ echo a; echo b' '...' 'c' '```'
	diff <(printf '%s\n' '```' '$ echo a; echo b' 'a' 'b' '```') new.md
	page '```' '$ echo a' '```'
	diff <(printf '%s\n' '```' '$ echo a' 'a' '```') new.md
	page '```' '$ :' 'a' '```'
	diff <(printf '%s\n' '```' '$ :' '```') new.md
}

@test "what is another each time stays as a page has it" {
	page '```' '$ echo "123 8.1K 1.5M 2.25 s 0xab  f81d4fae-7dec-11d0-a765-00a0c91e6bf6 $PWD/img"' \
		'456  9K 1.6M 3.5s 0xc 00000000-7dec-11d0-a765-00a0c91e6bf6 /srv/img' '```'
	diff page.md new.md
}

@test "a command that ends in another way than it says fails the page" {
	run page '```' '$ false' '```'
	[[ $status -eq 1 && $(<"$BATS_TEST_TMPDIR/typed.err") == "typed: 'false' ends with 1" ]]
	run page '```' '$ ublk lst || :' "ublk: error: unknown command 'lst': did you mean 'list'?" 'hint: ublk help' '```'
	[[ $status -eq 1 && $(<"$BATS_TEST_TMPDIR/typed.err") == *'ends with 0' ]]
}
