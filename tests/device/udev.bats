# SPDX-License-Identifier: MIT
# What the real udev makes of devices: links by name, and by what is on them, for root's alone.
# kernels: newest
# long kernels: 6.12
# no sanitizers

load helpers
load servers
load udevd

USER_ID=4242
RULES=/run/udev/rules.d
BY_NAME=/dev/disk/by-ublk

# Installed where any user may read it, with the rules where they are gone at the next boot.
setup_file()
{
	requires setpriv udevadm sfdisk
	root=$(mktemp -d)
	export root bin=$root/usr/local/sbin
	chmod 755 "$root"
	DESTDIR=$root cmake --install "$(dirname "$UBLK")" --prefix /usr/local >"$root/install.log"
	ln -s ../libexec/ublk/ublk-server "$bin/ublk-server"
	mkdir -p "$RULES"
	for rules in "$root"/usr/local/lib/udev/rules.d/*-ublk.rules; do
		sed "s|\"/usr/local/|\"$root/usr/local/|" "$rules" >"$RULES/${rules##*/}"
	done
	start_udevd
}

teardown_file()
{
	end_udevd
	rm -rf "$RULES"/*-ublk.rules "$root"
}

teardown()
{
	[[ $BATS_TEST_COMPLETED ]] || { ls -l /dev/disk/by-* || true; udevadm info /dev/ublkb* || true; }
	device_teardown
}

# leads_to LINK NODE
leads_to()
{
	[[ -L $1 && $(readlink -f "$1") == "$2" ]]
}

# links_of NODE: all below /dev/disk that lead there.
links_of()
{
	find /dev/disk -type l -lname "*/${1##*/}" | sort
}

# no_links: to any ublk disk or partition.
no_links()
{
	[[ -z $(find /dev/disk -type l -lname '*/ublkb*') ]]
}

# user_ublk ARGS...: as an ordinary user.
user_ublk()
{
	(
		cd "$root/user" && exec setpriv --reuid "$USER_ID" --regid "$USER_ID" --clear-groups \
			--inh-caps=-all env XDG_RUNTIME_DIR="$root/run" timeout --foreground 60 "$bin/ublk" "$@"
	)
}

be_a_user()
{
	install -d -o "$USER_ID" -g "$USER_ID" "$root/user" "$root/run"
	wait_for 20 everybody_may_add
}

everybody_may_add()
{
	timeout 5 udevadm trigger --action=add --settle /dev/ublk-control || true
	[[ $(stat -c %a /dev/ublk-control) == 666 ]]
}

@test "a device has a link by its name when add returns, and none when it was deleted" {
	make_image a.img 32M
	run -0 --separate-stderr ublk add -t loop -f a.img --name Data_1.x+y-z
	[ -z "$stderr" ]
	leads_to "$BY_NAME/Data_1.x+y-z" "$output"
	ublk del Data_1.x+y-z
	wait_for 20 no_links
}

@test "a foreground server's device has its link when its path was printed" {
	"$UBLK" add --foreground -t mem --size 16M --name fore >path 3>&- &
	server=$!
	wait_for 60 test -s path
	leads_to "$BY_NAME/fore" "$(<path)"
	kill -TERM "$server"
	ends_with 0 "$server"
	wait_for 20 no_links
}

@test "a file system that is made on a device is linked by its UUID and label, and no longer when it is wiped" {
	make_image a.img 32M
	dev=$(ublk add -t loop -f a.img --name fs)
	mkfs.ext4 -qF -L of-ublk -U 6f0c1a52-1f0e-4a55-9d0b-7f5d3f1b2c10 "$dev"
	wait_for 20 leads_to /dev/disk/by-uuid/6f0c1a52-1f0e-4a55-9d0b-7f5d3f1b2c10 "$dev"
	leads_to /dev/disk/by-label/of-ublk "$dev"
	leads_to "$BY_NAME/fs" "$dev"
	wipefs -qa "$dev"
	wait_for 20 test ! -e /dev/disk/by-uuid/6f0c1a52-1f0e-4a55-9d0b-7f5d3f1b2c10
	leads_to "$BY_NAME/fs" "$dev"
	ublk del "$dev"
}

@test "partitions are linked by their device's name, their UUID and their label, and go with it" {
	make_image a.img 32M
	dev=$(ublk add -t loop -f a.img --name parts)
	sfdisk -q "$dev" <<-END
		label: gpt
		size=8M, name=one, uuid=11111111-2222-4333-8444-555555555555
		size=8M, name=two
	END
	wait_for 20 leads_to "$BY_NAME/parts-part2" "${dev}p2"
	wait_for 20 leads_to /dev/disk/by-partuuid/11111111-2222-4333-8444-555555555555 "${dev}p1"
	leads_to /dev/disk/by-partlabel/one "${dev}p1"
	leads_to "$BY_NAME/parts-part1" "${dev}p1"
	mkfs.ext4 -qF -L in-part "${dev}p1"
	wait_for 20 leads_to /dev/disk/by-label/in-part "${dev}p1"
	ublk del "$dev"
	wait_for 20 no_links
	# Those that are there when it is added, too.
	dev=$(ublk add -t loop -f a.img --name again)
	wait_for 20 leads_to /dev/disk/by-label/in-part "${dev}p1"
	leads_to "$BY_NAME/again-part1" "${dev}p1"
	ublk del again
}

@test "a device keeps its links while it has no server, and when it is recovered" {
	make_image a.img 32M
	mkfs.ext4 -qF -L kept a.img
	dev=$(ublk add -t loop -f a.img --name kept)
	wait_for 20 leads_to /dev/disk/by-label/kept "$dev"
	kill_server "$dev"
	wait_for 60 is_state "$dev" quiesced
	leads_to "$BY_NAME/kept" "$dev"
	ublk recover "$dev"
	udevadm trigger --action=change --settle "$dev"
	leads_to "$BY_NAME/kept" "$dev"
	leads_to /dev/disk/by-label/kept "$dev"
	ublk del "$dev"
}

# has_requests DEV: that its server has not answered.
has_requests()
{
	[[ $(<"/sys/block/${1##*/}/inflight") =~ [1-9] ]]
}

# hang_under_udev DEV: a writer closes the device while its server does not answer, and dies.
hang_under_udev()
{
	local server
	server=$(server_of "$1")
	kill -STOP "$server"
	# Its close waits for whoever reads the partition table.
	(: <>"$1") 3>&- &
	wait_for 20 has_requests "$1"
	kill -KILL "$server"
	wait_for 60 is_state "$1" quiesced
}

@test "a server that dies while udev reads its device keeps neither recover nor del, and udev goes on" {
	make_image a.img 32M
	dev=$(ublk add -t loop -f a.img --name hung)
	udevadm settle
	hang_under_udev "$dev"
	ublk recover "$dev"
	mkfs.ext4 -qF -L goes-on "$dev"
	wait_for 20 leads_to /dev/disk/by-label/goes-on "$dev"
	udevadm settle
	hang_under_udev "$dev"
	ublk del --force "$dev"
	udevadm settle
	wait_for 20 no_links
}

@test "a name that can't be asked for at an event stays as it was" {
	make_image a.img 32M
	dev=$(ublk add -t loop -f a.img --name firm)
	mv /run/ublk/0.json aside
	udevadm trigger --action=change --settle "$dev"
	leads_to "$BY_NAME/firm" "$dev"
	mv /dev/ublk-control control
	at_end restore_control "$PWD/control"
	udevadm trigger --action=change --settle "$dev"
	leads_to "$BY_NAME/firm" "$dev"
	restore_control "$PWD/control"
	mv aside /run/ublk/0.json
	ublk del "$dev"
	wait_for 20 no_links
}

restore_control()
{
	[[ ! -e $1 ]] || mv "$1" /dev/ublk-control
}

# bats test_tags=long
@test "numbers that change hands again and again never have a name lead to another's device" {
	for ((round = 0; round < 10; round++)); do
		ublk add -n 0 -t mem --size 1M --name "odd$round" >/dev/null
		[ "$(links_of /dev/ublkb0 | grep by-ublk)" = "$BY_NAME/odd$round" ]
		ublk del 0
		ublk add -n 0 -t mem --size 1M --name "even$round" >/dev/null
		[ "$(links_of /dev/ublkb0 | grep by-ublk)" = "$BY_NAME/even$round" ]
		ublk del 0
	done
	wait_for 20 no_links
}

@test "a link that an earlier device left is gone before there is a new one" {
	mkdir -p "$BY_NAME" /dev/disk/by-uuid
	ln -s ../../ublkb0 "$BY_NAME/left"
	ln -s ../../ublkb0p1 /dev/disk/by-uuid/left
	ln -s ../../ublkb01 "$BY_NAME/another"
	at_end rm -f "$BY_NAME"/{left,another} /dev/disk/by-uuid/left
	dev=$(ublk add -n 0 -t mem --size 1M)
	[ ! -L "$BY_NAME/left" ]
	[ ! -L /dev/disk/by-uuid/left ]
	[ -L "$BY_NAME/another" ]
	ublk del "$dev"
}

@test "what an event of an earlier disk asks is not answered by the device that has its number now" {
	server=$(find "$root" -name ublk-server -type f)
	dev=$(ublk add -t mem --size 1M --name now)
	seq=$(</sys/block/ublkb0/diskseq)
	run -0 "$server" describe "$dev" "$seq"
	[ "$output" = $'UBLK_PROBE=yes\nUBLK_NAME=now' ]
	run -1 "$server" describe "$dev" "$((seq - 1))"
	[ -z "$output" ]
	run -1 "$server" describe /dev/ublkb5 "$seq"
	[ -z "$output" ]
	run -1 "$server" describe /dev/nothing "$seq"
	[[ $output == 'ublk-server: error: cannot describe /dev/nothing to udev: '* ]]
	ublk del "$dev"
}

@test "an ordinary user's device is not read by root, and has no link: not even by its name" {
	be_a_user
	truncate -s 32M "$root/user/a.img"
	mkfs.ext4 -qF -L hostile "$root/user/a.img"
	chown "$USER_ID" "$root/user/a.img"
	roots=$(ublk add -t mem --size 1M --name wanted)
	dev=$(user_ublk add -t loop -f a.img --name wanted)
	udevadm trigger --action=change --settle "$dev"
	udevadm settle
	# Nobody has read anything, from its first event on.
	[ "$(reads_of "$dev")" -eq 0 ]
	[ -z "$(links_of "$dev")" ]
	udevadm info -q property "$dev" >properties
	grep -qx UBLK_PROBE=no properties
	grep -qx UDEV_DISABLE_PERSISTENT_STORAGE_RULES_FLAG=1 properties
	[ "$(grep -cE '^(ID_FS|ID_PART|UBLK_NAME)' properties)" -eq 0 ]
	leads_to "$BY_NAME/wanted" "$roots"
	user_ublk del "$dev"
	ublk del "$roots"
}

# know_ublk: this machine's rules as those of systemd 257, which read and watch ublk disks.
know_ublk()
{
	local rules
	for rules in 60-block.rules 60-persistent-storage.rules; do
		at_end rm -f "$RULES/$rules"
		sed 's/|zd\*"/|zd*|ublkb*"/' "/usr/lib/udev/rules.d/$rules" >"$RULES/$rules"
		grep -q ublkb "$RULES/$rules" || return
	done
	at_end udevadm control --reload
	udevadm control --reload
}

# is_watched DEV
is_watched()
{
	[[ -L /run/udev/watch/b$(<"/sys/block/${1##*/}/dev") ]]
}

# reads_of DEV: how many requests to read it has had.
reads_of()
{
	awk '{ print $1 }' "/sys/block/${1##*/}/stat"
}

@test "rules of udev's own that know ublk read no ordinary user's device, and none that is not to be read" {
	know_ublk
	be_a_user
	make_image a.img 32M
	mkfs.ext4 -qF -L unread a.img
	cp a.img "$root/user/a.img"
	chown "$USER_ID" "$root/user/a.img"
	dev=$(user_ublk add -t loop -f a.img)
	quiet=$(ublk add -t loop -f a.img --name quiet --no-partition-scan)
	open=$(ublk add -t mem --size 32M --name open)
	udevadm trigger --action=change --settle "$dev" "$quiet" "$open"
	[ "$(reads_of "$dev")" -eq 0 ]
	run ! is_watched "$dev"
	[ -z "$(links_of "$dev")" ]
	! kernel_at_least 7.0 || [ "$(reads_of "$quiet")" -eq 0 ]
	run ! is_watched "$quiet"
	[ "$(links_of "$quiet")" = "$BY_NAME/quiet" ]
	is_watched "$open"
	mkfs.ext4 -qF -L is-read "$open"
	wait_for 20 leads_to /dev/disk/by-label/is-read "$open"
	user_ublk del "$dev"
	ublk del "$quiet" "$open"
}

@test "with --no-partition-scan udev links the device by its name and reads nothing" {
	make_image a.img 32M
	mkfs.ext4 -qF -L unread a.img
	dev=$(ublk add -t loop -f a.img --name quiet --no-partition-scan)
	udevadm settle
	[ "$(links_of "$dev")" = "$BY_NAME/quiet" ]
	ublk del "$dev"
}

@test "without a name a device has its file system's links, and add waits for none" {
	make_image a.img 32M
	mkfs.ext4 -qF -L nameless a.img
	dev=$(ublk add -t loop -f a.img)
	wait_for 20 leads_to /dev/disk/by-label/nameless "$dev"
	run -0 udevadm info -q property "$dev"
	[[ $output != *UBLK_NAME* ]]
	ublk del "$dev"
}

@test "a name of a partition is refused, since another device's partition would have its link" {
	run -2 ublk add -t mem --size 1M --name x-part12
	[[ $output == *'--name x-part12 would be taken for a partition of a device'* ]]
	for name in x-part part1 x-part1x; do
		ublk add -t mem --size 1M --name "$name" >/dev/null
		leads_to "$BY_NAME/$name" /dev/ublkb0
		ublk del "$name"
	done
}

@test "a udev that makes no link is told in a note, and the device serves" {
	kill -STOP "$udevd"
	at_end kill -CONT "$udevd"
	run -0 --separate-stderr ublk add -t mem --size 1M --name slow --timeout 5
	[[ $stderr == "ublk: note: udev has not made the link $BY_NAME/slow in time" ]]
	kill -CONT "$udevd"
	wait_for 20 leads_to "$BY_NAME/slow" "$output"
	ublk del slow
}

@test "doctor tells when the rules for links are missing" {
	run ublk doctor
	[[ $output == *"good  udev        runs, with $RULES/60-ublk.rules"* ]]
	mv "$RULES/59-ublk.rules" aside
	run ublk doctor
	mv aside "$RULES/59-ublk.rules"
	[[ $output == *"note  udev        runs, with $RULES/60-ublk.rules alone: there are no links"* ]]
}
