/* SPDX-License-Identifier: MIT */
/* A plan against what may be had: the limits, what the plan needs of each, and the verdict. */
#pragma once

#include "budget/budget.h"

/* One limit and what the plan needs of it. */
struct ub_limit {
	const char *name;         /* one word */
	const char *what;         /* for people */
	uint64_t need, have;      /* bytes; have may be UB_UNLIMITED */
	enum ub_region_kind part; /* that needs most of it */
	uint64_t part_need;
	bool left; /* have is what is free, not what is allowed */
};

enum {
	UB_LIMIT_DEVICE,
	UB_LIMIT_LOCKED,
	UB_LIMIT_CGROUP,
	UB_LIMIT_MACHINE,
	UB_LIMIT_HUGE,
	UB_LIMIT_COUNT
};

static inline bool ub_limit_fits(const struct ub_limit *limit)
{
	return limit->need <= limit->have;
}

/* The plan against every limit. */
void ub_budget_limits(const struct ub_spec *spec, const struct ub_plan *plan,
		      const struct ub_allowance *allowance,
		      struct ub_limit ret_limits[UB_LIMIT_COUNT]);

/*
 * Refuses a plan that does not fit, and raises the limit of locked memory where that is all it
 * takes and may be done, with a note.
 * @refuse: false: requests wait for this server: what does not fit is noted, and the kernel has the
 * last word
 * Return: 0, or -ENOMEM (-EDQUOT: above --memory-limit, -ENOBUFS: more
 * locked than the machine has left, -ENOSPC: too few huge pages) with a message
 * that says need, have and the part that causes it.
 */
int ub_budget_check(const struct ub_spec *spec, const struct ub_plan *plan,
		    const struct ub_allowance *allowance, bool refuse, struct ub_notes *notes,
		    struct ub_error *err);
