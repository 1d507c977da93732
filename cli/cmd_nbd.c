/* SPDX-License-Identifier: MIT */
/* ublk nbd: what NBD servers have. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/clean.h"
#include "base/clock.h"
#include "commands.h"
#include "nbd/client.h"
#include "nbd/secure.h"
#include "table.h"

#define SCHEMA "ublk.exports/1"
#define LINE_SCHEMA "ublk.export/1"

struct nbd_args {
	char *columns;
	bool no_header;
	uint32_t timeout_s;
	struct ub_nbd_secure_args secure;
};

struct row {
	char *name, *description;
	struct ub_nbd_export export;
};

struct rows {
	struct row *list;
	size_t count;
};

static void rows_done(struct rows *rows)
{
	for (size_t i = 0; i < rows->count; i++) {
		free(rows->list[i].name);
		free(rows->list[i].description);
	}
	free(rows->list);
}

#define GETTER(name) static void get_##name(const void *object, struct ub_value *value)

/* Of one that cannot be asked nothing is known. */
static bool is_known(const void *object)
{
	return ((const struct row *)object)->export.block_max != 0;
}

static void get_flag(const void *object, struct ub_value *value, uint16_t flag)
{
	ub_value_number(value, (((const struct row *)object)->export.flags & flag) != 0);
}

GETTER(read_only)
{
	get_flag(object, value, NBD_EXPORT_READ_ONLY);
}

GETTER(flush)
{
	get_flag(object, value, NBD_EXPORT_FLUSH);
}

GETTER(fua)
{
	get_flag(object, value, NBD_EXPORT_FUA);
}

GETTER(trim)
{
	get_flag(object, value, NBD_EXPORT_TRIM);
}

GETTER(write_zeroes)
{
	get_flag(object, value, NBD_EXPORT_WRITE_ZEROES);
}

GETTER(multi_conn)
{
	get_flag(object, value, NBD_EXPORT_MULTI_CONN);
}

GETTER(description)
{
	const char *text = ((const struct row *)object)->description;

	ub_value_text(value, *text ? text : NULL);
}

#define ROW(member) UB_AT(struct row, member)

/* clang-format off */
static const struct ub_field fields[] = {
	{ .key = "name", .type = UB_FIELD_STRING, .column = "NAME", ROW(name),
	  .help = "what it is asked for by; the server's default may have none" },
	{ .key = "size", .type = UB_FIELD_SIZE, .column = "SIZE", ROW(export.size), .when = is_known,
	  .help = "of the device that it would be" },
	{ .key = "read_only", .type = UB_FIELD_BOOL, .column = "READ_ONLY", .get = get_read_only, .when = is_known,
	  .help = "whether nothing can be written to it" },
	{ .key = "flush", .type = UB_FIELD_BOOL, .column = "FLUSH", .get = get_flush, .when = is_known,
	  .help = "whether the server has a cache that can be flushed" },
	{ .key = "fua", .type = UB_FIELD_BOOL, .column = "FUA", .get = get_fua, .when = is_known,
	  .help = "whether a single write can be made durable" },
	{ .key = "trim", .type = UB_FIELD_BOOL, .column = "TRIM", .get = get_trim, .when = is_known,
	  .help = "whether it can be discarded" },
	{ .key = "write_zeroes", .type = UB_FIELD_BOOL, .column = "ZEROES", .get = get_write_zeroes, .when = is_known,
	  .help = "whether zeroes need not be sent" },
	{ .key = "multi_conn", .type = UB_FIELD_BOOL, .column = "MULTI_CONN", .get = get_multi_conn, .when = is_known,
	  .help = "whether several connections see the same" },
	{ .key = "block_min", .type = UB_FIELD_SIZE, .column = "MIN", ROW(export.block_min), .when = is_known,
	  .help = "smallest block" },
	{ .key = "block_preferred", .type = UB_FIELD_SIZE, .column = "PREFERRED", ROW(export.block_preferred),
	  .when = is_known, .help = "block that is no burden" },
	{ .key = "block_max", .type = UB_FIELD_SIZE, .column = "MAX", ROW(export.block_max), .when = is_known,
	  .help = "largest request" },
	{ .key = "description", .type = UB_FIELD_STRING, .column = "DESCRIPTION", .get = get_description,
	  .help = "what the server says of it" },
	UB_FIELD_END,
};

#define AT(field) .offset = offsetof(struct nbd_args, field)

