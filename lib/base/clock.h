/* SPDX-License-Identifier: MIT */
/* The clock that does not jump, and deadlines on it. */
#pragma once

#include <stdint.h>
#include <time.h>

static inline uint64_t ub_now_ns(void)
{
	struct timespec t;

	(void)clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000U + (uint64_t)t.tv_nsec;
}

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
