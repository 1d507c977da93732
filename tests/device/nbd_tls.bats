# SPDX-License-Identifier: MIT
# TLS of the target nbd: real servers with certificates and keys, whoever stands between, and what must not be.
# build: faults
# kernels: newest
# long kernels: 6.12 6.18
# cpus: 2

load helpers
load backings
load servers

# certificate FILE-STEM CA LINE...: a key, and a certificate that the CA has signed.
certificate()
{
	printf '%s\n' signing_key "${@:3}" >"$1.tmpl"
	grep -q expiration "$1.tmpl" || echo 'expiration_days = 100' >>"$1.tmpl"
	certtool --generate-privkey --key-type ecdsa --outfile "$1-key.pem"
	certtool --generate-certificate --load-ca-certificate "$2/ca-cert.pem" --load-ca-privkey "$2/ca-key.pem" \
		--load-privkey "$1-key.pem" --template "$1.tmpl" --outfile "$1-cert.pem"
}

# authority FOLDER: made, with the certificate and the key of a CA.
authority()
{
	mkdir "$1"
	printf 'cn = "%s"\nca\ncert_signing_key\nexpiration_days = 100\n' "$1" >ca.tmpl
	certtool --generate-privkey --key-type ecdsa --outfile "$1/ca-key.pem"
	certtool --generate-self-signed --load-privkey "$1/ca-key.pem" --template ca.tmpl --outfile "$1/ca-cert.pem"
}

# In good/ what a server and a client need, as NBD's programs want it; in wrong/ the same of another CA.
setup_file()
{
	local dir
	requires certtool psktool
	cd "$BATS_FILE_TMPDIR" || return
	{
		for dir in good wrong; do
			authority "$dir"
			certificate "$dir/server" "$dir" 'cn = "a server"' 'dns_name = "localhost"' \
				'ip_address = "127.0.0.1"' tls_www_server
			certificate "$dir/client" "$dir" 'cn = "a client"' tls_www_client
		done
		mkdir expired other purpose
		cp good/ca-* purpose
		certificate purpose/server good 'cn = "no server"' 'dns_name = "localhost"' tls_www_client
		cp good/ca-* expired
		cp good/ca-* other
		certificate expired/server good 'cn = "late"' 'dns_name = "localhost"' tls_www_server \
			'activation_date = "2019-01-01 00:00:00"' 'expiration_date = "2020-01-01 00:00:00"'
		certificate other/server good 'cn = "other"' 'dns_name = "other.example"' tls_www_server
		cat good/client-cert.pem good/client-key.pem >good/client-both.pem
		mkdir keys
		psktool -u alice -p keys/keys.psk
		psktool -u bob -p keys/keys.psk
		# Which qemu-nbd would make at each start, for many seconds.
		certtool --get-dh-params --outfile good/dh-params.pem
		cp good/dh-params.pem keys
		grep alice: keys/keys.psk >alice
		sed 's/:../:00/' alice >false
		sed 's/alice/carol/' alice >carol
	} >certificates.log 2>&1 || { cat certificates.log; return 1; }
}

setup()
{
	device_setup
	requires nbdkit qemu-nbd
	truncate -s 64M disk.img
	files=$BATS_FILE_TMPDIR
	good=$files/good
	port=10810
	export_pid=
}

teardown()
{
	device_teardown
	[[ -z $export_pid ]] || kill -KILL "$export_pid" 2>/dev/null || true
	wait_for 5 no_helper
}

# helpers: the processes that do handshakes, or keep themselves ready for them.
helpers()
{
	local dir name
	for dir in /proc/[0-9]*; do
		if read -r name 2>/dev/null <"$dir/comm" && [[ $name == ublk-tls ]]; then
			printf '%s\n' "${dir#/proc/}"
		fi
	done
}

no_helper()
{
	[[ -z $(helpers) ]]
}

listens()
{
	[[ -n $(ss -Hltn "sport = :$1") ]]
}

# serve ARGS...: nbdkit on $port, $export_pid.
serve()
{
	nbdkit -f -i 127.0.0.1 -p "$port" "$@" >nbdkit.log 2>&1 </dev/null 3>&- &
	export_pid=$!
	wait_for 20 listens "$port"
}

