/* SPDX-License-Identifier: MIT */
/* ublk list: every device on the machine, ours or not. */
#include "base/clean.h"
#include "commands.h"
#include "device_fields.h"
#include "table.h"

static const char usual_columns[] = "ID,NAME,STATE,SIZE,TARGET,BACKING,QUEUES,DEPTH,PID";

struct list_args {
	char *columns;
};

/* clang-format off */
static const struct ub_opt options[] = {
	{ .name = "columns", .letter = 'o', .type = UB_OPT_STRING,
	  .offset = offsetof(struct list_args, columns), .metavar = "COL,...",
	  .conflicts = "json", .completer = "column",
	  .help = "columns to print; with + before them: besides the usual ones" },
	UB_OPT_END,
};
/* clang-format on */

struct devices {
	struct ub_dev *list;
	size_t count;
};

static void free_devices(struct devices *devices)
{
	ub_dev_list_free(devices->list, devices->count);
}

static int print(struct ub_call *call, const struct ub_columns *columns,
		 const struct devices *devices)
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

static enum ub_exit run(struct ub_call *call)
{
	const struct list_args *args = call->args;
	_cleanup_(ub_ctrl_closep)
	struct ub_ctrl *ctrl = NULL;
	_cleanup_(free_devices)
	struct devices devices = {0};
	struct ub_columns columns;
	struct ub_error err = {0};
	int ret;

	ret = ub_columns_choose(ub_device_fields, usual_columns, args->columns, &columns, &err);
	if (ret == 0)
		ret = ub_ctrl_open(&ctrl, &err);
	if (ret == 0)
		ret = ub_dev_list(ctrl, &devices.list, &devices.count, &err);
	for (size_t i = 0; i < devices.count && (call->out.json || ub_columns_measured(&columns));
	     i++)
		ub_dev_measure(&devices.list[i]);
	if (ret == 0) {
		ret = print(call, &columns, &devices);
		if (ret < 0)
			(void)ub_fail(&err, UB_STAGE_OUTPUT, ret, "cannot print the list");
	}
	return ret < 0 ? ub_call_fail(call, &err) : UB_EXIT_DONE;
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
	.run = run,
};
