/* SPDX-License-Identifier: MIT */
/* ublk stat: what all devices of the machine, or some, have done since they were added, or do. */
#include <errno.h>
#include <poll.h>
#include <stdlib.h>

#include "base/clean.h"
#include "base/clock.h"
#include "commands.h"
#include "devices.h"
#include "interrupt.h"
#include "stat_fields.h"
#include "table.h"

static const char usual_columns[] =
	"ID,NAME,READS,WRITES,READ,WRITTEN,ERRORS,INFLIGHT,R50,R99,W50,W99";
static const char queue_columns[] =
	"ID,NAME,QUEUE,THREAD,READS,WRITES,READ,WRITTEN,ERRORS,INFLIGHT,R50,R99,W50,W99";

#define INTERVAL_MAX 86400

struct stat_args {
	struct ub_device_args devices;
	char *columns;
	uint32_t interval, count;
	bool queues, no_header;
	/* Those that were named, as far as they are there. */
	struct ub_dev *named;
	size_t nr_named;
};

#define AT(field) .offset = offsetof(struct stat_args, field)

/* clang-format off */
static const struct ub_opt options[] = {
	UB_OPT_DEVICE_ID(struct stat_args),
	{ .name = "columns", .letter = 'o', .type = UB_OPT_STRING, AT(columns), .metavar = "COL,...",
	  .conflicts = "json", .completer = "column",
	  .help = "columns to print; with + before them: besides the usual ones" },
	{ .name = "queues", .type = UB_OPT_FLAG, AT(queues), .conflicts = "json",
	  .help = "a line for each queue, or each of the threads that share it" },
	{ .name = "interval", .letter = 'i', .type = UB_OPT_U32, AT(interval), .metavar = "SEC",
	  .min = 1, .max = INTERVAL_MAX,
	  .help = "again and again what is done in so many seconds, by the second" },
	{ .name = "count", .letter = 'c', .type = UB_OPT_U32, AT(count), .metavar = "N", .min = 1,
	  .help = "of --interval: so often, and no more" },
	{ .name = "no-header", .type = UB_OPT_FLAG, AT(no_header), .conflicts = "json",
	  .help = "print no heads of columns" },
	UB_OPT_END,
};
/* clang-format on */

/* One device, as it was read. */
struct reading {
	struct ub_dev dev;
	struct ub_dev_stats stats;
};

struct readings {
	struct reading *list;
	size_t count;
	int64_t at_ms;
};

struct watch {
	struct ub_call *call;
	struct ub_ctrl *ctrl;
	struct ub_columns columns;
	struct ub_interrupt interrupt;
	struct readings before;
	bool printed;
};

static void forget(struct readings *readings)
{
	for (size_t i = 0; i < readings->count; i++) {
		ub_dev_stats_done(&readings->list[i].stats);
		ub_dev_done(&readings->list[i].dev);
	}
	free(readings->list);
	*readings = (struct readings){0};
}

/* Takes what is known of the device. Of one without a disk nobody counts anything. */
static void add_reading(struct readings *readings, struct ub_dev *dev)
{
	struct reading *r = &readings->list[readings->count];

	r->dev = *dev;
	*dev = (struct ub_dev){0};
	if (ub_dev_stats_read(&r->dev, &r->stats) == 0)
		readings->count++;
	else
		ub_dev_done(&r->dev);
}

static int read_all(struct watch *w, struct readings *now, struct ub_error *err)
{
	struct ub_dev *devs = NULL;
	size_t count = 0;
	int ret = ub_dev_list(w->ctrl, &devs, &count, err);

	if (ret < 0)
		return ret;
	now->list = calloc(count + 1, sizeof(*now->list));
	for (size_t i = 0; now->list && i < count; i++)
		add_reading(now, &devs[i]);
	ub_dev_list_free(devs, count);
	return now->list ? 0 : ub_fail(err, UB_STAGE_OUTPUT, -ENOMEM, "cannot read the devices");
}

/* The number may be another device's by now. */
static int read_named(struct watch *w, struct readings *now, struct ub_error *err)
{
	const struct stat_args *args = w->call->args;

	now->list = calloc(args->nr_named + 1, sizeof(*now->list));
	if (!now->list)
		return ub_fail(err, UB_STAGE_OUTPUT, -ENOMEM, "cannot read the devices");
	for (size_t i = 0; i < args->nr_named; i++) {
		const struct ub_dev *named = &args->named[i];
		struct ub_dev dev;

		if (ub_dev_get(w->ctrl, named->id, &dev, NULL) != 0)
			continue;
		if (dev.info.ublksrv_flags == named->info.ublksrv_flags)
			add_reading(now, &dev);
		ub_dev_done(&dev);
	}
	return 0;
}

