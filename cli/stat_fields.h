/* SPDX-License-Identifier: MIT */
/* What `ublk stat` tells: as columns for people, and as JSON. Knows neither how it was read nor when. */
#pragma once

#include "device/stats.h"
#include "field.h"

#define UB_STAT_SCHEMA "ublk.stat/1"
#define UB_DEVICE_STAT_SCHEMA "ublk.device_stat/1" /* of JSON lines */

/* Of a device, or of one of its threads; since it was added, or within an interval. */
struct ub_stat {
	const struct ub_dev *dev; /* borrowed */
	uint32_t id;
	const char *name;      /* borrowed; NULL: it has none */
	int32_t queue, thread; /* -1: all of them */
	bool by_server;
	uint64_t since;       /* seconds since 1970; 0: not known */
	uint64_t interval_ms; /* 0: totals; else columns are by the second */
	struct ub_dev_sum sum;
	const struct ub_dev_part *parts; /* borrowed */
	size_t count;
};

/* Of a struct ub_stat: columns. */
extern const struct ub_field ub_stat_columns[];
/* The same as JSON, with its threads. */
extern const struct ub_field ub_stat_fields[];
