# SPDX-License-Identifier: MIT
# Layers over a target: what they do to I/Os, one over the other, on every path, and with whatever server.
# build: faults
# kernels: newest
# long kernels: 6.12 6.18
# cpus: 2

load helpers
load servers
load options

setup()
{
	device_setup
	make_image a.img 64M
}

# since: sets `ms` to the milliseconds since the shell's EPOCHREALTIME $began, which it sets anew.
since()
{
	local now=${EPOCHREALTIME/[.,]/}
	ms=$(((now - ${began:-$now}) / 1000))
	began=$now
}

# fails WORDS COMMAND...
fails()
{
	run ! "${@:2}"
	[[ $output == *"$1"* ]] || { printf 'not "%s": %s\n' "$1" "$output"; return 1; }
}

read_at()
{
	dd if="$dev" of=/dev/null bs=4096 count=1 skip="$1" iflag=direct status=none
}

write_at()
{
	dd if=/dev/zero of="$dev" bs=4096 count="${2:-1}" seek="$1" oflag=direct conv=notrunc status=none
}

@test "what is delayed waits for its time, at once with others, and others do not wait for it" {
	dev=$(ublk add -t loop -f a.img --layer log,file=log --layer delay,ms=10000,ops=read)
	fio --name=load --filename="$dev" --rw=randread --bs=4k --iodepth=16 --number_ios=16 --direct=1 \
		--ioengine=libaio --size=64M --randrepeat=0 >fio.log 2>&1 3>&- &
	load=$!
	wait_for 10 in_flight "${dev#/dev/}" 16
	write_at 0
	in_flight "${dev#/dev/}" 16
	ends_with 0 "$load" || { cat fio.log; false; }
	ublk del "$dev"
	ublk log log --json | jq '[.ios[] | select(.operation == "read") | .took_ns / 1000000] | [min, max]' >took
	# One after the other the last one would take 160 s.
	jq -e '.[0] >= 10000 and .[1] < 120000' took || { cat took; false; }
}

@test "a spread delay is each time another one, never shorter than its least, and rests a server that ends" {
	dev=$(ublk add -t null --layer log,file=log --layer delay,ms=2,spread-ms=40)
	for ((i = 0; i < 20; i++)); do
		read_at "$i"
	done
	ublk log log --json | jq -r '.ios[] | select(.operation == "read") | .took_ns / 1000000 | floor' >took
	(($(sort -n took | head -n 1) >= 2))
	# Of twenty all in the same of forty milliseconds: less than one in 40^19.
	(($(sort -u took | wc -l) > 3)) || { cat took; false; }
	ublk del "$dev"
	# A request that waits ends before its device does.
	dev=$(ublk add -t null --layer delay,ms=1500)
	dd if="$dev" of=/dev/null bs=4096 count=1 iflag=direct status=none 3>&- &
	reader=$!
	wait_for 10 in_flight "${dev#/dev/}" 1
	kill -TERM "$(server_of "$dev")"
	ends_with 0 "$reader"
	wait_for 20 nothing_left
}

@test "errors come where, when and to what they are to, and only there" {
	dev=$(ublk add -t loop -f a.img --layer error,offset=8K,length=8K,ops=write,errno=ENOSPC,file=switch)
	write_at 2
	touch switch
	fails 'No space left on device' write_at 2
	fails 'No space left on device' write_at 3
	# It reaches into the range, from either side.
	fails 'No space left on device' dd if=/dev/zero of="$dev" bs=16k count=1 oflag=direct conv=notrunc
	fails 'No space left on device' dd if=/dev/zero of="$dev" bs=8k seek=3 oflag=seek_bytes,direct seek=12k count=1 conv=notrunc
	write_at 1
	write_at 4
	read_at 2
	rm switch
	write_at 2
	ublk del "$dev"
	dev=$(ublk add -t loop -f a.img --layer error,errno=ENODATA,ops=read)
	fails 'No data available' read_at 0
	write_at 0
	ublk del "$dev"
	dev=$(ublk add -t null --layer error,errno=ETIMEDOUT,ops=flush+discard)
	read_at 0
	fails 'timed out' blkdiscard -o 0 -l 4096 "$dev"
	ublk del "$dev"
}

