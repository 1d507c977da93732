# SPDX-License-Identifier: MIT
# What is counted of a device's requests, and who can read it when.
# build: faults
# kernels: newest
# long kernels: 6.12 6.18
# cpus: 2

load helpers
load backings
load servers

# read_stat DEV: what has been done, into stat.json.
read_stat()
{
	ublk stat --json "$1" >stat.json
}

# told FILTER: of what was read, as compact JSON.
told()
{
	jq -c ".devices[0] | $1" stat.json
}

COUNTS='[.read, .write, .flush, .discard, .write_zeroes | .ios, .bytes, .errors]'

# did: what was counted since the last time of all, "READS BYTES ERRORS WRITES BYTES ERRORS ...".
did()
{
	mv stat.json before.json
	read_stat "$1"
	jq -r -n --slurpfile a before.json --slurpfile b stat.json \
		'[$a[0], $b[0] | .devices[0] | '"$COUNTS"'] | transpose | map(.[1] - .[0]) | join(" ")'
}

# sync_disk DEV: one flush, of what is not in the page cache.
sync_disk()
{
	python3 -c 'import os, sys; os.fsync(os.open(sys.argv[1], os.O_RDONLY))' "$1"
}

direct()
{
	dd bs=4k status=none "$@" 2>dd.err
}

# counts DEV: each request is counted once, as what it is.
counts()
{
	read_stat "$1"
	[ "$(told '[.source, .in_flight, .interval_ms]')" = '["server",0,null]' ]
	direct if=/dev/zero of="$1" count=140 oflag=direct
	[ "$(did "$1")" = '0 0 0 140 573440 0 0 0 0 0 0 0 0 0 0' ]
	direct if="$1" of=/dev/null count=130 iflag=direct
	[ "$(did "$1")" = '130 532480 0 0 0 0 0 0 0 0 0 0 0 0 0' ]
	# Several at once.
	fio --name=many --filename="$1" --rw=randread --bs=8k --size=4M --direct=1 --ioengine=io_uring \
		--iodepth=16 >fio.out
	[ "$(did "$1")" = '512 4194304 0 0 0 0 0 0 0 0 0 0 0 0 0' ]
	direct if=/dev/zero of="$1" count=1 oflag=direct
	sync_disk "$1"
	blkdiscard -f -o 1M -l 64K "$1"
	blkdiscard -f -z -o 2M -l 128K "$1"
	[ "$(did "$1")" = '0 0 0 1 4096 0 1 0 0 1 65536 0 1 131072 0' ]
	[ "$(told '[.read, .write | .longest_ns > 0] + [.in_flight]')" = '[true,true,0]' ]
	[ "$(told '.read_times | .p50_ns <= .p99_ns and .p99_ns <= .p999_ns and .p50_ns > 0')" = true ]
}

@test "every request is counted once, as what it is, with its bytes" {
	fs_on "$(make_ram_disk 64)" ext4 files
	make_image files/a.img 16M
	for path in copy user-copy get-data zero-copy; do
		kernel_at_least 6.16 || [[ $path != zero-copy ]] || continue
		dev=$(ublk add -t loop -f files/a.img --data-path "$path")
		echo "$path"
		counts "$dev"
		ublk del "$dev"
	done
	to_be_validated stat.json
	kernel_at_least 7.0 || return 0
	dev=$(ublk add -t loop -f files/a.img --batch on)
	counts "$dev"
	ublk del "$dev"
}

@test "where the clock is not the processor's, one of many is timed, and stands for them" {
	make_image a.img 16M
	dev=$(UBLK_FAULT=ticks "$UBLK" add -t loop -f a.img --data-path copy)
	counts "$dev"
	# Those that have come since the last one that was timed are in none of the numbers.
	[ "$(told '(.read.ios - .read_times.ios) as $rest | $rest >= 0 and $rest < 128')" = true ]
	[ "$(told '(.write.ios - .write_times.ios) as $rest | $rest >= 0 and $rest < 128')" = true ]
	ublk del "$dev"
}

