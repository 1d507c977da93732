#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# The manual says what the program's tables say, of every option, column, word and key. What its
# examples print is seen by tests/device/manual.bats.
# shellcheck disable=SC2154 # out, err and status come from ub()

load helpers

MANUAL=$BUILD/man

# pages: the files of all pages.
pages()
{
	compgen -G "$MANUAL/*.[0-9]"
}

# verbs: all commands.
verbs()
{
	ublk help | sed -nE '/^Commands:/,/^$/s/^  ([a-z]+) .*/\1/p'
}

# section PAGE TITLE: its lines as a reader sees them, each paragraph on one line. Terms that are
# explained begin with a letter, what is said of them with blanks.
section()
{
	# One rendering for all tests.
	local text=$BATS_FILE_TMPDIR/$1
	[[ -s $text ]] || LC_ALL=C MANWIDTH=5000 man -E ascii -l "$MANUAL/$1" >"$text"
	awk -v title="$2" '/^[^ ]/ { on = $0 == title; next } on' "$text" | sed -E 's/^ {7}//'
}

# terms PAGE SECTION: what is explained there, one a line.
terms()
{
	section "$1" "$2" | awk '/^[^ ]/ && last !~ /^[^ ]/ { term = $0; getline; if (/^  /) print term } { last = $0 }'
}

# words PAGE SECTION: the same, where a line has several.
words()
{
	terms "$@" | tr -d ' ' | tr ',' '\n'
}

# told_of PAGE SECTION TERM: what is said of it.
told_of()
{
	section "$1" "$2" | awk -v term="$3" '$0 == term { on = 1; next } on && /^[^ ]/ { exit } on'
}

# usages [TITLE]: of the help on standard input, the options as they are given ("-t, --type TYPE"), those
# under a title alone.
usages()
{
	help_rows "${1-^Options}" | sed -nE 's/^ +((-., )?--[^ ]+( [^ ]+)?)(  .*)?$/\1/p'
}

# help_rows TITLE: the lines under it.
help_rows()
{
	awk -v title="$1" '/^[^ ]/ { on = $0 ~ title } on && /^ /'
}

# default_of USAGE: as the help on standard input says it; nothing: there is none.
default_of()
{
	awk -v usage="$1" 'index($0, usage " ") || substr($0, length - length(usage) + 1) == usage { on = 1 }
		on && match($0, /\(default: [^)]*\)/) { print substr($0, RSTART + 10, RLENGTH - 11); exit }
		on && /^ {10}/ { exit }
		on && !/^ +.*  +[a-z]/ { next }
		on { exit }'
}

# says_default PAGE SECTION HELP USAGE
says_default()
{
	local default
	default=$(default_of "$4" <<<"$3")
	[[ -z $default ]] || told_of "$1" "$2" "$4" | grep -qiF "default: ${default,}." ||
		{ printf '%s: %s: default %s\n' "$1" "$4" "$default"; return 1; }
}

# says_range PAGE SECTION USAGE COMMAND...: the numbers that the program allows, as it tells them of one
# that is too large, or a size that is too small.
says_range()
{
	local page=$1 section=$2 usage=$3 option value=99999999999 range
	shift 3
	[[ $usage =~ (--[a-z-]+)\ (N|SEC|SIZE)$ ]] || return 0
	option=${BASH_REMATCH[1]}
	[[ ${BASH_REMATCH[2]} != SIZE ]] || value=1
	ub "$@" "$option" "$value"
	[[ $err =~ 'is out of range: '([0-9A-Z]+' to '[0-9A-Z]+)$'\n' ]] || return 0
	range=${BASH_REMATCH[1]/% to 8E/}
	[[ $range == *' to '* ]] || range="at least $range"
	told_of "$page" "$section" "$usage" | grep -qF "$range" ||
		{ printf '%s: %s: %s\n' "$page" "$usage" "$range"; return 1; }
}

