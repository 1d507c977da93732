/* SPDX-License-Identifier: MIT */
/* ublk add: makes a device, starts its server, prints its path. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "adding.h"
#include "adopt.h"
#include "base/clean.h"
#include "commands.h"
#include "device/driver.h"
#include "device/launch.h"
#include "device_fields.h"
#include "kernel/ctrl.h"
#include "dry_run.h"
#include "kernel/node.h"
#include "prepare.h"

struct add_args {
	struct ub_adding adding;
	bool dry_run;
};

#define SPEC(field) .offset = offsetof(struct add_args, adding.record.spec.field)

/* clang-format off */
static const struct ub_opt options[] = {
	UB_OPT_TYPE(struct add_args),
	{ .name = "dry-run", .type = UB_OPT_FLAG, .offset = offsetof(struct add_args, dry_run),
	  .help = "print what it would have in memory, and make nothing" },
	{ .name = "foreground", .type = UB_OPT_FLAG, SPEC(foreground),
	  .conflicts = "no-wait", .help = "become the server instead of starting one" },
	{ .name = "adopt", .type = UB_OPT_FLAG, SPEC(adopt),
	  .help = "with --foreground: take over such a device whose server died" },
	UB_OPT_END,
};
/* clang-format on */

/* Prints the result and sees that it arrives. Return: the exit status, an error told. */
static enum ub_exit print(struct ub_call *call, uint32_t id)
{
	_cleanup_(ub_ctrl_closep)
	struct ub_ctrl *ctrl = NULL;
	_cleanup_(ub_dev_done)
	struct ub_dev dev = {0};
	struct ub_error err = {0};
	char path[32];
	int ret = 0;

	if (!call->out.json) {
		(void)fprintf(call->out.file, "%s\n", ub_dev_block_path(id, path));
		return ub_out_finish(&call->out);
	}
	if (ub_out_begin(&call->out, UB_DEVICES_SCHEMA, "devices") < 0)
		ret = ub_fail(&err, UB_STAGE_OUTPUT, -ENOMEM, "cannot print the device");
	if (ret == 0)
		ret = ub_ctrl_open(&ctrl, &err);
	if (ret == 0)
		ret = ub_dev_get(ctrl, id, &dev, &err);
	if (ret < 0)
		return ub_call_fail(call, &err);
	ub_dev_measure(&dev);
	ub_doc_add(call->out.doc, ub_device_fields, &dev);
	return ub_out_finish(&call->out);
}

static void swap(char **a, char **b)
{
	char *was = *a;

	*a = *b;
	*b = was;
}

/* What is of this call goes with the device that is there. */
static struct ub_record *take_over(struct ub_spec *spec, struct ub_dev *left)
{
	struct ub_spec *kept = &left->record.spec;

	kept->foreground = spec->foreground;
	kept->restart = spec->restart;
	kept->log_level = spec->log_level;
	kept->timeout_s = spec->timeout_s;
	swap(&kept->log_file, &spec->log_file);
	swap(&kept->config, &spec->config);
	return &left->record;
}

static enum ub_exit launch(struct ub_call *call)
{
	struct add_args *args = call->args;
	_cleanup_(ub_dev_done)
	struct ub_dev left = {0};
	struct ub_record *record = &args->adding.record;
	struct ub_launch *launched = NULL;
	struct ub_notes notes = {0};
	struct ub_error err = {0};
	enum ub_exit status;
	uint32_t id;
	int ret = record->spec.adopt ? ub_adopt_find(&record->spec, &left, &err) : 0;

	if (ret > 0)
		record = take_over(&args->adding.record.spec, &left);
	if (ret >= 0)
		ret = ub_launch(ret ? UB_LAUNCH_RECOVER : UB_LAUNCH_ADD, record, -1,
				args->adding.interrupt.fd, &launched, &id, &notes, &err);
	/* The signal is the answer; it kills when it is let go. */
	if (ret == -EINTR && ub_interrupt_is_there(&args->adding.interrupt))
		return UB_EXIT_FAILED;
	if (ret < 0)
		return ub_call_fail(call, ub_driver_cause(&args->adding.no_driver, &err));
	ub_out_notes(&notes);
	if (ub_interrupt_is_there(&args->adding.interrupt)) {
		ub_launch_abort(launched);
		return UB_EXIT_FAILED;
	}
	status = print(call, id);
	if (status) {
		ub_launch_abort(launched);
		return status;
	}
	return ub_launch_commit(launched, NULL, &err) < 0 ? ub_call_fail(call, &err) : UB_EXIT_DONE;
}

static enum ub_exit run(struct ub_call *call)
{
	struct add_args *args = call->args;
	struct ub_error err = {0};
	enum ub_exit status;
	int ret;

	if (args->dry_run && call->out.line_schema)
		return ub_call_usage(call, "--dry-run prints one document: leave out '=lines'");
	ret = ub_prepare(&args->adding.record.spec, &err);
	if (ret == 0 && args->dry_run)
		return ub_dry_run(call, &args->adding.record);
	if (ret == 0)
		ret = ub_adding_prepare(&args->adding, &err);
	if (ret < 0)
		return ub_call_fail(call, &err);
	ret = ub_interrupt_open(&args->adding.interrupt);
	if (ret < 0) {
		(void)ub_fail(&err, UB_STAGE_NONE, ret, "cannot watch for signals");
		return ub_call_fail(call, &err);
	}
	status = launch(call);
	ub_interrupt_close(&args->adding.interrupt);
	return status;
}

const struct ub_command ub_cmd_add = {
	.name = "add",
	.summary = "make a device and start its server",
	.synopsis = "-t TYPE|--config FILE [OPTIONS] [OPTIONS OF THE TARGET]",
	.about =
		"Make a device, start the process that serves it, and print its path.\n"
		"What it is is told by options, or by a configuration file: lines of KEY = VALUE,\n"
		"where the keys are the long options without dashes.\n",
	.options = options,
	.args_size = sizeof(struct add_args),
	.json = true,
	.line_schema = UB_DEVICE_SCHEMA,
	.defaults = ub_adding_defaults,
	.done = ub_adding_done,
	.more = ub_adding_more,
	.run = run,
};
