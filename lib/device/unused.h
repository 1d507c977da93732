/* SPDX-License-Identifier: MIT */
/*
 * Stopping a device that nobody uses, and only that: for `ublk del` and for a server that is told to
 * end. Who cannot be asked counts as a user.
 */
#pragma once

#include <stdint.h>

#include "device/users.h"
#include "kernel/ctrl.h"

/* What a look for its users has seen. */
struct ub_unused_seen {
	int code; /* 0, or a negative errno: there may be users */
	bool used;
	enum ub_user_kind kind; /* of one that counts for more than an opener, if there is one */
	bool udev;              /* nobody but udev */
	bool hidden;            /* there may be users that can't be seen */
};

/* Looks for the users of @dev; process @server is none. */
typedef void (*ub_unused_look)(const struct ublksrv_ctrl_dev_info *dev, int32_t server,
			       struct ub_unused_seen *ret_seen);

/* The one that looks itself. */
void ub_unused_look_here(const struct ublksrv_ctrl_dev_info *dev, int32_t server,
			 struct ub_unused_seen *ret_seen);

/* What it means that ub_users_find() has returned @code and @users. */
void ub_unused_judge(const struct ublksrv_ctrl_dev_info *dev, int code,
		     const struct ub_users *users, struct ub_unused_seen *ret_seen);

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
		   ub_unused_look look, const struct ub_unused_wait *wait,
		   enum ub_user_kind *ret_kind);