# serve_tls FOLDER ARGS...: the same, with these certificates alone.
serve_tls()
{
	serve --tls=require --tls-certificates="$1" "${@:2}"
}

# serve_qemu ARGS...: qemu-nbd, with ARGS for its credentials.
serve_qemu()
{
	qemu-nbd -f raw -b 127.0.0.1 -p "$port" -t -e 8 --cache=writeback -x '' --object "$1" --tls-creds tls \
		disk.img >qemu.log 2>&1 </dev/null 3>&- &
	export_pid=$!
	wait_for 20 listens "$port"
}

# end_server: by SIGKILL.
end_server()
{
	kill -KILL "$export_pid"
	wait "$export_pid" || true
}

# serve_by TOOL ARGS...: one of ours, on port 10811: $peer_pid.
serve_by()
{
	rm -f peer.log
	"$TOP/tests/device/$1" 10811 "${@:2}" >peer.log 2>&1 3>&- &
	peer_pid=$!
	wait_for 60 grep -q ready peer.log
}

connections()
{
	(($(grep -c connection peer.log) >= $1))
}

# sockets: how the kernel encrypts what is connected.
sockets()
{
	ss -Htnie state established "dport = :$port"
}

# carries VERSION CIPHER: with certificates, and neither another version nor another cipher on the server's side.
carries()
{
	local -A ss_names=([aes-128-gcm]='cipher: aes-gcm-128 ' [aes-256-gcm]='cipher: aes-gcm-256 ' [chacha20-poly1305]='')
	local other
	{
		echo '[overrides]'
		[ "$1" = 1.3 ] || echo 'disabled-version = tls1.3'
		for other in "${!ss_names[@]}"; do
			[ "$other" = "$2" ] || printf 'tls-disabled-cipher = %s\n' "$other"
		done
	} >gnutls.conf
	GNUTLS_SYSTEM_PRIORITY_FILE=$PWD/gnutls.conf serve_tls "$good" memory 32M
	dev=$(ublk add -t nbd --uri "nbds://localhost:$port/" --tls-ca "$good/ca-cert.pem")
	[[ $(sockets) == *"tcp-ulp-tls version: $1 ${ss_names[$2]}rxconf: sw txconf: sw"* ]] || { echo "$@"; sockets; false; }
	fio_verify "$dev" --bsrange=4k-512k --size=4M --iodepth=32
	fio_verify "$dev" --iodepth=1 --size=128k
	ublk del "$dev"
	end_server
}

@test "both versions of TLS carry verified data, with certificates" {
	carries 1.2 aes-256-gcm
	carries 1.3 chacha20-poly1305
}

# bats test_tags=long
@test "with both versions of TLS the other ciphers carry verified data, too" {
	carries 1.2 aes-128-gcm
	carries 1.2 chacha20-poly1305
	carries 1.3 aes-128-gcm
	carries 1.3 aes-256-gcm
}

