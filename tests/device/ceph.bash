# SPDX-License-Identifier: MIT
# A Ceph of one monitor and one OSD, out of $CACHE/ceph (tests/lib/setup.sh), in the folder $ceph. Sourced after
# helpers.bash. What starts or ends a daemon does not wait for the cluster to be well: a client does.
# shellcheck shell=bash

MONITOR=${UBLK%/*}/monitor
CEPH_BIN=$CACHE/ceph/bin

# ceph_up [memstore|bluestore [net]]: in $PWD/ceph, with a pool `rbd`; client.admin may do all. A memstore keeps
# nothing over an osd_kill, only over an osd_end. With `net` it is on a network of its own, which ceph_cut cuts. In a
# test it goes at its end; whoever makes it in setup_file, for a whole file, calls ceph_down in teardown_file.
ceph_up()
{
	requires "$CEPH_BIN/ceph-osd" "$MONITOR" || return
	export ceph=$PWD/ceph
	mkdir "$ceph" "$ceph/mon" "$ceph/osd" || return
	[[ -z ${klog_marker-} ]] || at_end ceph_down
	local address=127.0.0.1 fsid osd_id
	if [[ ${2-} == net ]]; then
		address=192.0.2.1
		make_ceph_network || return
	fi
	read -r fsid </proc/sys/kernel/random/uuid
	read -r osd_id </proc/sys/kernel/random/uuid
	write_ceph_conf "$address" "$fsid" "${1:-memstore}" >"$ceph/ceph.conf"
	make_ceph_keys
	# The OSD's store is made meanwhile.
	ceph_tool ceph-osd -i 0 --mkfs --osd-uuid "$osd_id" >"$ceph/osd.mkfs" 2>&1 3>&- &
	local mkfs=$!
	ceph_tool ceph-mon -i a --mkfs --fsid "$fsid" --keyring "$ceph/keyring" >"$ceph/mon.mkfs" 2>&1 ||
		{ cat "$ceph/mon.mkfs"; return 1; }
	mon_start
	monitor "$(printf '{"prefix": "osd new", "uuid": "%s", "id": 0}' "$osd_id")" >/dev/null || return
	wait "$mkfs" || { cat "$ceph/osd.mkfs"; return 1; }
	osd_start
	monitor '{"prefix": "osd pool create", "pool": "rbd", "pg_num": 1, "pgp_num": 1}' \
		'{"prefix": "osd pool application enable", "pool": "rbd", "app": "rbd"}' || return
	# A client that finds none up asks again after five seconds.
	wait_for 60 osd_is_up
}

# ceph_down: by force, and forgotten, also if it is half there.
ceph_down()
{
	[[ -n ${ceph-} && -d $ceph ]] || return 0
	end_ceph_daemon osd KILL
	end_ceph_daemon mon KILL
	[[ -z ${klog_marker-} || -n ${BATS_TEST_COMPLETED-} ]] || tail -n 10 "$ceph"/*.{log,err} || true
	[[ ! -e /run/netns/ceph ]] || ip netns del ceph
	rm -rf "$ceph"
}

# ceph_tool PROGRAM ARGS...: one of Ceph's, as the cluster's administrator.
ceph_tool()
{
	LD_LIBRARY_PATH=$CACHE/ceph/lib CEPH_CONF=$ceph/ceph.conf "$CEPH_BIN/$1" "${@:2}"
}

# rbd ARGS...: Ceph's program for images.
rbd()
{
	ceph_tool rbd "$@"
}

# monitor COMMAND...: in JSON; prints the answers.
monitor()
{
	"$MONITOR" "$ceph/ceph.conf" "$@"
}

# ceph_daemon NAME PROGRAM ARGS...: no job of the test's, so that devices go before it at the end; its process is in
# $ceph/NAME.pid.
ceph_daemon()
{
	local inside=()
	[[ ! -e $ceph/net ]] || inside=(nsenter --net=/run/netns/ceph)
	LD_LIBRARY_PATH=$CACHE/ceph/lib "${inside[@]}" "$CEPH_BIN/$2" -f -c "$ceph/ceph.conf" "${@:3}" \
		>>"$ceph/$1.err" 2>&1 </dev/null 3>&- 7<&- &
	echo $! >"$ceph/$1.pid"
	disown $!
}

# ceph_signal NAME SIGNAL: to a daemon; none if it is not there.
ceph_signal()
{
	local pid
	[[ -s $ceph/$1.pid ]] || return 0
	pid=$(<"$ceph/$1.pid")
	[[ $(readlink "/proc/$pid/exe") != "$CEPH_BIN"/* ]] || kill "-$2" "$pid"
}

# end_ceph_daemon NAME SIGNAL: it has ended.
end_ceph_daemon()
{
	ceph_signal "$1" "$2"
	[[ ! -s $ceph/$1.pid ]] || wait_for 60 is_gone "$(<"$ceph/$1.pid")" || return
	rm -f "$ceph/$1.pid"
}

mon_start()
{
	ceph_daemon mon ceph-mon -i a
}

mon_kill()
{
	end_ceph_daemon mon KILL
}

osd_start()
{
	ceph_daemon osd ceph-osd -i 0
}

# osd_kill [quietly]: the monitor is told, as other OSDs would; quietly it believes in it until the next one starts,
# and a client that comes before has to find out in 15 seconds.
osd_kill()
{
	end_ceph_daemon osd KILL || return
	[[ ${1-} == quietly ]] || monitor '{"prefix": "osd down", "ids": ["0"], "definitely_dead": true}'
}

# osd_end: in order.
osd_end()
{
	end_ceph_daemon osd TERM
}

# osd_is_up: as the monitor knows.
osd_is_up()
{
	[[ $(monitor '{"prefix": "osd stat", "format": "json"}') == *'"num_up_osds":1,'* ]]
}

osd_pause()
{
	ceph_signal osd STOP
}

osd_resume()
{
	ceph_signal osd CONT
}

# ceph_key: a new one.
ceph_key()
{
	{ printf '\1\0\0\0\0\0\0\0\0\0\20\0' && head -c 16 /dev/urandom; } | base64
}

# make_ceph_keys: of the monitor, the OSD and the administrator; the monitor's store is made with all of them.
make_ceph_keys()
{
	local all='allow *'
	printf '[mon.]\n\tkey = %s\n\tcaps mon = "%s"\n' "$(ceph_key)" "$all" >"$ceph/mon.a.keyring"
	printf '[osd.0]\n\tkey = %s\n\tcaps mon = "allow profile osd"\n\tcaps osd = "%s"\n' \
		"$(ceph_key)" "$all" >"$ceph/osd.0.keyring"
	printf '[client.admin]\n\tkey = %s\n\tcaps mon = "%s"\n\tcaps osd = "%s"\n' \
		"$(ceph_key)" "$all" "$all" >"$ceph/client.admin.keyring"
	cat "$ceph"/*.keyring >"$ceph/keyring"
}

# ceph_user NAME [MON [OSD]]: client.NAME with these rights, those to images if none are said; its key is in
# $ceph/client.NAME.keyring, where the configuration says.
ceph_user()
{
	monitor "$(printf '{"prefix": "auth get-or-create", "entity": "client.%s", "caps": ["mon", "%s", "osd", "%s"]}' \
		"$1" "${2-profile rbd}" "${3-profile rbd}")" >"$ceph/client.$1.keyring"
}

# ceph_blocklist ADDRESS:PORT/NONCE: that client is fenced.
ceph_blocklist()
{
	monitor "$(printf '{"prefix": "osd blocklist", "blocklistop": "add", "addr": "%s"}' "$1")"
}

# ceph_full: no space is left, which only an OSD in use sees; ceph_not_full: there is again.
ceph_full()
{
	full_ratios 0.000000001 0.000000001 0.000000001 && wait_for 60 is_full
}

ceph_not_full()
{
	full_ratios 0.95 0.90 0.85 && wait_for 60 is_not_full
}

# full_ratios FULL BACKFILLFULL NEARFULL: none below the one after it counts.
full_ratios()
{
	monitor "$(full_ratio full "$1")" "$(full_ratio backfillfull "$2")" "$(full_ratio nearfull "$3")"
}

# full_ratio NAME RATIO: the command.
full_ratio()
{
	printf '{"prefix": "osd set-%s-ratio", "ratio": %s}' "$1" "$2"
}

# is_full: the pool, as clients are told.
is_full()
{
	[[ $(monitor '{"prefix": "osd dump", "format": "json"}') =~ '"flags_names":"'[^\"]*full ]]
}

is_not_full()
{
	! is_full
}

# make_ceph_network: a namespace `ceph` behind a pair of veths, their neighbours told, not asked for.
make_ceph_network()
{
	modprobe veth && ip netns add ceph && : >"$ceph/net" &&
		ip link add ceph address 02:00:00:00:00:02 type veth \
			peer name ceph address 02:00:00:00:00:01 netns ceph &&
		ip address add 192.0.2.2/24 dev ceph && ip link set ceph up &&
		ip -n ceph address add 192.0.2.1/24 dev ceph && ip -n ceph link set ceph up &&
		ip -n ceph link set lo up && ceph_join
}

# ceph_neighbours TO FROM: the last digits of where packets to the cluster, and from it, are sent.
ceph_neighbours()
{
	ip neighbour replace 192.0.2.1 lladdr "02:00:00:00:00:0$1" nud permanent dev ceph &&
		ip -n ceph neighbour replace 192.0.2.2 lladdr "02:00:00:00:00:0$2" nud permanent dev ceph
}

# ceph_cut: packets get lost, and nobody is told; ceph_join: they arrive again.
ceph_cut()
{
	ceph_neighbours 9 9
}

ceph_join()
{
	ceph_neighbours 1 2
}

# write_ceph_conf ADDRESS FSID STORE: what makes a small cluster quick, and clients that leave nothing.
write_ceph_conf()
{
	local name
	cat <<CONF
[global]
fsid = $2
mon host = [v2:$1:10820/0,v1:$1:10821/0]
public addr = $1
cluster addr = $1
ms bind ipv6 = false
ms bind port min = 10830
ms bind port max = 10860
ms cluster mode = crc
ms service mode = crc
ms mon cluster mode = crc
ms mon service mode = crc
ms mon client mode = crc
ms async op threads = 1
auth allow insecure global id reclaim = false
keyring = $ceph/\$name.keyring
run dir = $ceph
log file = $ceph/\$name.log
log to syslog = false
crash dir = $ceph
plugin dir = $CACHE/ceph/lib
erasure code dir = $CACHE/ceph/lib
osd erasure code plugins =
osd class dir = $CACHE/ceph/classes
osd pool default size = 1
osd pool default min size = 1
osd pool default pg autoscale mode = off
osd crush chooseleaf type = 0
# An OSD that is alone does not go on when it was stopped for longer than its lease of reads, of so many times 20
# seconds: nobody answers who would renew it.
osd pool default read lease ratio = 180
rbd validate pool = false
mon client hunt interval = 0.3
mon client hunt interval min multiple = 1
mon client hunt interval max multiple = 1
[client]
admin socket =
log file =
[mon]
admin socket =
# By this it is known among the monitors.
public addrv = [v2:$1:10820/0,v1:$1:10821/0]
mon data = $ceph/mon
mon data avail crit = 1
mon data avail warn = 1
mon allow pool size one = true
mon allow pool delete = true
mon osd down out interval = 86400
mon cluster log to file = false
paxos propose interval = 0.02
paxos min wait = 0.01
mon rocksdb options = write_buffer_size=4194304,compression=kNoCompression
[osd]
admin socket =
osd data = $ceph/osd
osd journal = $ceph/osd/journal
osd objectstore = $3
# A memstore is written when it is ended in order.
osd fast shutdown = false
osd op num shards = 1
osd op num threads per shard = 2
osd op queue = wpq
# As often it looks whether it is full.
osd heartbeat interval = 1
osd mclock skip benchmark = true
osd memory target = 939524096
# Whoever opens or closes the store waits for so long.
bdev aio poll ms = 20
bluestore block size = 2147483648
bluestore block create = true
bluestore cache autotune = false
bluestore cache size = 33554432
bluestore fsck on mount = false
memstore device bytes = 1073741824
[global]
CONF
	for name in asok auth bdev bluefs bluestore context crush filer finisher heartbeatmap journal lockdep mon \
		monc ms none objclass objecter objectcacher optracker osd paxos perfcounter rados rbd rocksdb \
		throttle timer tp; do
		printf 'debug %s = 0/0\n' "$name"
	done
}
