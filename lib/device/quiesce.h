/* SPDX-License-Identifier: MIT */
/*
 * Parking a device: `ublk quiesce`. Its server finishes what it has begun and ends; the device, its mounts
 * and whoever has it open stay, and requests wait until `ublk recover` gives it another one.
 */
#pragma once

#include "base/error.h"
#include "device/device.h"

/* May a device's server be changed at all? Return: 0; -ESTALE (it is not ours) or -EINVAL (it would be lost),
 * with @ret_why, as the end of a sentence. */
int ub_dev_check_ours(const struct ub_dev *dev, const char **ret_why);

/* What its server says of itself. Return: 0 with UB_CONTROL_PARKS, ... in @ret_flags, or as ub_control_ask()
 * and none of them. */
int ub_dev_ask_status(const struct ub_dev *dev, int timeout_ms, uint64_t *ret_flags);

/* Does the kernel count the requests of its disk that are under way (queue/iostats)? */
bool ub_dev_counts_requests(uint32_t id);

/* Can the driver park it without failing a request? Return: 0, or -EOPNOTSUPP or -ENODEV with @ret_why. */
int ub_dev_check_parks(const struct ub_dev *dev, const char **ret_why);

/*
 * @dev: as it was just looked at.
 * Return: 0, also if it has no server already, or a negative errno with a message: -EOPNOTSUPP (this device
 * can't be), -EINVAL (it would be lost), -ESTALE (it is not ours), -ESHUTDOWN, -ETIMEDOUT (its requests have not
 * ended in time: it is parked when they have), ...
 */
int ub_dev_quiesce(struct ub_ctrl *ctrl, const struct ub_dev *dev, int timeout_ms,
		   struct ub_error *err);
