/* SPDX-License-Identifier: MIT */
/* How long something that is elsewhere is waited for, and whether anybody still wants it. */
#pragma once

#include <stdint.h>

struct ub_patience {
	int64_t deadline_ms; /* as ub_now_ms() */
	/* Asked ten times a second. Return: 0, or a negative errno, which ends the wait. May be NULL. */
	int (*ask)(void *arg);
	void *arg;
};

/* Waits for @events of a descriptor, as poll() does. Return: 0; -ETIMEDOUT; what ask() has returned; or another negative
 * errno. */
int ub_patience_poll(const struct ub_patience *p, int fd, short events);
