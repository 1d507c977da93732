# SPDX-License-Identifier: MIT
# Several threads for one queue, one thread for several queues, CPUs dealt out to threads, and threads
# that look for requests before they sleep.
# kernels: newest
# long kernels: 6.12 6.18
# cpus: 4
# build: faults

load helpers
load servers
load backings

has_threads()
{
	only_on_kernel 6.16 'several threads to a queue'
}

# threads_of DEV FILTER: of all queues' threads.
threads_of()
{
	ublk show --json "$1" | jq -c "[.devices[0].queues_detail[].threads[]] | $2"
}

@test "a queue has as many threads as asked for, and all of them serve" {
	has_threads
	dev=$(ublk add -t mem --size 64M --threads 4 -d 64)
	[ "$(threads_of "$dev" length)" -eq 4 ]
	[ "$(ublk list --json | jq '.devices[0].server.threads')" -eq 4 ]
	[ "$(ublk show --json "$dev" | jq '.devices[0].asked.threads')" -eq 4 ]
	fio_verify "$dev" --ioengine=libaio --bsrange=512-512k --iodepth=64 --size=32M
	for tid in $(threads_of "$dev" '.[].tid'); do
		# Slept and woken again.
		[ "$(sed -n 's/^voluntary_ctxt_switches:[[:space:]]*//p' "/proc/$tid/status")" -gt 5 ]
	done
	ublk del "$dev"
}

# bats test_tags=long
@test "every block is kept, on every path, whatever the number of threads" {
	has_threads
	fs_on "$(make_ram_disk 128)" ext4 e
	make_image e/a.img 64M
	for path in copy user-copy get-data zero-copy; do
		for threads in 2 6; do
			dev=$(ublk add -t loop -f e/a.img -q 2 -d 7 --threads "$threads" \
				--data-path "$path")
			[ "$(detail "$dev" .data_path)" = "\"$path\"" ]
			[ "$(threads_of "$dev" length)" -eq "$threads" ]
			fio_verify "$dev" --ioengine=libaio --bsrange=512-512k --iodepth=32 --size=32M
			ublk del "$dev"
		done
	done
}

# verify_on_all DEV: writes and reads back on each CPU, whose I/O comes in another queue, at once.
verify_on_all()
{
	fio_verify "$1" --ioengine=libaio --bsrange=512-512k --iodepth=16 --size=4M --offset_increment=4M \
		--numjobs=4 --cpus_allowed=0-3 --cpus_allowed_policy=split
}

@test "every block is kept, on every path, when a thread serves several queues" {
	fs_on "$(make_ram_disk 128)" ext4 e
	make_image e/a.img 64M
	# One for four; two for two and one; two for two each.
	for shape in copy/4/1/1 user-copy/4/1/1 get-data/4/1/1 zero-copy/4/1/1 copy/3/2/2 copy/4/3/2; do
		IFS=/ read -r path queues threads serve <<<"$shape"
		[[ $path != zero-copy ]] || kernel_at_least 6.16 || continue
		dev=$(ublk add -t loop -f e/a.img -q "$queues" -d 7 --threads "$threads" \
			--data-path "$path" 2>/dev/null)
		[ "$(detail "$dev" .data_path)" = "\"$path\"" ]
		[ "$(threads_of "$dev" 'map(.tid) | unique | length')" -eq "$serve" ]
		[ "$(threads_of "$dev" length)" -eq "$queues" ]
		[ "$(ublk list --json | jq '.devices[0].server.threads')" -eq "$serve" ]
		verify_on_all "$dev"
		ublk del "$dev"
	done
}

@test "a thread that serves several queues runs where any of them is served" {
	dev=$(ublk add -t null -q 4 --threads 2)
	expected=$(ublk show --json "$dev" | jq -c '[.devices[0].queues_detail | (.[0:2], .[2:4]) |
		map(.cpus | split(",") | map(tonumber)) | add | sort]')
	found=$(threads_of "$dev" '[.[0], .[2]] | map(.cpus | split(",") |
		map(split("-") | map(tonumber) | [range(.[0]; .[-1] + 1)]) | add | sort)')
	[ "$found" = "$expected" ] || { echo "$found, not $expected"; return 1; }
	ublk del "$dev"
}

