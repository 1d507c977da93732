# SPDX-License-Identifier: MIT
# Add, list, show and del of every target, as a user meets them.
# cpus: 2
# kernels: 6.12 newest

load helpers

# ids_of_all: the numbers of all devices, in a line.
ids_of_all()
{
	ublk list --json | jq -c '[.devices[].id]'
}

@test "null: add prints the path, the device is there with its size, del removes it" {
	run --separate-stderr ublk add -t null --size 1G
	[ "$status" -eq 0 ]
	[ "$output" = /dev/ublkb0 ]
	[ -z "$stderr" ]
	[ -b /dev/ublkb0 ]
	[ "$(blockdev --getsize64 /dev/ublkb0)" -eq $((1 << 30)) ]
	dd if=/dev/ublkb0 of=/dev/null bs=64K count=1 status=none iflag=direct
	dd if=/dev/zero of=/dev/ublkb0 bs=64K count=1 status=none oflag=direct
	run ublk del /dev/ublkb0
	[ "$status" -eq 0 ]
	[ -z "$output" ]
	[ ! -e /dev/ublkb0 ]
	[ ! -e /dev/ublkc0 ]
}

@test "mem: what is written is read back, what is not reads as zeroes" {
	dev=$(ublk add -t mem --size 8M)
	dd if=/dev/urandom of=data bs=1M count=1 status=none
	dd if=data of="$dev" bs=1M seek=3 oflag=direct status=none
	cmp -n 1M data <(dd if="$dev" bs=1M skip=3 count=1 iflag=direct status=none)
	cmp -n 3M /dev/zero "$dev"
	[ "$(blockdev --getsize64 "$dev")" -eq $((8 << 20)) ]
	ublk del "$dev"
}

@test "loop: what is written stands in the file, at the same place" {
	make_image a.img 8M
	dev=$(ublk add -t loop -f a.img)
	dd if=/dev/urandom of=data bs=1M count=1 status=none
	dd if=data of="$dev" bs=1M seek=3 oflag=direct status=none conv=fsync
	cmp -n 1M data <(dd if=a.img bs=1M skip=3 status=none)
	ublk del "$dev"
	[ "$(stat -c %s a.img)" -eq $((8 << 20)) ]
}

# bats test_tags=newest
@test "loop: a descriptor is the caller's, a file without a name too, and never one of ours" {
	head -c 4M /dev/urandom >a.img
	cp a.img want
	exec 7<>a.img
	for path in /dev/fd/7 /dev/stdin "/proc/$$/fd/7"; do
		dev=$(ublk add -t loop -f "$path" --log-file log <&7)
		cmp want "$dev"
		[ "$(column_of "$dev" BACKING)" = "$PWD/a.img" ] || [ "$path" = "/proc/$$/fd/7" ]
		ublk del "$dev"
	done
	"$UBLK" add --foreground -t loop -f /dev/fd/7 &
	wait_for 20 test -b /dev/ublkb0
	cmp want /dev/ublkb0
	ublk del 0
	wait $!
	rm a.img
	run --separate-stderr ublk add -t loop -f /dev/fd/7
	[ "$status" -eq 0 ]
	[[ $stderr == *'/a.img (deleted) has no name: should its server die, no other one finds it'* ]]
	exec 7>&-
	cmp want /dev/ublkb0
	[ "$(ublk show --json 0 | jq -r '.devices[0].recovery')" = none ]
	ublk del 0
	for n in 3 4 5 6 7 8 9 10; do
		# All of these are closed in the caller, and some are open in us.
		run bash -c 'exec 3>&- 4>&- 5>&- 6>&- 8>&- 9>&- 10>&-; exec "$0" add -t loop -f /dev/fd/$1' "$UBLK" "$n"
		[ "$status" -eq 1 ]
		[[ $output == *"cannot open /dev/fd/$n: there is no such descriptor"* ]]
	done
	run bash -c ': | "$0" add -t loop -f /dev/stdin' "$UBLK"
	[[ $output == *'cannot serve /dev/stdin: it is a FIFO'* ]]
}

# bats test_tags=newest
@test "loop --create makes the file, and refuses one that exists" {
	dev=$(ublk add -t loop -f new.img --create 16M)
	[ "$(stat -c %s new.img)" -eq $((16 << 20)) ]
	[ "$(blockdev --getsize64 "$dev")" -eq $((16 << 20)) ]
	ublk del "$dev"
	run ublk add -t loop -f new.img --create 32M
	[ "$status" -eq 5 ]
	[ "$(stat -c %s new.img)" -eq $((16 << 20)) ]
}

# bats test_tags=newest
@test "every name of a device works in every verb, 0 included" {
	ublk add -t null --name first
	for name in 0 ublkb0 ublkc0 /dev/ublkb0 /dev/ublkc0 first '-n 0'; do
		# Two words.
		# shellcheck disable=SC2086
		[ "$(ublk show --json $name | jq '.devices[0].id')" -eq 0 ]
	done
	for name in /dev/ublkb0 first '-n 0'; do
		# shellcheck disable=SC2086
		ublk del $name
		[ ! -e /dev/ublkb0 ]
		ublk add -t null --name first
	done
	ublk del 0
	[ "$(ids_of_all)" = '[]' ]
}

