/* SPDX-License-Identifier: MIT */
#include "budget/limits.h"

#include <errno.h>
#include <sys/resource.h>

#include "base/parse.h"

static struct ub_limit make_limit(const struct ub_plan *plan, const char *name, const char *what,
				  uint64_t have,
				  uint64_t (*get)(const struct ub_plan_region *region))
{
	struct ub_limit limit = {
		.name = name, .what = what, .need = get(&plan->total), .have = have};

	for (unsigned kind = 0; kind < UB_REGION_COUNT; kind++) {
		struct ub_plan_region sum = ub_plan_of(plan, kind);

		if (get(&sum) <= limit.part_need)
			continue;
		limit.part = kind;
		limit.part_need = get(&sum);
	}
	return limit;
}

static uint64_t get_charged(const struct ub_plan_region *region)
{
	return region->charged;
}

/* The kernel counts huge pages for themselves. */
static uint64_t get_huge(const struct ub_plan_region *region)
{
	return region->huge;
}

static uint64_t get_counted(const struct ub_plan_region *region)
{
	return region->most - region->huge;
}

static uint64_t get_locked(const struct ub_plan_region *region)
{
	return region->locked > region->huge ? region->locked - region->huge : 0;
}

static uint64_t get_most(const struct ub_plan_region *region)
{
	return region->most;
}

static uint64_t may_lock(const struct ub_allowance *allowance)
{
	if (allowance->exempt || allowance->may_raise || allowance->locked_hard == UB_UNLIMITED)
		return UB_UNLIMITED;
	return allowance->locked_hard > allowance->locked_used
		       ? allowance->locked_hard - allowance->locked_used
		       : 0;
}

void ub_budget_limits(const struct ub_spec *spec, const struct ub_plan *plan,
		      const struct ub_allowance *allowance,
		      struct ub_limit ret_limits[UB_LIMIT_COUNT])
{
	ret_limits[UB_LIMIT_DEVICE] =
		make_limit(plan, "memory-limit", "memory (--memory-limit)",
			   spec->memory_limit ? spec->memory_limit : UB_UNLIMITED, get_most);
	ret_limits[UB_LIMIT_LOCKED] =
		make_limit(plan, "memlock",
			   allowance->locked_used ? "locked memory (RLIMIT_MEMLOCK, less what this "
						    "user's other rings have)"
						  : "locked memory (RLIMIT_MEMLOCK)",
			   may_lock(allowance), get_charged);
	ret_limits[UB_LIMIT_CGROUP] =
		make_limit(plan, "cgroup", "memory of the control group (memory.max)",
			   allowance->cgroup, get_counted);
	/* Else it is others that the kernel would kill for it. */
	ret_limits[UB_LIMIT_MACHINE] =
		make_limit(plan, "machine", "the machine's memory that is locked (--mlock)",
			   allowance->available, get_locked);
	ret_limits[UB_LIMIT_MACHINE].left = true;
	ret_limits[UB_LIMIT_HUGE] =
		make_limit(plan, "huge-pages", "huge pages", allowance->huge_free, get_huge);
	ret_limits[UB_LIMIT_HUGE].left = true;
}

static int raise_limit(const struct ub_plan *plan, const struct ub_allowance *allowance,
		       struct ub_notes *notes, struct ub_error *err)
{
	uint64_t want = plan->total.charged + allowance->locked_used;
	bool hard = want > allowance->locked_hard;
	struct rlimit limit = {.rlim_cur = want, .rlim_max = allowance->locked_hard};
	char text[16];

	if (allowance->exempt || !plan->total.charged || want <= allowance->locked_soft)
		return 0;
	if (hard)
		limit.rlim_max = want;
	if (setrlimit(RLIMIT_MEMLOCK, &limit) != 0)
		return ub_fail(err, UB_STAGE_PLAN, -errno,
			       "cannot raise the limit of locked memory");
	ub_note(notes, "the limit of locked memory was raised to %s, %s",
		ub_format_size(want, text, sizeof(text)),
		hard ? "above the hard limit (CAP_SYS_RESOURCE)" : "within what is allowed");
	return 0;
}

/* What each is told with: an errno of its own, since what to do about it differs. */
static const int limit_codes[UB_LIMIT_COUNT] = {
	[UB_LIMIT_DEVICE] = -EDQUOT,   [UB_LIMIT_LOCKED] = -ENOMEM, [UB_LIMIT_CGROUP] = -ENOMEM,
	[UB_LIMIT_MACHINE] = -ENOBUFS, [UB_LIMIT_HUGE] = -ENOSPC,
};

int ub_budget_check(const struct ub_spec *spec, const struct ub_plan *plan,
		    const struct ub_allowance *allowance, bool refuse, struct ub_notes *notes,
		    struct ub_error *err)
{
	struct ub_limit limits[UB_LIMIT_COUNT];
	char part[16];
	int ret;

	ub_budget_limits(spec, plan, allowance, limits);
	for (unsigned i = 0; i < UB_LIMIT_COUNT; i++) {
		const struct ub_limit *l = &limits[i];

		if (ub_limit_fits(l))
			continue;
		if (!refuse) {
			ub_note(notes,
				"it may not get what it needs: %llu bytes of %s, and %llu are %s",
				(unsigned long long)l->need, l->what, (unsigned long long)l->have,
				l->left ? "free" : "allowed");
			continue;
		}
		/* To the byte: "8M of 8M" would help nobody. */
		return ub_fail_text(err, UB_STAGE_PLAN, limit_codes[i],
				    "cannot add a device: it needs %llu bytes of %s, and %llu are "
				    "%s; %s of it is for %s",
				    (unsigned long long)l->need, l->what,
				    (unsigned long long)l->have, l->left ? "free" : "allowed",
				    ub_format_size(l->part_need, part, sizeof(part)),
				    ub_region_names[l->part]);
	}
	ret = raise_limit(plan, allowance, notes, err);
	return refuse ? ret : 0;
}
