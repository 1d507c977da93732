/* SPDX-License-Identifier: MIT */
#include "base/ticks.h"

#include <stdio.h>
#include <string.h>
#ifdef __x86_64__
#include <x86intrin.h>
#endif

#include "base/clean.h"
#include "base/fault.h"

#define CLOCK_SOURCE "/sys/devices/system/clocksource/clocksource0/current_clocksource"
#define TRIES 5

#ifdef __x86_64__
static bool keeps_time_by_counter(void)
{
	_cleanup_fclose_ FILE *file = fopen(CLOCK_SOURCE, "re");
	char line[16] = "";

	return !ub_fault("ticks") && file && fgets(line, sizeof(line), file) &&
	       strcmp(line, "tsc\n") == 0;
}

/* Both clocks at once: of some readings the one between which the least time has passed. */
static void read_both(uint64_t *ret_ticks, uint64_t *ret_ns)
{
	uint64_t least = UINT64_MAX;

	for (unsigned i = 0; i < TRIES; i++) {
		uint64_t before = __rdtsc(), ns = ub_now_ns(), after = __rdtsc();

		if (after - before >= least)
			continue;
		least = after - before;
		*ret_ticks = before + least / 2;
		*ret_ns = ns;
	}
}
#else
static bool keeps_time_by_counter(void)
{
	return false;
}

static void read_both(uint64_t *ret_ticks, uint64_t *ret_ns)
{
	*ret_ticks = *ret_ns = ub_now_ns();
}
#endif

void ub_ticks_begin(struct ub_ticks *ticks)
{
	*ticks = (struct ub_ticks){.counter = keeps_time_by_counter()};
	read_both(&ticks->began, &ticks->began_ns);
}

void ub_ticks_settle(struct ub_ticks *ticks, uint32_t unit_ns)
{
	const double step = (double)(1U << UB_TICKS_SHIFT), one = (double)(1U << UB_TICKS_FRACTION);
	uint64_t now = 0, now_ns = 0;
	double ns = 1; /* of a tick */

	read_both(&now, &now_ns);
	if (ticks->counter && now > ticks->began)
		ns = (double)(now_ns - ticks->began_ns) / (double)(now - ticks->began);
	ticks->scale = (uint32_t)(ns * step / unit_ns * one);
}
