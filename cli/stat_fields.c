/* SPDX-License-Identifier: MIT */
#include "stat_fields.h"

#define GETTER(name) static void get_##name(const void *object, struct ub_value *value)

static const struct ub_stat *stat_of(const void *object)
{
	return object;
}

static void set_known(struct ub_value *value, uint64_t number)
{
	if (number != UB_STATS_NOT_KNOWN)
		ub_value_number(value, number);
}

/* By the second, where it is of an interval. */
static void set_rate(const void *object, struct ub_value *value, uint64_t number)
{
	uint64_t ms = stat_of(object)->interval_ms;

	if (number != UB_STATS_NOT_KNOWN)
		ub_value_number(value, ms ? (number * 1000 + ms / 2) / ms : number);
}

#define COUNT_GETTER(name, kind, member)                                       \
	GETTER(name)                                                           \
	{                                                                      \
		set_rate(object, value, stat_of(object)->sum.op[kind].member); \
	}

COUNT_GETTER(reads, UB_STATS_READ, ended)
COUNT_GETTER(read, UB_STATS_READ, bytes)
COUNT_GETTER(writes, UB_STATS_WRITE, ended)
COUNT_GETTER(written, UB_STATS_WRITE, bytes)
COUNT_GETTER(flushes, UB_STATS_FLUSH, ended)
COUNT_GETTER(discards, UB_STATS_DISCARD, ended)
COUNT_GETTER(discarded, UB_STATS_DISCARD, bytes)
COUNT_GETTER(zeroes, UB_STATS_WRITE_ZEROES, ended)
COUNT_GETTER(zeroed, UB_STATS_WRITE_ZEROES, bytes)

/* How many failed, not by the second: of a number so small a rate says nothing. */
GETTER(errors)
{
	const struct ub_dev_sum *sum = &stat_of(object)->sum;
	uint64_t errors = 0;

	for (unsigned i = 0; i < UB_STATS_OPS; i++) {
		if (sum->op[i].errors == UB_STATS_NOT_KNOWN)
			return;
		errors += sum->op[i].errors;
	}
	ub_value_number(value, errors);
}

GETTER(in_flight)
{
	set_known(value, stat_of(object)->sum.in_flight);
}

GETTER(state)
{
	ub_value_text(value, ub_dev_state_name(stat_of(object)->dev));
}

GETTER(source)
{
	ub_value_text(value, stat_of(object)->by_server ? "server" : "kernel");
}

static void set_time(struct ub_value *value, const struct ub_times *times, unsigned per_mille)
{
	uint64_t ns = ub_times_percentile_ns(times, per_mille);

	if (ns)
		ub_value_number(value, ns);
}

#define TIME_GETTER(name, kind, per_mille)                                     \
	GETTER(name)                                                           \
	{                                                                      \
		set_time(value, &stat_of(object)->sum.times[kind], per_mille); \
	}
