/* SPDX-License-Identifier: MIT */
/* `ublk add --dry-run`: what a device would have in memory, printed; nothing is made. */
#pragma once

#include "budget/limits.h"
#include "command.h"
#include "kernel/ctrl.h"
#include "record/record.h"
#include "spec/spec.h"

/* Opens the target only to ask it; of @record the spec counts. Return: the exit status, an error told. */
enum ub_exit ub_dry_run(struct ub_call *call, struct ub_record *record);

/* What a device of @spec would need of each limit. @ctrl: NULL: the driver can't be asked. Return: 0 or
 * a negative errno with a message. */
int ub_dry_run_limits(struct ub_spec *spec, const struct ub_ctrl *ctrl,
		      struct ub_limit ret_limits[static UB_LIMIT_COUNT], struct ub_error *err);
