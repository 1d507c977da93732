/* SPDX-License-Identifier: MIT */
/* ublk features: what the running driver can do, and what of it we use. */
#include <errno.h>

#include "base/clean.h"
#include "commands.h"
#include "kernel/ctrl.h"
#include "kernel/features.h"
#include "table.h"

#define SCHEMA "ublk.features/1"
#define BITS 64

struct row {
	unsigned bit;
	bool present;
	const struct ub_feature *known; /* NULL: newer than this program */
};

static const struct row *row_of(const void *object)
{
	return object;
}

static void get_name(const void *object, struct ub_value *value)
{
	if (!row_of(object)->known)
		(void)snprintf(value->buf, sizeof(value->buf), "bit_%u", row_of(object)->bit);
	ub_value_text(value, row_of(object)->known ? row_of(object)->known->name : value->buf);
}

static void get_since(const void *object, struct ub_value *value)
{
	if (row_of(object)->known)
		ub_value_text(value, row_of(object)->known->since);
}

static void get_used(const void *object, struct ub_value *value)
{
	ub_value_number(value, row_of(object)->known && row_of(object)->known->used);
}

static void get_summary(const void *object, struct ub_value *value)
{
	if (row_of(object)->known)
		ub_value_text(value, row_of(object)->known->summary);
}

/* clang-format off */
static const struct ub_field fields[] = {
	{ .key = "name", .type = UB_FIELD_STRING, .column = "NAME", .get = get_name,
	  .help = "name of the feature" },
	{ .key = "bit", .type = UB_FIELD_NUMBER, .column = "BIT", UB_AT(struct row, bit),
	  .help = "its bit among the flags" },
	{ .key = "present", .type = UB_FIELD_BOOL, .column = "PRESENT", UB_AT(struct row, present),
	  .help = "the running driver has it" },
	{ .key = "since", .type = UB_FIELD_STRING, .column = "SINCE", .get = get_since,
	  .help = "Linux version that brought it" },
	{ .key = "used", .type = UB_FIELD_BOOL, .column = "USED", .get = get_used,
	  .help = "this program makes use of it" },
	{ .key = "summary", .type = UB_FIELD_STRING, .column = "SUMMARY", .get = get_summary,
	  .help = "what it is" },
	UB_FIELD_END,
};
/* clang-format on */

static void get_raw(const void *object, struct ub_value *value)
{
	(void)snprintf(value->buf, sizeof(value->buf), "0x%llx",
		       (unsigned long long)*(const uint64_t *)object);
	ub_value_text(value, value->buf);
}

static const struct ub_field raw_field[] = {
	{.key = "features_raw", .type = UB_FIELD_STRING, .get = get_raw},
	UB_FIELD_END,
};

struct features_args {
	char *columns;
};

/* clang-format off */
static const struct ub_opt options[] = {
	{ .name = "columns", .letter = 'o', .type = UB_OPT_STRING,
	  .offset = offsetof(struct features_args, columns), .metavar = "COL,...",
	  .conflicts = "json", .completer = "column",
	  .help = "columns to print; with + before them: besides the usual ones" },
	UB_OPT_END,
};
/* clang-format on */

/* All that are known, and what else the driver says to have, by their bits. */
static size_t fill_rows(uint64_t features, struct row rows[static BITS])
{
	size_t count = 0;

	for (unsigned bit = 0; bit < BITS; bit++) {
		struct row row = {.bit = bit, .present = features >> bit & 1};

		for (const struct ub_feature *f = ub_features; f->name; f++) {
			if (f->bit == 1ULL << bit)
				row.known = f;
		}
		if (row.known || row.present)
			rows[count++] = row;
	}
	return count;
}

static int print(struct ub_call *call, const struct ub_columns *columns, uint64_t features)
{
	struct ub_out *out = &call->out;
	struct row rows[BITS];
	size_t count = fill_rows(features, rows);
	int ret;

	if (!out->json)
		return ub_table_print(out->file, columns, rows, count, sizeof(rows[0]),
				      out->colour);
	ret = ub_out_begin(out, SCHEMA, "features");
	if (ret < 0)
		return ret;
	for (size_t i = 0; i < count; i++)
		ub_doc_add(out->doc, fields, &rows[i]);
	ub_doc_set(out->doc, raw_field, &features);
	return 0;
}

static enum ub_exit run(struct ub_call *call)
{
	const struct features_args *args = call->args;
	_cleanup_(ub_ctrl_closep)
	struct ub_ctrl *ctrl = NULL;
	struct ub_columns columns;
	struct ub_error err = {0};
	int ret;

	ret = ub_columns_choose(fields, "NAME,PRESENT,SINCE,USED,SUMMARY", args->columns, &columns,
				&err);
	if (ret == 0)
		ret = ub_ctrl_open(&ctrl, &err);
	if (ret == 0) {
		ret = print(call, &columns, ub_ctrl_features(ctrl));
		if (ret < 0)
			(void)ub_fail(&err, UB_STAGE_OUTPUT, ret, "cannot print the features");
	}
	return ret < 0 ? ub_call_fail(call, &err) : UB_EXIT_DONE;
}

const struct ub_command ub_cmd_features = {
	.name = "features",
	.summary = "tell what the running driver can do",
	.synopsis = "[OPTIONS]",
	.about = "Tell what the running ublk driver can do, the Linux version that brought each\n"
		 "feature, and whether this program uses it.\n",
	.options = options,
	.fields = fields,
	.args_size = sizeof(struct features_args),
	.json = true,
	.run = run,
};