@test "-n chooses the number; one that is taken is exit 5 and touches nothing" {
	[ "$(ublk add -t null -n 5)" = /dev/ublkb5 ]
	pid=$(ublk show --json 5 | jq '.devices[0].server.pid')
	run ublk add -t null -n 5
	[ "$status" -eq 5 ]
	[[ $output == *'ublk: error: cannot add device 5: '* ]]
	[ "$(ublk show --json 5 | jq '.devices[0].server.pid')" -eq "$pid" ]
	[ "$(ids_of_all)" = '[5]' ]
	ublk del 5
}

# bats test_tags=newest
@test "a name that a device has is refused to another one" {
	ublk add -t null --name twin
	run ublk add -t null --name twin
	[ "$status" -eq 5 ]
	[[ $output == *'ublkb0 has that name'* ]]
	[ "$(ids_of_all)" = '[0]' ]
	ublk del twin
}

# bats test_tags=newest
@test "list is empty without devices, as a table and as JSON" {
	run --separate-stderr ublk list
	[ "$status" -eq 0 ]
	[ "${#lines[@]}" -le 1 ]
	ublk list --json | jq -e '.schema == "ublk.devices/1" and .devices == []'
}

@test "list has one line for each device, in the order of the numbers" {
	ublk add -t null -n 7
	ublk add -t mem --size 1M -n 2
	run ublk list
	[ "${#lines[@]}" -eq 3 ]
	[[ ${lines[0]} == ID* ]]
	[[ ${lines[1]} =~ ^' '*2' ' ]]
	[[ ${lines[2]} =~ ^' '*7' ' ]]
	[ "$(ids_of_all)" = '[2,7]' ]
	ublk del 2 7
}

# has_contract_keys <JSON: every field that the contract names is there, with its type.
has_contract_keys()
{
	jq -e '
		def int: type == "number" and . == floor;
		.schema == "ublk.devices/1" and (.devices | length) == 1 and (.devices[0] |
		(.id | int) and (.name | . == null or type == "string") and
		(.path | type == "string") and
		(.state | IN("live", "quiesced", "failed", "dead")) and
		([.size, .logical_block_size, .physical_block_size, .queues, .depth, .max_io,
			.owner_uid, .owner_gid] | all(int)) and
		([.read_only, .batch, .managed] | all(type == "boolean")) and
		(.data_path | type == "string") and (.recovery | type == "string") and
		(.flags | type == "array" and . == sort and all(type == "string")) and
		(.flags_raw | test("^0x[0-9a-f]+$")) and
		(.server | (.pid | int) and .alive == true and (.version | type == "string") and
			(.threads | int)) and
		(.target.type | type == "string") and
		(.memory | type == "object"))' >/dev/null
}

@test "JSON has every key of the contract, with its type, from add, list and show" {
	make_image a.img 16M
	ublk add --json -t loop -f a.img --name json | tee add.json | has_contract_keys
	ublk list --json | tee list.json | has_contract_keys
	ublk show --json 0 | tee show.json | has_contract_keys
	[ "$(jq '.devices[0] | del(.memory)' add.json)" = "$(jq '.devices[0] | del(.memory)' list.json)" ]
	jq -e '.devices[0] | (.target | .type == "loop" and .file == $f and .offset == 0
			and (.direct | type == "boolean"))
		and .size == 16777216 and .name == "json"
		and .managed and .recovery == "reissue" and .path == "/dev/ublkb0"' \
		--arg f "$PWD/a.img" list.json
	jq -e '.devices[0] | (.asked | type == "object") and (.queues_detail | type == "array")' \
		show.json
	ublk del json
}

@test "queues, depth and request size are those that the kernel granted" {
	run --separate-stderr ublk add --json -t null -q 2 -d 64 -b 64K
	[ "$status" -eq 0 ]
	[ "$(jq -c '.devices[0] | [.queues, .depth, .max_io]' <<<"$output")" = '[2,64,65536]' ]
	[ -d /sys/block/ublkb0/mq/1 ]
	[ ! -e /sys/block/ublkb0/mq/2 ]
	[ "$(cat /sys/block/ublkb0/queue/nr_requests)" -eq 64 ]
	[ "$(cat /sys/block/ublkb0/queue/max_sectors_kb)" -eq 64 ]
	ublk del 0
}

@test "more queues than CPUs are granted in part, with a note; --strict refuses them" {
	cpus=$(getconf _NPROCESSORS_CONF)
	run --separate-stderr ublk add -t null -q $((cpus + 3))
	[ "$status" -eq 0 ]
	[ "$output" = /dev/ublkb0 ]
	[[ $stderr == *"$((cpus + 3)) queues asked for, $cpus granted"* ]]
	jq -e --argjson n "$cpus" '.devices[0] | .queues == $n and .asked.queues == $n + 3' <(ublk show --json 0)
	ublk del 0
	run --separate-stderr ublk add -t null -q $((cpus + 3)) --strict
	[ "$status" -eq 6 ]
	[ -z "$output" ]
}

