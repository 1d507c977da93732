# SPDX-License-Identifier: MIT
# What concurrency.bats holds, for longer.
# kernels: 6.12 newest
# long

load helpers
load servers

@test "50 devices are made and removed in a row under load, and nothing is left of them" {
	make_image a.img 16M
	busy=$(ublk add -t null)
	fio --name=load --filename="$busy" --rw=randrw --bs=4k --direct=1 --ioengine=libaio \
		--iodepth=8 --time_based --runtime=1800 --size=64M --rate_iops=300 >fio.log 2>&1 &
	load=$!
	wait_for 30 has_written "$busy" 100
	for ((round = 0; round < 50; round++)); do
		run -0 ublk add -t loop -f a.img
		[ "$output" = /dev/ublkb1 ]
		dd if=/dev/ublkb1 of=/dev/null bs=4096 count=1 iflag=direct status=none
		run -0 ublk del /dev/ublkb1
		[ "$(pgrep -cx ublk-server)" -eq 1 ]
		[ "$(find /run/ublk -name '*.json' | wc -l)" -eq 1 ]
	done
	end_job "$load"
	run ! grep -q 'err=[^ 0]' fio.log
	ublk del "$busy"
}

@test "a storm of adds and dels at once of the same number and file leaves nothing" {
	make_image a.img 16M
	storm()
	{
		local i
		for ((i = 0; i < 15; i++)); do
			ublk add -n 5 -t loop -f a.img >/dev/null 2>&1 || true
			ublk del 5 >/dev/null 2>&1 || true
		done
	}
	storm &
	a=$!
	storm &
	b=$!
	storm &
	c=$!
	wait "$a" "$b" "$c"
	ublk del --if-exists 5
	nothing_left
	run -0 ublk add -n 5 -t loop -f a.img
	ublk del 5
}
