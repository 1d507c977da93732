/* SPDX-License-Identifier: MIT */
#include "prometheus.h"

#include <inttypes.h>

#include <string.h>

#include "base/clean.h"
#include "base/clock.h"
#include "base/escape.h"
#include "selection.h"

#define NS 1e9
/* Of a histogram: each power of two of the times' units, from 16 units on, begins a bucket there. */
#define FIRST_SHIFT 4
#define STEP 16

struct family {
	const char *name;
	const char *type;
	const char *help;
	void (*print)(FILE *file, const struct family *family, const struct ub_stat *stat);
};

static const struct {
	const char *name;
	enum ub_stats_op_kind kind;
} ops[] = {
	{"read", UB_STATS_READ},
	{"write", UB_STATS_WRITE},
	{"flush", UB_STATS_FLUSH},
	{"discard", UB_STATS_DISCARD},
	{"write_zeroes", UB_STATS_WRITE_ZEROES},
};

static const char *const times[UB_TIMES_COUNT] = {
	[UB_TIMES_READ] = "read",
	[UB_TIMES_WRITE] = "write",
	[UB_TIMES_OTHER] = "other",
};

/* A label's value: a name or a path may hold any byte, and has to be UTF-8. */
static void put_value(FILE *file, const char *text)
{
	char buf[UB_ESCAPED_SIZE];

	while (text && *text) {
		size_t len;

		if (*text == '"' || *text == '\\')
			(void)fputc('\\', file);
		len = ub_escape_char(&text, buf);
		/* What was escaped begins with a backslash, which is to be one. */
		if (len > 1 && buf[0] == '\\')
			(void)fputc('\\', file);
		(void)fwrite(buf, 1, len, file);
	}
}

static void put_labels(FILE *file, const struct ub_stat *stat)
{
	(void)fprintf(file, "{device=\"ublkb%u\"", stat->dev->id);
}

static void put_number(FILE *file, const struct family *family, const struct ub_stat *stat,
		       const char *op, uint64_t number)
{
	if (number == UB_STATS_NOT_KNOWN)
		return;
	(void)fputs(family->name, file);
	put_labels(file, stat);
	if (op)
		(void)fprintf(file, ",op=\"%s\"", op);
	(void)fprintf(file, "} %" PRIu64 "\n", number);
}

static void print_info(FILE *file, const struct family *family, const struct ub_stat *stat)
{
	const struct ub_dev *dev = stat->dev;
	const struct ub_record *record = dev->managed ? &dev->record : NULL;

	(void)fputs(family->name, file);
	put_labels(file, stat);
	(void)fputs(",name=\"", file);
	put_value(file, stat->name);
	(void)fprintf(file, "\",target=\"%s\",backing=\"", record ? record->spec.target->name : "");
	put_value(file, record ? record->backings.at[0].path : NULL);
	(void)fprintf(file, "\",source=\"%s\"} 1\n", stat->by_server ? "server" : "kernel");
}

static void print_size(FILE *file, const struct family *family, const struct ub_stat *stat)
{
	put_number(file, family, stat, NULL, stat->dev->size);
}

static void print_state(FILE *file, const struct family *family, const struct ub_stat *stat)
{
	const char *state = ub_dev_state_name(stat->dev);

	for (const char *const *name = ub_state_names; *name; name++) {
		(void)fputs(family->name, file);
		put_labels(file, stat);
		(void)fprintf(file, ",state=\"%s\"} %d\n", *name, strcmp(*name, state) == 0);
	}
}

static void print_live(FILE *file, const struct family *family, const struct ub_stat *stat)
{
	put_number(file, family, stat, NULL, ub_dev_is_live(stat->dev));
}

static void print_restarts(FILE *file, const struct family *family, const struct ub_stat *stat)
{
	if (stat->dev->managed)
		put_number(file, family, stat, NULL, stat->dev->restart.count);
}

static void print_ended(FILE *file, const struct family *family, const struct ub_stat *stat)
{
	for (size_t i = 0; i < UB_ARRAY_SIZE(ops); i++)
		put_number(file, family, stat, ops[i].name, stat->sum.op[ops[i].kind].ended);
}

static void print_bytes(FILE *file, const struct family *family, const struct ub_stat *stat)
{
	for (size_t i = 0; i < UB_ARRAY_SIZE(ops); i++)
		if (ops[i].kind != UB_STATS_FLUSH)
			put_number(file, family, stat, ops[i].name,
				   stat->sum.op[ops[i].kind].bytes);
}

static void print_errors(FILE *file, const struct family *family, const struct ub_stat *stat)
{
	for (size_t i = 0; i < UB_ARRAY_SIZE(ops); i++)
		put_number(file, family, stat, ops[i].name, stat->sum.op[ops[i].kind].errors);
}

static void print_in_flight(FILE *file, const struct family *family, const struct ub_stat *stat)
{
	put_number(file, family, stat, NULL, stat->sum.in_flight);
}

