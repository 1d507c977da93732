/* SPDX-License-Identifier: MIT */
/*
 * Changing what can be changed of a device that is there (spec/live.h): by its server, which tells the
 * record; of one that waits for a server, in the record alone, which the next one goes by.
 */
#pragma once

#include <stdint.h>

#include "base/error.h"
#include "device/device.h"

struct ub_set {
	const struct ub_spec *spec; /* whose values, */
	uint64_t options;           /* of these: they are to be changed (spec/live.h) */
	int timeout_ms;             /* of each step that waits for somebody */
};

/*
 * All of it, or nothing. @dev: as it was just looked at.
 * Return: 0, or a negative errno with a message: -EINVAL (no value for it), -EDQUOT (the device may come to
 * more), -ESTALE (it is not ours), -ENOTCONN (it has no server, and gets none), -EBUSY (somebody does the
 * same, or it just gets a server), -EPROTONOSUPPORT (its server is too old), -ETIMEDOUT, -ENODEV, ...
 */
int ub_dev_set(struct ub_ctrl *ctrl, const struct ub_dev *dev, const struct ub_set *set,
	       struct ub_error *err);