@test "a request that fails is counted as that, with no bytes, also one that came alone" {
	make_image half.img 32M
	half=$(ublk add -t loop -f half.img --layer error,offset=16M --no-partition-scan)
	for path in copy zero-copy; do
		kernel_at_least 6.16 || [[ $path != zero-copy ]] || continue
		dev=$(ublk add -t loop -f "$half" --data-path "$path" --no-partition-scan)
		direct if="$dev" of=/dev/null count=80 iflag=direct
		read_stat "$dev"
		for ((n = 0; n < 3; n++)); do
			! direct if="$dev" of=/dev/null count=1 iflag=direct skip=5000 || return 1
			! direct if=/dev/zero of="$dev" count=1 oflag=direct seek=$((5000 + n)) || return 1
		done
		[ "$(did "$dev")" = '3 0 3 3 0 3 0 0 0 0 0 0 0 0 0' ]
		[ "$(told .in_flight)" = 0 ]
		[ "$(ublk stat --no-header -o ERRORS "$dev" | tr -d ' ')" = 6 ]
		ublk del "$dev"
	done
	ublk del "$half"
}

@test "a time is as long as its request" {
	disk=$(make_ram_disk 32 512 irqmode=2 completion_nsec=20000000)
	dev=$(ublk add -t loop -f "$disk" --no-partition-scan)
	direct if="$dev" of=/dev/null count=140 iflag=direct
	fio --name=many --filename="$dev" --rw=randwrite --bs=4k --number_ios=64 --size=16M --direct=1 \
		--ioengine=io_uring --iodepth=8 >fio.out
	read_stat "$dev"
	for kind in read write; do
		told "[.$kind, .${kind}_times]"
		# That it is not shorter is certain; longer it is by what the machine takes.
		[ "$(told ".${kind}_times.p50_ns | . >= 19000000 and . < 40000000")" = true ]
		[ "$(told ".$kind.longest_ns >= 20000000")" = true ]
	done
	ublk del "$dev"
}

@test "what was counted outlives the server, and is gone on with" {
	make_image a.img 16M
	how=(--by-recovery)
	! kernel_at_least 6.16 || how=()
	dev=$(ublk add -n 0 -t loop -f a.img)
	direct if=/dev/zero of="$dev" count=10 oflag=direct
	read_stat "$dev"
	since=$(told .since)
	park "$dev"
	[ "$(did "$dev")" = '0 0 0 0 0 0 0 0 0 0 0 0 0 0 0' ]
	[ "$(told .source)" = '"server"' ]
	# What is begun while there is none.
	direct if=/dev/zero of="$dev" count=5 oflag=direct &
	writer=$!
	ublk recover "$dev"
	wait "$writer"
	[ "$(did "$dev" | cut -d ' ' -f 4-6)" = '5 20480 0' ]
	ublk upgrade "${how[@]}" "$dev"
	direct if=/dev/zero of="$dev" count=3 oflag=direct
	[ "$(did "$dev" | cut -d ' ' -f 4-6)" = '3 12288 0' ]
	[ "$(told '[.since, .in_flight, .write.ios]')" = "[$since,0,18]" ]
	# With what is no file of its own the next one begins anew.
	park "$dev"
	rm /run/ublk/0.stats
	ln -s /etc/passwd /run/ublk/0.stats
	ublk recover "$dev"
	[ ! -L /run/ublk/0.stats ]
	direct if=/dev/zero of="$dev" count=2 oflag=direct
	read_stat "$dev"
	[ "$(told '[.source, .write.ios]')" = '["server",2]' ]
	ublk del "$dev"
}

@test "what a dead server had in hand is under way until the next one has it, and counts once" {
	disk=$(make_ram_disk 32)
	dmsetup create slow --table "0 65536 linear $disk 0"
	at_end dmsetup remove --force slow
	dev=$(ublk add -t loop -f /dev/mapper/slow --no-partition-scan --data-path copy)
	direct if="$dev" of=/dev/null count=2 iflag=direct
	read_stat "$dev"
	dmsetup suspend --nolockfs slow
	at_end dmsetup resume slow
	direct if="$dev" of=/dev/null count=1 iflag=direct skip=100 &
	reader=$!
	wait_for 20 is_under_way "$dev" 1
	kill_server "$dev"
	[ "$(ublk stat --no-header -o INFLIGHT "$dev" | tr -d ' ')" = 1 ]
	dmsetup resume slow
	wait_for 20 is_state "$dev" quiesced
	ublk recover "$dev"
	wait "$reader"
	[ "$(did "$dev" | cut -d ' ' -f 1-3)" = '1 4096 0' ]
	[ "$(told .in_flight)" = 0 ]
	ublk del "$dev"
}

is_under_way()
{
	[[ $(ublk stat --no-header -o INFLIGHT "$1" | tr -d ' ') == "$2" ]]
}