@test "nbdkit and qemu-nbd serve with certificates of both sides, and with keys that both have" {
	serve_tls "$good" --tls-verify-peer file disk.img
	# By a folder; by files; key and certificate in one.
	for how in "--uri nbds://localhost:$port/?tls-certificates=$good" \
		"--host 127.0.0.1 --port $port --tls --tls-ca $good/ca-cert.pem --tls-cert $good/client-cert.pem --tls-key $good/client-key.pem" \
		"--uri nbd://127.0.0.1:$port --tls --tls-ca $good/ca-cert.pem --tls-cert $good/client-both.pem"; do
		# shellcheck disable=SC2086 # words
		dev=$(ublk add -t nbd $how -q 2)
		fio_verify "$dev" --size=1M
		ublk del "$dev"
	done
	(cd "$good" && ublk add -n 0 -t nbd --uri "nbds://localhost:$port/" --tls-ca ca-cert.pem --tls-cert ./client-both.pem)
	[[ $(detail 0 '.target.tls_ca, .target.tls_cert') == *"$good/ca-cert.pem"*"$good/./client-both.pem"* ]] ||
		{ detail 0 .target; false; }
	ublk del 0
	run -0 ublk nbd list "nbds://localhost:$port/?tls-certificates=$good" --no-header
	[[ $output == *64M* ]]
	run -0 ublk nbd list "nbds://localhost:$port/" --tls-ca "$good/ca-cert.pem" --tls-cert "$good/client-both.pem" --json
	end_server
	serve --tls=require --tls-psk="$files/keys/keys.psk" file disk.img
	for how in "--uri nbds://bob@localhost:$port/?tls-psk-file=$files/keys/keys.psk" \
		"--host localhost --port $port --tls --tls-psk $files/keys/keys.psk --tls-user alice" \
		"--uri nbds://localhost:$port/ --tls-psk $files/alice"; do
		# shellcheck disable=SC2086 # words
		dev=$(ublk add -t nbd $how)
		[[ $(sockets) == *tcp-ulp-tls* ]]
		fio_verify "$dev" --size=1M
		ublk del "$dev"
	done
	end_server
	serve_qemu "tls-creds-x509,id=tls,endpoint=server,dir=$good,verify-peer=on"
	dev=$(ublk add -t nbd --uri "nbds://localhost:$port/?tls-certificates=$good")
	fio_verify "$dev" --bsrange=4k-512k --size=4M --iodepth=32
	ublk del "$dev"
	end_server
	serve_qemu "tls-creds-psk,id=tls,endpoint=server,dir=$files/keys"
	dev=$(ublk add -t nbd --uri "nbds://alice@localhost:$port/?tls-psk-file=$files/keys/keys.psk")
	fio_verify "$dev" --bsrange=4k-512k --size=4M --iodepth=32
	ublk del "$dev"
}

# refused STATUS WORDS ARG...: an add of these, in one line.
refused()
{
	run "-$1" ublk add -t nbd "${@:3}"
	[[ $output == *"$2"* && $(grep -c error: <<<"$output") == 1 ]] || { printf '%s: %s\n' "${*:3}" "$output"; return 1; }
	wait_for 5 no_helper
}

@test "who is not who he should be, or offers no TLS, is refused in words, and nothing is left" {
	tls=(--uri "nbds://localhost:$port/")
	serve_tls "$good" memory 1M
	refused 1 "the server's certificate is signed by nobody whom we trust" "${tls[@]}" --tls-ca "$files/wrong/ca-cert.pem"
	refused 1 "the server's certificate is not for other.example" "${tls[@]}" --tls-ca "$good/ca-cert.pem" --tls-hostname other.example
	refused 1 'it wants TLS: nbds:// or --tls' --uri "nbd://localhost:$port/"
	run -1 ublk nbd list "nbd://localhost:$port/"
	[[ $output == *'it wants TLS: nbds:// or --tls'* ]]
	run -1 ublk nbd list "nbds://localhost:$port/" --tls-ca "$files/wrong/ca-cert.pem"
	[[ $output == *'signed by nobody whom we trust'* ]]
	refused 1 'there is no TLS: the server wants certificates, and no key' "${tls[@]}" --tls-psk "$files/alice"
	end_server
	serve_tls "$files/expired" memory 1M
	refused 1 "the server's certificate has expired" "${tls[@]}" --tls-ca "$good/ca-cert.pem"
	end_server
	# A client's, of the same name and CA.
	serve_tls "$files/purpose" memory 1M
	refused 1 "the server's certificate is of no server" "${tls[@]}" --tls-ca "$good/ca-cert.pem"
	end_server
	serve_tls "$files/other" memory 1M
	refused 1 "the server's certificate is not for localhost" "${tls[@]}" --tls-ca "$good/ca-cert.pem"
	dev=$(ublk add -t nbd "${tls[@]}" --tls-ca "$good/ca-cert.pem" --tls-hostname other.example)
	ublk del "$dev"
	end_server
	# Whom the system trusts is not ours.
	serve_tls "$good" --tls-verify-peer memory 1M
	refused 1 'there is no TLS: ' "${tls[@]}"
	refused 1 'does it want a certificate, or another one?' "${tls[@]}" --tls-ca "$good/ca-cert.pem"
	refused 1 'does it want a certificate, or another one?' "${tls[@]}" --tls-ca "$good/ca-cert.pem" --tls-cert "$files/wrong/client-cert.pem" \
		--tls-key "$files/wrong/client-key.pem"
	end_server
	serve_qemu "tls-creds-x509,id=tls,endpoint=server,dir=$good,verify-peer=on"
	refused 1 'does it want a certificate, or another one?' "${tls[@]}" --tls-ca "$good/ca-cert.pem"
	end_server
	serve --tls=require --tls-psk="$files/alice" memory 1M
	refused 1 'there is no TLS: it hangs up; does it have this user and key?' "${tls[@]}" --tls-psk "$files/false"
	refused 1 'there is no TLS: it hangs up; does it have this user and key?' "${tls[@]}" --tls-psk "$files/carol"
	refused 1 'there is no TLS: it hangs up; does it have a certificate?' "${tls[@]}" --tls-ca "$good/ca-cert.pem"
	end_server
	serve memory 1M
	run -2 ublk nbd list "nbds://localhost:$port/?tls-psk-file="
	[[ $output == *'its query names something, and does not say what'* ]]
	refused 1 'cannot use localhost: it offers no TLS' "${tls[@]}" --tls-ca "$good/ca-cert.pem"
	refused 1 'cannot use localhost: it offers no TLS' --uri "nbd://localhost:$port" --tls --tls-ca "$good/ca-cert.pem"
	nothing_left
}

