/* SPDX-License-Identifier: MIT */
/* What `ublk watch` tells of one event: as a line for people, and as JSON. Knows not where it comes from. */
#pragma once

#include <stdio.h>

#include "device/changes.h"
#include "field.h"

#define UB_EVENT_SCHEMA "ublk.event/1"

/* A change, or another moment in the life of the watch: then there is no change, and perhaps no device. */
struct ub_event {
	uint64_t time_us; /* since 1970 */
	const char *word;
	const struct ub_seen *dev;      /* borrowed, as the next */
	const struct ub_change *change; /* NULL: none */
};

extern const struct ub_field ub_event_fields[];

/* One line: the time, the device, its name, the event, and what there is to say of it. */
void ub_event_print(FILE *file, const struct ub_event *event);
