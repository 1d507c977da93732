# SPDX-License-Identifier: MIT
# A thousand servers of each data path die at random moments, and while they recover.
# kernels: 6.12 6.18 newest
# minutes: 600
# no sanitizers
# long

load helpers
load servers
load storm

KILLS=${UBLK_STORM_KILLS:-1000}

setup()
{
	storm_setup
}

@test "copy: no request is lost" {
	storm "$KILLS" -q 2 --data-path copy
}

@test "user-copy with a small pool: no request is lost" {
	storm "$KILLS" -q 2 --data-path user-copy --buffer-memory 2M
}

@test "get-data: no request is lost" {
	storm "$KILLS" -q 2 --data-path get-data
}

@test "zero-copy: no request is lost" {
	only_on_kernel 6.16 "--data-path zero-copy"
	storm "$KILLS" -q 2 --data-path zero-copy
}

@test "several threads to a queue: no request is lost" {
	only_on_kernel 6.16 "--threads"
	storm "$KILLS" --threads 2
}

@test "copy in batches: no request is lost" {
	only_on_kernel 7.0 "--batch on"
	storm "$KILLS" -q 2 --data-path copy --batch on
}

@test "user-copy in batches: no request is lost" {
	only_on_kernel 7.0 "--batch on"
	storm "$KILLS" -q 2 --data-path user-copy --batch on
}

@test "zero-copy in batches: no request is lost" {
	only_on_kernel 7.0 "--batch on"
	storm "$KILLS" -q 2 --data-path zero-copy --batch on
}
