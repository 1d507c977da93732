/* SPDX-License-Identifier: MIT */
/*
 * Another server for a device that has one: `ublk upgrade`, and `ublk recover` where that one can do nothing more. The server program that is installed now
 * rehearses a recovery beside the one that serves, has that one park, and takes over. What fails before
 * leaves the old server serving; after it the old server's program is brought back.
 */
#pragma once

#include <stdbool.h>

#include "base/error.h"
#include "base/notes.h"
#include "device/device.h"

/* Can it be, by what it was made with? Return: it can; else with why, as the end of a sentence. */
bool ub_dev_can_upgrade(const struct ub_dev *dev, bool by_recovery, const char **ret_why);

/* Is it left to its server, which somebody or something else counts on? Return: it is, with why, as the end
 * of a sentence. */
bool ub_dev_keeps_server(const struct ub_dev *dev, const char **ret_why);

/* Has another client had the server of @dev shut out of what it serves, so that all I/O fails? The server is asked. */
bool ub_dev_is_fenced(const struct ub_dev *dev);

/*
 * @dev: as it was just looked at; of its spec, timeout_s and stay count.
 * @by_recovery: the old server is killed, and the driver sends again what it had in hand; else it parks, or is killed
 * as below if it is fenced
 * @interrupt_fd: a signalfd, or -1; what comes after the old server was told to end is not interrupted
 * Return: 0; or a negative errno with a message, which tells who serves: -EOPNOTSUPP (the driver can't park
 * it), -EINVAL (it would be lost, or somebody waits for its server's end), -ESTALE, -ENOTCONN (it has no
 * server), -ETIMEDOUT, -EINTR, ...
 */
int ub_dev_upgrade(struct ub_ctrl *ctrl, struct ub_dev *dev, bool by_recovery, int interrupt_fd,
		   struct ub_notes *notes, struct ub_error *err);

/*
 * The same for a device whose server is fenced (ub_dev_is_fenced()), in the words of `ublk recover`. The old server is
 * killed, whatever becomes of its requests: it would fail them, or never end them. What has it shut out may serve others
 * by now: then that is told, and the old server goes on. Return: as above; -EBUSY: another client has locked what it
 * serves.
 */
int ub_dev_replace_fenced(struct ub_ctrl *ctrl, struct ub_dev *dev, int interrupt_fd,
			  struct ub_notes *notes, struct ub_error *err);
