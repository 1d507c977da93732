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
 * Stops and removes a device, and its record. Without force:
 * - one that is in use is refused (-EBUSY; @ret_users tells by whom; empty if that can't be seen);
 *   whoever only has it open gets a second to close it, and udev, which looks at it after every
 *   change, the whole time;
 * - a server that hangs is an error (-ETIMEDOUT) that names it.
 * With force nobody is asked: users find the device gone (success; @ret_users tells who still has it
 * open, which keeps its number taken), and a server that hangs gets SIGKILL after half of the time
 * or ten seconds, once it is proven to be the one. What the server had in hand then fails.
 *
 * Other programs' devices, orphans and those of which only a number is left go the same way. One
 * that vanishes meanwhile is removed. A stopped device is never left half way in silence: the error
 * says what remains. The record goes before the number does, as a stopped device can't be recovered.
 * Not for a process with threads: what may hang is done in a helper process.
 * Return: 0, -EBUSY, -ENODEV, -ETIMEDOUT, or another negative errno.
 */
int ub_device_del(struct ub_ctrl *ctrl, const struct ub_dev *dev, const struct ub_del_options *opt,
		  struct ub_users *ret_users, struct ub_error *err);