@test "the kernel's queue limits are what the options say" {
	ublk add -t null --logical-block-size 4096 --physical-block-size 16K --io-min 32K \
		--io-opt 1M --rotational --read-only
	sysfs=/sys/block/ublkb0/queue
	[ "$(cat $sysfs/logical_block_size)" -eq 4096 ]
	[ "$(cat $sysfs/physical_block_size)" -eq 16384 ]
	[ "$(cat $sysfs/minimum_io_size)" -eq 32768 ]
	[ "$(cat $sysfs/optimal_io_size)" -eq 1048576 ]
	[ "$(cat $sysfs/rotational)" -eq 1 ]
	[ "$(cat /sys/block/ublkb0/ro)" -eq 1 ]
	jq -e '.devices[0] | .logical_block_size == 4096 and .physical_block_size == 16384
		and .read_only' <(ublk show --json 0)
	ublk del 0
}

# bats test_tags=newest
@test "del without a device is a usage error and deletes nothing" {
	ublk add -t null
	run ublk del
	[ "$status" -eq 2 ]
	[ "$(ids_of_all)" = '[0]' ]
	ublk del 0
}

# bats test_tags=newest
@test "del of a device that is not there is exit 4, and none with --if-exists" {
	ublk add -t null
	run ublk del 99
	[ "$status" -eq 4 ]
	[[ $output == *'ublk: error: '* ]]
	run ublk del --if-exists 99
	[ "$status" -eq 0 ]
	run ublk show 99
	[ "$status" -eq 4 ]
	run ublk recover 99
	[ "$status" -eq 4 ]
	[ "$(ids_of_all)" = '[0]' ]
	ublk del 0
}

# bats test_tags=newest
@test "del of a word that is no device deletes nothing" {
	ublk add -t null
	for word in abc 0x0 -- -1 '' /dev/null; do
		run ublk del "$word"
		[ "$status" -ne 0 ]
	done
	run ublk del -n abc
	[ "$status" -eq 2 ]
	[ "$(ids_of_all)" = '[0]' ]
	ublk del 0
}

# bats test_tags=newest
@test "of several devices the missing one is named and the others are deleted" {
	ublk add -t null
	ublk add -t null
	run ublk del 0 42 1
	[ "$status" -ne 0 ]
	[[ $output == *42* ]]
	[ "$(ids_of_all)" = '[]' ]
}

@test "del --all removes all of them, and is content with none" {
	for ((i = 0; i < 4; i++)); do
		ublk add -t null
	done
	ublk del --all
	[ "$(ids_of_all)" = '[]' ]
	ublk del --all
}

@test "del refuses a device that is open and names who has it; --force takes it away" {
	ublk add -t null
	exec {fd}</dev/ublkb0
	run ublk del 0
	[ "$status" -eq 5 ]
	[[ $output == *"$$"* || $output == *"$BASHPID"* ]]
	[ "$(state_of /dev/ublkb0)" = live ]
	exec {fd}<&-
	ublk del --force 0
	[ "$(ids_of_all)" = '[]' ]
}

# bats test_tags=newest
@test "unknown verbs, options, targets and columns are usage errors" {
	for args in 'ad' 'add -t nul' 'add -t null --sise 1G' 'list --number 0' 'list -o NOPE' \
		'add' 'add -t null -q' 'show' 'add -t null extra' 'add -t mem -f x --size 1M'; do
		# Several words.
		# shellcheck disable=SC2086
		run ublk $args
		[ "$status" -eq 2 ]
		[[ $output == 'ublk: error: '* ]]
	done
	[ ! -e /dev/ublkb0 ]
}

@test "version, help and features work" {
	[[ $(ublk version) == *[0-9].[0-9]* ]]
	ublk help | grep -q '^Usage: ublk'
	ublk add --help | grep -q -- '--recovery'
	ublk features | grep -q user_copy
	ublk features --json | jq -e '.schema | type == "string"'
}

# The two sides of a difference between kernels, each asserted.
@test "--recovery fail is granted where the driver has it; else it is exit 6 and leaves nothing" {
	run --separate-stderr ublk add -t null --recovery fail
	if kernel_at_least 6.13; then
		[ "$status" -eq 0 ]
		[ "$(ublk show --json 0 | jq -r '.devices[0].recovery')" = fail ]
		ublk del 0
	else
		[ "$status" -eq 6 ]
		[[ $stderr == *'--recovery fail'* ]]
		[ "$(ids_of_all)" = '[]' ]
	fi
}

@test "features tells of user_recovery_fail_io exactly where add can have it" {
	if kernel_at_least 6.13; then expected=true; else expected=false; fi
	[ "$(ublk features --json |
		jq '.features[] | select(.name == "user_recovery_fail_io").present')" = $expected ]
}

# bats test_tags=newest
@test "mem, whose data dies with its server, has recovery only if that is asked for" {
	ublk add -t mem --size 1M
	[ "$(ublk show --json 0 | jq -r '.devices[0].recovery')" = none ]
	ublk del 0
	ublk add -t mem --size 1M --recovery reissue
	[ "$(ublk show --json 0 | jq -r '.devices[0].recovery')" = reissue ]
	ublk del 0
}
