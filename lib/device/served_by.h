/* SPDX-License-Identifier: MIT */
/* The process that serves a device, seen from outside: found, proven to be it, ended. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "device/device.h"

struct ub_served_by {
	int32_t pid; /* 0: nobody */
	int fd;      /* its pidfd, or -1 */
	bool proven; /* by the record */
	uint64_t rdev;
};

/* The record tells who serves a device of ours; of others there is only what the driver says, and
 * after that who has its node open. */
void ub_served_by_find(const struct ub_dev *dev, struct ub_served_by *ret_server);
void ub_served_by_done(struct ub_served_by *server);

/*
 * Sends SIGKILL and waits for the end. What the driver says may be out of date (Linux 6.12): a
 * process that no record proves has to have this very device open.
 * Return: 0, -ESRCH (there is none), -ETIMEDOUT (it does not end: the kernel holds it), or another
 * negative errno.
 */
int ub_served_by_kill(const struct ub_served_by *server, int timeout_ms);
