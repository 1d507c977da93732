/* SPDX-License-Identifier: MIT */
/* Stopping and removing devices, from the command line's side: `ublk del`. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"
#include "device/device.h"
#include "device/users.h"

struct ub_del_options {
	bool force;     /* also when it is in use */
	bool async;     /* do not wait until the last reference is gone */
	int timeout_ms; /* for the whole */
};

/*
 * Stops and removes a device: refuses one that is in use (-EBUSY; @ret_users tells by whom), stops
 * it with a deadline, ends a server that hangs, deletes it, and removes its record.
 * A stopped device is never left half way in silence: the error says what remains.
 * Return: 0, -EBUSY, -ENODEV, -ETIMEDOUT, or another negative errno.
 */
int ub_device_del(struct ub_ctrl *ctrl, const struct ub_dev *dev, const struct ub_del_options *opt,
		  struct ub_users *ret_users, struct ub_error *err);