@test "one in so many fails by chance" {
	dev=$(ublk add -t null --layer log,file=log --layer error,one-in=4,ops=read)
	for ((i = 0; i < 60; i++)); do
		read_at "$i" 2>/dev/null || true
	done
	# Neither none nor all of 60: less than one in 30 million.
	failed=$(ublk log log --json | jq '[.ios[] | select(.operation == "read" and .error == "EIO")] | length')
	((failed > 0 && failed < 60)) || { echo "$failed"; false; }
	ublk del "$dev"
}

@test "a rate holds over all queues, for I/Os and for bytes, and lets a burst through" {
	dev=$(ublk add -t null -q 2 --layer rate,iops=50,ops=read)
	since
	# Two clients, on each of two processors: 10 ahead, as many as in the fifth of a second allowed.
	for cpu in 0 1; do
		taskset -c "$cpu" fio --name=load --filename="$dev" --rw=randread --bs=4k --iodepth=4 --io_size=160k \
			--direct=1 --ioengine=libaio --size=64M >"fio.$cpu" 2>&1 3>&- &
		pids[cpu]=$!
	done
	ends_with 0 "${pids[0]}"
	ends_with 0 "${pids[1]}"
	since
	# 80 I/Os, of which 5 are ahead (a tenth of a second); fio may read ahead of its own.
	((ms >= 1400)) || { echo "$ms ms"; false; }
	ublk del "$dev"
	dev=$(ublk add -t null --layer rate,bytes=1M,burst-ms=500)
	since # all of it from here on: 2 MiB, of which 512 KiB may come at once
	dd if="$dev" of=/dev/null bs=128k count=16 iflag=direct status=none
	since
	((ms >= 1400)) || { echo "$ms ms"; false; }
	ublk del "$dev"
	# A burst: of 30 that come at once 10 wait for nothing.
	dev=$(ublk add -t null --layer log,file=log --layer rate,iops=10,burst-ms=1000,ops=read)
	fio --name=load --filename="$dev" --rw=randread --bs=4k --iodepth=30 --number_ios=30 --direct=1 \
		--ioengine=libaio --size=64M --randrepeat=0 >fio.log 2>&1 3>&-
	ublk del "$dev"
	ublk log log --json | jq '[.ios[] | select(.operation == "read") | .took_ns / 1000000] | sort' >took
	jq -e '.[9] < 1000 and .[-1] >= 1500' took || { cat took; false; }
}

@test "after so many writes or bytes nothing changes any more, and reads go on" {
	dev=$(ublk add -t mem --size 16M --layer readonly-after,writes=3)
	for i in 0 1 2; do
		write_at "$i"
	done
	fails 'Input/output error' write_at 3
	fails 'Input/output error' write_at 0
	fails 'Input/output error' blkdiscard -o 0 -l 4096 "$dev"
	read_at 0
	ublk del "$dev"
	dev=$(ublk add -t mem --size 16M --layer readonly-after,bytes=12K)
	write_at 0 3
	fails 'Input/output error' write_at 3
	ublk del "$dev"
	dev=$(ublk add -t mem --size 16M --layer readonly-after,sec=1)
	sleep 1.1
	fails 'Input/output error' write_at 3
	ublk del "$dev"
}

@test "each layer sees what comes to it: the outermost first" {
	dev=$(ublk add -t null --layer log,file=above --layer error,ops=write,errno=ENOSPC --layer log,file=below)
	read_at 0
	fails 'No space' write_at 1
	ublk del "$dev"
	ublk log above --json | jq -c '[.ios[] | select(.operation == "write")] | map([.offset, .bytes, .error]) | unique' >seen
	[ "$(cat seen)" = '[[4096,4096,"ENOSPC"]]' ]
	ublk log above --json | jq -e '[.ios[] | select(.operation == "read" and .offset == 0 and .error == null)] | length > 0'
	[ "$(ublk log below --json | jq '[.ios[] | select(.operation == "write")] | length')" = 0 ]
	ublk log below --json | jq -e '[.ios[] | select(.operation == "read")] | length > 0'
}

