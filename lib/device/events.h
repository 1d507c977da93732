/* SPDX-License-Identifier: MIT */
/*
 * When to look at devices again: it tells that something may have changed, and never what.
 *
 *   a device is added or removed, its disk appears, goes, or   uevents of ublkcN and ublkbN
 *   changes its size
 *   without uevents, the first three all the same              nodes come and go in /dev (inotify)
 *   an ordinary user is let in to a device                     its node's owner or mode (inotify)
 *   a server takes a device, or has let go of it               /dev/ublkcN is opened or closed (inotify)
 *   a server ends                                              pidfd
 *   a record is written or removed                             the folders of the records (inotify)
 *
 * Most of these come a moment before the driver has changed the device's state, or freed the number.
 * That itself has no event, nor has the end of a recovery: whoever waits for it looks again at pauses
 * that grow.
 *
 *	ub_events_open(&events, &err);
 *	do {
 *		look at devices
 *		ret = ub_events_follow(events, devs, count);
 *		poll ub_events_fd(events), for ub_events_pause(events) ms at the most if ret is 1
 *		ub_events_take(events)
 *	} while (...);
 *
 * What happens after it was opened is never missed; look at the devices after that.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "base/error.h"
#include "device/device.h"

struct ub_events;

/* What cannot be watched is left out. Return: 0, or a negative errno with a message. */
int ub_events_open(struct ub_events **ret_events, struct ub_error *err);
void ub_events_freep(struct ub_events **events);

/* Becomes readable when something has happened, perhaps nothing of ours. */
int ub_events_fd(const struct ub_events *events);

/* Takes away what has come. Return: whether it may have changed a device. */
bool ub_events_take(struct ub_events *events);

/* These devices, as they were just now: their nodes and their servers, no others, are watched from now
 * on, and the folders of the records.
 * Return: 1: what comes next may have no event, or has come since that look; 0: it has one; or -ENOMEM. */
int ub_events_follow(struct ub_events *events, const struct ub_dev *devs, size_t count);

/* The next pause before looking without an event. Return: milliseconds; longer and longer since the last
 * event, up to a second. */
int ub_events_pause(struct ub_events *events);

/* Has the driver had the time to do all that comes after the last event? */
bool ub_events_are_past(const struct ub_events *events);
