/* SPDX-License-Identifier: MIT */
/* Times in buckets, as stats.h cuts them: how many there are, and which of them most are below. Arithmetic
 * alone. */
#pragma once

#include "stats/stats.h"

struct ub_times {
	bool unknown; /* nobody takes them */
	uint64_t count[UB_STATS_BUCKETS];
};

/* The middle of a bucket, nanoseconds. */
uint64_t ub_times_middle_ns(unsigned bucket);

uint64_t ub_times_total(const struct ub_times *times);

/*
 * The time that so many in a thousand took at the most: the middle of the bucket that has it.
 * Return: nanoseconds, or 0: there are no times.
 */
uint64_t ub_times_percentile_ns(const struct ub_times *times, unsigned per_mille);
