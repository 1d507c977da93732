/* SPDX-License-Identifier: MIT */
/* ublk add: makes a device, starts its server, prints its path. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "adopt.h"
#include "base/clean.h"
#include "commands.h"
#include "device/launch.h"
#include "device_fields.h"
#include "interrupt.h"
#include "kernel/ctrl.h"
#include "dry_run.h"
#include "kernel/node.h"
#include "spec/check.h"
#include "target/path.h"
#include "text.h"

#define TARGETS_MAX (UB_OPTSETS_MAX - 4)

struct add_args {
	char *type;
	bool dry_run;
	struct ub_record record; /* only its spec counts */
	struct ub_interrupt interrupt;
	struct {
		char owner[32], title[128];
	} targets[TARGETS_MAX];
};

/* clang-format off */
static const struct ub_opt options[] = {
	{ .name = "type", .letter = 't', .type = UB_OPT_STRING,
	  .offset = offsetof(struct add_args, type), .metavar = "TYPE", .required = 1,
	  .completer = "target", .help = "target: what the device serves" },
	{ .name = "dry-run", .type = UB_OPT_FLAG, .offset = offsetof(struct add_args, dry_run),
	  .help = "print what it would have in memory, and make nothing" },
	UB_OPT_END,
};
/* clang-format on */

static int choose_target(struct add_args *args, const char *name, struct ub_error *err)
{
	const struct ub_target *target = ub_target_find(name);
	struct ub_guess guess;

	if (target == args->record.spec.target && target)
		return 0;
	if (target) {
		if (ub_spec_set_target(&args->record.spec, target) == 0)
			return 0;
		return ub_fail(err, UB_STAGE_NONE, -ENOMEM, "cannot choose a target");
	}
	ub_guess_init(&guess, name);
	for (const struct ub_target *const *t = ub_targets; *t; t++)
		ub_guess_offer(&guess, (*t)->name);
	if (guess.best)
		return ub_fail_text(err, UB_STAGE_USAGE, -EINVAL,
				    "unknown target '%s': did you mean '%s'?", name, guess.best);
	return ub_fail_text(err, UB_STAGE_USAGE, -EINVAL, "unknown target '%s'", name);
}

static int add_more(void *data, const struct ub_args *typed, struct ub_optset *ret_sets,
		    struct ub_error *err)
{
	struct add_args *args = data;
	struct ub_spec *spec = &args->record.spec;
	const struct ub_arg *type = ub_args_find(typed, options);
	int count = 0, ret = type && type->value ? choose_target(args, type->value, err) : 0;

	if (ret < 0)
		return ret;
	ret_sets[count++] = (struct ub_optset){
		.title = "Options of the device", .options = ub_spec_options, .values = spec};
	for (size_t i = 0; i < TARGETS_MAX && ub_targets[i]; i++) {
		const struct ub_target *target = ub_targets[i];
		char *owner = args->targets[i].owner, *title = args->targets[i].title;

		(void)snprintf(owner, sizeof(args->targets[i].owner), "target %s", target->name);
		(void)snprintf(title, sizeof(args->targets[i].title), "Options of target %s (%s)",
			       target->name, target->summary);
		ret_sets[count++] = (struct ub_optset){
			.title = title,
			.options = target->options,
			.values = target == spec->target ? spec->target_args : NULL,
			.owner = owner,
		};
	}
	return count;
}

/* The server runs in another directory. */
static int resolve_log_file(struct ub_spec *spec, struct ub_error *err)
{
	char *path = spec->log_file ? ub_path_absolute(spec->log_file) : NULL;

	if (!spec->log_file)
		return 0;
	if (!path)
		return ub_fail(err, UB_STAGE_USAGE, -errno, "cannot find --log-file %s",
			       spec->log_file);
	free(spec->log_file);
	spec->log_file = path;
	return 0;
}