@test "a capped pool and buffers that go back work for threads, too" {
	has_threads
	make_image a.img 64M
	dev=$(ublk add -t loop -f a.img --threads 3 --buffer-memory 2M)
	fio_verify "$dev" --ioengine=libaio --bsrange=512-512k --iodepth=64 --size=32M
	[ "$(buffers_of "$dev" resident)" -le $((2 << 20)) ]
	has_given_back()
	{
		[ "$(buffers_of "$1" resident)" -eq 0 ]
	}
	wait_for 10 has_given_back "$dev"
	ublk del "$dev"
}

# bats test_tags=long
@test "plan and device agree, threads and all" {
	make_image a.img 16M
	for shape in copy/2/6 zero-copy/2/6 copy/4/1 user-copy/4/3 zero-copy/3/2; do
		IFS=/ read -r path queues threads <<<"$shape"
		kernel_at_least 6.16 || [[ $path != zero-copy && $threads -lt $queues ]] || continue
		args=(-t loop -f a.img -q "$queues" --threads "$threads" -d 100 --data-path "$path")
		ublk add "${args[@]}" --dry-run --json >plan.json
		dev=$(ublk add "${args[@]}")
		ublk show --json "$dev" >device.json
		for kind in descriptors rings state stats stacks buffers; do
			planned=$(jq "[.regions[] | select(.name == \"$kind\") | .mapped] | add" plan.json)
			found=$(jq "[.devices[0].regions[] | select(.name == \"$kind\") | .mapped] | add" device.json)
			[ "$planned" = "$found" ] || { echo "$shape $kind: $planned, $found"; return 1; }
		done
		ublk del "$dev"
	done
}

@test "a killed server's requests are served whole by the next one's threads" {
	has_threads
	make_image a.img 32M
	dev=$(ublk add -t loop -f a.img --direct off --threads 4 --recovery reissue)
	outlives_its_servers "$dev"
	[ "$(threads_of "$dev" length)" -eq 4 ]
	ublk del "$dev"
}

@test "a killed server's requests are served whole by the next one's thread for all queues" {
	make_image a.img 32M
	dev=$(ublk add -t loop -f a.img --direct off -q 4 --threads 1 --recovery reissue)
	outlives_its_servers "$dev"
	[ "$(threads_of "$dev" 'map(.tid) | unique | length')" -eq 1 ]
	ublk del "$dev"
}

@test "a thread that can't be started leaves nothing" {
	has_threads
	UBLK_FAULT=thread:EAGAIN run --separate-stderr "$UBLK" add -t null --threads 2
	[ "$status" -eq 1 ]
	[[ $stderr == *"cannot start the thread of queue 0"* ]]
	nothing_left
}

@test "CPUs are dealt out to threads, in order" {
	dev=$(ublk add -t null -q 2 --cpus 3,0-2)
	[ "$(threads_of "$dev" 'map(.cpus)')" = '["1,3","0,2"]' ]
	ublk del "$dev"
	dev=$(ublk add -t null -q 2 --cpus 1)
	[ "$(threads_of "$dev" 'map(.cpus)')" = '["1","1"]' ]
	[ "$(ublk show --json "$dev" | jq -r '.devices[0].asked.cpus')" = 1 ]
	ublk del "$dev"
}

@test "each of several threads has its CPU, and has it after a recovery" {
	has_threads
	dev=$(ublk add -t null --threads 4 --cpus 0-3)
	[ "$(threads_of "$dev" 'map(.cpus)')" = '["0","1","2","3"]' ]
	kill_server "$dev"
	ublk recover "$dev"
	[ "$(threads_of "$dev" 'map(.cpus)')" = '["0","1","2","3"]' ]
	ublk del "$dev"
}

# switch_cpu N 0|1
switch_cpu()
{
	echo "$2" >"/sys/devices/system/cpu/cpu$1/online"
}

