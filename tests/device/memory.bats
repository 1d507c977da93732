# SPDX-License-Identifier: MIT
# What a device has in memory, and what is told of it. The sanitizers' own would be measured.
# cpus: 2
# kernels: newest
# long kernels: 6.12
# no sanitizers

load helpers
load servers
load backings

# rollup PID KEY: bytes, as the kernel sums them up.
rollup()
{
	awk -v key="$2:" '$1 == key { print $2 * 1024 }' "/proc/$1/smaps_rollup"
}

# paths: arguments of each data path that this kernel has, and of each target.
paths()
{
	printf '%s\n' '-t null' '-t mem --size 16M' '-t loop -f copy.img --data-path copy' \
		'-t loop -f user-copy.img --data-path user-copy' '-t loop -f pool.img --buffer-memory 2M' \
		'-t loop -f get-data.img --data-path get-data'
	! kernel_at_least 6.16 || echo '-t loop -f zero-copy.img --direct off --data-path zero-copy'
	! kernel_at_least 7.0 || printf '%s\n' '-t loop -f batch.img --data-path copy --batch on' \
		'-t loop -f batch-user-copy.img --data-path user-copy --batch on' \
		'-t loop -f batch-zero-copy.img --direct off --data-path zero-copy --batch on'
}

# are_below KIB SERVER...: resident, each of them.
are_below()
{
	local server
	for server in "${@:2}"; do
		(($(rollup "$server" Rss) < $1 * 1024)) || return
	done
}

