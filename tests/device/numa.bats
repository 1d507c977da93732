# SPDX-License-Identifier: MIT
# On a machine with several nodes, each queue's memory is on the node of its CPUs. (The sanitizers do not
# let mlock() be.)
# kernels: newest
# long kernels: 6.12
# cpus: 4
# vm: --numa 2
# no sanitizers

load helpers
load servers
load backings

# read_nodes DEV QUEUES: sets `nodes` and `policies` of QUEUE,PART for each part of each queue that is there:
# where its pages are, as "N0 N1", and what was asked for.
read_nodes()
{
	local server layout base stride part offset queue address policy field rest
	server=$(server_of "$1")
	mapfile -t layout < <(jq -r '.memory | .base, .stride,
		(["state", "batch", "stack", "buffers"][] as $p | "\($p) \(.[$p] | if .size > 0 then .offset else "" end)")' \
		/run/ublk/0.json)
	base=${layout[0]} stride=${layout[1]}
	declare -gA nodes=() policies=()
	declare -A at=()
	for part in "${layout[@]:2}"; do
		read -r part offset <<<"$part"
		for ((queue = 0; queue < $2; queue++)); do
			[[ -z $offset ]] || at[$(printf '%x' $((base + queue * stride + offset)))]=$queue,$part
		done
	done
	while read -r address policy rest; do
		part=${at[$address]-}
		[[ -n $part ]] || continue
		policies[$part]=$policy
		for field in $rest; do
			[[ $field != N[0-9]*=* ]] || nodes[$part]+="${field%%=*} "
		done
	done <"/proc/$server/numa_maps"
	[ "${#policies[@]}" -eq "${#at[@]}" ]
}

# all_are_at NODE...: the parts of queue 0, 1, ... are there, and nowhere else.
all_are_at()
{
	local part want
	for part in "${!policies[@]}"; do
		want=${*:${part%,*} + 1:1}
		[[ ${policies[$part]} == "prefer:$want" && ${nodes[$part]} == "N$want " ]] ||
			{ echo "$part: ${policies[$part]} ${nodes[$part]}, not $want"; return 1; }
	done
}

# paths: arguments of each data path that this kernel has.
paths()
{
	printf '%s\n' '-t mem --size 16M --data-path copy' '-t loop -f a.img --data-path copy' \
		'-t loop -f a.img --data-path user-copy' '-t loop -f a.img --data-path get-data'
	! kernel_at_least 6.16 || echo '-t loop -f a.img --direct off --data-path zero-copy'
	! kernel_at_least 7.0 || echo '-t loop -f a.img --data-path copy --batch on'
}

# bats test_tags=long
@test "each queue's state, stack and buffers are on its CPUs' node, on every path" {
	[ "$(cat /sys/devices/system/node/online)" = 0-1 ]
	make_image a.img 16M
	while read -r args; do
		# Locked: all of it is touched, and nothing is given back while we look.
		# shellcheck disable=SC2086 # options
		dev=$(ublk add $args -q 4 -d 16 --mlock)
		read_nodes "$dev" 4
		mapfile -t wanted < <(detail "$dev" '.queues_detail[].numa_node')
		# Both nodes have queues.
		[ "$(printf '%s\n' "${wanted[@]}" | sort -u | xargs)" = '0 1' ]
		echo "$args: ${!policies[*]}"
		all_are_at "${wanted[@]}"
		[[ -v policies[3,state] && -v policies[3,stack] ]]
		[[ $args == *zero-copy* || -v policies[3,buffers] ]]
		[[ $args != *--batch* || -v policies[3,batch] ]]
		ublk del "$dev"
	done < <(paths)
}

@test "--numa-node has all memory come from one node" {
	dev=$(ublk add -t mem --size 16M -q 4 -d 16 --mlock --numa-node 1 --data-path copy)
	server=$(server_of "$dev")
	read_nodes "$dev" 4
	[[ -v policies[3,buffers] ]]
	all_are_at 1 1 1 1
	[ "$(detail "$dev" '[.asked.numa_node, (.queues_detail[].memory_node)] | unique')" = '[1]' ]
	# The rings of four queues, two mappings each, beside that for commands. Before Linux 6.14 the
	# kernel does not tell where they are.
	! kernel_at_least 6.14 ||
		[ "$(grep -c 'anon_inode:\[io_uring\].* N1=' "/proc/$server/numa_maps")" -ge 8 ]
	ublk del "$dev"
	run ublk add -t null --numa-node 7
	[ "$status" -eq 1 ]
	[[ $output == *"cannot take the memory of queue 0 from node 7: Invalid argument"* ]]
	nothing_left
}