@test "a recovery goes on when CPUs of --cpus are offline, and takes them again when they are back" {
	at_end switch_cpu 2 1
	at_end switch_cpu 3 1
	dev=$(ublk add -t null -q 2 --cpus 2,3 --recovery reissue)
	cpus=('["2","3"]' '["2","2-3"]' '["0-3","0-3"]' '["2","3"]')
	for round in 0 1 2 3; do
		case $round in
		1) switch_cpu 3 0 ;;
		2) switch_cpu 2 0 ;;
		3) switch_cpu 2 1 && switch_cpu 3 1 ;;
		esac
		kill_server "$dev"
		run -0 --separate-stderr ublk recover "$dev"
		[ "$(threads_of "$dev" 'map(.cpus)')" = "${cpus[round]}" ]
		dd if="$dev" of=/dev/null bs=4k count=64 iflag=direct status=none
		[[ $round == [03] && -z $stderr ]] || [[ $stderr == *'--cpus are offline'* ]]
	done
	ublk del "$dev"
	switch_cpu 3 0
	run ublk add -t null --cpus 3
	[ "$status" -eq 1 ]
	[[ $output == *"cannot run a thread of queue 0 on the CPUs of --cpus"* ]]
	nothing_left
}

@test "CPUs that are not there are refused, and nothing is left" {
	run --separate-stderr ublk add -t null --cpus 100
	[ "$status" -eq 1 ]
	[[ $stderr == *"cannot run a thread of queue 0 on the CPUs of --cpus"* ]]
	nothing_left
	for list in '' 0-x 1,1 3-1 9000; do
		run --separate-stderr ublk add -t null --cpus "$list"
		[ "$status" -eq 2 ]
		nothing_left
	done
}

@test "what makes no sense is refused" {
	run --separate-stderr ublk add -t null -q 2 --threads 3
	[ "$status" -eq 2 ]
	[[ $stderr == *"--threads 3 is no multiple of --queues 2"* ]]
	run --separate-stderr ublk add -t null --threads 2 --batch on
	[ "$status" -eq 2 ]
	[[ $stderr == *"--batch on is for one thread to a queue"* ]]
	run --separate-stderr ublk add -t null -q 4 --threads 2 --batch on
	[ "$status" -eq 2 ]
	[[ $stderr == *"--batch on is for one thread to a queue"* ]]
	run --separate-stderr ublk add -t null -q 8 --threads 1 -d 4096
	[ "$status" -eq 2 ]
	[[ $stderr == *"--threads 1 is too few"* ]]
	run --separate-stderr ublk add -t null --threads 0
	[ "$status" -eq 2 ]
	nothing_left
}

@test "more threads than requests are as many as there are, with a note" {
	has_threads
	run -0 --separate-stderr ublk add -t null -d 3 --threads 8
	[[ $stderr == *"8 threads asked for, 3 serve"* ]]
	ublk del "$output"
}

@test "where a queue can have one thread only, more are refused with the reason" {
	only_before_kernel 6.16 'several threads to a queue'
	run --separate-stderr ublk add -t null --threads 2
	[ "$status" -eq 6 ]
	[[ $stderr == *"several threads to a queue: that needs Linux 6.16"* ]]
	nothing_left
}

# bats test_tags=long
@test "a thread that looks for requests before it sleeps serves, sleeps, and ends" {
	make_image a.img 32M
	for path in copy user-copy; do
		dev=$(ublk add -t loop -f a.img --data-path "$path" --poll-us 500 -q 2)
		[ "$(ublk show --json "$dev" | jq '.devices[0].asked.poll_us')" -eq 500 ]
		fio_verify "$dev" --iodepth=1 --size=2M
		fio_verify "$dev" --iodepth=32 --size=16M
		for tid in $(threads_of "$dev" '.[].tid'); do
			wait_for 5 sleeps "$tid"
		done
		kill_server "$dev"
		ublk recover "$dev"
		fio_verify "$dev" --iodepth=1 --size=2M
		ublk del "$dev"
	done
}

sleeps()
{
	[[ $(cut -d ' ' -f 3 "/proc/$1/stat") == S ]]
}
