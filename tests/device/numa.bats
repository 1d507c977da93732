# SPDX-License-Identifier: MIT
# On a machine with several nodes, each queue's memory is on the node of its CPUs. (The sanitizers do not
# let mlock() be.)
# kernels: 6.12 newest
# cpus: 4
# vm: --numa 2
# no sanitizers

load helpers
load servers
load backings

setup()
{
	device_setup
}

teardown()
{
	device_teardown
}

# nodes_of SERVER QUEUE PART: the nodes that its pages are on, as "N0 N1", and its policy.
nodes_of()
{
	local address
	address=$(jq -r --argjson q "$2" --arg p "$3" '.memory | .base, .stride, .[$p].offset' \
		/run/ublk/0.json | { read -r base && read -r stride && read -r offset &&
		printf '%x' $((base + $2 * stride + offset)); })
	awk -v at="$address" '$1 == at { for (i = 2; i <= NF; i++) if ($i ~ /^(prefer|N[0-9])/) {
		sub(/=.*/, "", $i); printf "%s ", $i } }' "/proc/$1/numa_maps"
}

@test "each queue's state, stack and buffers are on its CPUs' node" {
	[ "$(cat /sys/devices/system/node/online)" = 0-1 ]
	# Locked: all of it is touched, and nothing is given back while we look.
	dev=$(ublk add -t mem --size 16M -q 4 -d 16 --mlock)
	server=$(server_of "$dev")
	for queue in 0 1 2 3; do
		node=$(detail "$dev" ".queues_detail[$queue].numa_node")
		for part in state stack buffers; do
			echo "queue $queue, $part: $(nodes_of "$server" "$queue" "$part")"
			[ "$(nodes_of "$server" "$queue" "$part")" = "prefer:$node N$node " ]
		done
	done
	# Both nodes have queues.
	[ "$(detail "$dev" '[.queues_detail[].numa_node] | unique')" = '[0,1]' ]
	ublk del "$dev"
}

@test "--numa-node has all memory come from one node" {
	dev=$(ublk add -t mem --size 16M -q 4 -d 16 --mlock --numa-node 1)
	server=$(server_of "$dev")
	for queue in 0 1 2 3; do
		[ "$(nodes_of "$server" "$queue" buffers)" = 'prefer:1 N1 ' ]
	done
	ublk del "$dev"
	run ublk add -t null --numa-node 7
	[ "$status" -eq 1 ]
	[[ $output == *"cannot take the memory of queue 0 from node 7: Invalid argument"* ]]
	nothing_left
}