@test "an idle device is small on every path, and again within ten seconds after a load" {
	loaded=()
	while read -r args; do
		[[ $args != *'-f '* ]] || { file=${args#*-f } && make_image "${file%% *}" 16M; }
		# shellcheck disable=SC2086 # options
		dev=$(ublk add $args)
		server=$(server_of "$dev")
		echo "$args: $(rollup "$server" Rss) $(rollup "$server" Private_Dirty)"
		[ "$(rollup "$server" Rss)" -lt $((1200 * 1024)) ]
		[ "$(rollup "$server" Private_Dirty)" -lt $((400 * 1024)) ]
		# What a target in memory has is its data.
		[[ $args == '-t mem'* ]] || loaded+=("$dev" "$server")
	done < <(paths)
	servers=()
	for ((at = 0; at < ${#loaded[@]}; at += 2)); do
		fio --name=load --filename="${loaded[at]}" --rw=randwrite --bs=512k --iodepth=128 --size=16M \
			--direct=1 --ioengine=libaio --output=fio.log
		servers+=("${loaded[at + 1]}")
	done
	wait_for 10 are_below 2048 "${servers[@]}" || { ublk memory; return 1; }
	ublk del --all
}

# has_threads SERVER N: the kernel's workers are among them.
has_threads()
{
	[ "$(find "/proc/$1/task" -mindepth 1 -maxdepth 1 | wc -l)" -eq "$2" ]
}

@test "workers that the kernel made for a server end when it is idle" {
	make_image a.img 16M
	dev=$(ublk add -t loop -f a.img -q 2)
	server=$(server_of "$dev")
	# Syncs are for workers, where no short ones were seen.
	fio --name=load --filename="$dev" --rw=randwrite --bs=64k --iodepth=16 --size=16M --fsync=4 \
		--direct=1 --ioengine=libaio --output=fio.log
	wait_for 30 has_threads "$server" 3 || { cat "/proc/$server/task/"*/comm; return 1; }
	ublk del "$dev"
}

# agrees SERVER: what show tells is what the kernel sums up. Both again and again, for an idle server
# gives memory back in between.
agrees()
{
	ublk show --json "$dev" >show.json
	[ "$(jq -c '.devices[0].memory | [.resident, .dirty]' show.json)" = \
		"[$(rollup "$1" Rss),$(rollup "$1" Private_Dirty)]" ]
}

@test "reports agree with the kernel, in sum and in parts" {
	dev=$(ublk add -t mem --size 16M -q 2 -d 64 --max-io 256K --data-path copy)
	dd if=/dev/urandom of="$dev" bs=1M count=3 oflag=direct status=none
	server=$(server_of "$dev")
	wait_for 20 agrees "$server"
	run -0 jq -c '.devices[0] | .memory as $memory | .regions as $regions |
		def region($name; $key): [$regions[] | select(.name == $name) | .[$key]];
		[("mapped", "resident", "dirty", "locked") as $key | ([$regions[][$key]] | add) == $memory[$key]],
		$memory.locked,
		[region("target"; "mapped", "resident")],
		[region("buffers"; "mapped", "queue")],
		[region("state", "stats", "stacks", "descriptors"; "mapped")]' show.json
	[ "${lines[0]}" = '[true,true,true,true]' ]
	[ "${lines[1]}" = 0 ]
	[ "${lines[2]}" = '[[16781312],[3149824]]' ]
	[ "${lines[3]}" = '[[16777216,16777216],[0,1]]' ]
	[ "${lines[4]}" = '[[8192,8192],[8192,8192],[131072,131072],[8192]]' ]
	ublk del "$dev"
}

@test "list has the columns of memory, and a dead server has none" {
	dev=$(ublk add -t null)
	run -0 ublk list -o ID,MAPPED,RESIDENT,DIRTY,SWAPPED,LOCKED,PINNED,CHARGED
	[[ ${lines[1]} =~ ^\ 0(\ +[0-9.]+[KM]){3}(\ +0){4}$ ]]
	kill_server "$dev"
	wait_for 10 no_server
	run -0 ublk list -o ID,RESIDENT
	[[ ${lines[1]} =~ ^\ 0\ +-$ ]]
	[ "$(ublk list --json | jq -c '.devices[0].memory | [.[]] | unique')" = '[null]' ]
	ublk del "$dev"
}

@test "under --mlock nothing is given back, and show says so" {
	dev=$(ublk add -t mem --size 8M -d 8 --max-io 64K --mlock --data-path copy)
	ublk show "$dev" | grep -q 'idle buffers: *kept-locked'
	dd if=/dev/zero of="$dev" bs=64K count=8 oflag=direct status=none
	[ "$(buffers_of "$dev" resident)" -eq $((8 * 64 * 1024)) ]
	# Longer than the longest time after which an idle queue gives back.
	sleep 9
	[ "$(buffers_of "$dev" resident)" -eq $((8 * 64 * 1024)) ]
	ublk del "$dev"
}

# sum_agrees: the same for all devices.
sum_agrees()
{
	local sum=0 server
	ublk memory --json >memory.json
	for server in $(servers); do
		sum=$((sum + $(rollup "$server" Rss)))
	done
	[[ $(tr -d ' \n' <memory.json) =~ '"total":{'[^}]*'"resident":'([0-9]+) ]]
	[ "${BASH_REMATCH[1]}" -eq "$sum" ]
}

@test "memory adds up all devices, by device and by part" {
	ublk add -t mem --size 8M
	dd if=/dev/urandom of=/dev/ublkb0 bs=1M count=2 oflag=direct status=none
	ublk add -t null
	ublk add -t null
	park /dev/ublkb2
	ublk memory --json >memory.json
	run -0 jq -c '[("mapped", "resident", "dirty", "swapped", "locked", "pinned", "charged") as $key |
			([.devices[].memory[$key] // 0] | add) == .total[$key]],
		[("mapped", "resident", "dirty", "swapped", "locked") as $key |
			([.parts[][$key]] | add) == .total[$key]],
		[.measured, (.devices | length), (.parts[] | select(.name == "target") | .resident)]' memory.json
	[ "${lines[0]}" = '[true,true,true,true,true,true,true]' ]
	[ "${lines[1]}" = '[true,true,true,true,true]' ]
	[ "${lines[2]}" = '[2,3,2101248]' ]
	wait_for 20 sum_agrees
	run -0 ublk memory
	[[ $output == *RESIDENT*total\ resident:* ]]
	ublk del --all
}

@test "memory of devices that are named is theirs alone, and what is missing is told" {
	ublk add -t mem --size 8M --name one
	ublk add -t null
	run -0 jq -c '[.devices[].id], .measured, .errors' < <(ublk memory one --json)
	[ "$output" = $'[0]\n1\n[]' ]
	run -0 jq -c '[.devices[].id], .measured' < <(ublk memory -n 1 /dev/ublkb0 one --json)
	[ "$output" = $'[1,0]\n2' ]
	run -0 ublk memory 1
	[[ $output != *one* && $output == *'measured:'*1* ]]
	run -1 --separate-stderr ublk memory 7 1
	[[ $output == *'measured:'*1* && $stderr == *'cannot find'*7* ]]
	run -4 --separate-stderr ublk memory 7
	[ -z "$output" ]
	run -4 --separate-stderr ublk memory 7 --json
	[ "$(jq -r .error.code <<<"$output")" = ENODEV ]
	run -1 --separate-stderr ublk memory 7 1 --json
	[ "$(jq -c '[.measured, (.devices | length), .errors[].code]' <<<"$output")" = '[1,1,"ENODEV"]' ]
	ublk del --all
}
