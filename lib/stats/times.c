/* SPDX-License-Identifier: MIT */
#include "stats/times.h"

uint64_t ub_times_middle_ns(unsigned bucket)
{
	unsigned shift = bucket < 32 ? 0 : (bucket >> 4) - 1;
	uint64_t first = (uint64_t)(bucket - (shift << 4)) << shift;

	return first * UB_STATS_UNIT_NS + ((uint64_t)UB_STATS_UNIT_NS << shift) / 2;
}

uint64_t ub_times_total(const struct ub_times *times)
{
	uint64_t total = 0;

	for (unsigned i = 0; i < UB_STATS_BUCKETS; i++)
		total += times->count[i];
	return total;
}

uint64_t ub_times_percentile_ns(const struct ub_times *times, unsigned per_mille)
{
	uint64_t total = ub_times_total(times), seen = 0;
	/* The rank, rounded up, without an overflow. */
	uint64_t rank = total / 1000 * per_mille + (total % 1000 * per_mille + 999) / 1000;

	if (!total)
		return 0;
	for (unsigned i = 0; i < UB_STATS_BUCKETS; i++) {
		seen += times->count[i];
		if (seen && seen >= rank)
			return ub_times_middle_ns(i);
	}
	return 0;
}
