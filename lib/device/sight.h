/* SPDX-License-Identifier: MIT */
/*
 * All devices at one moment, as far as it is told when they change (changes.h): what is read to see that,
 * and nothing of what it means.
 */
#pragma once

#include "device/changes.h"
#include "device/events.h"

struct ub_sight {
	struct ub_seen *list; /* by ascending id */
	size_t count;
};

/* Is it about this device? One that once was is so until it is gone. */
struct ub_sight_choice {
	bool (*is_chosen)(const struct ub_dev *dev, const void *arg); /* NULL: all are */
	const void *arg;
};

/*
 * Looks at all devices that are chosen, and follows their events. What the others of these functions read
 * stays as it was @before.
 * Return: 1: what comes next may have no event; 0; or a negative errno with a message.
 */
int ub_sight_read(struct ub_ctrl *ctrl, struct ub_events *events,
		  const struct ub_sight_choice *choice, const struct ub_sight *before,
		  struct ub_sight *ret_sight, struct ub_error *err);

/* Return: 0 or -ENOMEM. */
int ub_sight_copy(const struct ub_sight *sight, struct ub_sight *ret_copy);
void ub_sight_done(struct ub_sight *sight);

/* Reads how many requests of each have failed, and are in hand for too long, as far as its server counts. */
void ub_sight_read_stats(struct ub_sight *sight);

/* Is there one whose server counts? */
bool ub_sight_is_counted(const struct ub_sight *sight);

/*
 * Finds who uses each. Its own server does not count, nor udev and this program, which have it open for a
 * moment only.
 * Return: 0, or a negative errno: then it stays as it was.
 */
int ub_sight_find_users(struct ub_sight *sight);
