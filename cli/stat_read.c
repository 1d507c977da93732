/* SPDX-License-Identifier: MIT */
#include "stat_read.h"

#include <errno.h>
#include <stdlib.h>

#include "base/clock.h"

/* Takes what is known of a device that was named. */
static enum ub_exit keep(struct ub_call *call, struct ub_ctrl *ctrl, struct ub_dev *dev)
{
	struct ub_stat_args *args = call->args;

	(void)ctrl;
	args->named[args->nr_named++] = *dev;
	*dev = (struct ub_dev){0};
	return UB_EXIT_DONE;
}

enum ub_exit ub_stat_find(struct ub_call *call, struct ub_stat_args *args)
{
	static const struct ub_device_job job = {.run = keep};
	struct ub_error err = {0};

	if (!call->nr_operands && args->devices.id < 0)
		return UB_EXIT_DONE;
	args->named = calloc(call->nr_operands + 1, sizeof(*args->named));
	if (args->named)
		return ub_devices_run(call, &args->devices, &job);
	(void)ub_fail(&err, UB_STAGE_LOOKUP, -ENOMEM, "cannot read the devices");
	return ub_call_fail(call, &err);
}

void ub_stat_args_done(struct ub_stat_args *args)
{
	ub_dev_list_free(args->named, args->nr_named);
	args->named = NULL;
	args->nr_named = 0;
}

void ub_readings_done(struct ub_readings *readings)
{
	for (size_t i = 0; i < readings->count; i++) {
		ub_dev_stats_done(&readings->list[i].stats);
		ub_dev_done(&readings->list[i].dev);
	}
	free(readings->list);
	*readings = (struct ub_readings){0};
}

/* Takes what is known of the device. */
static void add_reading(struct ub_readings *readings, struct ub_dev *dev)
{
	struct ub_reading *r = &readings->list[readings->count];

	r->dev = *dev;
	*dev = (struct ub_dev){0};
	if (ub_dev_stats_read(&r->dev, &r->stats) == 0)
		readings->count++;
	else
		ub_dev_done(&r->dev);
}

static int fail_memory(struct ub_error *err)
{
	return ub_fail(err, UB_STAGE_OUTPUT, -ENOMEM, "cannot read the devices");
}

static int read_all(struct ub_ctrl *ctrl, struct ub_readings *now, struct ub_error *err)
{
	struct ub_dev *devs = NULL;
	size_t count = 0;
	int ret = ub_dev_list(ctrl, &devs, &count, err);

	if (ret < 0)
		return ret;
	now->list = calloc(count + 1, sizeof(*now->list));
	for (size_t i = 0; now->list && i < count; i++)
		add_reading(now, &devs[i]);
	ub_dev_list_free(devs, count);
	return now->list ? 0 : fail_memory(err);
}

/* The number may be another device's by now. */
static int read_named(const struct ub_stat_args *args, struct ub_ctrl *ctrl,
		      struct ub_readings *now, struct ub_error *err)
{
	now->list = calloc(args->nr_named + 1, sizeof(*now->list));
	if (!now->list)
		return fail_memory(err);
	for (size_t i = 0; i < args->nr_named; i++) {
		const struct ub_dev *named = &args->named[i];
		struct ub_dev dev;

		if (ub_dev_get(ctrl, named->id, &dev, NULL) != 0)
			continue;
		if (dev.info.ublksrv_flags == named->info.ublksrv_flags)
			add_reading(now, &dev);
		ub_dev_done(&dev);
	}
	return 0;
}

int ub_readings_take(const struct ub_stat_args *args, struct ub_ctrl *ctrl,
		     struct ub_readings *ret_readings, struct ub_error *err)
{
	struct ub_readings now = {0};
	int ret = args->named ? read_named(args, ctrl, &now, err) : read_all(ctrl, &now, err);

	now.at_ms = ub_now_ms();
	if (ret)
		ub_readings_done(&now);
	else
		*ret_readings = now;
	return ret;
}

static const struct ub_reading *find(const struct ub_readings *readings, const struct ub_dev *dev)
{
	for (size_t i = 0; i < readings->count; i++)
		if (readings->list[i].dev.id == dev->id &&
		    readings->list[i].dev.info.ublksrv_flags == dev->info.ublksrv_flags)
			return &readings->list[i];
	return NULL;
}

static struct ub_stat describe(const struct ub_dev *dev, const struct ub_dev_stats *stats,
			       uint64_t interval_ms)
{
	return (struct ub_stat){
		.dev = dev,
		.id = dev->id,
		.name = dev->managed ? dev->record.spec.name : NULL,
		.queue = -1,
		.thread = -1,
		.by_server = stats->by_server,
		.since = stats->since,
		.interval_ms = interval_ms,
		.sum = stats->all,
		.parts = stats->parts,
		.count = stats->count,
	};
}

/* 0 would be: since it was added. */
static uint64_t between_ms(const struct ub_readings *now, const struct ub_readings *before)
{
	int64_t ms = before ? now->at_ms - before->at_ms : 0;

	return before && !ms ? 1 : (uint64_t)ms;
}

static int add_stat(const struct ub_reading *now, const struct ub_readings *before, uint64_t ms,
		    bool all, struct ub_stat_list *stats)
{
	const struct ub_reading *old = before ? find(before, &now->dev) : NULL;
	struct ub_dev_stats *counted = &stats->counted[stats->count];
	int ret = ub_dev_stats_since(&now->stats, old ? &old->stats : NULL, counted);

	/* Another one counts now: what came in between nobody knows. */
	if (ret == -ESTALE && all)
		ret = ub_dev_stats_since(&now->stats, &now->stats, counted);
	if (!ret)
		stats->list[stats->count++] = describe(&now->dev, counted, ms);
	return ret == -ESTALE ? 0 : ret;
}

int ub_readings_since(const struct ub_readings *now, const struct ub_readings *before, bool all,
		      struct ub_stat_list *ret_stats)
{
	struct ub_stat_list stats = {
		.list = calloc(now->count + 1, sizeof(*stats.list)),
		.counted = calloc(now->count + 1, sizeof(*stats.counted)),
	};
	int ret = stats.list && stats.counted ? 0 : -ENOMEM;

	for (size_t i = 0; !ret && i < now->count; i++)
		ret = add_stat(&now->list[i], before, between_ms(now, before), all, &stats);
	if (ret)
		ub_stat_list_done(&stats);
	else
		*ret_stats = stats;
	return ret;
}

struct ub_stat ub_stat_part(const struct ub_stat *whole, size_t i)
{
	struct ub_stat part = *whole;

	part.queue = (int32_t)whole->parts[i].queue;
	part.thread = (int32_t)whole->parts[i].thread;
	part.sum = whole->parts[i].sum;
	return part;
}

void ub_stat_list_done(struct ub_stat_list *stats)
{
	for (size_t i = 0; i < stats->count; i++)
		ub_dev_stats_done(&stats->counted[i]);
	free(stats->counted);
	free(stats->list);
	*stats = (struct ub_stat_list){0};
}