static int read_stats(struct watch *w, struct readings *ret_now, struct ub_error *err)
{
	struct stat_args *args = w->call->args;
	struct readings now = {0};
	int ret = args->named ? read_named(w, &now, err) : read_all(w, &now, err);

	now.at_ms = ub_now_ms();
	if (ret)
		forget(&now);
	else
		*ret_now = now;
	return ret;
}

static const struct reading *find(const struct readings *readings, const struct ub_dev *dev)
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

/* @rows: room for all of a device's. Return: how many there are. */
static size_t fill_rows(const struct ub_stat *whole, bool queues, struct ub_stat *rows)
{
	rows[0] = *whole;
	if (!queues || !whole->count)
		return 1;
	for (size_t i = 0; i < whole->count; i++) {
		rows[i] = *whole;
		rows[i].queue = (int32_t)whole->parts[i].queue;
		rows[i].thread = (int32_t)whole->parts[i].thread;
		rows[i].sum = whole->parts[i].sum;
	}
	return whole->count;
}

static int print_table(struct watch *w, const struct ub_stat *stats, size_t nr)
{
	const struct stat_args *args = w->call->args;
	struct ub_out *out = &w->call->out;
	_cleanup_free_ struct ub_stat *rows = NULL;
	size_t most = 1, count = 0;

	for (size_t i = 0; i < nr; i++)
		most += stats[i].count + 1;
	rows = calloc(most, sizeof(*rows));
	if (!rows)
		return -ENOMEM;
	for (size_t i = 0; i < nr; i++)
		count += fill_rows(&stats[i], args->queues, &rows[count]);
	if (w->printed && !args->no_header)
		(void)fputc('\n', out->file);
	w->printed = true;
	return ub_table_print(out->file, &w->columns, rows, count, sizeof(*rows), out->colour);
}

/* What has come since @before; NULL: since each was added. */
static int print(struct watch *w, const struct readings *now, const struct readings *before)
{
	/* 0 would be: since it was added. */
	uint64_t ms =
		before ? (uint64_t)(now->at_ms - before->at_ms) + !(now->at_ms - before->at_ms) : 0;
	_cleanup_free_ struct ub_dev_stats *told = calloc(now->count + 1, sizeof(*told));
	_cleanup_free_ struct ub_stat *stats = calloc(now->count + 1, sizeof(*stats));
	int ret = told && stats ? 0 : -ENOMEM;
	size_t count = 0;

	for (size_t i = 0; !ret && i < now->count; i++) {
		const struct reading *r = &now->list[i];
		const struct reading *old = before ? find(before, &r->dev) : NULL;

		ret = ub_dev_stats_since(&r->stats, old ? &old->stats : NULL, &told[count]);
		if (!ret)
			stats[count] = describe(&r->dev, &told[count], ms);
		count += !ret;
		/* Another one counts now: what came in between nobody knows. */
		ret = ret == -ESTALE ? 0 : ret;
	}
	for (size_t i = 0; !ret && w->call->out.json && i < count; i++)
		ub_doc_add(w->call->out.doc, ub_stat_fields, &stats[i]);
	if (!ret && !w->call->out.json)
		ret = print_table(w, stats, count);
	for (size_t i = 0; i < count; i++)
		ub_dev_stats_done(&told[i]);
	return ret;
}

static int fail_print(int code, struct ub_error *err)
{
	return code ? ub_fail(err, UB_STAGE_OUTPUT, code, "cannot print the statistics") : 0;
}

/* Return: 1 when the time has come; 0 if there is a signal; -EPIPE if nobody reads. */
static int wait_until(struct watch *w, int64_t deadline_ms)
{
	struct pollfd fds[] = {
		{.fd = w->interrupt.fd, .events = POLLIN},
		{.fd = fileno(w->call->out.file)},
	};

	do {
		if (poll(fds, UB_ARRAY_SIZE(fds), ub_left_ms(deadline_ms)) < 0 && errno != EINTR)
			return -errno;
		if (fds[0].revents)
			return 0;
		if (fds[1].revents)
			return -EPIPE;
	} while (ub_left_ms(deadline_ms) > 0);
	return 1;
}

/* Return: 1: go on; 0: there is no device left, or nobody who reads; or a negative errno with a message. */
static int print_interval(struct watch *w, struct ub_error *err)
{
	struct readings now;
	int ret = read_stats(w, &now, err);

	if (ret)
		return ret;
	ret = fail_print(now.count ? print(w, &now, &w->before) : 0, err);
	forget(&w->before);
	w->before = now;
	return ret ? ret : now.count && ub_out_flush(&w->call->out);
}

