# SPDX-License-Identifier: MIT
# Many at once: commands for the same thing, devices, and a life under load.
# cpus: 2
# kernels: newest
# long kernels: 6.12

load helpers
load servers

# at_once CMD1 CMD2: runs both shell commands at once. Leaves their statuses in $one and $two, their
# words in one.log and two.log.
at_once()
{
	local a b
	(eval "$1" || exit $?) >one.log 2>&1 &
	a=$!
	(eval "$2" || exit $?) >two.log 2>&1 &
	b=$!
	one=0 two=0
	wait "$a" || one=$?
	wait "$b" || two=$?
	echo "statuses $one and $two"
	head one.log two.log
}

# one_wins LOSER: one ended with 0, the other with this.
one_wins()
{
	[[ "$one $two" == "0 $1" || "$one $two" == "$1 0" ]]
}

@test "of two adds of the same file at once one wins, the other is told that it is busy" {
	make_image a.img 16M
	at_once 'ublk add -t loop -f a.img' 'ublk add -t loop -f a.img'
	one_wins 5
	grep -h 'ublk: error: ' one.log two.log | grep -q a.img
	[ "$(ublk list --json | jq '.devices | length')" -eq 1 ]
	[ "$(pgrep -cx ublk-server)" -eq 1 ]
	ublk del --all
}

@test "of two adds of the same number at once one wins, the other is told that it exists" {
	at_once 'ublk add -n 3 -t null' 'ublk add -n 3 -t null'
	one_wins 5
	read_block /dev/ublkb3
	[ "$(pgrep -cx ublk-server)" -eq 1 ]
	ublk del 3
}

@test "of two adds of the same name at once one wins, the other is told that it exists" {
	for ((round = 0; round < 5; round++)); do
		at_once 'ublk add --name x -t null' 'ublk add --name x -t null'
		one_wins 5
		grep -hq 'ublk: error: cannot add a device named x: ' one.log two.log
		[ "$(ublk list -o NAME | grep -c '^x')" -eq 1 ]
		ublk del x
	done
	[ ! -e /run/ublk/.index/name-x ]
}

@test "two adds of different files at once both succeed, with different numbers" {
	make_image a.img 16M
	make_image b.img 16M
	at_once 'ublk add -t loop -f a.img' 'ublk add -t loop -f b.img'
	[ "$one $two" = "0 0" ]
	[ "$(sort one.log two.log | tr '\n' ' ')" = "/dev/ublkb0 /dev/ublkb1 " ]
	read_block /dev/ublkb0
	read_block /dev/ublkb1
	ublk del --all
}

# bats test_tags=long
@test "add and del of other devices work under load, time and again" {
	busy=$(ublk add -t null)
	fio --name=load --filename="$busy" --rw=randrw --bs=4k --direct=1 --ioengine=libaio \
		--iodepth=8 --time_based --runtime=600 --size=64M --rate_iops=300 >fio.log 2>&1 &
	load=$!
	wait_for 30 has_written "$busy" 100
	for ((round = 0; round < 3; round++)); do
		run -0 ublk add -t null --size 16M
		[ "$output" = /dev/ublkb1 ]
		read_block /dev/ublkb1
		run -0 ublk del /dev/ublkb1
	done
	end_job "$load"
	run ! grep -q 'err=[^ 0]' fio.log
	ublk del "$busy"
}

# bats test_tags=long
@test "32 devices at once are all usable, and all go" {
	seq 0 31 | xargs -P 4 -I{} "$UBLK" add -n {} -t null --size 16M >paths.txt
	[ "$(sort paths.txt | uniq | wc -l)" -eq 32 ]
	[ "$(pgrep -cx ublk-server)" -eq 32 ]
	for ((i = 0; i < 32; i++)); do
		read_block "/dev/ublkb$i"
	done
	[ "$(ublk list --json | jq -c '[.devices[] | select(.state == "live") | .id] == [range(32)]')" = true ]
	run -0 ublk del --all
	[ -z "$output" ]
	nothing_left
}

@test "recover --all brings back many devices" {
	seq 0 5 | xargs -P 3 -I{} "$UBLK" add -n {} -t null --size 16M >/dev/null
	pgrep -x ublk-server | xargs kill -KILL
	for ((i = 0; i < 6; i++)); do
		wait_for 10 is_state "$i" quiesced
	done
	run -0 --separate-stderr ublk recover --all
	[ "$output" = "$(printf '/dev/ublkb%s\n' 0 1 2 3 4 5)" ]
	for ((i = 0; i < 6; i++)); do
		read_block "/dev/ublkb$i"
	done
	ublk del --all
}

@test "a server's descriptors do not grow with lists, shows and I/O" {
	dev=$(ublk add -t mem --size 16M)
	server=$(server_of "$dev")
	read_block "$dev"
	before=$(find "/proc/$server/fd" -mindepth 1 | wc -l)
	for ((i = 0; i < 5; i++)); do
		ublk show "$dev" >/dev/null
		ublk list >/dev/null
		kill -HUP "$server"
		read_block "$dev"
	done
	[ "$(find "/proc/$server/fd" -mindepth 1 | wc -l)" -eq "$before" ]
	ublk del "$dev"
}
