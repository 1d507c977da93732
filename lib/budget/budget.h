/* SPDX-License-Identifier: MIT */
/*
 * A device's memory: what this process and its control group may have, and the plan for a
 * specification. Makes nothing.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"
#include "base/notes.h"
#include "spec/spec.h"
#include "kernel/uapi.h"
#include "memory/plan.h"

#define UB_UNLIMITED UINT64_MAX

/* What holds for this process; bytes, or UB_UNLIMITED. */
struct ub_allowance {
	bool exempt;                       /* CAP_IPC_LOCK: nothing is charged to RLIMIT_MEMLOCK */
	bool rings_charged;                /* tried: not exempt, and this kernel charges rings */
	bool may_raise;                    /* CAP_SYS_RESOURCE: the hard limit too */
	uint64_t locked_soft, locked_hard; /* RLIMIT_MEMLOCK */
	uint64_t locked_used;              /* of it, by this user's rings so far */
	uint64_t cgroup;                   /* memory.max, the smallest up the tree */
	uint64_t available; /* that could be locked now: ub_allowance_read_available() */
	/* Of huge pages: ub_allowance_read_huge(). */
	uint64_t huge_page; /* of the default size; 0: there are none */
	uint64_t huge_free; /* neither used nor promised */
};

/* All but huge pages and what the machine has left. @cgroup: its group's memory.max, which a server
 * can't see any more. */
void ub_allowance_read(struct ub_allowance *ret_allowance, uint64_t cgroup);
/* What the machine has left, that others have in swap by then counted in: /proc/meminfo. */
void ub_allowance_read_available(struct ub_allowance *allowance);
void ub_allowance_read_huge(struct ub_allowance *allowance);

/*
 * Plans for @spec.
 * @info: what the driver granted, or NULL: what was asked for is assumed to be granted, but for
 * more queues than the machine could have CPUs.
 * @tgt: open, or probed
 * Return: 0, or a negative errno with a message.
 */
int ub_budget_plan(const struct ub_spec *spec, const struct ublksrv_ctrl_dev_info *info,
		   const struct ub_tgt *tgt, const struct ub_allowance *allowance,
		   struct ub_plan *ret_plan, struct ub_error *err);

/* Tells in the plan which NUMA node each queue's memory is likely to come from. */
void ub_budget_predict_nodes(const struct ub_spec *spec, struct ub_plan *plan);

/*
 * Fits a specification into its own --memory-limit: where the data path is free to choose and copy
 * would be too large, it becomes one with a pool of what is left, which is noted.
 * Return: 0, also when there is no limit or nothing helps; or a negative errno with a message.
 */
int ub_budget_fit(struct ub_spec *spec, const struct ub_tgt *tgt,
		  const struct ub_allowance *allowance, struct ub_notes *notes,
		  struct ub_error *err);

/* Bytes of buffers that one thread may have in memory at once. */
uint64_t ub_budget_buffers(const struct ub_spec *spec, const struct ublksrv_ctrl_dev_info *info);
