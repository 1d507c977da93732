/* SPDX-License-Identifier: MIT */
/*
 * Parking a device: `ublk quiesce`. Its server finishes what it has begun and ends; the device, its mounts
 * and whoever has it open stay, and requests wait until `ublk recover` gives it another one.
 */
#pragma once

#include "base/error.h"
#include "device/device.h"

/*
 * @dev: as it was just looked at.
 * Return: 0, also if it has no server already, or a negative errno with a message: -EOPNOTSUPP (this device
 * can't be), -EINVAL (it would be lost), -ESTALE (it is not ours), -ESHUTDOWN, -ETIMEDOUT (its requests have not
 * ended in time: it is parked when they have), ...
 */
int ub_dev_quiesce(struct ub_ctrl *ctrl, const struct ub_dev *dev, int timeout_ms,
		   struct ub_error *err);
