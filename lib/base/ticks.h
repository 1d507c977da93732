/* SPDX-License-Identifier: MIT */
/*
 * A clock for short times that are taken often: the processor's counter, where the kernel itself keeps
 * time by that and so has found it steady and the same on all processors, or else the kernel's clock. A
 * moment is 32 bits of it, in steps of 64, which go round: after 50 seconds at the least.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/clock.h"

#define UB_TICKS_SHIFT 6
#define UB_TICKS_FRACTION 24 /* bits of the scale */

struct ub_ticks {
	bool counter;   /* it is the processor's */
	uint32_t scale; /* units in a step */
	uint64_t began,
		began_ns; /* when it was compared with the kernel's clock for the first time */
};

/* Looks which clock there is. */
void ub_ticks_begin(struct ub_ticks *ticks);
/* Learns its rate from the time that has passed since then, a millisecond at the least being good. From
 * now on times are told in units of @unit_ns. */
void ub_ticks_settle(struct ub_ticks *ticks, uint32_t unit_ns);

/* The moment, where the clock is the processor's counter. */
static inline uint32_t ub_ticks_counter(void)
{
#ifdef __x86_64__
	uint32_t ticks;

	/* Two instructions where the compiler makes four. */
	__asm__ volatile("rdtsc\n\tshrd %1, %%edx, %%eax"
			 : "=a"(ticks)
			 : "i"(UB_TICKS_SHIFT)
			 : "edx", "cc");
	return ticks;
#else
	return 0;
#endif
}

static inline uint32_t ub_ticks_now(const struct ub_ticks *ticks)
{
	return ticks->counter ? ub_ticks_counter() : (uint32_t)(ub_now_ns() >> UB_TICKS_SHIFT);
}

/* What has passed from one moment to another. Return: units. */
static inline uint64_t ub_ticks_units(const struct ub_ticks *ticks, uint32_t from, uint32_t to)
{
	return (uint64_t)(to - from) * ticks->scale >> UB_TICKS_FRACTION;
}
