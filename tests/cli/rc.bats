#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# The manual's scripts for machines without systemd: run by the shell that such machines have, with what
# would be there around them.

bats_require_minimum_version 1.5.0

load helpers

setup()
{
	cd "$BATS_TEST_TMPDIR" || return
	mkdir bin
	# What it is called with, and ends as it is told to.
	printf '#!/bin/sh\necho "$*" >>calls\n[ "$1" != list ] || echo "  155"\nexit "${ENDS:-0}"\n' >bin/ublk
	chmod +x bin/ublk
}

# script FIRST: that of ublk.conf(5) which begins with this line.
script()
{
	awk -v first="$1" '/^```/ { on = 0 } $0 == first { on = 1 } on' "$TOP/doc/man/ublk.conf.5.scd"
}

# openrc FUNCTION: calls it, as openrc-run does.
openrc()
{
	{
		printf '%s\n' 'need() { echo "need $*"; }' 'before() { echo "before $*"; }' 'ebegin() { :; }' \
			'eend() { return "$1"; }'
		script '#!/sbin/openrc-run'
		echo "$1"
	} >run.sh
	PATH=$PWD/bin:$PATH dash ./run.sh
}

# sysvinit ARG: as init does.
sysvinit()
{
	# Where it writes is not to be this machine's.
	script '#!/bin/sh' | sed "s|/run/|$PWD/run/|" >run.sh
	PATH=$PWD/bin:$PATH dash ./run.sh "$1"
}

@test "OpenRC makes the devices before file systems are mounted, and removes them after" {
	[ "$(openrc depend)" = $'need root\nbefore localmount' ]
	openrc start
	openrc stop
	[ "$(<calls)" = $'apply\ndel --all' ]
}

@test "OpenRC is told what fails" {
	export ENDS=5
	run -5 openrc start
	run -5 openrc stop
}

@test "sysvinit makes the devices before file systems are mounted, and leaves their servers alone until after" {
	script '#!/bin/sh' | grep -qx '# X-Start-Before: *mountall'
	script '#!/bin/sh' | grep -qx '# X-Stop-After: *umountfs'
	sysvinit start
	[ "$(xargs <run/sendsigs.omit.d/ublk)" = 155 ]
	sysvinit stop
	[ "$(<calls)" = $'apply\nlist --managed --state live --no-header -o pid\ndel --all' ]
	run -2 sysvinit what
}

@test "sysvinit is told what fails" {
	export ENDS=5
	run -5 sysvinit start
	run -5 sysvinit stop
}
