/* SPDX-License-Identifier: MIT */
/*
 * What devices have done, read of all of the machine or of those that are named, and what has come between
 * two times. For `ublk stat` and `ublk top`. Knows neither how it is shown nor when.
 */
#pragma once

#include "devices.h"
#include "stat_fields.h"

/* What a command's struct has for it, first of all. */
struct ub_stat_args {
	struct ub_device_args devices;
	struct ub_dev *named; /* owned: those that were named and found; NULL: none was named */
	size_t nr_named;
};

/* Finds the devices that are named. Return: the exit status; what is missing has been told. */
enum ub_exit ub_stat_find(struct ub_call *call, struct ub_stat_args *args);
void ub_stat_args_done(struct ub_stat_args *args);

/* One device, as it was read. */
struct ub_reading {
	struct ub_dev dev;
	struct ub_dev_stats stats;
};

struct ub_readings {
	struct ub_reading *list;
	size_t count;
	int64_t at_ms;
};

/* Of a device without a disk nobody counts anything: it is left out. Return: 0, or a negative errno with a
 * message. */
int ub_readings_take(const struct ub_stat_args *args, struct ub_ctrl *ctrl,
		     struct ub_readings *ret_readings, struct ub_error *err);
void ub_readings_done(struct ub_readings *readings);

/* What is told of them. */
struct ub_stat_list {
	struct ub_stat *list; /* borrows from @counted, and the devices from the readings */
	size_t count;
	struct ub_dev_stats *counted; /* of each */
};

/*
 * What has come since @before, or if it is NULL, since each device was added. One that somebody else counts
 * now is left out, or with @all has done nothing. Return: 0 or -ENOMEM.
 */
int ub_readings_since(const struct ub_readings *now, const struct ub_readings *before, bool all,
		      struct ub_stat_list *ret_stats);
/* One of its threads. */
struct ub_stat ub_stat_part(const struct ub_stat *whole, size_t i);
void ub_stat_list_done(struct ub_stat_list *stats);
