# SPDX-License-Identifier: MIT
# A configuration file and the device that comes from it: every option of the targets but loop's, which
# config.bats has.
# kernels: 6.12 newest
# minutes: 30
# long
# no sanitizers

load helpers
load servers
load configs

@test "null: every option goes into a file and comes back" {
	all_there_and_back null
}

@test "mem: every option goes into a file and comes back" {
	all_there_and_back mem
}
