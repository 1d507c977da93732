# SPDX-License-Identifier: MIT
# NBD servers. Sourced after helpers.bash and backings.bash; the test sets export_pid to nothing, and kills it at its
# end, or has that done by the two functions here.
# shellcheck shell=bash

# nbd_setup PROGRAM...: a test's setup, which needs these; there is disk.img.
nbd_setup()
{
	device_setup
	requires "$@"
	make_image disk.img 64M
	export_pid=
}

nbd_teardown()
{
	# What a server has said that a failed test had.
	[[ -n ${BATS_TEST_COMPLETED-} ]] || tail -n 10 -- *.log || true
	device_teardown
	[[ -z $export_pid ]] || kill -KILL "$export_pid" 2>/dev/null || true
}

# serve ARGS...: nbdkit on $socket, $export_pid.
serve()
{
	socket=$PWD/socket
	rm -f "$socket"
	nbdkit -f -U "$socket" "$@" >nbdkit.log 2>&1 </dev/null 3>&- &
	export_pid=$!
	wait_for 20 test -S "$socket"
}

# serve_tcp ARGS...: the same on $port.
serve_tcp()
{
	port=10810
	nbdkit -f -i 127.0.0.1 -p "$port" "$@" >nbdkit.log 2>&1 </dev/null 3>&- &
	export_pid=$!
	wait_for 20 listens "$port"
}

listens()
{
	[[ -n $(ss -Hltn "sport = :$1") ]]
}

# serve_qemu FORMAT FILE
serve_qemu()
{
	socket=$PWD/socket
	rm -f "$socket"
	qemu-nbd -f "$1" -k "$socket" -t -e 8 --cache=writeback -x '' "$2" >qemu.log 2>&1 </dev/null 3>&- &
	export_pid=$!
	wait_for 20 test -S "$socket"
}

# end_server: by SIGKILL.
end_server()
{
	kill -KILL "$export_pid"
	wait "$export_pid" || true
}

uri()
{
	printf 'nbd+unix:///%s?socket=%s' "${1-}" "$socket"
}

# serve_liar HOW [FILE]
serve_liar()
{
	socket=$PWD/socket
	rm -f socket liar.log
	"$TOP/tests/device/nbd_liar" "$socket" "$@" >liar.log 2>&1 3>&- &
	export_pid=$!
	wait_for 20 grep -q ready liar.log
}

is_away()
{
	[[ $(detail 0 '.away != null') == true ]]
}
