/* SPDX-License-Identifier: MIT */
/*
 * Trying again until a deadline, for what the kernel has no event for (an open-file-description
 * lock that another process holds, an exclusive open). Where there is an event, wait for that
 * instead.
 *
 *	ub_retry_init(&retry, timeout_ms);
 *	do
 *		ret = try();
 *	while (ret == -EBUSY && ub_retry_wait(&retry));
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct ub_retry {
	int64_t until_ms; /* CLOCK_MONOTONIC */
	int pause_ms;
};

/* The deadline is @timeout_ms from now; 0: only one try. */
void ub_retry_init(struct ub_retry *retry, unsigned timeout_ms);

/* Sleeps a little, at most until the deadline. Return: false if the deadline had passed before. */
bool ub_retry_wait(struct ub_retry *retry);

/* The same for whoever waits in another way meanwhile. Return: milliseconds; 0: the deadline has
 * passed. */
int ub_retry_pause(struct ub_retry *retry);
