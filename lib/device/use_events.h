/* SPDX-License-Identifier: MIT */
/*
 * When to look anew at who uses devices (users.h): it tells that something may have changed, and never
 * what.
 *
 *   a device's node, or a partition's, is opened or closed   inotify
 *   something is mounted or unmounted, here or where         poll() of /proc/PID/mountinfo
 *   process 1 is
 *   swap begins or ends                                      poll() of /proc/swaps
 *   a disk comes, changes or goes: one above ours, perhaps   uevents of all disks
 *
 * Of all else nobody tells: who opens a device by a node that is not in this /dev, what the kernel exports
 * (NVMe over fabrics, LIO).
 */
#pragma once

#include <poll.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define UB_USE_EVENTS_FDS 5

struct ub_use_events {
	int fds[UB_USE_EVENTS_FDS]; /* negative: it can't be had */
	int last;                   /* of inotify's watches, whose numbers only grow */
};

void ub_use_events_open(struct ub_use_events *ret_events);
void ub_use_events_close(struct ub_use_events *events);

/* What is to be polled. */
void ub_use_events_fill(const struct ub_use_events *events,
			struct pollfd ret_fds[static UB_USE_EVENTS_FDS]);

/* Takes away what has come, as poll() has told it. Return: whether it may be about a use. */
bool ub_use_events_take(const struct ub_use_events *events,
			const struct pollfd fds[static UB_USE_EVENTS_FDS]);

/* Watches the nodes of this device as well. Return: whether one is new, of whose uses nothing is known. */
bool ub_use_events_follow(struct ub_use_events *events, uint32_t id);
