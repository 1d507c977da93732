/* SPDX-License-Identifier: MIT */
/* What is looked at before and after a recovery: whether there is a way back, and whether it is over. */
#pragma once

#include <stdbool.h>

#include "base/error.h"
#include "device/device.h"

/* Return: 0, or -EINVAL with a message: why there is no way back for it. */
int ub_recover_check(const struct ub_dev *dev, struct ub_error *err);

/* A server that can't be seen from here may have died just now: its device counts as live, until
 * the driver has noticed. */
void ub_recover_wait_for_death(struct ub_ctrl *ctrl, struct ub_dev *dev);

/* Whatever a recovery met: does the device live, since another one was faster? */
bool ub_recover_was_faster(struct ub_ctrl *ctrl, const struct ub_dev *dev);
