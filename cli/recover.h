/* SPDX-License-Identifier: MIT */
/* What is looked at before and after a recovery: whether there is a way back, and whether it is over. */
#pragma once

#include <stdbool.h>

/* What `ublk recover` notes where it has done nothing; whoever restarts servers looks for it. */
#define UB_RECOVER_IS_LIVE "is live: there is nothing to recover"
#define UB_RECOVER_WAS_SLOWER "was recovered by another command meanwhile"

#include "args.h"
#include "base/error.h"
#include "device/device.h"

/* Return: 0, or -EINVAL with a message: why there is no way back for it. */
int ub_recover_check(const struct ub_dev *dev, struct ub_error *err);

/*
 * Makes the device's record tell what the user says lies behind it, and what its server is to check: that
 * it is the one of the record, unless @force is given; then only its size and blocks. A record that is
 * lost is made anew from what the driver knows.
 * @said: with the target
 * @typed, @set: the target's options that were typed, and their table
 * Return: 0, or a negative errno with a message: -EINVAL: there is no way back for it; -EXDEV: nothing proves
 * that it is the right one.
 */
int ub_recover_with(struct ub_dev *dev, const struct ub_target *target, const struct ub_args *typed,
		    bool force, struct ub_error *err);

/* A server that can't be seen from here may have died just now: its device counts as live, until
 * the driver has noticed. */
void ub_recover_wait_for_death(struct ub_ctrl *ctrl, struct ub_dev *dev);

/* Whatever a recovery met: does the device live, since another one was faster? */
bool ub_recover_was_faster(struct ub_ctrl *ctrl, const struct ub_dev *dev);
