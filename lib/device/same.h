/* SPDX-License-Identifier: MIT */
/*
 * Is it still the same device? A number changes hands: between a look at a device and a command to
 * it, that one may have been removed and another one have got the number. What cannot be taken back
 * goes through here.
 */
#pragma once

#include "kernel/ctrl.h"

/* Asks the driver again. Return: 0 with @ret_now, -ENODEV (gone, or another device), or another
 * negative errno. */
int ub_same_info(struct ub_ctrl *ctrl, const struct ublksrv_ctrl_dev_info *dev,
		 struct ublksrv_ctrl_dev_info *ret_now);

/* A command without a buffer (STOP_DEV, DEL_DEV, START_USER_RECOVERY, ...), sent in the next moment
 * after the driver has been asked. Return: 0, -ENODEV, or another negative errno. */
int ub_same_command(struct ub_ctrl *ctrl, const struct ublksrv_ctrl_dev_info *dev, uint32_t op,
		    uint64_t data, int timeout_ms);
