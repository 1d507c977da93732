# SPDX-License-Identifier: MIT
# What in a kernel log is a complaint. Sourced, never run.
# shellcheck shell=bash

HARMLESS=$(dirname "${BASH_SOURCE[0]}")/../vm/harmless

# For grep -E and for awk.
KLOG_BAD='(^|[^A-Z_])BUG[: ]|WARNING: |Oops|[Kk]ernel panic|hung task|blocked for more than'
KLOG_BAD+='|KASAN|UBSAN|KFENCE|general protection fault|double fault|lockup|detected .*stall'
KLOG_BAD+='|refcount_t:|corruption|segfault at'

# klog_complaints <LOG: prints the lines that tell of a fault.
# Return: 0 if there are any.
klog_complaints()
{
	tr -d '\r' | grep -aE -- "$KLOG_BAD" |
		grep -avE -f <(grep -vE '^(#|$)' "$HARMLESS")
}

# klog_emulator_died <LOG: a crash that is QEMU's: its threads now and then run a stale copy of
# code that the kernel has just patched, and fault at a CMPXCHG16B.
klog_emulator_died()
{
	grep -aqE 'Oops: int3|int3: 0000|double fault'
}
