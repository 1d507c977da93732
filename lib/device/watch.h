/* SPDX-License-Identifier: MIT */
/*
 * What happens to devices, as far as the kernel tells of it: that it is time to look again. What has
 * happened is for whoever looks.
 *
 *   a device is added or removed, its disk appears or goes   uevents of ublkcN and ublkbN
 *   a server takes a device, or has let go of it             /dev/ublkcN is opened or closed (inotify)
 *   without uevents, the first two all the same               nodes come and go in /dev (inotify)
 *
 * Most of these come a moment before the driver has changed the device's state, or freed the number.
 * That itself has no event, nor has the end of a recovery: whoever waits for it looks again and again.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct ub_watch {
	int uevents; /* a netlink socket, or -1 */
	int nodes;   /* inotify, or -1 */
	bool heard;  /* uevents reach this process */
};

/* Begins. What cannot be watched is left out, so this does not fail. */
void ub_watch_open(struct ub_watch *ret_watch);
void ub_watch_close(struct ub_watch *watch);

/* Watches a device's char node too; may be called again. Return: whether it could be. */
bool ub_watch_device(const struct ub_watch *watch, uint32_t id);

/* Waits for an event about any device, and takes all that there are. @timeout_ms: on end without one.
 * Return: whether there was one. */
bool ub_watch_wait(const struct ub_watch *watch, int timeout_ms);
