# SPDX-License-Identifier: MIT
# The I/O scheduler of a device: none, unless another one was asked for.
# cpus: 2
# kernels: newest
# long kernels: 6.12

load helpers
load servers

setup()
{
	device_setup
	modprobe bfq
}

# scheduler_of DEV: as the kernel has it.
scheduler_of()
{
	grep -o '\[.*\]' "/sys/block/${1#/dev/}/queue/scheduler"
}

# set_scheduler DEV NAME
set_scheduler()
{
	printf '%s' "$2" >"/sys/block/${1#/dev/}/queue/scheduler"
}

shown_scheduler()
{
	ublk show "$1" --json | jq -r '.devices[0].scheduler'
}

@test "a device has no scheduler, one for each of its queues or not" {
	for queues in 1 2; do
		dev=$(ublk add -t null --size 1G -q "$queues")
		[ "$(scheduler_of "$dev")" = '[none]' ]
		[ "$(shown_scheduler "$dev")" = none ]
		ublk del "$dev"
	done
}

@test "--scheduler gives it another one, and keep leaves it what the kernel has chosen" {
	dev=$(ublk add -t null --size 1G -q 2 --scheduler mq-deadline)
	[ "$(scheduler_of "$dev")" = '[mq-deadline]' ]
	[ "$(shown_scheduler "$dev")" = mq-deadline ]
	[ "$(ublk show "$dev" --json | jq -r '.devices[0].asked.scheduler')" = mq-deadline ]
	ublk del "$dev"
	dev=$(ublk add -t null --size 1G -q 1 --scheduler keep)
	[ "$(scheduler_of "$dev")" = '[mq-deadline]' ]
	ublk del "$dev"
	dev=$(ublk add -t null --size 1G -q 1 --no-wait --scheduler bfq)
	wait_for 10 test -b "$dev"
	[ "$(scheduler_of "$dev")" = '[bfq]' ]
	ublk del "$dev"
}

@test "one that there is not is told, and the device serves without; what is no name is wrong usage" {
	run --separate-stderr ublk add -t null --size 1G --scheduler cfq
	[ "$status" -eq 0 ]
	[ "$output" = /dev/ublkb0 ]
	[ "$stderr" = 'ublk: note: ublkb0 keeps the I/O scheduler mq-deadline: this kernel has no cfq' ]
	read_block /dev/ublkb0
	ublk show /dev/ublkb0 --json | jq -e '.devices[0].notes | any(contains("has no cfq"))'
	ublk del /dev/ublkb0
	for name in a/b none,bfq NONE 0123456789abcdef; do
		run ublk add -t null --size 1G --scheduler "$name"
		[ "$status" -eq 2 ]
		[[ $output == *'--scheduler takes'* ]]
	done
	[ "$(ublk list --json | jq '.devices | length')" -eq 0 ]
}

@test "what an administrator sets afterwards is shown, and neither recovery nor anybody else takes it back" {
	make_image img 8M
	dev=$(ublk add -t loop -f img)
	set_scheduler "$dev" bfq
	[ "$(shown_scheduler "$dev")" = bfq ]
	park "$dev"
	ublk recover "$dev"
	[ "$(scheduler_of "$dev")" = '[bfq]' ]
	read_block "$dev"
	ublk del "$dev"
	dev=$(ublk add -t loop -f img --scheduler bfq)
	set_scheduler "$dev" none
	park "$dev"
	ublk recover "$dev"
	[ "$(scheduler_of "$dev")" = '[none]' ]
	ublk del "$dev"
}

# add_with_waiting_change: a device without a server, a read that waits for one, and a change of the
# scheduler that waits for the read. Sets dev, reader, writer.
add_with_waiting_change()
{
	make_image img 8M
	dev=$(ublk add -t loop -f img)
	park "$dev"
	dd if="$dev" of=/dev/null bs=4096 count=1 iflag=direct status=none 3>&- &
	reader=$!
	wait_for 10 is_waiting "$reader"
	set_scheduler "$dev" mq-deadline 3>&- &
	writer=$!
	wait_for 10 is_waiting "$writer"
}

@test "while a change of it waits for the I/O of a device without a server, all is shown, and recover ends it" {
	add_with_waiting_change
	timeout 20 "$UBLK" list --json | jq -e '.devices | length == 1'
	run --separate-stderr timeout 20 "$UBLK" show "$dev" --json
	[ "$status" -eq 0 ]
	jq -e '.devices[0].state == "quiesced"' <<<"$output"
	timeout 60 "$UBLK" recover "$dev"
	wait "$reader" "$writer"
	[ "$(scheduler_of "$dev")" = '[mq-deadline]' ]
	ublk del "$dev"
}

@test "while a change of it waits for the I/O of a device without a server, del --force ends both" {
	add_with_waiting_change
	timeout 60 "$UBLK" del --force "$dev"
	wait "$reader" || true
	wait "$writer" || true
	nothing_left
}
