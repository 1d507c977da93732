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

/* One device's deletion, and what came of it. */
struct ub_del {
	const struct ub_dev *dev; /* borrowed */
	int code;                 /* 0, or one of the errors below */
	struct ub_error err;
	struct ub_users users; /* owned; of a device that is refused, or gone by force */
};

/*
 * Stops and removes devices, and their records, some of them side by side. Without force:
 * - one that is in use is refused (-EBUSY; its users are told; empty if that can't be seen);
 *   whoever only has it open gets a second to close it, and udev, which looks at it after every
 *   change, the whole time;
 * - a server that hangs is an error (-ETIMEDOUT) that names it.
 * With force nobody is asked: users find the device gone (success; told is who still has it open,
 * which keeps its number taken), and a server that hangs gets SIGKILL after half of the time or ten
 * seconds, once it is proven to be the one. What the server had in hand then fails.
 *
 * Other programs' devices, orphans and those of which only a number is left go the same way. One
 * that vanishes meanwhile is removed. A stopped device is never left half way in silence: the error
 * says what remains. The record goes before the number does, as a stopped device can't be recovered.
 * Not for a process with threads: what may hang is done in a helper process, one for each device.
 * @list: with the devices; all else zero, and filled in. Errors: -EBUSY, -ENODEV, -ETIMEDOUT, or
 * another negative errno, with the sentence.
 */
void ub_devices_del(struct ub_ctrl *ctrl, struct ub_del *list, size_t count,
		    const struct ub_del_options *opt);
