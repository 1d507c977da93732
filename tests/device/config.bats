# SPDX-License-Identifier: MIT
# A configuration file and the device that comes from it, there and back.
# kernels: newest
# long kernels: 6.12
# no sanitizers

load helpers
load servers

setup()
{
	device_setup
	umask 022
	# For --huge-pages.
	echo 20 >/proc/sys/vm/nr_hugepages
	at_end sh -c 'echo 0 >/proc/sys/vm/nr_hugepages'
}

# A value for every key, as a file has it; for a flag yes.
declare -gA VALUES=(
	[id]=7 [name]=disk [queues]=2 [depth]=16 [max-io]=64K [data-path]=copy [batch]=off [threads]=1
	[cpus]=0 [poll-us]=5 [buffer-memory]=8M [memory-limit]=96M [mlock]=yes [huge-pages]=yes
	[numa-node]=0 [logical-block-size]=4K [physical-block-size]=8K [io-min]=16K [io-opt]=64K
	[read-only]=yes [rotational]=yes [scheduler]=keep [no-partition-scan]=yes [no-discard]=yes
	[no-lock]=yes [recovery]=none [log-file]=/tmp/ublk-config.log [stay]=yes
	[offset]=4K [size]=8M [direct]=off [file]=/tmp/ublk-config.img
)
# What an option can't be without.
declare -gA ALSO=(
	[huge-pages]='-d 16 --data-path copy' [buffer-memory]='--data-path user-copy'
	[memory-limit]='-d 16'
)
# Options of add that say nothing of the device.
NO_KEYS=' type dry-run json help config strict foreground adopt no-wait timeout create '

# options_of TARGET: the long options that `add -t TYPE` has, as its help says.
options_of()
{
	"$UBLK" add -t "$1" --help | sed -nE 's/^ +(-[a-z], )?--([a-z-]+).*/\2/p'
}

# make TARGET OPTIONS...: prints the device's path.
make()
{
	case $1 in
	loop) ublk add -t loop -f /tmp/ublk-config.img "${@:2}" ;;
	mem) ublk add -t mem --size "${VALUES[size]}" "${@:2}" ;;
	null) ublk add -t "$@" ;;
	esac
}

# there_and_back TARGET KEY: a device with that option, its file, a device of that, and its file.
there_and_back()
{
	local option=(--"$2") dev
	[[ ${VALUES[$2]-} == yes ]] || option+=("${VALUES[$2]-}")
	# That one make() gives.
	[[ $1/$2 != loop/file && $1/$2 != mem/size ]] || option=()
	# shellcheck disable=SC2086 # options
	dev=$(make "$1" "${option[@]}" ${ALSO[$2]-}) && ublk show --config "$dev" >disk.conf &&
		ublk del "$dev" && grep -xF "$2 = ${VALUES[$2]-}" disk.conf &&
		dev=$(ublk add --config disk.conf) && ublk show --config "$dev" >again.conf &&
		ublk del "$dev" && grep -qx 'name = disk' again.conf &&
		# The device has a name now, if it had none.
		diff <(grep -v '^name = ' disk.conf) <(grep -v '^name = ' again.conf)
}

# all_there_and_back TARGET: every option that it has.
all_there_and_back()
{
	local key
	truncate -s 64M /tmp/ublk-config.img
	for key in $(options_of "$1"); do
		[[ $NO_KEYS != *" $key "* ]] || continue
		there_and_back "$1" "$key" || { echo "--$key of $1:"; cat disk.conf again.conf; return 1; }
	done
}

@test "null: every option goes into a file and comes back" {
	all_there_and_back null
}

@test "loop: every option goes into a file and comes back" {
	all_there_and_back loop
}

@test "mem: every option goes into a file and comes back" {
	all_there_and_back mem
}

@test "a device from a file has its name, keeps its data, and knows the file" {
	make_image a.img 16M
	printf 'type = loop\nfile = %s/a.img\n' "$PWD" >disk.conf
	dev=$(ublk add --config disk.conf)
	[ "$(column_of "$dev" NAME)" = disk ]
	ublk show --json disk | jq -e --arg file "$PWD/disk.conf" '.devices[0].asked.config == $file'
	fio_verify "$dev"
	# The same file again is the same name again.
	run ublk add --config disk.conf
	[ "$status" -eq 5 ]
	# Not where it lay.
	ublk show --config disk | run ! grep -q '^config'
	ublk del disk
}

@test "any path goes into a file and comes back, and sizes are exact" {
	name=$' # a "path"\n\\ with \x01 all\xfe '
	truncate -s 8M "$name"
	dev=$(ublk add -t loop -f "$name" --size 4000256 --offset 513)
	ublk show --config "$dev" >disk.conf
	ublk del "$dev"
	grep -qx 'size = 4000256' disk.conf
	grep -qx 'offset = 513' disk.conf
	[ "$(grep -c . disk.conf)" -eq "$(wc -l <disk.conf)" ]
	dev=$(ublk add --config disk.conf)
	ublk show --json "$dev" >show.json
	jq -e --arg part '/ # a "path"' '.devices[0] |
		(.backing | contains($part)) and .size == 4000256' show.json
	ublk show --config "$dev" | diff <(echo 'name = disk') - | run -1 grep '^<'
	ublk del "$dev"
}

@test "what serving chose of itself is written, but for the data path: another kernel has others" {
	make_image a.img 16M
	dev=$(ublk add -t loop -f a.img)
	ublk show --config "$dev" >disk.conf
	ublk del "$dev"
	grep -qx 'size = 16M' disk.conf
	grep -q '^direct = ' disk.conf
	run ! grep -q '^data-path' disk.conf
}

@test "show --config is for one device of ours, quiesced or live" {
	make_image a.img 16M
	dev=$(ublk add -t loop -f a.img)
	ublk show --config "$dev" >live.conf
	park "$dev"
	ublk show --config "$dev" | diff live.conf -
	other=$(ublk add -t null)
	run --separate-stderr ublk show --config "$dev" "$other"
	[ "$status" -eq 2 ]
	[[ $stderr == *'--config is for one device'* ]]
	run --separate-stderr ublk show --config --json "$dev"
	[ "$status" -eq 2 ]
	rm "/run/ublk/${other#/dev/ublkb}.json"
	run --separate-stderr ublk show --config "$other"
	[ "$status" -eq 1 ]
	[ -z "$output" ]
	[[ $stderr == *"it is another program's"* ]]
	ublk del --force "$dev" "$other"
}

@test "add --foreground --adopt --config takes over what the last server of the file has left" {
	make_image a.img 16M
	printf 'type = loop\nfile = %s/a.img\n' "$PWD" >disk.conf
	for round in 1 2; do
		"$UBLK" add --foreground --adopt --config disk.conf >path.txt &
		server=$!
		wait_for 20 test -s path.txt
		wait_for 20 is_state 0 live
		[ "$(server_of 0)" -eq "$server" ]
		((round == 2)) || { write_block /dev/ublkb0; park 0; : >path.txt; }
	done
	cmp -n 4096 a.img /dev/ublkb0
	ublk del 0
	wait "$server"
}