# options_agree PAGE SECTION TITLE COMMAND...: the options that are explained are those of the command's help
# under a title, in that order, with their defaults and ranges.
options_agree()
{
	local page=$1 section=$2 title=$3 help usage
	shift 3
	help=$(ublk "$@" --help)
	diff <(usages "$title" <<<"$help") <(terms "$page" "$section" | grep '^-') || return
	while read -r usage; do
		says_default "$page" "$section" "$(help_rows "$title" <<<"$help")" "$usage" || return
		says_range "$page" "$section" "$usage" "$@" || return
	done < <(usages "$title" <<<"$help")
}

@test "there are pages, each with a name that its file has, and every command has one" {
	[[ $(pages | wc -l) -ge 13 ]]
	for verb in $(verbs); do
		[[ -s $MANUAL/ublk-$verb.8 ]]
	done
	for page in $(pages); do
		page=$(basename "$page")
		[[ $(section "$page" NAME) == "${page%.*} - "* ]] || { echo "$page"; return 1; }
	done
}

@test "the synopsis of a page is that of the help" {
	for verb in $(verbs); do
		[[ "Usage: $(section "ublk-$verb.8" SYNOPSIS | sed '/^$/d')" == "$(ublk "$verb" --help | head -n 1)" ]] ||
			{ echo "$verb"; return 1; }
	done
	[[ "Usage: $(section ublk.8 SYNOPSIS | sed '/^$/d')" == "$(ublk help | head -n 1)" ]]
}

@test "the options of a page are those of the help, in its order, with their defaults and ranges" {
	for verb in $(verbs); do
		case $verb in
		# Others that make a device refer to this page.
		add) options_agree ublk-add.8 OPTIONS '^Options(:| of the device)' add -t null --dry-run ;;
		*) options_agree "ublk-$verb.8" OPTIONS '^Options:' "$verb" ;;
		esac
	done
}