@test "a log has the newest I/Os of a bounded file, in their order, and goes on in it" {
	dev=$(ublk add -n 0 -t null -q 2 --layer log,file=log,size=64K)
	# 1,920 places.
	fio --name=load --filename="$dev" --rw=randwrite --bs=4k --iodepth=32 --number_ios=6000 --direct=1 \
		--ioengine=libaio --size=64M >fio.log 2>&1 3>&-
	write_at 777
	ublk log log --no-header -o TIME,OP,OFFSET,BYTES,FUA,ERROR >seen # while it is served
	(($(wc -l <seen) > 1500 && $(wc -l <seen) <= 1920)) || { wc -l seen; false; }
	LC_ALL=C sort -s -c -k 1,1 seen
	[ "$(stat -c %s log)" -le 65536 ]
	[ "$(stat -c %a log)" = 600 ]
	wait_for 10 has_noted write $((777 * 4096))
	kill_server "$dev"
	ublk recover 0
	write_at 999
	wait_for 10 has_noted write $((999 * 4096))
	has_noted write $((777 * 4096))
	ublk del 0
	# What a thread had not written yet, it writes at its end.
	has_noted write $((999 * 4096))
	dev=$(ublk add -t null --layer log,file=log,size=64K)
	ublk del "$dev"
	has_noted write $((999 * 4096))
	run -1 ublk add -t null --layer log,file=log,size=128K
	[[ $output == *"layer log: $PWD/log is there, with another size"* ]]
	echo precious >text
	run -5 ublk add -t null --layer log,file=text
	[[ $output == *"layer log: $PWD/text is there, and is no log of this layer"* ]]
	[ "$(cat text)" = precious ]
	run -1 ublk log text
	[[ $output == "ublk: error: cannot read text: it is no log of layer 'log'" ]]
	run -1 ublk log nothing
	head -c 20 log >short
	run -1 ublk log short
	run -1 ublk add -t null --layer log,file=none/log
	[[ $output == *"layer log: cannot write $PWD/none/log: No such file or directory"* ]]
	nothing_left
}

@test "a file that is no good any more is left out by the next server, which serves all the same" {
	mkdir sub
	dev=$(ublk add -n 0 -t loop -f a.img --recovery reissue --layer log,file=log --layer error,file=sub/switch \
		--layer log,file=other)
	write_at 7
	: >log
	write_at 8
	wait_for 10 test -s log # with nothing at its beginning
	mv sub gone
	kill_server "$dev"
	run -0 ublk recover 0
	[[ $output == *"layer log is left out: layer log: $PWD/log is there, and is no log of this layer"* ]]
	[[ $output == *"layer error is left out: cannot open $PWD/sub/switch: No such file or directory"* ]]
	[[ $output != *other* ]]
	write_at 9
	mv gone sub
	rm log
	touch sub/switch
	write_at 11 # it is out
	kill_server "$dev"
	run -0 ublk recover 0
	[[ $output != *'left out'* ]]
	fails 'Input/output error' write_at 13
	rm sub/switch
	ublk del 0
	for block in 7 9 11 13; do
		ublk log other --no-header -o OP,OFFSET | grep -qx "write *$((block * 4096))" || [[ $block == 13 ]]
	done
	ublk log log --no-header -o OP,OFFSET,ERROR | grep -qx "write *$((13 * 4096)) *EIO"
	run ! grep -q . < <(ublk log log --no-header -o OP,OFFSET | grep -x "write *$((9 * 4096))")
}

