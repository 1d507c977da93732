/* SPDX-License-Identifier: MIT */
/* How many devices ordinary users may have, all together: the driver's parameter ublks_max. Others are
 * not limited. */
#pragma once

#include "base/error.h"
#include "kernel/ctrl.h"

/* What root types to allow more. */
#define UB_QUOTA_MORE "echo 4096 >/sys/module/ublk_drv/parameters/ublks_max"

/* What it means that the driver refuses an ordinary user's device by -EACCES. Return: that, with a
 * message of stage UB_STAGE_ADD. */
int ub_quota_fail(struct ub_error *err);

/* May ordinary users have one more? Asks the driver of all devices; root's and an ordinary user's process
 * come to the same. A deleted one that somebody has open still, which counts for the driver, is not seen.
 * Return: 0, also where that can't be told, or as above. */
int ub_quota_check(struct ub_ctrl *ctrl, struct ub_error *err);
