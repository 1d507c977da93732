/* SPDX-License-Identifier: MIT */
/* ublk list: every device on the machine, ours or not. */
#include <errno.h>

#include "base/clean.h"
#include "commands.h"
#include "device_fields.h"
#include "list_watch.h"
#include "selection.h"
#include "table.h"
#include "targets.h"
#include "value.h"

static const char usual_columns[] = "ID,NAME,STATE,SIZE,TARGET,BACKING,QUEUES,DEPTH,PID";

struct list_args {
	char *columns, *states, *target, *sort;
	bool managed, no_header, watch;
};

#define AT(field) .offset = offsetof(struct list_args, field)

/* clang-format off */
static const struct ub_opt options[] = {
	{ .name = "columns", .letter = 'o', .type = UB_OPT_STRING, AT(columns), .metavar = "COL,...",
	  .conflicts = "json", .completer = "column",
	  .help = "columns to print; with + before them: besides the usual ones" },
	{ .name = "state", .type = UB_OPT_STRING, AT(states),
	  .choices = ub_state_names,
	  .help = "only devices in this state, or in one of several: with commas between" },
	{ .name = "target", .type = UB_OPT_STRING, AT(target), .metavar = "TYPE",
	  .completer = "target", .help = "only devices of this target" },
	{ .name = "managed", .type = UB_OPT_FLAG, AT(managed),
	  .help = "only devices of ours, none of other programs" },
	{ .name = "sort", .type = UB_OPT_STRING, AT(sort), .metavar = "COL,...",
	  .completer = "column",
	  .help = "order by these columns; with - before one: the other way round" },
	{ .name = "no-header", .type = UB_OPT_FLAG, AT(no_header), .conflicts = "json",
	  .help = "print no heads of columns" },
	{ .name = "watch", .letter = 'w', .type = UB_OPT_FLAG, AT(watch),
	  .help = "print it again whenever it has changed, until it is interrupted" },
	UB_OPT_END,
};
/* clang-format on */

static int print(struct ub_call *call, const struct ub_columns *columns,
		 const struct ub_selected *devices)
{
	struct ub_out *out = &call->out;
	int ret;

	if (!out->json)
		return ub_table_print(out->file, columns, devices->list, devices->count,
				      sizeof(*devices->list), out->colour);
	ret = ub_out_begin(out, UB_DEVICES_SCHEMA, "devices");
	for (size_t i = 0; i < devices->count && ret == 0; i++)
		ub_doc_add(out->doc, ub_device_fields, &devices->list[i]);
	return ret;
}

static int choose(const struct ub_call *call, struct ub_columns *columns,
		  struct ub_selection *selection, struct ub_error *err)
{
	const struct list_args *args = call->args;
	int ret = ub_columns_choose(ub_device_fields, usual_columns, args->columns, columns, err);

	if (!ret)
		ret = ub_sort_choose(ub_device_fields, args->sort, &selection->sort, err);
	if (!ret && args->target) {
		selection->target = ub_target_choose(args->target, err);
		ret = selection->target ? 0 : -EINVAL;
	}
	columns->no_head = args->no_header;
	selection->states = ub_opt_listed(ub_state_names, args->states);
	selection->managed = args->managed;
	/* What is printed as JSON is measured anyhow, but of lines that are watched only those that
	 * have changed. */
	selection->measured = (call->out.json && !args->watch) || ub_columns_measured(columns) ||
			      ub_sort_measured(&selection->sort);
	return ret;
}

static enum ub_exit list_once(struct ub_call *call, struct ub_ctrl *ctrl,
			      const struct ub_selection *selection,
			      const struct ub_columns *columns)
{
	_cleanup_(ub_selected_done)
	struct ub_selected devices = {0};
	struct ub_error err = {0};
	int ret = ub_selection_read(selection, ctrl, &devices, &err);

	if (ret < 0)
		return ub_call_fail(call, &err);
	ret = print(call, columns, &devices);
	if (ret == 0)
		return UB_EXIT_DONE;
	(void)ub_fail(&err, UB_STAGE_OUTPUT, ret, "cannot print the list");
	return ub_call_fail(call, &err);
}

static enum ub_exit run(struct ub_call *call)
{
	const struct list_args *args = call->args;
	_cleanup_(ub_ctrl_closep)
	struct ub_ctrl *ctrl = NULL;
	struct ub_selection selection = {0};
	struct ub_columns columns;
	struct ub_error err = {0};

	if (args->watch && call->out.json && !call->out.line_schema)
		return ub_call_usage(call, "--watch with JSON prints lines: --json=lines");
	if (choose(call, &columns, &selection, &err) < 0 || ub_ctrl_open(&ctrl, &err) < 0)
		return ub_call_fail(call, &err);
	return args->watch ? ub_list_watch(call, ctrl, &selection, &columns)
			   : list_once(call, ctrl, &selection, &columns);
}

const struct ub_command ub_cmd_list = {
	.name = "list",
	.summary = "list all devices, ours or not",
	.synopsis = "[OPTIONS]",
	.about = "List every ublk device of the machine, also those of other programs.\n",
	.options = options,
	.fields = ub_device_fields,
	.args_size = sizeof(struct list_args),
	.json = true,
	.line_schema = UB_DEVICE_SCHEMA,
	.run = run,
};
