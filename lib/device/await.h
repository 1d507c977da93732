/* SPDX-License-Identifier: MIT */
/* Waiting until a device is in a state: `ublk wait`. */
#pragma once

#include "base/error.h"
#include "kernel/ctrl.h"

enum ub_awaited {
	UB_AWAIT_LIVE, /* it serves, and its disk is there */
	UB_AWAIT_QUIESCED,
	UB_AWAIT_FAILED,
	UB_AWAIT_DEAD,
	UB_AWAIT_GONE, /* there is no such device */
	UB_AWAIT_COUNT,
};

extern const char *const ub_awaited_names[]; /* by enum ub_awaited, NULL-terminated */

/*
 * Waits for a device, named as ub_dev_resolve() takes it, which need not exist yet. One that has been
 * seen and goes will not come to another state any more: that is what "gone" waits for, and an error for
 * the others but "live", which goes on with whatever has the name or the number next.
 * Return: 0, or with a message -ETIMEDOUT, -ENODEV (it went), -EACCES, or another negative errno.
 */
int ub_dev_await(struct ub_ctrl *ctrl, const char *text, enum ub_awaited what, int timeout_ms,
		 struct ub_error *err);
