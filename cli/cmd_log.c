/* SPDX-License-Identifier: MIT */
/* ublk log: the I/Os that a device's layer `log` has noted in a file. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/clean.h"
#include "commands.h"
#include "layer/io_log.h"
#include "memory/desc.h"
#include "table.h"
#include "text.h"

#define SCHEMA "ublk.log/1"
#define LINE_SCHEMA "ublk.io/1"

struct log_args {
	char *columns;
	uint32_t last;
	bool no_header;
};

#define GETTER(name) static void get_##name(const void *object, struct ub_value *value)

static const struct ub_io_log_record *record_of(const void *object)
{
	return object;
}

GETTER(time)
{
	ub_format_moment(record_of(object)->began_ns / 1000, value->buf, sizeof(value->buf));
	ub_value_text(value, value->buf);
}

GETTER(time_us)
{
	ub_value_number(value, record_of(object)->began_ns / 1000);
}

GETTER(op)
{
	ub_value_text(value, ub_desc_op_name(record_of(object)->op));
}

/* A flush is of everything. */
GETTER(offset)
{
	if (record_of(object)->len)
		ub_value_number(value, record_of(object)->offset);
}

GETTER(took)
{
	ub_value_number(value, record_of(object)->took_us * 1000ULL);
}

GETTER(error)
{
	int error = record_of(object)->error;

	ub_value_text(value, error ? strerrorname_np(-error) : NULL);
}

GETTER(fua)
{
	ub_value_number(value, record_of(object)->fua);
}

#define RECORD(member) UB_AT(struct ub_io_log_record, member)

/* clang-format off */
static const struct ub_field fields[] = {
	{ .key = "time", .type = UB_FIELD_STRING, .column = "TIME", .get = get_time,
	  .help = "when it came (UTC)" },
	{ .key = "time_us", .type = UB_FIELD_NUMBER, .get = get_time_us },
	{ .key = "operation", .type = UB_FIELD_STRING, .column = "OP", .get = get_op,
	  .help = "read, write, flush, discard or write-zeroes" },
	{ .key = "offset", .type = UB_FIELD_NUMBER, .column = "OFFSET", .get = get_offset,
	  .help = "byte of the device that it begins at" },
	{ .key = "bytes", .type = UB_FIELD_NUMBER, .column = "BYTES", RECORD(len),
	  .help = "how many" },
	{ .key = "took_ns", .type = UB_FIELD_TIME, .column = "TOOK", .get = get_took,
	  .help = "how long it was below the layer" },
	{ .key = "fua", .type = UB_FIELD_BOOL, .column = "FUA", .get = get_fua,
	  .help = "whether it was to be durable at its end" },
	{ .key = "error", .type = UB_FIELD_STRING, .column = "ERROR", .get = get_error,
	  .help = "what it failed with" },
	{ .key = "queue", .type = UB_FIELD_NUMBER, .column = "QUEUE", RECORD(queue),
	  .help = "queue that it came in" },
	{ .key = "tag", .type = UB_FIELD_NUMBER, .column = "TAG", RECORD(tag),
	  .help = "its number in that" },
	UB_FIELD_END,
};

#define AT(field) .offset = offsetof(struct log_args, field)

static const struct ub_opt options[] = {
	{ .name = "columns", .letter = 'o', .type = UB_OPT_STRING, AT(columns), .metavar = "COL,...",
	  .conflicts = "json", .completer = "column",
	  .help = "columns to print; with + before them: besides the usual ones" },
	{ .name = "last", .type = UB_OPT_U32, AT(last), .metavar = "N", .min = 1,
	  .help = "only so many, the newest (default: all)" },
	{ .name = "no-header", .type = UB_OPT_FLAG, AT(no_header), .conflicts = "json",
	  .help = "print no heads of columns" },
	UB_OPT_END,
};
/* clang-format on */

static const char usual_columns[] = "TIME,OP,OFFSET,BYTES,TOOK,ERROR";

static int print(struct ub_call *call, const struct ub_columns *columns,
		 const struct ub_io_log_record *records, size_t count)
{
	struct ub_out *out = &call->out;
	int ret;

	if (!out->json)
		return ub_table_print(out->file, columns, records, count, sizeof(*records),
				      out->colour);
	ret = ub_out_begin(out, SCHEMA, "ios");
	for (size_t i = 0; i < count && ret == 0; i++)
		ub_doc_add(out->doc, fields, &records[i]);
	return ret;
}

static enum ub_exit run(struct ub_call *call)
{
	const struct log_args *args = call->args;
	_cleanup_free_ struct ub_io_log_record *records = NULL;
	struct ub_columns columns;
	struct ub_error err = {0};
	uint64_t left_out = 0, from = 0;
	int64_t count;
	int ret;

	if (!call->operands[0])
		return ub_call_usage(call, "no file is named");
	if (ub_columns_choose(fields, usual_columns, args->columns, &columns, &err) < 0)
		return ub_call_fail(call, &err);
	columns.no_head = args->no_header;
	count = ub_io_log_read(call->operands[0], &records, &left_out, &err);
	if (count < 0)
		return ub_call_fail(call, &err);
	if (left_out)
		ub_out_note(
			"%llu requests were not noted, since the file was too slow or could not be "
			"written",
			(unsigned long long)left_out);
	if (args->last && (uint64_t)count > args->last)
		from = (uint64_t)count - args->last;
	ret = print(call, &columns, records + from, (size_t)count - from);
	if (ret == 0)
		return UB_EXIT_DONE;
	(void)ub_fail(&err, UB_STAGE_OUTPUT, ret, "cannot print the log");
	return ub_call_fail(call, &err);
}

const struct ub_command ub_cmd_log = {
	.name = "log",
	.summary = "print the I/Os that a device's layer log has noted",
	.synopsis = "[OPTIONS] FILE",
	.about =
		"Print what a device that was added with --layer log,file=FILE has noted there, in "
		"the\n"
		"order in which the I/Os came. The device may be served meanwhile, or be gone.\n",
	.options = options,
	.fields = fields,
	.args_size = sizeof(struct log_args),
	.max_operands = 1,
	.completer = "file",
	.json = true,
	.line_schema = LINE_SCHEMA,
	.run = run,
};