@test "a log on the device itself keeps neither its recovery nor its upgrade waiting" {
	fs=$(ublk add -n 0 -t loop -f a.img)
	mkfs.ext4 -qF "$fs"
	mkdir mnt
	ublk del 0
	dev=$(ublk add -n 0 -t loop -f a.img --recovery reissue --layer log,file=mnt/log)
	mount "$dev" mnt
	at_end unmount "$PWD/mnt"
	kill_server "$dev"
	run -0 ublk recover 0
	[[ $output == *"layer log is left out: $PWD/mnt/log lies on the device itself"* ]]
	echo text >mnt/text
	sync -f mnt
	if kernel_at_least 6.16; then
		ublk upgrade 0
		sync -f mnt
	fi
	umount mnt
	ublk del 0
}

@test "a log is one device's, and one layer's" {
	dev=$(ublk add -t null --layer log,file=log)
	run -5 ublk add -t null --layer log,file=log
	[[ $output == *"layer log: another device has $PWD/log"* && $output != *--create* ]]
	ublk del "$dev"
	refused 'layer log: another layer has' "log,file=$PWD/log --layer log,file=$PWD/log"
	refused 'is no absolute path of a file' "error,file=$PWD/"
	refused 'layer log: file is of one process: /dev/fd/7' log,file=/dev/fd/7
	refused 'a request could be kept for 180000 ms, and may be for 120000' \
		'delay,ms=60000 --layer delay,ms=60000,spread-ms=60000'
	chmod 666 /dev/ublk-control
	at_end chmod 600 /dev/ublk-control
	run -2 setpriv --reuid 65534 --regid 65534 --clear-groups "$UBLK" add -t null --dry-run --layer delay,ms=20001
	[[ $output == *'a request could be kept for 20001 ms, and may be for 20000'* ]] || { echo "$output"; false; }
}

# has_noted OPERATION OFFSET
has_noted()
{
	ublk log log --no-header -o OP,OFFSET | grep -qx "$1 *$2"
}

@test "a log whose disk is full costs no I/O, and is told" {
	mkdir full
	mount -t tmpfs -o size=64k none full
	at_end unmount "$PWD/full"
	head -c 40k /dev/zero >full/fill
	dev=$(ublk add -t null --log-file "$PWD/server.log" --layer log,file=full/log)
	fio --name=load --filename="$dev" --rw=randwrite --bs=4k --iodepth=32 --number_ios=3000 --direct=1 \
		--ioengine=libaio --size=64M >fio.log 2>&1 3>&-
	ublk del "$dev"
	grep 'layer log cannot write its file: No space left on device' server.log
	(($(ublk log full/log --no-header | wc -l) > 100))
}

# bats test_tags=long
@test "on every path, also in batches, data goes through layers as it is" {
	while read -r path; do
		rm -f log
		# shellcheck disable=SC2086 # options
		dev=$(ublk add -t loop -f a.img --direct off -d 32 -q 2 --data-path $path --layer log,file=log \
			--layer delay,us=100,spread-us=900 --layer rate,iops=100000)
		[[ $(ublk show --json "$dev" | jq -r '.devices[0].data_path') == "${path%% *}" ]]
		fio_verify "$dev" --bsrange=4k-128k --size=4M
		ublk del "$dev"
		(($(ublk log log --no-header | wc -l) > 100)) || { echo "$path"; false; }
	done < <(paths)
}

@test "the next server has them, too, by a recovery and by an upgrade, and no request is lost" {
	dev=$(ublk add -n 0 -t loop -f a.img -q 2 --recovery reissue --layer delay,us=500,ops=write \
		--layer error,file=switch)
	jq -c '.spec.layer' /run/ublk/0.json >before
	[ "$(cat before)" = "$(jq -cn --arg file "$PWD/switch" '[
		{name: "delay", ms: 0, us: 500, spread_ms: 0, spread_us: 0, ops: "write"},
		{name: "error", errno: "EIO", one_in: 1, offset: 0, length: 0, ops: null, file: $file}]')" ]
	outlives_its_servers "$dev"
	if kernel_at_least 6.16; then
		start_verified "$dev" 4096
		writes_on "$dev"
		ublk upgrade 0
		writes_on "$dev"
		ublk upgrade 0
		end_verified "$dev" 4096
	fi
	jq -c '.spec.layer' /run/ublk/0.json | diff - before
	touch switch
	fails 'Input/output error' write_at 0
	rm switch
	write_at 0
	ublk del 0
}

