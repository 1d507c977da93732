/* SPDX-License-Identifier: MIT */
/* Deadlines, on the clock that does not jump. */
#pragma once

#include <stdint.h>
#include <time.h>

static inline int64_t ub_now_ms(void)
{
	struct timespec ts;

	(void)clock_gettime(CLOCK_MONOTONIC, &ts);
	return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

/* What is left until @deadline_ms, for poll(): never negative. */
static inline int ub_left_ms(int64_t deadline_ms)
{
	int64_t left = deadline_ms - ub_now_ms();

	return left < 0 ? 0 : left > INT32_MAX ? INT32_MAX : (int)left;
}