static void print_stalled(FILE *file, const struct family *family, const struct ub_stat *stat)
{
	for (size_t i = 0; stat->by_server && i < UB_ARRAY_SIZE(ops); i++)
		put_number(file, family, stat, ops[i].name, stat->sum.stall.ios[ops[i].kind]);
	if (stat->by_server)
		put_number(file, family, stat, "other", stat->sum.stall.ios[UB_STATS_UNKNOWN]);
}

static void print_stalled_time(FILE *file, const struct family *family, const struct ub_stat *stat)
{
	int64_t ms = ub_now_ms() - (int64_t)stat->sum.stall.since_ms;

	if (stat->by_server)
		put_number(file, family, stat, NULL,
			   ub_dev_stalled(&stat->sum.stall) ? (uint64_t)ms / 1000 : 0);
}

static void print_longest(FILE *file, const struct family *family, const struct ub_stat *stat)
{
	for (size_t i = 0; stat->by_server && i < UB_ARRAY_SIZE(ops); i++) {
		(void)fputs(family->name, file);
		put_labels(file, stat);
		(void)fprintf(file, ",op=\"%s\"} %.9f\n", ops[i].name,
			      (double)stat->sum.op[ops[i].kind].most * UB_STATS_UNIT_NS / NS);
	}
}

static void put_bucket(FILE *file, const struct family *family, const struct ub_stat *stat,
		       const char *op, const char *suffix)
{
	(void)fprintf(file, "%s%s", family->name, suffix);
	put_labels(file, stat);
	(void)fprintf(file, ",op=\"%s\"", op);
}

/* The sum is of the middles of the fine buckets: right within 3 %. */
static void print_histogram(FILE *file, const struct family *family, const struct ub_stat *stat,
			    const char *op, const struct ub_times *t)
{
	uint64_t count = 0;
	double sum = 0;

	for (unsigned i = 0; i < UB_STATS_BUCKETS; i++) {
		count += t->count[i];
		sum += (double)t->count[i] * (double)ub_times_middle_ns(i);
		if ((i + 1) % STEP || i + 1 == UB_STATS_BUCKETS)
			continue;
		put_bucket(file, family, stat, op, "_bucket");
		(void)fprintf(
			file, ",le=\"%.10g\"} %" PRIu64 "\n",
			(double)((uint64_t)UB_STATS_UNIT_NS << (FIRST_SHIFT + (i + 1) / STEP - 1)) /
				NS,
			count);
	}
	put_bucket(file, family, stat, op, "_bucket");
	(void)fprintf(file, ",le=\"+Inf\"} %" PRIu64 "\n", count);
	put_bucket(file, family, stat, op, "_sum");
	(void)fprintf(file, "} %.9f\n", sum / NS);
	put_bucket(file, family, stat, op, "_count");
	(void)fprintf(file, "} %" PRIu64 "\n", count);
}

static void print_times(FILE *file, const struct family *family, const struct ub_stat *stat)
{
	for (unsigned i = 0; i < UB_TIMES_COUNT; i++)
		if (!stat->sum.times[i].unknown)
			print_histogram(file, family, stat, times[i], &stat->sum.times[i]);
}

/* clang-format off */
static const struct family families[] = {
	{ "ublk_device_info", "gauge", "A device: its name, what it serves, and who counts.", print_info },
	{ "ublk_device_state", "gauge", "Whether this is the state that the driver has it in.", print_state },
	{ "ublk_device_size_bytes", "gauge", "Size of the device.", print_size },
	{ "ublk_device_live", "gauge", "Whether it is served.", print_live },
	{ "ublk_device_restarts_total", "counter", "Servers that were started since the one before had died.", print_restarts },
	{ "ublk_requests_total", "counter", "Requests that have ended, failed ones too.", print_ended },
	{ "ublk_request_bytes_total", "counter", "Bytes of requests that have succeeded.", print_bytes },
	{ "ublk_request_errors_total", "counter", "Requests that have failed.", print_errors },
	{ "ublk_requests_in_flight", "gauge", "Requests that are under way.", print_in_flight },
	{ "ublk_requests_stalled", "gauge", "Requests that a server has had in hand for longer than --stall-sec.", print_stalled },
	{ "ublk_stalled_seconds", "gauge", "For how long it has had any of these; 0: there is none.", print_stalled_time },
	{ "ublk_request_longest_seconds", "gauge", "The longest time that a server has had a request for.", print_longest },
	{ "ublk_request_duration_seconds", "histogram", "Time for which a server has a request, of those that are timed.", print_times },
};
/* clang-format on */

void ub_prometheus_print(FILE *file, const struct ub_stat *stats, size_t count)
{
	for (size_t f = 0; f < UB_ARRAY_SIZE(families); f++) {
		(void)fprintf(file, "# HELP %s %s\n# TYPE %s %s\n", families[f].name,
			      families[f].help, families[f].name, families[f].type);
		for (size_t i = 0; i < count; i++)
			families[f].print(file, &families[f], &stats[i]);
	}
}
