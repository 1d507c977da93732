/* SPDX-License-Identifier: MIT */
/*
 * Devices whose server is started again when it dies (`--restart`), by one process for all of a user's
 * (`ublk supervise`). What it tells of each is a file beside the records, for whoever shows devices:
 * like those it is input, and counts only while that process is there.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "device/device.h"

#define UB_RESTART_FILE "restart.json"

/* What the process that restarts tells of a device. */
struct ub_restart_news {
	uint32_t id;
	uint64_t token;
	struct ub_restart restart;
};

extern const char *const ub_restart_names[]; /* by enum ub_restart_state, NULL-terminated */

/*
 * Becomes the process that restarts. It is told by the lock, and nothing else: who has made a device that
 * is to be restarted, starts another one only if there is none; and who leaves looks once more for such
 * devices after he has let go of it.
 * Return: a descriptor for ub_restart_release(); -EAGAIN: there is one; or another negative errno with a
 * message.
 */
int ub_restart_claim(struct ub_error *err);
void ub_restart_release(int *lock);

/* Replaces what is told; nothing is left of it where @count is 0. Return: 0 or a negative errno. */
int ub_restart_tell(const struct ub_restart_news *news, size_t count);

/* Fills in what is told of the devices that are to be restarted: `restart` of each. */
void ub_restart_find(struct ub_dev *devs, size_t count);

/* Keeps a device from being restarted while its server is ended, for good or for another one, as long as the
 * descriptor is open. Return: it, for ub_restart_let_go(), or negative: nobody would restart it, or somebody
 * else does so, too. */
int ub_restart_hold(const struct ub_dev *dev);
void ub_restart_let_go(const struct ub_dev *dev, int *lock);
bool ub_restart_is_held(uint32_t id);

/* @dev is gone: with the last one goes what a process has told that was killed. */
void ub_restart_forget(struct ub_ctrl *ctrl, const struct ub_dev *dev);

/* Starts the process that restarts, unless there is one, and waits a moment for it. Tells nothing: who looks
 * at a device sees whether it is watched. */
void ub_restart_start(void);
