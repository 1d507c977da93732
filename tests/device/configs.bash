# SPDX-License-Identifier: MIT
# What tests of configuration files share: each option there and back. Loaded after helpers.
# shellcheck shell=bash

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
	[cpus]=0 [poll-us]=5 [stall-sec]=7 [buffer-memory]=8M [memory-limit]=96M [mlock]=yes [huge-pages]=yes
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
