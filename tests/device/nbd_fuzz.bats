# SPDX-License-Identifier: MIT
# The target nbd before a server that answers wrongly at random: tests/fuzz. For UBLK_FUZZ_SEC seconds (300; the short
# test: 20), with the seed UBLK_FUZZ_SEED, which a failure prints, and UBLK_FUZZ_ADD as more options of `ublk add`.
# kernels: newest
# long kernels: 6.12
# cpus: 2
# minutes: 150

load helpers
load servers

# fuzz SECONDS
fuzz()
{
	local options fuzzer
	read -ra options <<<"${UBLK_FUZZ_ADD-}"
	export UBLK DEADLINE
	"${UBLK%/*}/nbd_fuzz" "$1" "${UBLK_FUZZ_SEED:-$EPOCHSECONDS}" 6 "${options[@]}" >fuzz.log 2>&1 3>&- &
	fuzzer=$!
	# Should it die itself, its clients wait in the kernel until their devices have gone.
	wait_for $(($1 + 900)) is_gone "$fuzzer"
	ublk del --all --force
	sed 's/^/# /' fuzz.log >&3
	ends_with 0 "$fuzzer" || { tail -n 20 -- ublk.*; return 1; }
}

@test "whatever an NBD server says, data is right, nothing hangs, and what was flushed is there" {
	fuzz 20
}

# bats test_tags=long
@test "the same for longer" {
	fuzz "${UBLK_FUZZ_SEC:-300}"
}