/* Return: 0 when it is over, or a negative errno with a message. */
static int watch(struct watch *w, struct ub_error *err)
{
	const struct stat_args *args = w->call->args;
	int64_t next;
	int ret = ub_interrupt_open(&w->interrupt);

	if (ret)
		return ub_fail(err, UB_STAGE_NONE, ret, "cannot watch the devices");
	ret = read_stats(w, &w->before, err);
	next = w->before.at_ms;
	if (ret || !w->before.count)
		return ret;
	for (uint32_t i = 0; !args->count || i < args->count; i++) {
		/* What was missed, since this process was stopped, is not made up for. */
		next = (next < w->before.at_ms ? w->before.at_ms : next) +
		       (int64_t)args->interval * 1000;
		ret = wait_until(w, next);
		if (ret < 0)
			return ub_fail(err, UB_STAGE_OUTPUT, ret,
				       "cannot write to standard output");
		if (ret > 0)
			ret = print_interval(w, err);
		if (ret <= 0)
			return ret;
	}
	return 0;
}

static int print_once(struct watch *w, struct ub_error *err)
{
	struct readings now;
	int ret = read_stats(w, &now, err);

	if (ret)
		return ret;
	ret = fail_print(print(w, &now, NULL), err);
	forget(&now);
	return ret;
}

static enum ub_exit tell(struct ub_call *call, const struct ub_columns *columns)
{
	const struct stat_args *args = call->args;
	_cleanup_(ub_ctrl_closep)
	struct ub_ctrl *ctrl = NULL;
	struct watch w = {.call = call, .columns = *columns, .interrupt.fd = -1};
	enum ub_exit status = UB_EXIT_DONE;
	struct ub_error err = {0};
	int ret = ub_ctrl_open(&ctrl, &err);

	w.ctrl = ctrl;
	if (!ret)
		ret = args->interval ? watch(&w, &err) : print_once(&w, &err);
	forget(&w.before);
	if (ret)
		status = ub_call_fail(call, &err);
	ub_interrupt_close(&w.interrupt);
	return status;
}

/* Takes what is known of a device that was named. */
static enum ub_exit keep(struct ub_call *call, struct ub_ctrl *ctrl, struct ub_dev *dev)
{
	struct stat_args *args = call->args;

	(void)ctrl;
	args->named[args->nr_named++] = *dev;
	*dev = (struct ub_dev){0};
	return UB_EXIT_DONE;
}

static enum ub_exit tell_named(struct ub_call *call, const struct ub_columns *columns)
{
	static const struct ub_device_job job = {.run = keep};
	struct stat_args *args = call->args;
	enum ub_exit found, told = UB_EXIT_DONE;
	struct ub_error err = {0};

	args->named = calloc(call->nr_operands + 1, sizeof(*args->named));
	if (!args->named) {
		(void)ub_fail(&err, UB_STAGE_OUTPUT, -ENOMEM, "cannot read the devices");
		return ub_call_fail(call, &err);
	}
	found = ub_devices_run(call, &args->devices, &job);
	/* Of no device there is nothing to be told. */
	if (args->nr_named)
		told = tell(call, columns);
	ub_dev_list_free(args->named, args->nr_named);
	return found ? found : told;
}

static enum ub_exit run(struct ub_call *call)
{
	const struct stat_args *args = call->args;
	struct ub_columns columns;
	struct ub_error err = {0};

	if (args->count && !args->interval)
		return ub_call_usage(call, "--count says how often: with --interval");
	if (args->interval && call->out.json && !call->out.line_schema)
		return ub_call_usage(call, "--interval with JSON prints lines: --json=lines");
	if (ub_columns_choose(ub_stat_columns, args->queues ? queue_columns : usual_columns,
			      args->columns, &columns, &err) < 0)
		return ub_call_fail(call, &err);
	columns.no_head = args->no_header;
	if (fail_print(ub_out_begin(&call->out, UB_STAT_SCHEMA, "devices"), &err))
		return ub_call_fail(call, &err);
	return call->nr_operands || args->devices.id >= 0 ? tell_named(call, &columns)
							  : tell(call, &columns);
}

static void defaults(void *args)
{
	((struct stat_args *)args)->devices.id = -1;
}

const struct ub_command ub_cmd_stat = {
	.name = "stat",
	.summary = "show what all devices have done, or some, or do",
	.synopsis = "[OPTIONS] [DEV...]",
	.about = "Show how many requests all devices, or those that are named, have had since they "
		 "were\n"
		 "added, of how many bytes, and how long they took; or what comes by the second.\n",
	.options = options,
	.fields = ub_stat_columns,
	.args_size = sizeof(struct stat_args),
	.max_operands = SIZE_MAX,
	.completer = "device",
	.json = true,
	.line_schema = UB_DEVICE_STAT_SCHEMA,
	.defaults = defaults,
	.run = run,
};
