/* SPDX-License-Identifier: MIT */
/* ublk stat: what all devices of the machine, or some, have done since they were added, or do. */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/clean.h"
#include "base/clock.h"
#include "commands.h"
#include "interrupt.h"
#include "prometheus.h"
#include "stat_read.h"
#include "table.h"
#include "textfile.h"

static const char usual_columns[] =
	"ID,NAME,READS,WRITES,READ,WRITTEN,ERRORS,INFLIGHT,R50,R99,W50,W99";
static const char queue_columns[] =
	"ID,NAME,QUEUE,THREAD,READS,WRITES,READ,WRITTEN,ERRORS,INFLIGHT,R50,R99,W50,W99";

#define INTERVAL_MAX 86400

struct stat_args {
	struct ub_stat_args source;
	char *columns;
	uint32_t interval, count;
	bool queues, no_header, prometheus;
	char *textfile;
};

#define AT(field) .offset = offsetof(struct stat_args, field)

/* clang-format off */
static const struct ub_opt options[] = {
	UB_OPT_DEVICE_ID(struct ub_stat_args),
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
	{ .name = "prometheus", .type = UB_OPT_FLAG, AT(prometheus),
	  .conflicts = "json columns queues interval no-header",
	  .help = "print totals as Prometheus reads them" },
	{ .name = "textfile", .type = UB_OPT_STRING, AT(textfile), .metavar = "DIR",
	  .completer = "dir", .conflicts = "prometheus json columns queues interval no-header",
	  .help = "the same, into DIR/ublk.prom, for its node exporter" },
	{ .name = "no-header", .type = UB_OPT_FLAG, AT(no_header), .conflicts = "json",
	  .help = "print no heads of columns" },
	UB_OPT_END,
};
/* clang-format on */

struct watch {
	struct ub_call *call;
	struct ub_ctrl *ctrl;
	struct ub_columns columns;
	struct ub_interrupt interrupt;
	struct ub_readings before;
	bool printed;
};

static int fail_print(int code, struct ub_error *err)
{
	return code ? ub_fail(err, UB_STAGE_OUTPUT, code, "cannot print the statistics") : 0;
}

/* @rows: room for all of a device's. Return: how many there are. */
static size_t fill_rows(const struct ub_stat *whole, bool queues, struct ub_stat *rows)
{
	rows[0] = *whole;
	if (!queues || !whole->count)
		return 1;
	for (size_t i = 0; i < whole->count; i++)
		rows[i] = ub_stat_part(whole, i);
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

/* Return: 0, or a negative errno with a message. */
static int show(struct watch *w, const struct ub_stat_list *stats, struct ub_error *err)
{
	const struct stat_args *args = w->call->args;
	int ret = 0;

	if (args->textfile)
		return ub_textfile_write(args->textfile, stats->list, stats->count, err);
	ub_interrupt_let(&w->interrupt, w->call->out.file);
	if (args->prometheus)
		ub_prometheus_print(w->call->out.file, stats->list, stats->count);
	else if (!w->call->out.json)
		ret = print_table(w, stats->list, stats->count);
	for (size_t i = 0; w->call->out.json && i < stats->count; i++)
		ub_doc_add(w->call->out.doc, ub_stat_fields, &stats->list[i]);
	(void)ub_out_flush(&w->call->out);
	ub_interrupt_hold_again(&w->interrupt);
	return fail_print(ret, err);
}

/* What has come since @before; NULL: since each was added. */
static int print(struct watch *w, const struct ub_readings *now, const struct ub_readings *before,
		 struct ub_error *err)
{
	struct ub_stat_list stats = {0};
	int ret = fail_print(ub_readings_since(now, before, false, &stats), err);

	if (!ret)
		ret = show(w, &stats, err);
	ub_stat_list_done(&stats);
	return ret;
}

static int read_now(struct watch *w, struct ub_readings *ret_now, struct ub_error *err)
{
	const struct stat_args *args = w->call->args;

	return ub_readings_take(&args->source, w->ctrl, ret_now, err);
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
	struct ub_readings now;
	int ret = read_now(w, &now, err);

	if (ret)
		return ret;
	ret = now.count ? print(w, &now, &w->before, err) : 0;
	ub_readings_done(&w->before);
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
	ret = read_now(w, &w->before, err);
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
	struct ub_readings now;
	int ret = read_now(w, &now, err);

	if (ret)
		return ret;
	ret = print(w, &now, NULL, err);
	ub_readings_done(&now);
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
	ub_readings_done(&w.before);
	if (ret)
		status = ub_call_fail(call, &err);
	ub_interrupt_close(&w.interrupt);
	return status;
}

static enum ub_exit run(struct ub_call *call)
{
	struct stat_args *args = call->args;
	enum ub_exit found, told = UB_EXIT_DONE;
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
	found = ub_stat_find(call, &args->source);
	/* Of no device there is nothing to be told, but what was told of it before is not to stay. */
	if (!args->source.named || args->source.nr_named || args->textfile)
		told = tell(call, &columns);
	return found ? found : told;
}

static void defaults(void *args)
{
	((struct stat_args *)args)->source.devices.id = -1;
}

static void done(void *args)
{
	ub_stat_args_done(&((struct stat_args *)args)->source);
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
	.done = done,
	.run = run,
};
