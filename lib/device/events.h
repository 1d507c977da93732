/* SPDX-License-Identifier: MIT */
/*
 * When to look at the devices again: it tells that something may have changed, and never what. Comes
 * of the kernel's events of block and char devices, of records that are written or removed, and of
 * servers that end. What the driver does only afterwards, and tells nobody, is looked for a while
 * longer: that a device whose server died is quiesced, that one whose recovery ends is live.
 *
 *	ub_events_open(&events, &err);
 *	do {
 *		look at all devices
 *		ub_events_follow(events, devs, count);
 *		poll ub_events_fd(events), for ub_events_pause(events) ms at the most
 *	} while (...);
 *
 * What happens after it was opened is never missed; look at the devices after that.
 */
#pragma once

#include <stddef.h>

#include "base/error.h"
#include "device/device.h"

struct ub_events;

/* Return: 0, or a negative errno with a message. */
int ub_events_open(struct ub_events **ret_events, struct ub_error *err);
void ub_events_freep(struct ub_events **events);

/* Becomes readable when something has happened, perhaps nothing of ours. */
int ub_events_fd(const struct ub_events *events);

/* Takes away what has come. Return: whether it may have changed a device. */
bool ub_events_take(struct ub_events *events);

/* All devices as they are now: their servers, and the folder of the records, are watched from now on.
 * Return: 0 or -ENOMEM. */
int ub_events_follow(struct ub_events *events, const struct ub_dev *devs, size_t count);

/* How long to wait for the next event before looking all the same. Return: milliseconds; -1: for
 * ever. */
int ub_events_pause(struct ub_events *events);