@test "options of TLS that make no sense, and files that are of no use, are refused in words" {
	tls=(--uri "nbds://localhost:$port/")
	refused 2 'there is no TLS over a unix socket, only over TCP' --uri 'nbds+unix:///?socket=/s'
	refused 2 'there is no TLS over a unix socket, only over TCP' --socket /s --tls
	refused 2 'TLS is not asked for: nbds:// or --tls does' --host localhost --tls-ca "$good/ca-cert.pem"
	refused 2 'exclude each other' "${tls[@]}" --tls-ca "$good/ca-cert.pem" --tls-psk "$files/alice"
	refused 2 'a key that both have stands in place of certificates' --uri "nbds://h/?tls-certificates=$good&tls-psk-file=/x"
	refused 2 'certificates are named by the URI and by options' --uri "nbds://h/?tls-certificates=$good" --tls-ca "$good/ca-cert.pem"
	! kernel_at_least 6.16 || refused 2 '--data-path zero-copy is not for an encrypted connection' --data-path zero-copy \
		"${tls[@]}" --tls-ca "$good/ca-cert.pem"
	refused 2 'a user is of a file of keys: --tls-psk' "${tls[@]}" --tls-user alice
	refused 2 'a key is of a certificate: --tls-cert' "${tls[@]}" --tls-key "$good/client-key.pem"
	refused 2 'who the server is is checked, always' --uri 'nbds://localhost/?tls-verify-peer=0'
	refused 2 'its query has what is not known' --uri 'nbd://localhost/?tls-psk-file=/x'
	refused 2 'what it names is no absolute path' --uri 'nbds://localhost/?tls-certificates=good'
	refused 1 'cannot begin TLS: cannot open /none: No such file or directory' "${tls[@]}" --tls-ca /none
	refused 1 "$files/alice has no certificate of a CA" "${tls[@]}" --tls-ca "$files/alice"
	refused 1 "cannot use $good/client-cert.pem with the key $good/server-key.pem: " "${tls[@]}" --tls-ca "$good/ca-cert.pem" \
		--tls-cert "$good/client-cert.pem" --tls-key "$good/server-key.pem"
	refused 1 "cannot begin TLS: cannot open /none/ca-cert.pem: No such file" --uri 'nbds://localhost/?tls-certificates=/none'
	refused 1 'keys.psk has several users: say which one' "${tls[@]}" --tls-psk "$files/keys/keys.psk"
	refused 1 'keys.psk has no key of user dave' "${tls[@]}" --tls-psk "$files/keys/keys.psk" --tls-user dave
	refused 1 'ca-cert.pem has no line USER:KEY' "${tls[@]}" --tls-psk "$good/ca-cert.pem"
	echo 'alice:what' >nohex
	refused 1 'the key in ' "${tls[@]}" --tls-psk nohex
	[[ $output != *what* ]]
	# Its programs alone.
	mkdir bin
	cp "$UBLK" "${UBLK%/*}/ublk-server" bin
	UBLK=$PWD/bin/ublk refused 1 'cannot begin TLS: no ' "${tls[@]}" --tls-ca "$good/ca-cert.pem"
	[[ $output == *'/libexec/ublk/ublk-tls: No such file or directory'* ]]
	nothing_left
}

