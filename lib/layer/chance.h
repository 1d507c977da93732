/* SPDX-License-Identifier: MIT */
/* Chance for layers: a thread's own state of eight bytes, zero at first (xorshift64, Marsaglia 2003). */
#pragma once

#include <stdint.h>

#include "base/clock.h"

static inline uint64_t ub_chance(uint64_t *state)
{
	uint64_t x = *state ? *state : ((uint64_t)ub_now_ns() ^ (uintptr_t)state) | 1;

	x ^= x << 13;
	x ^= x >> 7;
	x ^= x << 17;
	*state = x;
	return x;
}
