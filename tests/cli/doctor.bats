#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# ublk doctor where there is no driver, and how `add` asks for it. tests/device/doctor.bats has the rest.
# shellcheck disable=SC2154 # out, err and status come from ub()

load helpers

# ublk ARGS...: run by the words of $as, where neither /dev nor the kernel tells of the driver, and
# modprobe is the script in $modprobe.
ublk()
{
	# shellcheck disable=SC2016 # for the other shell
	unshare --mount -- bash -ec '
		mount --bind /dev/null /proc/misc
		mount --bind "$0" "$(realpath /sbin/modprobe)"
		if [[ -e /dev/ublk-control ]]; then
			new=$(mktemp -d)
			cp -a /dev/null "$new"
			mount -t tmpfs none /dev
			mv "$new/null" /dev
			rmdir "$new"
		fi
		exec "$@"' "$modprobe" "${as[@]}" "${program:-$UBLK}" "$@"
}

setup()
{
	as=() program=
}

# fake_modprobe SCRIPT: it also keeps the arguments that it is called with.
fake_modprobe()
{
	modprobe=$BATS_TEST_TMPDIR/modprobe calls=$BATS_TEST_TMPDIR/calls
	: >"$calls"
	printf '#!/bin/sh\necho "$*" >>%s\nenv >%s.env\n%s\n' "$calls" "$calls" "$1" >"$modprobe"
	chmod +x "$modprobe"
}

@test "without the driver doctor has add's exit status, and names it" {
	fake_modprobe 'echo "modprobe: FATAL: Module ublk_drv not found in directory /lib/modules/x" >&2; exit 1'
	ub doctor
	exits 6
	prints 'bad   module'
	prints 'cannot load the ublk driver: Module ublk_drv not found in directory /lib/modules/x'
	prints '`ublk add` would fail here, as this user.'
	[[ -z $err ]] || told
	ub add -t null
	exits 6
	says 'ublk: error: cannot load the ublk driver: Module ublk_drv not found in directory /lib/modules/x'
	says 'hint: '
}

@test "what doctor prints as JSON is as documented" {
	fake_modprobe 'exit 1'
	ub doctor --json
	exits 6
	"$TOP/tests/cli/validate" <<<"$out"
	[[ $(jq -c '[.works, .exit_status]' <<<"$out") == '[false,6]' ]]
}

@test "add alone loads the driver: not doctor, not list, not a dry run, and nothing that is refused before" {
	fake_modprobe 'exit 1'
	ub doctor
	[[ $(<"$calls") == '--show-depends ublk_drv' ]]
	: >"$calls"
	for args in list 'show 0' 'add -t null --dry-run' 'add -t null --queues 0' features 'recover 0' 'del 0'; do
		# shellcheck disable=SC2086
		ub $args
	done
	[[ ! -s $calls ]]
	ub add -t null
	[[ $(<"$calls") == ublk_drv ]]
}

@test "modprobe is given nothing of the caller's environment" {
	fake_modprobe 'exit 1'
	MODPROBE_OPTIONS='-C /tmp' LD_BIND_NOW=1 ub add -t null
	[[ $(grep -cE '^(MODPROBE_OPTIONS|LD_BIND_NOW|HOME)=' "$calls.env") == 0 ]]
}

@test "a modprobe that was killed, or says nothing, is told too" {
	fake_modprobe 'kill -9 $$'
	ub add -t null
	exits 6
	says 'cannot load the ublk driver: '
	fake_modprobe 'exit 3'
	ub add -t null
	exits 6
	says 'modprobe failed, and did not say why'
}

@test "what modprobe says never reaches a terminal raw" {
	fake_modprobe 'printf "modprobe: ERROR: \033[31mred\n"; exit 1'
	ub add -t null
	says 'cannot load the ublk driver: \x1b[31mred'
	ub doctor
	prints 'cannot load the ublk driver: \x1b[31mred'
}

@test "who may not load modules is told what root has to type, and modprobe is not asked" {
	fake_modprobe 'exit 0'
	as=(setpriv --reuid 65534 --regid 65534 --clear-groups)
	ub doctor
	exits 6
	prints 'it is not loaded, and this user may not load it'
	[[ ! -s $calls ]]
	ub add -t null
	exits 6
	[[ ! -s $calls ]]
}

@test "without its server program add fails, and doctor says so" {
	fake_modprobe 'exit 1'
	cp "$UBLK" "$BATS_TEST_TMPDIR/alone"
	[[ ! -e /usr/local/libexec/ublk/ublk-server ]]
	program=$BATS_TEST_TMPDIR/alone
	ub doctor
	exits 1
	prints 'bad   program     cannot find the server program '
	ub add -t null
	exits 1
	says 'cannot find the server program '
}

@test "doctor takes no operand" {
	fake_modprobe 'exit 1'
	ub doctor ublkb0
	exits 2
	says "unexpected argument 'ublkb0'"
}