/* Where the target's path begins, and what it names by a descriptor, is this process's affair. */
static int resolve_target(struct ub_spec *spec, struct ub_error *err)
{
	struct ub_caller caller = {.fd = -1};
	int ret = spec->target->call ? spec->target->call(spec->target_args, &caller, err) : 0;

	spec->caller_fd = caller.fd;
	/* With its server the file would go: requests would wait for nothing. */
	if (caller.nameless && spec->recovery == UB_RECOVERY_DEFAULT)
		spec->recovery = UB_RECOVERY_NONE;
	return ret;
}

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

/* What is of this call goes with the device that is there. */
static struct ub_record *take_over(struct ub_spec *spec, struct ub_dev *left)
{
	struct ub_spec *kept = &left->record.spec;
	char *log_file = kept->log_file;

	kept->foreground = spec->foreground;
	kept->timeout_s = spec->timeout_s;
	kept->log_file = spec->log_file;
	spec->log_file = log_file;
	return &left->record;
}

static enum ub_exit launch(struct ub_call *call)
{
	struct add_args *args = call->args;
	_cleanup_(ub_dev_done)
	struct ub_dev left = {0};
	struct ub_record *record = &args->record;
	struct ub_launch *launched = NULL;
	struct ub_notes notes = {0};
	struct ub_error err = {0};
	enum ub_exit status;
	uint32_t id;
	int ret = record->spec.adopt ? ub_adopt_find(&record->spec, &left, &err) : 0;

	if (ret > 0)
		record = take_over(&args->record.spec, &left);
	if (ret >= 0)
		ret = ub_launch(ret ? UB_LAUNCH_RECOVER : UB_LAUNCH_ADD, record, args->interrupt.fd,
				&launched, &id, &notes, &err);
	/* The signal is the answer; it kills when it is let go. */
	if (ret == -EINTR && ub_interrupt_is_there(&args->interrupt))
		return UB_EXIT_FAILED;
	if (ret < 0)
		return ub_call_fail(call, &err);
	ub_out_notes(&notes);
	if (ub_interrupt_is_there(&args->interrupt)) {
		ub_launch_abort(launched);
		return UB_EXIT_FAILED;
	}
	status = print(call, id);
	if (status) {
		ub_launch_abort(launched);
		return status;
	}
	return ub_launch_commit(launched, &err) < 0 ? ub_call_fail(call, &err) : UB_EXIT_DONE;
}

static enum ub_exit run(struct ub_call *call)
{
	struct add_args *args = call->args;
	struct ub_spec *spec = &args->record.spec;
	struct ub_error err = {0};
	enum ub_exit status;
	int ret;

	spec->unprivileged = ub_ctrl_is_unprivileged();
	ret = resolve_target(spec, &err);
	if (ret == 0)
		ret = resolve_log_file(spec, &err);
	if (ret == 0)
		ret = ub_spec_check(spec, &err);
	if (ret == 0 && args->dry_run)
		return ub_dry_run(call, spec);
	if (ret < 0)
		return ub_call_fail(call, &err);
	ret = ub_interrupt_open(&args->interrupt);
	if (ret < 0) {
		(void)ub_fail(&err, UB_STAGE_NONE, ret, "cannot watch for signals");
		return ub_call_fail(call, &err);
	}
	status = launch(call);
	ub_interrupt_close(&args->interrupt);
	return status;
}

static void defaults(void *args)
{
	ub_spec_init(&((struct add_args *)args)->record.spec);
	((struct add_args *)args)->interrupt.fd = -1;
}

static void done(void *args)
{
	ub_record_done(&((struct add_args *)args)->record);
}

const struct ub_command ub_cmd_add = {
	.name = "add",
	.summary = "make a device and start its server",
	.synopsis = "-t TYPE [OPTIONS] [OPTIONS OF THE TARGET]",
	.about = "Make a device, start the process that serves it, and print its path.\n",
	.options = options,
	.args_size = sizeof(struct add_args),
	.json = true,
	.defaults = defaults,
	.done = done,
	.more = add_more,
	.run = run,
};