@test "what is planned for layers is what they have" {
	for path in copy user-copy; do
		dev=$(ublk add -n 0 -t null -q 2 -d 100 --data-path "$path" --layer log,file=log --layer delay,us=1)
		ublk show --json "$dev" >show.json
		mapped=$(jq '[.devices[0].regions[] | select(.name == "state").mapped] | add' show.json)
		[ "$mapped" = "$(jq .memory.plan.state.mapped /run/ublk/0.json)" ]
		# A log has 4 KiB for each thread, and something for each I/O.
		((mapped >= 2 * (4096 + 100 * 104))) || { echo "$mapped"; false; }
		fio_verify "$dev" --do_verify=0 --verify=0
		ublk show --json "$dev" | jq -e '.devices[0] | .memory.resident <= ([.plan[].most] | add)'
		ublk del "$dev"
		rm log
	done
}

@test "how they are asked for: on the command line, in a file, in show, and what is wrong" {
	mkdir -p conf 'with, comma'
	printf '%s\n' 'type = null' 'layer = delay,ms=1' "layer = error,file=$PWD/with,, comma/x" >conf/t.conf
	ublk add --config conf/t.conf
	run -0 ublk show t
	[[ $output == *"asked layer: "*"delay,ms=1 error,file=$PWD/with,, comma/x"* ]]
	ublk show t --config >conf/again.conf
	grep -x 'layer = delay,ms=1' conf/again.conf
	run -0 ublk apply --folder conf t
	[[ $output == *unchanged* ]]
	sed -i 's/ms=1/ms=2/' conf/t.conf
	run -5 ublk apply --dry-run --folder conf t
	[[ $output == *differs*layer* ]]
	ublk del t
	refused "'dlay' is not one of: delay, error, rate, readonly-after, log: did you mean 'delay'?" dlay,ms=1
	refused "layer delay has no key 'sm': did you mean 'ms'?" delay,sm=1
	refused "layer delay: 'ms' is no KEY=VALUE" delay,ms
	refused "layer delay: key 'ms' is given twice" delay,ms=1,ms=2
	refused 'layer delay: it needs a time' delay
	refused "99999999 is out of range" delay,ms=99999999
	refused 'layer error: ops takes read' error,ops=reed
	refused 'layer rate: it needs a rate' rate
	refused 'layer readonly-after: it needs' readonly-after
	refused 'layer log: it needs a file' log
	run -2 ublk add -t null --layer ''
	[[ $output == *"'' is not one of"* ]]
	many=()
	for ((i = 0; i < 8; i++)); do
		many+=(--layer 'delay,us=1')
	done
	run -2 ublk add -t null "${many[@]}" --layer delay,us=1
	[[ $output == *'there are at most 8'* ]]
	dev=$(ublk add -t null "${many[@]}")
	read_at 0
	ublk del "$dev"
	printf '%s\n' 'type = null' 'layer = log,file=relative' >conf/t.conf
	run -2 ublk add --config conf/t.conf
	[[ $output == *"line 2: layer log: file is no absolute path: relative"* ]]
	run -1 ublk add -t null --layer error,file=none/switch
	[[ $output == *'layer error: cannot open the directory of'*'No such file'* ]]
	nothing_left
}

# refused WORDS LAYER
refused()
{
	# shellcheck disable=SC2086 # several
	run -2 ublk add -t null --layer $2
	[[ $output == *"$1"* ]] || { printf '%s: %s\n' "$2" "$output"; return 1; }
}
