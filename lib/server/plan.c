/* SPDX-License-Identifier: MIT */
/* The device's memory: what the server may have, and whether what it would take fits. */
#include "base/fault.h"
#include "budget/budget.h"
#include "budget/limits.h"
#include "server/server.h"

void server_read_allowance(const struct server *s, struct ub_allowance *ret_allowance)
{
	ub_allowance_read(ret_allowance, s->cgroup_max);
	if (s->record.spec.mlock)
		ub_allowance_read_available(ret_allowance);
	if (s->record.spec.huge_pages)
		ub_allowance_read_huge(ret_allowance);
}

int server_plan(struct server *s, const struct ublksrv_ctrl_dev_info *info,
		struct ub_plan *ret_plan, struct ub_error *err)
{
	struct ub_allowance allowance;
	struct ub_plan plan;
	int ret;

	server_read_allowance(s, &allowance);
	/* It is there already, and handed over. */
	if (s->recovers && s->target.type->hand_over && allowance.available != UB_UNLIMITED)
		allowance.available += s->target.memory_size;
	ret = ub_budget_plan(&s->record.spec, info, &s->target, &allowance, &plan, err);
	if (ret)
		return ret;
	/* The test build can let the kernel have the last word. */
	ret = ub_fault_is_wanted("plan-bypass")
		      ? 0
		      : ub_budget_check(&s->record.spec, &plan, &allowance,
					!s->recovers || s->mode == UB_LAUNCH_REHEARSE,
					&s->record.notes, err);
	if (ret)
		ub_plan_done(&plan);
	else
		*ret_plan = plan;
	return ret;
}
