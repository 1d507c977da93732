#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# What is printed as JSON is what doc/schema says: every field, no other, of these types.
# shellcheck disable=SC2154 # out, err and status come from ub()

load helpers

validate()
{
	"$TOP/tests/cli/validate" "$@"
}

@test "devices and errors are as documented" {
	"$BUILD/unit_output" "$BATS_TEST_TMPDIR"
	for name in list empty show partly error; do
		validate "$BATS_TEST_TMPDIR/$name.json"
	done
}

@test "every schema but the error's is that of some command" {
	ub version --json
	validate <<<"$out"
	without_driver ub list --json
	validate <<<"$out"
	without_driver ub memory --json
	validate <<<"$out"
	without_driver ub stat --json
	validate <<<"$out"
	ub add -t null --dry-run --json
	validate <<<"$out"
	ub apply --folder "$BATS_TEST_TMPDIR" --json
	validate <<<"$out"
	ub add -t null --json --bogus
	validate <<<"$out"
}

# noted FILE: as layer `log` writes it: a write, a failed flush.
noted()
{
	python3 - "$1" <<'END'
import struct, sys
with open(sys.argv[1], "wb") as log:
    log.write(struct.pack("=8sIIQQQ", b"ublkiolg", 1, 32, 2000, 2, 0).ljust(4096, b"\0"))
    log.write(struct.pack("=QQIIhBBHH", 1700000000123456789, 8192, 4096, 250, 0, 1, 1, 3, 7))
    log.write(struct.pack("=QQIIhBBHH", 1700000000000000000, 0, 0, 9, -5, 2, 0, 0, 0))
END
}

@test "I/Os that a layer has noted are as documented" {
	noted "$BATS_TEST_TMPDIR/log"
	ub log "$BATS_TEST_TMPDIR/log" --json
	validate <<<"$out"
	jq -e '.ios | (.[0] | .operation == "flush" and .offset == null and .error == "EIO") and
		(.[1] | .time == "2023-11-14T22:13:20.123456Z" and .took_ns == 250000 and .fua and .queue == 3)' \
		<<<"$out"
	ub log "$BATS_TEST_TMPDIR/log" --json=lines
	while read -r line; do
		validate <<<"$line"
	done <<<"$out"
}

@test "a document with a field that is not documented is refused" {
	ub version --json
	run validate <<<"$(jq '.more = 1' <<<"$out")"
	[ "$status" -eq 1 ]
	run validate <<<"$(jq 'del(.version)' <<<"$out")"
	[ "$status" -eq 1 ]
}

@test "JSON does not escape slashes" {
	"$BUILD/unit_output" "$BATS_TEST_TMPDIR"
	grep -q '"/dev/ublkb0"' "$BATS_TEST_TMPDIR/list.json"
}

@test "every schema that is documented is a schema's own, by its name" {
	for file in "$TOP"/doc/schema/*.json; do
		name=$(basename "$file" .json)
		[[ $(jq -r .title "$file") == "ublk.${name%-*}/${name##*-}" ]]
	done
}

compatible()
{
	"$TOP/tests/cli/compatible" "$TOP/tests/cli/schema-0.1" "$1"
}

@test "since version 0.1 nothing is gone from the JSON: there are only additions" {
	compatible "$TOP/doc/schema"
}

# changed FILE FILTER: the schemas with one changed.
changed()
{
	rm -rf "$BATS_TEST_TMPDIR/schema"
	cp -r "$TOP/doc/schema" "$BATS_TEST_TMPDIR/schema"
	jq "$2" "$TOP/doc/schema/$1" >"$BATS_TEST_TMPDIR/schema/$1"
	! diff -q <(jq . "$TOP/doc/schema/$1") "$BATS_TEST_TMPDIR/schema/$1" >/dev/null
}

# breaks FILE FILTER TEXT: such a change is found, in these words.
breaks()
{
	changed "$1" "$2"
	run compatible "$BATS_TEST_TMPDIR/schema"
	[[ $status -eq 1 && $output == *"$3"* ]] || { printf '%s\n%s\n' "$2" "$output"; return 1; }
}

@test "a change that takes something from a reader of the JSON is found" {
	breaks devices-1.json 'del(."$defs".device.properties.backing)' '/backing: it is gone'
	breaks devices-1.json '."$defs".device.required -= ["state"]' '/state: it was always there'
	breaks devices-1.json '."$defs".device.properties.queues.type = "string"' "/queues: type was ['integer'], is ['string']"
	breaks devices-1.json '."$defs".device.properties.queues.type = ["integer", "null"]' '/queues: type was'
	breaks devices-1.json '."$defs".bytes_or_null.type = "integer"' '/size: type was'
	breaks devices-1.json '."$defs".device.properties.state.enum -= ["dead"]' '/state: its words are others'
	breaks devices-1.json '."$defs".device.properties.state.enum += [null]' '/state: its words are others'
	breaks devices-1.json 'del(."$defs".device.dependentRequired)' 'no more with asked'
	breaks devices-1.json '.properties.devices |= del(.items)' 'not described any more'
	breaks error-1.json '."$defs".error.required -= ["hints"]' '/hints: it was always there'
	breaks deleted-1.json '.properties.schema.const = "ublk.deleted/2"' 'const was'
	mv "$BATS_TEST_TMPDIR/schema/memory-1.json" "$BATS_TEST_TMPDIR/schema/memory-2.json"
	run compatible "$BATS_TEST_TMPDIR/schema"
	[[ $output == *'memory-1.json: it is gone'* ]]
}

@test "fields, words and schemas may be added to the JSON" {
	changed devices-1.json '."$defs".device.properties.colour = {type: "string"} |
		."$defs".device.required += ["colour"] | ."$defs".device.properties.state.enum += ["asleep"]'
	cp "$TOP/doc/schema/version-1.json" "$BATS_TEST_TMPDIR/schema/another-1.json"
	compatible "$BATS_TEST_TMPDIR/schema"
}

@test "lines are objects of their own schemas, a line each" {
	without_driver ub list --json=lines
	[[ $(wc -l <<<"$out") -eq 1 ]]
	validate <<<"$out"
	"$BUILD/unit_output" "$BATS_TEST_TMPDIR"
	[[ $(wc -l <"$BATS_TEST_TMPDIR/lines.json") -eq 5 ]]
	while read -r line; do
		validate <<<"$line"
		jq -r .schema <<<"$line"
	done <"$BATS_TEST_TMPDIR/lines.json" >"$BATS_TEST_TMPDIR/schemas"
	[[ $(sort "$BATS_TEST_TMPDIR/schemas" | uniq -c | tr -s ' \n' ' ') == \
		' 1 ublk.deleted_device/1 3 ublk.device/1 1 ublk.error/1 ' ]]
}