@test "each target has its section of ublk-targets(7), with its options" {
	local targets
	targets=$(ublk add --help | sed -nE 's/^Options of target ([a-z0-9]+) .*/\1/p')
	[[ -n $targets ]]
	for target in $targets; do
		# What else it needs comes first.
		needed=()
		[[ $target != loop ]] || needed=(-f none)
		[[ $target != nbd ]] || needed=(--uri nbd://localhost/)
		options_agree ublk-targets.7 "${target^^}" "^Options of target $target " add -t "$target" "${needed[@]}"
	done
	told_of ublk-add.8 OPTIONS '-t, --type TYPE' >"$BATS_TEST_TMPDIR/types"
	for target in $targets; do
		grep -qw "$target" "$BATS_TEST_TMPDIR/types"
	done
}

# offered LAYER-TEXT: the words that complete it.
offered()
{
	ublk complete -- add -t null --layer "$1" | tail -n +2 | cut -f 1
}

@test "each layer has its section of ublk-layers(7), with its keys" {
	layers=$(offered '')
	[[ $(wc -l <<<"$layers") -ge 5 ]]
	for layer in $layers; do
		diff <(offered "$layer," | tr -d '=' | sort) <(terms ublk-layers.7 "${layer^^}" | sort) ||
			{ echo "$layer"; return 1; }
		told_of ublk-add.8 OPTIONS '--layer NAME[,KEY=VALUE]...' | grep -qwF -e "$layer"
	done
	for word in $(offered error,errno=); do
		told_of ublk-layers.7 ERROR errno | grep -qw "$word"
	done
}

@test "the columns of a page are those of the help, in its order" {
	for verb in $(verbs); do
		diff <(ublk "$verb" --help | help_rows '^Columns' | awk '{ print $1 }') \
			<(terms "ublk-$verb.8" COLUMNS)
	done
}

@test "the commands and exit statuses of ublk(8) are those of the help" {
	diff <(verbs | sort) <(terms ublk.8 COMMANDS | sort)
	diff <(ublk help | help_rows '^Exit status' | grep -oE '[0-9] [^,]+') \
		<(for n in $(terms ublk.8 'EXIT STATUS'); do
			echo "$n $(told_of ublk.8 'EXIT STATUS' "$n" | head -n 1 | sed 's/^ *//')"
		done)
}

@test "the environment of ublk(8) is what the program looks at" {
	diff <(cd "$TOP" && grep -rhoE 'getenv\("[A-Z_]+"\)|absolute_env\("[A-Z_]+"\)|OVERRIDE "[A-Z_]+"' lib cli |
			grep -v UBLK_FAULT | grep -oE '[A-Z_]+"' | tr -d '"' | sort -u) \
		<(words ublk.8 ENVIRONMENT | sort)
}

@test "every page is listed by ublk(8), and every page that is named is there" {
	listed=$(section ublk.8 'SEE ALSO' | grep -oE 'ublk[a-z.-]*\([0-9]\)' | tr '()' '. ' | tr -d ' ' | sort)
	diff <(pages | xargs -n 1 basename | grep -vx ublk.8 | sort) <(echo "$listed")
	for page in $(pages); do
		while read -r named; do
			[[ -s $MANUAL/$named ]] || { echo "$page names $named"; return 1; }
		done < <(plain "$page" | grep -oE '\bublk[a-z.-]*\([0-9]\)' | tr '()' '. ' | tr -d ' ')
	done
}

# plain PAGE: all of it.
plain()
{
	LC_ALL=C MANWIDTH=5000 man -E ascii -l "$1"
}

# prose PAGE: all of it but what is to be typed and what is printed.
prose()
{
	awk '/^\.nf/ { literal = 1 } !literal; /^\.fi/ { literal = 0 }' "$1" >"$BATS_TEST_TMPDIR/prose"
	plain "$BATS_TEST_TMPDIR/prose"
}

@test "a command that is named is one, and an option that is named is one of the program's" {
	options=$(for verb in $(verbs); do ublk "$verb" --help; done | grep -oE '(^| )--[a-z-]+' | tr -d ' ' | sort -u)
	options+=$'\n--version'
	for page in $(pages); do
		unknown=$(prose "$page" | grep -oE '(^|[ ([])--[a-z-]+' | grep -oE -- '--[a-z-]+' | grep -vxF -e "$options") ||
			true
		[[ -z $unknown ]] || { echo "$page names $unknown"; return 1; }
		unknown=$(grep -oE 'fBublk [a-z]+' "$page" | cut -d ' ' -f 2 | grep -vxF -e "$(verbs)") || true
		[[ -z $unknown ]] || { echo "$page names $unknown"; return 1; }
	done
}

@test "the keys of ublk-json(7) are those of the schemas" {
	# What is asked of a device is explained with its options.
	jq -r '.. | objects | select(has("properties")) | .properties | keys[]' "$TOP"/doc/schema/*.json | sort -u \
		>"$BATS_TEST_TMPDIR/keys"
	grep -oE 'fB[a-z_0-9]+\\f' "$MANUAL/ublk-json.7" | sed -E 's/^fB(.*)\\f/\1/' | sort -u >"$BATS_TEST_TMPDIR/named"
	jq -r '."$defs".asked.properties | keys[]' "$TOP/doc/schema/devices-1.json" >"$BATS_TEST_TMPDIR/asked"
	diff <(grep -vxF -f "$BATS_TEST_TMPDIR/asked" "$BATS_TEST_TMPDIR/keys") \
		<(grep -vxF -f "$BATS_TEST_TMPDIR/asked" "$BATS_TEST_TMPDIR/named" | grep -vxE 'true|false|null|auto|ublk')
}

@test "ublk-json(7) has each schema, and its words" {
	for schema in "$TOP"/doc/schema/*.json; do
		grep -qF "$(jq -r .title "$schema")" "$MANUAL/ublk-json.7.scd"
		# What is asked of a device is explained with its options.
		for word in $(jq -r 'del(."$defs".asked) | .. | objects | .enum? // empty | .[] | strings' "$schema"); do
			grep -qF "\\fI$word\\fR" "$MANUAL/ublk-json.7" || { echo "$word"; return 1; }
		done
	done
}

@test "the stages of ublk-json(7) are those that errors have" {
	diff <(sed -nE 's/\[UB_STAGE_/\n&/gp' "$TOP/lib/base/error.c" | sed -nE 's/^\[UB_STAGE_[A-Z]+\] = "([a-z]+)".*/\1/p' | sort) \
		<(grep -A 8 -xF '\fBstage\fR' "$MANUAL/ublk-json.7" | grep -oE 'fI[a-z]+' | sed 's/^fI//' | sort)
}

@test "pages are rendered without a warning, and without a line that is cut" {
	for page in $(pages); do
		run env LC_ALL=C.UTF-8 MANROFFSEQ='' MANWIDTH=80 man --warnings -E UTF-8 -l -Tutf8 -Z "$page"
		[[ $status -eq 0 ]]
		LC_ALL=C.UTF-8 MANROFFSEQ='' MANWIDTH=80 man --warnings -E UTF-8 -l -Tutf8 -Z "$page" 2>&1 >/dev/null |
			tee "$BATS_TEST_TMPDIR/warnings"
		[[ ! -s $BATS_TEST_TMPDIR/warnings ]]
		# Empty paragraphs are how scdoc writes.
		mandoc -Tlint -W warning "$page" | grep -v 'skipping paragraph macro' >"$BATS_TEST_TMPDIR/lint" || true
		[[ ! -s $BATS_TEST_TMPDIR/lint ]] || { cat "$BATS_TEST_TMPDIR/lint"; return 1; }
	done
}

@test "a page has the parts that every page has, in their order" {
	for page in $(pages); do
		parts=$(sed -nE 's/^\.SH //p' "$page" | tr '\n' ' ')
		[[ $parts =~ ^NAME.*\ DESCRIPTION.*\ EXAMPLES\ SEE\ ALSO\ $ ]] || { echo "$page: $parts"; return 1; }
		[[ $page != *.8 || $parts == *' EXIT STATUS '* ]]
	done
}

@test "the manual is installed, and what is built twice is the same" {
	DESTDIR=$BATS_TEST_TMPDIR/root cmake --install "$BUILD" >"$BATS_TEST_TMPDIR/log"
	for page in $(pages); do
		page=$(basename "$page")
		[[ -n $(find "$BATS_TEST_TMPDIR/root" -path "*/man/man${page##*.}/$page") ]]
	done
	prefix=$(sed -n 's/^CMAKE_INSTALL_PREFIX:PATH=//p' "$BUILD/CMakeCache.txt")
	env -u SOURCE_DATE_EPOCH cmake -S "$TOP" -B "$BATS_TEST_TMPDIR/again" -DUB_TESTS=OFF \
		-DCMAKE_INSTALL_PREFIX="$prefix" >"$BATS_TEST_TMPDIR/log"
	cmake --build "$BATS_TEST_TMPDIR/again" --target manual >>"$BATS_TEST_TMPDIR/log"
	for page in $(pages); do
		cmp "$page" "$BATS_TEST_TMPDIR/again/man/$(basename "$page")"
	done
}

@test "the manual's date is that of the release" {
	local day
	day=$(sed -n 's/^ -- .*>  //p' "$TOP/lib/packaging/changelog" | head -n 1)
	grep -qF "\"$(date -u -d "$day" +%F)\"" "$BUILD/man/ublk.8"
}

@test "without scdoc there is no manual, and nothing else is missing" {
	cmake -S "$TOP" -B "$BATS_TEST_TMPDIR/none" -DUB_TESTS=OFF -DUB_SCDOC=OFF >"$BATS_TEST_TMPDIR/log"
	cmake --build "$BATS_TEST_TMPDIR/none" --target help | sed 's/^\.\.\. //' | grep -xE 'ublk|ublk-server|ublk-tls|manual' |
		sort >"$BATS_TEST_TMPDIR/targets"
	[[ $(<"$BATS_TEST_TMPDIR/targets") == $'ublk\nublk-server\nublk-tls' ]]
	[[ ! -e $BATS_TEST_TMPDIR/none/man ]]
}