static const struct ub_opt options[] = {
	{ .name = "columns", .letter = 'o', .type = UB_OPT_STRING, AT(columns), .metavar = "COL,...",
	  .conflicts = "json", .completer = "column",
	  .help = "columns to print; with + before them: besides the usual ones" },
	{ .name = "no-header", .type = UB_OPT_FLAG, AT(no_header), .conflicts = "json",
	  .help = "print no heads of columns" },
	{ .name = "timeout", .type = UB_OPT_U32, AT(timeout_s), .metavar = "SEC", .min = 1, .max = 86400,
	  .help = "wait so long for the server (default: 15)" },
	UB_NBD_SECURE_OPTIONS(struct nbd_args, secure),
	UB_OPT_END,
};
/* clang-format on */

static const char usual_columns[] = "NAME,SIZE,READ_ONLY,DESCRIPTION";

static int add(void *arg, const char *name, const char *description,
	       const struct ub_nbd_export *export)
{
	struct rows *rows = arg;
	struct row *list = realloc(rows->list, (rows->count + 1) * sizeof(*list));

	if (!list)
		return -ENOMEM;
	rows->list = list;
	list[rows->count] = (struct row){strdup(name), strdup(description), *export};
	rows->count++;
	return list[rows->count - 1].name && list[rows->count - 1].description ? 0 : -ENOMEM;
}

static int find_over(const struct ub_nbd_address *address, const struct ub_nbd_secure_args *secure,
		     const struct ub_patience *patience, struct rows *rows, struct ub_error *err)
{
	struct ub_tls_options wanted;
	struct ub_tls *tls = NULL;
	int ret = ub_nbd_secure(address, secure, &wanted, err);

	if (ret > 0)
		ret = ub_tls_start(&wanted, patience, &tls, err);
	if (!ret)
		ret = ub_nbd_list(address, tls, patience, add, rows, err);
	ub_tls_end(tls);
	return ret;
}

static int find(const char *uri, const struct nbd_args *args, struct rows *rows,
		struct ub_error *err)
{
	const struct ub_patience patience = {.deadline_ms = ub_now_ms() + args->timeout_s * 1000LL};
	struct ub_nbd_address address;
	int ret = ub_nbd_parse_uri(uri, &address, err);

	if (ret)
		return ret;
	ret = find_over(&address, &args->secure, &patience, rows, err);
	ub_nbd_address_done(&address);
	if (ret == -ENOMEM && !err->code)
		(void)ub_fail(err, UB_STAGE_MEMORY, ret, "cannot list its exports");
	return ret;
}

static int print(struct ub_call *call, const struct ub_columns *columns, const struct rows *rows)
{
	struct ub_out *out = &call->out;
	int ret;

	if (!out->json)
		return ub_table_print(out->file, columns, rows->list, rows->count,
				      sizeof(*rows->list), out->colour);
	ret = ub_out_begin(out, SCHEMA, "exports");
	for (size_t i = 0; i < rows->count && ret == 0; i++)
		ub_doc_add(out->doc, fields, &rows->list[i]);
	return ret;
}

static enum ub_exit run(struct ub_call *call)
{
	const struct nbd_args *args = call->args;
	_cleanup_(rows_done)
	struct rows rows = {0};
	struct ub_columns columns;
	struct ub_error err = {0};
	int ret;

	if (!call->operands[0] || strcmp(call->operands[0], "list") != 0)
		return ub_call_usage(call, "what is to be done? list");
	if (call->nr_operands < 2)
		return ub_call_usage(call, "no URI is named");
	if (ub_columns_choose(fields, usual_columns, args->columns, &columns, &err) < 0)
		return ub_call_fail(call, &err);
	columns.no_head = args->no_header;
	if (find(call->operands[1], args, &rows, &err) != 0)
		return ub_call_fail(call, &err);
	ret = print(call, &columns, &rows);
	if (ret == 0)
		return UB_EXIT_DONE;
	(void)ub_fail(&err, UB_STAGE_OUTPUT, ret, "cannot print the list");
	return ub_call_fail(call, &err);
}

static void defaults(void *args)
{
	((struct nbd_args *)args)->timeout_s = 15;
}

const struct ub_command ub_cmd_nbd = {
	.name = "nbd",
	.summary = "list the exports of an NBD server",
	.synopsis = "[OPTIONS] list URI",
	.about = "List what an NBD server lists: each export can be served with `ublk add -t nbd`. "
		 "Its\n"
		 "name in the URI does not matter.\n",
	.options = options,
	.fields = fields,
	.args_size = sizeof(struct nbd_args),
	.max_operands = 2,
	.completer = "nbd",
	.json = true,
	.line_schema = LINE_SCHEMA,
	.defaults = defaults,
	.run = run,
};