# bats test_tags=newest
@test "what the kernel ends by itself is under way until it has, though its server counts it before" {
	only_on_kernel 6.16 'zero-copy'
	disk=$(make_ram_disk 32)
	dmsetup create slow --table "0 65536 linear $disk 0"
	at_end dmsetup remove --force slow
	dev=$(ublk add -t loop -f /dev/mapper/slow --no-partition-scan --data-path zero-copy)
	direct if="$dev" of=/dev/null count=2 iflag=direct
	dmsetup suspend --nolockfs slow
	at_end dmsetup resume slow
	direct if="$dev" of=/dev/null count=1 iflag=direct skip=100 &
	reader=$!
	wait_for 20 is_under_way "$dev" 1
	dmsetup resume slow
	wait "$reader"
	wait_for 20 is_under_way "$dev" 0
	ublk del "$dev"
}

@test "a server that is stopped is read all the same" {
	dev=$(ublk add -t null)
	direct if="$dev" of=/dev/null count=4 iflag=direct
	read_stat "$dev"
	server=$(server_of "$dev")
	kill -STOP "$server"
	wait_for 10 is_stopped "$server"
	[ "$(did "$dev" | cut -d ' ' -f 1)" = 0 ]
	[ "$(told .source)" = '"server"' ]
	kill -CONT "$server"
	ublk del "$dev"
}

@test "who cuts its file off, or removes it, does a server no harm" {
	make_image a.img 16M
	dev=$(ublk add -n 0 -t loop -f a.img -q 2)
	server=$(server_of "$dev")
	[ "$(stat -c '%a %u %s' /run/ublk/0.stats)" = '644 0 20480' ]
	truncate -s 0 /run/ublk/0.stats
	fio_verify "$dev"
	truncate -s 20480 /run/ublk/0.stats
	fio_verify "$dev"
	read_stat "$dev"
	[ "$(told .source)" = '"kernel"' ]
	[ "$(told '[.read.errors, .read_times.p50_ns, .write_zeroes.ios]')" = '[null,null,null]' ]
	rm /run/ublk/0.stats
	fio_verify "$dev"
	[ "$(server_of "$dev")" = "$server" ]
	ublk stat "$dev"
	park "$dev"
	ublk recover "$dev"
	read_stat "$dev"
	[ "$(told .source)" = '"server"' ]
	ublk del "$dev"
}

@test "a server that can have no file serves all the same, and says so" {
	make_image a.img 16M
	run -0 --separate-stderr env UBLK_FAULT=stats:ENOSPC "$UBLK" add -n 0 -t loop -f a.img
	[[ $stderr == *'note: nobody can read what it counts (ublk stat): No space left on device'* ]]
	dev=$output
	[ ! -e /run/ublk/0.stats ]
	fio_verify "$dev"
	read_stat "$dev"
	[ "$(told '[.source, .write.ios > 0, .write_times.ios]')" = '["kernel",true,null]' ]
	ublk show 0 | grep -q 'nobody can read what it counts'
	ublk del "$dev"
	# Where it would be written back to a disk there is none.
	fs_on "$(make_ram_disk 32)" ext4 files
	mkdir files/records
	export UBLK_RUNTIME_DIR=$PWD/files/records
	run -0 --separate-stderr ublk add -n 0 -t null
	[[ $stderr == *'nobody can read what it counts (ublk stat): the records'?' folder is not in memory'* ]]
	[ ! -e files/records/0.stats ]
	ublk del 0
}

@test "the file goes with the device, however that goes" {
	for way in del term stop_parked lost; do
		dev=$(ublk add -n 0 -t null)
		[ -e /run/ublk/0.stats ]
		case $way in
		term) kill -TERM "$(server_of "$dev")" ;;
		stop_parked) park "$dev" && ublk del 0 ;;
		lost) lose_record 0 && ublk del 0 ;;
		del) ublk del 0 ;;
		esac
		wait_for 20 nothing_left || { echo "$way"; return 1; }
	done
}

@test "of another program's device the kernel's numbers are told" {
	dev=$(ublk add -n 0 -t null)
	lose_record 0
	read_stat "$dev"
	direct if="$dev" of=/dev/null count=9 iflag=direct
	mv stat.json before.json
	read_stat "$dev"
	[ "$(told '[.source, .name, .since, .read.errors, .threads]')" = '["kernel",null,null,null,[]]' ]
	[ "$(jq -n --slurpfile a before.json --slurpfile b stat.json \
		'[$b[0], $a[0] | .devices[0].read | .ios, .bytes] | [.[0] - .[2], .[1] - .[3]] | join(" ")')" = '"9 36864"' ]
	to_be_validated stat.json
	run -0 ublk stat --no-header -o source,errors,inflight,r50
	[[ $output =~ ^kernel\ +-\ +0\ +-$ ]]
	ublk del "$dev"
}

