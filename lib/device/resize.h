/* SPDX-License-Identifier: MIT */
/*
 * Giving a device another size while it is used: `ublk resize`. In this order, so that whoever recovers
 * the device, whatever dies in between, finds it right:
 *
 *  1. The server sees to it that both sizes can be served, and writes into the record that the driver's
 *     size is the one that counts.
 *  2. The driver gets the new one (UPDATE_SIZE, Linux 6.16), and tells everybody who listens.
 *  3. When it is smaller: what was under way before has ended (the block layer waits for that when a limit
 *     of the queue is written).
 *  4. The server serves the new one alone, and lets go of the rest.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"
#include "device/device.h"
#include "device/users.h"

enum ub_resize_how {
	UB_RESIZE_TO,
	UB_RESIZE_MORE,
	UB_RESIZE_LESS,
	UB_RESIZE_MAX, /* as much as the backing has */
};

struct ub_resize {
	enum ub_resize_how how;
	uint64_t bytes;
	bool grow_backing; /* make the file larger first, if it has to be */
	bool force;        /* make the device smaller even if it is in use */
	int timeout_ms;    /* of each step that waits for somebody */
};

/* "10G", "+1G", "-512M", "max". Return: 0 with how and bytes, -EINVAL, -ERANGE. */
int ub_resize_parse(const char *text, struct ub_resize *ret_resize);

/*
 * @dev: as it was just looked at.
 * @ret_users: who uses a device that is not made smaller for that (-EBUSY), to be freed.
 * Return: 0, also if it has that size already, or a negative errno with a message: -EOPNOTSUPP (this
 * driver, or target, can't), -EFBIG (the backing has not so much), -EINVAL (no size for it), -EBUSY,
 * -ESTALE (it is not ours), -ENOTCONN (it has no server), -ETIMEDOUT, ...
 */
int ub_dev_resize(struct ub_ctrl *ctrl, const struct ub_dev *dev, const struct ub_resize *resize,
		  struct ub_users *ret_users, struct ub_error *err);