@test "a kernel without TLS is told of" {
	serve_tls "$good" memory 1M
	echo 'blacklist tls' >/etc/modprobe.d/no-tls.conf
	at_end rm -f /etc/modprobe.d/no-tls.conf
	[[ ! -e /sys/module/tls ]] || wait_for 20 rmmod tls
	refused 6 "the kernel's TLS is not there: is its module \`tls\` loaded?" --uri "nbds://localhost:$port/" --tls-ca "$good/ca-cert.pem"
	rm /etc/modprobe.d/no-tls.conf
	dev=$(ublk add -t nbd --uri "nbds://localhost:$port/" --tls-ca "$good/ca-cert.pem")
	[[ -e /sys/module/tls ]]
	ublk del "$dev"
}

@test "what goes over the wire cannot be read, and can without TLS" {
	yes 'this is not to be read by others' | head -c 256k >pattern
	for how in plain tls; do
		if [ "$how" = tls ]; then
			serve_tls "$good" memory 1M
			options=(--tls --tls-ca "$good/ca-cert.pem")
		else
			serve memory 1M
			options=()
		fi
		serve_by nbd_tls_relay "$port" honest wire
		dev=$(ublk add -t nbd --host localhost --port 10811 "${options[@]}")
		dd if=pattern of="$dev" bs=64k oflag=direct status=none
		dd if="$dev" bs=64k count=4 iflag=direct status=none | cmp - pattern
		ublk del "$dev"
		kill -KILL "$peer_pid"
		end_server
		(($(stat -c %s wire) > 512 * 1024))
		if [ "$how" = tls ]; then
			run ! grep -aqE 'not to be read|IHAVEOPT.{4}\x07' wire
		else
			grep -aq 'not to be read' wire
		fi
	done
}

# stands_between HOW: as soon as something may be lost.
stands_between()
{
	serve_by nbd_tls_relay "$port" "$1" wire
	dev=$(ublk add -n 0 -t nbd --host localhost --port 10811 --tls --tls-ca "$good/ca-cert.pem")
	dd if=/dev/urandom of=block bs=64k count=1 status=none
	# It is to be sent again before anything else.
	dd if=block of="$dev" bs=4k oflag=direct status=none
	kill -USR1 "$peer_pid"
	dd if="$dev" bs=64k count=1 iflag=direct status=none | cmp - block || { echo "HOW $1"; return 1; }
	connections 4 || { echo "HOW $1"; cat peer.log; return 1; }
	# Nothing of NBD was said there: neither an option nor a request.
	run ! grep -aqP 'IHAVEOPT|\x25\x60\x95\x13' wire.lied
	case $1 in
	refuse) [ ! -s wire.lied ] ;;
	*) [ -s wire.lied ] ;;
	esac
	ublk del 0
	kill -KILL "$peer_pid"
}

@test "whoever stands between gets no plain text, and the next connection is used" {
	serve_tls "$good" memory 1M
	stands_between plain
	stands_between inject
	# And at the start.
	serve_by nbd_tls_relay "$port" plain wire
	ublk nbd list "nbds://localhost:10811/?tls-certificates=$good"
	refused 1 'there is no TLS: ' --uri 'nbds://localhost:10811/' --tls-ca "$good/ca-cert.pem"
	kill -KILL "$peer_pid"
	serve_by nbd_tls_relay "$port" mute wire
	ublk nbd list "nbds://localhost:10811/?tls-certificates=$good"
	run -7 ublk nbd list "nbds://localhost:10811/?tls-certificates=$good" --timeout 2
	[[ $output == *'there is no TLS: it does not answer'* ]]
	kill -KILL "$peer_pid"
}