@test "an interval tells what came in it, by the second, until there is no device" {
	dev=$(ublk add -n 0 -t null --name counted)
	direct if="$dev" of=/dev/null count=64 iflag=direct
	ublk stat counted --interval 1 --json=lines >lines &
	stat=$!
	wait_for 20 has_lines 1
	direct if="$dev" of=/dev/null count=200 iflag=direct
	wait_for 20 adds_up_to 200
	ublk del counted
	wait_for 20 is_gone "$stat"
	wait "$stat"
	head -n 1 lines >line.json
	to_be_validated line.json
	[ "$(jq -c '[.schema, .name, .interval_ms >= 1000, .read.longest_ns]' line.json)" = \
		'["ublk.device_stat/1","counted",true,null]' ]
	dev=$(ublk add -n 0 -t null)
	run -0 ublk stat -i 1 -c 2 -o id,reads
	[ "$(printf '%s\n' "${lines[@]}" | tr -s ' ' | xargs)" = 'ID READS 0 0 ID READS 0 0' ]
	run -4 ublk stat 5
	run -2 ublk stat -c 2
	run -2 ublk stat -i 1 --json
	ublk del 0
}

has_lines()
{
	[ "$(wc -l <lines)" -ge "$1" ]
}

adds_up_to()
{
	[ "$(jq -s '[.[].read.ios] | add' lines)" = "$1" ]
}

@test "a reader that was stopped makes up for nothing, and can be ended" {
	dev=$(ublk add -n 0 -t null)
	"$UBLK" stat 0 --interval 1 --json=lines >lines &
	stat=$!
	wait_for 20 has_lines 1
	kill -STOP "$stat"
	before=$(wc -l <lines)
	sleep 6
	kill -CONT "$stat"
	wait_for 20 has_lines $((before + 1))
	kill -TERM "$stat"
	wait_for 20 is_gone "$stat"
	[ "$(wc -l <lines)" -le $((before + 4)) ]
	[ "$(jq -s 'map(.interval_ms >= 1) | all' lines)" = true ]
	ublk del 0
}

@test "threads and queues have lines of their own, which add up" {
	dev=$(ublk add -t null -q 2)
	for cpu in 0 1; do
		taskset -c "$cpu" dd if="$dev" of=/dev/null bs=4k count=$((10 + cpu)) iflag=direct status=none
	done
	read_stat "$dev"
	[ "$(told '[.threads[] | [.queue, .thread]]')" = '[[0,0],[1,0]]' ]
	[ "$(told '([.threads[].read.ios] | add) == .read.ios')" = true ]
	[ "$(told '[.threads[].read.ios >= 10] | all')" = true ]
	run -0 ublk stat --queues --no-header -o queue,thread "$dev"
	[ "$(tr -s ' \n' ' ' <<<"$output" | xargs)" = '0 0 1 0' ]
	ublk del "$dev"
	only_on_kernel 6.16 'threads that share a queue'
	dev=$(ublk add -t null --threads 2)
	read_stat "$dev"
	[ "$(told '[.threads[] | [.queue, .thread]]')" = '[[0,0],[0,1]]' ]
	ublk del "$dev"
	dev=$(ublk add -t null -q 2 --threads 1)
	read_stat "$dev"
	[ "$(told '[.threads[] | [.queue, .thread]]')" = '[[0,0]]' ]
	ublk del "$dev"
}

# metric NAME{LABEL...}: its value, in what was printed for Prometheus.
metric()
{
	awk -v name="$1" 'substr($0, 1, length(name)) == name && NF == 2 { print $2 }' metrics
}

# is_right: what Prometheus's own checker says of what was printed for it.
is_right()
{
	run "${UBLK_PROMTOOL:-promtool}" check metrics < <(cat metrics)
	[[ $status -eq 0 && $output == '' ]] || { echo "$output"; return 1; }
}