#define TIME_GETTERS(letter, kind)         \
	TIME_GETTER(letter##50, kind, 500) \
	TIME_GETTER(letter##90, kind, 900) \
	TIME_GETTER(letter##99, kind, 990) \
	TIME_GETTER(letter##999, kind, 999)

TIME_GETTERS(r, UB_TIMES_READ)
TIME_GETTERS(w, UB_TIMES_WRITE)
TIME_GETTERS(o, UB_TIMES_OTHER)

static void set_longest(struct ub_value *value, uint64_t units)
{
	if (units)
		ub_value_number(value, units * UB_STATS_UNIT_NS);
}

GETTER(rmax)
{
	set_longest(value, stat_of(object)->sum.op[UB_STATS_READ].most);
}

GETTER(wmax)
{
	set_longest(value, stat_of(object)->sum.op[UB_STATS_WRITE].most);
}

GETTER(omax)
{
	const struct ub_stats_op *op = stat_of(object)->sum.op;
	uint64_t most = op[UB_STATS_FLUSH].most;

	if (op[UB_STATS_DISCARD].most > most)
		most = op[UB_STATS_DISCARD].most;
	if (op[UB_STATS_WRITE_ZEROES].most > most)
		most = op[UB_STATS_WRITE_ZEROES].most;
	set_longest(value, most);
}

/* JSON: of a struct ub_stats_op. */

static const struct ub_stats_op *op_of(const void *object)
{
	return object;
}

GETTER(op_ios)
{
	set_known(value, op_of(object)->ended);
}

GETTER(op_bytes)
{
	set_known(value, op_of(object)->bytes);
}

GETTER(op_errors)
{
	set_known(value, op_of(object)->errors);
}

GETTER(op_longest)
{
	set_longest(value, op_of(object)->most);
}

/* Of a struct ub_times. */

GETTER(times_count)
{
	const struct ub_times *times = object;

	if (!times->unknown)
		ub_value_number(value, ub_times_total(times));
}

GETTER(p50)
{
	set_time(value, object, 500);
}

GETTER(p90)
{
	set_time(value, object, 900);
}

GETTER(p99)
{
	set_time(value, object, 990);
}

GETTER(p999)
{
	set_time(value, object, 999);
}

/* Of a struct ub_dev_sum. */
GETTER(sum_in_flight)
{
	set_known(value, ((const struct ub_dev_sum *)object)->in_flight);
}

/* clang-format off */
#define AT(member) UB_AT(struct ub_stat, member)
#define TIMES(letter, head, kind, what) \
	{ .key = kind "_p50_ns", .type = UB_FIELD_TIME, .column = head "50", .get = get_##letter##50, \
	  .help = "time that half of the " what " took at the most" }, \
	{ .key = kind "_p90_ns", .type = UB_FIELD_TIME, .column = head "90", .get = get_##letter##90, \
	  .help = "... that 90 % took at the most" }, \
	{ .key = kind "_p99_ns", .type = UB_FIELD_TIME, .column = head "99", .get = get_##letter##99, \
	  .help = "... 99 %" }, \
	{ .key = kind "_p999_ns", .type = UB_FIELD_TIME, .column = head "999", .get = get_##letter##999, \
	  .help = "... 99.9 %" }, \
	{ .key = kind "_longest_ns", .type = UB_FIELD_TIME, .column = head "MAX", .get = get_##letter##max, \
	  .help = "... the longest one; not known of an interval" }

const struct ub_field ub_stat_columns[] = {
	{ .key = "id", .type = UB_FIELD_NUMBER, .column = "ID", AT(id), .help = "number of the device" },
	{ .key = "name", .type = UB_FIELD_STRING, .column = "NAME", AT(name),
	  .help = "name that it was given" },
	{ .key = "state", .type = UB_FIELD_STATE, .column = "STATE", .get = get_state,
	  .help = "live, quiesced, failed or dead" },
	{ .key = "queue", .type = UB_FIELD_NUMBER, .column = "QUEUE", AT(queue),
	  .help = "queue that the line is of; of several of a thread's the first" },
	{ .key = "thread", .type = UB_FIELD_NUMBER, .column = "THREAD", AT(thread),
	  .help = "thread of the queue's that the line is of" },
	{ .key = "source", .type = UB_FIELD_STRING, .column = "SOURCE", .get = get_source,
	  .help = "who counts: server or kernel" },
	{ .key = "reads", .type = UB_FIELD_NUMBER, .column = "READS", .get = get_reads,
	  .help = "reads" },
	{ .key = "writes", .type = UB_FIELD_NUMBER, .column = "WRITES", .get = get_writes,
	  .help = "writes" },
	{ .key = "read", .type = UB_FIELD_SIZE, .column = "READ", .get = get_read,
	  .help = "bytes that were read" },
	{ .key = "written", .type = UB_FIELD_SIZE, .column = "WRITTEN", .get = get_written,
	  .help = "bytes that were written" },
	{ .key = "flushes", .type = UB_FIELD_NUMBER, .column = "FLUSHES", .get = get_flushes,
	  .help = "flushes" },
	{ .key = "discards", .type = UB_FIELD_NUMBER, .column = "DISCARDS", .get = get_discards,
	  .help = "discards" },
	{ .key = "discarded", .type = UB_FIELD_SIZE, .column = "DISCARDED", .get = get_discarded,
	  .help = "bytes that were discarded" },
	{ .key = "zeroes", .type = UB_FIELD_NUMBER, .column = "ZEROES", .get = get_zeroes,
	  .help = "writes of zeroes" },
	{ .key = "zeroed", .type = UB_FIELD_SIZE, .column = "ZEROED", .get = get_zeroed,
	  .help = "bytes that were written as zeroes" },
	{ .key = "errors", .type = UB_FIELD_NUMBER, .column = "ERRORS", .get = get_errors,
	  .help = "requests that failed" },
	{ .key = "in_flight", .type = UB_FIELD_NUMBER, .column = "INFLIGHT", .get = get_in_flight,
	  .help = "requests that are under way now" },
	TIMES(r, "R", "read", "reads"),
	TIMES(w, "W", "write", "writes"),
	TIMES(o, "O", "other", "flushes, discards and writes of zeroes"),
	UB_FIELD_END,
};

static const struct ub_field op_fields[] = {
	{ .key = "ios", .type = UB_FIELD_NUMBER, .get = get_op_ios },
	{ .key = "bytes", .type = UB_FIELD_SIZE, .get = get_op_bytes },
	{ .key = "errors", .type = UB_FIELD_NUMBER, .get = get_op_errors },
	{ .key = "longest_ns", .type = UB_FIELD_TIME, .get = get_op_longest },
	UB_FIELD_END,
};

static const struct ub_field times_fields[] = {
	{ .key = "ios", .type = UB_FIELD_NUMBER, .get = get_times_count },
	{ .key = "p50_ns", .type = UB_FIELD_TIME, .get = get_p50 },
	{ .key = "p90_ns", .type = UB_FIELD_TIME, .get = get_p90 },
	{ .key = "p99_ns", .type = UB_FIELD_TIME, .get = get_p99 },
	{ .key = "p999_ns", .type = UB_FIELD_TIME, .get = get_p999 },
	UB_FIELD_END,
};

#define OP(name, kind) \
	{ .key = name, .type = UB_FIELD_OBJECT, .fields = op_fields, UB_WITHIN(struct ub_dev_sum, op[kind]) }
#define TIMES_OF(name, kind) \
	{ .key = name, .type = UB_FIELD_OBJECT, .fields = times_fields, \
	  UB_WITHIN(struct ub_dev_sum, times[kind]) }

static const struct ub_field sum_fields[] = {
	{ .key = "in_flight", .type = UB_FIELD_NUMBER, .get = get_sum_in_flight },
	OP("read", UB_STATS_READ),
	OP("write", UB_STATS_WRITE),
	OP("flush", UB_STATS_FLUSH),
	OP("discard", UB_STATS_DISCARD),
	OP("write_zeroes", UB_STATS_WRITE_ZEROES),
	TIMES_OF("read_times", UB_TIMES_READ),
	TIMES_OF("write_times", UB_TIMES_WRITE),
	TIMES_OF("other_times", UB_TIMES_OTHER),
	UB_FIELD_END,
};

static const struct ub_field part_fields[] = {
	{ .key = "queue", .type = UB_FIELD_NUMBER, UB_AT(struct ub_dev_part, queue) },
	{ .key = "thread", .type = UB_FIELD_NUMBER, UB_AT(struct ub_dev_part, thread) },
	{ .key = "sum", .type = UB_FIELD_INCLUDE, .fields = sum_fields, UB_WITHIN(struct ub_dev_part, sum) },
	UB_FIELD_END,
};

const struct ub_field ub_stat_fields[] = {
	{ .key = "id", .type = UB_FIELD_NUMBER, AT(id) },
	{ .key = "name", .type = UB_FIELD_STRING, AT(name) },
	{ .key = "source", .type = UB_FIELD_STRING, .get = get_source },
	{ .key = "since", .type = UB_FIELD_NUMBER, AT(since), .positive = true },
	{ .key = "interval_ms", .type = UB_FIELD_NUMBER, AT(interval_ms), .positive = true },
	{ .key = "sum", .type = UB_FIELD_INCLUDE, .fields = sum_fields, UB_WITHIN(struct ub_stat, sum) },
	{ .key = "threads", .type = UB_FIELD_LIST, .fields = part_fields,
	  UB_LIST_AT(struct ub_stat, parts, count) },
	UB_FIELD_END,
};
/* clang-format on */