# bats test_tags=long
@test "whoever refuses TLS, or says nothing, gets no plain text either" {
	serve_tls "$good" memory 1M
	stands_between refuse
	stands_between mute
}

@test "tickets among the data cost nothing; new keys, and an end, cost a connection and no data" {
	for how in tickets keys bye; do
		serve_by nbd_tls_server "$good" "$how"
		dev=$(ublk add -n 0 -t nbd --uri nbds://localhost:10811/ --tls-ca "$good/ca-cert.pem")
		fio_verify "$dev" --size=1M --bsrange=4k-128k --iodepth=8
		case $how in
		tickets) (($(grep -c ticket peer.log) > 2)) && ! connections 2 ;;
		keys) grep -q 'new keys' peer.log && connections 3 ;;
		bye) grep -q bye peer.log && connections 3 ;;
		esac || { echo "HOW $how"; cat peer.log; return 1; }
		ublk del 0
		kill -KILL "$peer_pid"
	done
}

# bats test_tags=long
@test "under a load a server that is killed and comes again costs no request and no data" {
	serve_tls "$good" file disk.img
	dev=$(ublk add -n 0 -t nbd --uri "nbds://localhost:$port/" --tls-ca "$good/ca-cert.pem" -q 2 --write-through)
	start_verified "$dev" 4096 --bsrange=4k-64k --iodepth=32
	for ((round = 0; round < 3; round++)); do
		writes_on "$dev"
		end_server
		serve_tls "$good" file disk.img
	done
	writes_on "$dev"
	# One that is another's now is not connected to, and the right one is again.
	end_server
	serve_tls "$files/wrong" file disk.img
	wait_for 20 is_away_for 'Key was rejected by service'
	end_server
	serve_tls "$good" file disk.img
	writes_on "$dev"
	end_verified "$dev" 4096
	[[ $(sockets | grep -c tcp-ulp-tls) == 2 ]] || { sockets; false; }
	ublk del 0
}

is_away_for()
{
	[[ $(detail 0 .away.error) == "\"$1\"" ]]
}

# bats test_tags=long
@test "another server of the device takes the export over, with a helper of its own" {
	serve_qemu "tls-creds-x509,id=tls,endpoint=server,dir=$good,verify-peer=on"
	dev=$(ublk add -n 0 -t nbd --uri "nbds://localhost:$port/?tls-certificates=$good" --recovery reissue)
	outlives_its_servers "$dev"
	if kernel_at_least 6.16; then
		start_verified "$dev" 4096
		writes_on "$dev"
		ublk upgrade 0
		end_verified "$dev" 4096
	fi
	wait_for 5 one_helper
	[ "$(cut -d ' ' -f 4 "/proc/$(helpers)/stat")" = "$(server_of "$dev")" ]
	# Paths alone, and no key, are known of it.
	[[ $(</run/ublk/0.json) != *PRIVATE* && $(tr '\0' ' ' <"/proc/$(helpers)/cmdline") == 'ublk-tls ' ]]
	ublk del 0
}

@test "a device whose server is away gets another server of ours, and nobody but the right one later" {
	serve_tls "$good" file disk.img
	dev=$(ublk add -n 0 -t nbd --uri "nbds://localhost:$port/?tls-certificates=$good" --write-through)
	kill_server "$dev"
	end_server
	run -0 ublk recover 0
	[[ $output == *'requests wait: cannot connect to localhost'* ]]
	wait_for 5 one_helper
	serve_tls "$files/wrong" file disk.img
	wait_for 20 is_away_for 'Key was rejected by service'
	kill_server "$dev"
	run -1 ublk recover 0
	[[ $output == *'is signed by nobody whom we trust'* ]]
	end_server
	ublk recover 0
	serve_tls "$good" file disk.img
	wait_for 20 read_block "$dev"
	[[ $(sockets | grep -c tcp-ulp-tls) == 1 ]] || { sockets; false; }
	ublk del 0
}

one_helper()
{
	[[ $(helpers | wc -l) == 1 ]]
}