@test "what Prometheus reads is in its form and after its conventions, and has the numbers that were counted" {
	requires "${UBLK_PROMTOOL:-promtool}"
	ublk stat --prometheus >metrics
	[ "$(grep -vc "^# \(HELP\|TYPE\) " metrics)" = 0 ]
	is_right
	image=$'a "b"\\\n\xff.img'
	make_image "$image" 16M
	dev=$(ublk add -n 0 -t loop -f "$image" --name disk --data-path copy)
	ublk add -n 3 -t null
	direct if=/dev/zero of="$dev" count=100 oflag=direct
	sync_disk "$dev"
	direct if="$dev" of=/dev/null count=20 iflag=direct
	read_stat "$dev"
	ublk stat --prometheus >metrics
	is_right
	[ "$(metric 'ublk_requests_total{device="ublkb0",op="write"}')" = 100 ]
	[ "$(metric 'ublk_request_bytes_total{device="ublkb0",op="write"}')" = 409600 ]
	[ "$(metric 'ublk_requests_total{device="ublkb0",op="flush"}')" = 1 ]
	[ "$(metric 'ublk_requests_total{device="ublkb0",op="read"}')" = "$(told .read.ios)" ]
	[ "$(metric 'ublk_request_errors_total{device="ublkb0",op="read"}')" = 0 ]
	[ "$(metric 'ublk_requests_in_flight{device="ublkb3"}')" = 0 ]
	[ "$(metric 'ublk_device_size_bytes{device="ublkb0"}')" = 16777216 ]
	[ "$(metric 'ublk_device_state{device="ublkb0",state="live"}')" = 1 ]
	[ "$(metric 'ublk_device_state{device="ublkb0",state="quiesced"}')" = 0 ]
	[ "$(metric 'ublk_request_duration_seconds_count{device="ublkb0",op="write"}')" = 100 ]
	[ "$(metric 'ublk_request_duration_seconds_bucket{device="ublkb0",op="write",le="+Inf"}')" = 100 ]
	# From one bucket to the next it never falls, and they go up to two seconds, each twice the one before.
	grep -F 'ublk_request_duration_seconds_bucket{device="ublkb0",op="write",le=' metrics |
		sed -E 's/.*le="([^"]*)"\} /\1 /' >buckets
	[ "$(wc -l <buckets)" = 24 ]
	sort -c -s -n -k 2 buckets
	awk '/Inf/ { next } last && $1 != 2 * last { exit 1 } { last = $1 } END { exit last != 2.147483648 }' buckets
	grep -qF 'ublk_device_info{device="ublkb0",name="disk",target="loop",backing="' metrics
	grep -qF '/a \"b\"\\\\x0a\\xff.img",source="server"} 1' metrics
	# Of another program's device there is what the kernel knows.
	lose_record 3
	ublk stat --prometheus 3 >metrics
	is_right
	[ "$(metric 'ublk_requests_total{device="ublkb3",op="write"}')" = 0 ]
	run -1 grep -E '^ublk_(request_errors|request_duration|request_longest|device_restarts|.*ublkb0|.*write_zeroes)' metrics
	ublk del 0 3
}

@test "the node exporter's file is there as a whole or as it was, and says nothing of what is gone" {
	ublk add -n 0 -t null
	(umask 077 && ublk stat --textfile .)
	[ "$(stat -c %a ublk.prom)" = 644 ]
	diff <(grep -v _longest_ ublk.prom) <(ublk stat --prometheus | grep -v _longest_)
	cp ublk.prom before
	fails_to_write 1 missing 'No such file or directory'
	fails_to_write 1 ublk.prom 'Not a directory'
	# As of a variable that is not set.
	run -2 ublk stat --textfile ''
	mkdir -p taken/ublk.prom full
	fails_to_write 1 taken 'Is a directory'
	mount -t tmpfs -o size=4k tmpfs full
	at_end unmount "$PWD/full"
	fails_to_write 1 full 'No space left on device'
	mkdir theirs
	chown 65534 theirs
	run -3 setpriv --inh-caps=-all --bounding-set=-dac_override,-dac_read_search "$UBLK" stat --textfile theirs
	[[ $output == 'ublk: error: cannot write theirs/ublk.prom: Permission denied' ]]
	for place in . taken full theirs; do
		[ "$(find "$place" -maxdepth 1 -name '.ublk*')" = '' ]
	done
	cmp before ublk.prom
	# One of those that are named is gone, then all are.
	ublk add -n 1 -t null
	ublk del 1
	run -1 ublk stat --textfile . 0 1
	[ "$(grep -c '^ublk_device_size_bytes' ublk.prom)" = 1 ]
	ublk del 0
	run -4 ublk stat --textfile . 0
	[ "$(grep -vc '^#' ublk.prom)" = 0 ]
	run -2 ublk stat --textfile . --prometheus
	run -2 ublk stat --prometheus --json
}

# fails_to_write STATUS FOLDER WHY
fails_to_write()
{
	run "-$1" ublk stat --textfile "$2"
	[[ $output == "ublk: error: cannot write $2/ublk.prom: $3" ]] || { echo "$output"; return 1; }
}
