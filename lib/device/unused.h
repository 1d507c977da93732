/* SPDX-License-Identifier: MIT */
/*
 * Stopping a device that nobody uses, and only that: for `ublk del` and for a server that is told to
 * end. Who cannot be asked counts as a user.
 */
#pragma once

#include <stdint.h>

#include "device/users.h"
#include "kernel/ctrl.h"

/* Until when to wait for the users to go, on ub_now_ms()'s clock. 0: not at all. */
struct ub_unused_wait {
	int64_t udev_ms;    /* for udev, when nobody else has it open */
	int64_t openers_ms; /* for processes that have it open, when nobody has claimed it */
	int64_t any_ms;     /* for whoever it is */
};

/*
 * Stops the device @dev, if it still is that, and if nobody uses it: neither who has claimed it, in
 * whatever namespace and whatever state it is, nor who has it open. From Linux 7.0 on the driver
 * tells. Before, the claim is taken and held until the device is stopped, and those who have it open
 * without a claim are looked for.
 * May hang, as STOP_DEV and the opening of a disk may: for a process that can be left behind.
 * @server: the process that serves it, which is no user.
 * @ret_kind: on -EBUSY, what kind of user it is.
 * Return: 0, -EBUSY, -ENODEV (it is gone), or another negative errno.
 */
int ub_unused_stop(struct ub_ctrl *ctrl, const struct ublksrv_ctrl_dev_info *dev, int32_t server,
		   const struct ub_unused_wait *wait, enum ub_user_kind *ret_kind);