@test "a helper that is killed takes nothing with it but later connections, until another server comes" {
	serve_tls "$good" file disk.img
	dev=$(ublk add -n 0 -t nbd --uri "nbds://localhost:$port/" --tls-ca "$good/ca-cert.pem" --log-file "$PWD/log")
	kill -KILL "$(helpers)"
	wait_for 5 no_helper
	fio_verify "$dev" --size=1M
	end_server
	serve_tls "$good" file disk.img
	dd if="$dev" of=/dev/null bs=4k count=1 iflag=direct status=none 3>&- &
	reader=$!
	wait_for 20 is_away_for 'the program that begins TLS, ublk-tls, has ended'
	run -0 ublk show 0
	[[ $output == *'has been away for '*': the program that begins TLS, ublk-tls, has ended ('*'ublk upgrade 0'* ]]
	wait_for 10 grep -q 'ublk-tls, has ended; ublk upgrade 0 starts another one' log
	# Once.
	wait_for 20 has_tried 4
	[ "$(grep -c 'ublk-tls, has ended; ' log)" = 1 ]
	kill_server "$dev"
	ublk recover 0
	ends_with 0 "$reader"
	one_helper
	fio_verify "$dev" --size=1M
	ublk del 0
}

@test "the helper lives where its server does, ends with it alone, and shakes hands without rights" {
	serve_tls "$good" file disk.img
	dev=$(ublk add -n 0 -t nbd --uri "nbds://localhost:$port/?tls-certificates=$good" --mlock)
	wait_for 5 helper_has_moved "$dev"
	helper=$(helpers)
	# The sanitizers lock nothing.
	[[ $UBLK == *sanitize* ]] || run ! grep -q '^VmLck:[[:space:]]*0 kB' "/proc/$helper/status"
	kill -TERM "$helper"
	kill -INT "$helper"
	end_server
	serve_tls "$good" file disk.img
	fio_verify "$dev" --size=1M
	[ "$(helpers)" = "$helper" ]
	kill_server "$dev"
	wait_for 5 no_helper
	ublk del 0
	# In the middle of a handshake.
	serve_by nbd_tls_relay "$port" mute wire
	ublk nbd list "nbds://localhost:10811/?tls-certificates=$good"
	"$UBLK" nbd list "nbds://localhost:10811/?tls-certificates=$good" --timeout 60 3>&- &
	list=$!
	wait_for 20 one_has_no_rights
	kill -KILL "$list"
	wait_for 5 no_helper
	kill -KILL "$peer_pid"
}

# has_tried N: so often to come there again.
has_tried()
{
	(($(detail 0 .away.tries) >= $1))
}

@test "a helper of another version says so" {
	cat >ask.py <<-'EOF'
		import os, socket, sys
		here, there = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
		task = bytearray(int(sys.argv[2]))
		task[0] = int(sys.argv[3])
		if os.fork() == 0:
		    os.dup2(there.fileno(), 3)
		    os.execl(sys.argv[1], "ublk-tls")
		there.close()
		here.send(task)
		print(here.recv(4096)[4:].split(b"\0")[0].decode())
		print(os.waitstatus_to_exitcode(os.wait()[1]))
	EOF
	for task in '20000 99' '8 1' '40000 1'; do
		# Two words.
		# shellcheck disable=SC2086
		run -0 timeout 60 python3 ask.py "${UBLK%/*}/ublk-tls" $task
		[ "$output" = $'the installed ublk-tls is of another version than this program\n1' ]
	done
}

helper_has_moved()
{
	[[ $(readlink "/proc/$(helpers)/ns/mnt") == "$(readlink "/proc/$(server_of "$1")/ns/mnt")" ]] &&
		[[ $(readlink "/proc/$(helpers)/cwd") == / ]]
}

# one_has_no_rights: of the helpers, one is nobody's and has no capability.
one_has_no_rights()
{
	local pid
	for pid in $(helpers); do
		! grep -qzP 'Uid:\t65534\t65534\t65534\t65534\n(.*\n)*CapPrm:\t0+\nCapEff:\t0+\n' "/proc/$pid/status" || return 0
	done
	return 1
}
