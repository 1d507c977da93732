/* SPDX-License-Identifier: MIT */
/* ublk recover: starts a new server for devices whose server died. */
#include <errno.h>
#include <signal.h>

#include "adding.h"
#include "base/clean.h"
#include "commands.h"
#include "device/launch.h"
#include "device/restart.h"
#include "device/upgrade.h"
#include "device_fields.h"
#include "devices.h"
#include "kernel/node.h"
#include "recover.h"

struct recover_args {
	struct ub_adding adding; /* what was typed of the target, and the interrupt */
	struct ub_device_args devices;
	const struct ub_args *typed;
	bool foreground, stay, force;
	uint32_t timeout_s;
};

#define AT(field) .offset = offsetof(struct recover_args, field)

/* clang-format off */
static const struct ub_opt options[] = {
	UB_OPT_DEVICE_ID(struct recover_args),
	{ .name = "all", .letter = 'a', .type = UB_OPT_FLAG, AT(devices.all),
	  .conflicts = "id", .no_operands = 1,
	  .help = "all devices of ours whose server died" },
	{ .name = "type", .letter = 't', .type = UB_OPT_STRING, AT(adding.type), .metavar = "TYPE",
	  .completer = "target", .conflicts = "all",
	  .help = "say anew what one device serves, by its target's options" },
	{ .name = "force", .type = UB_OPT_FLAG, AT(force), .conflicts = "all",
	  .help = "with -t: even if nothing proves that it is what the device was made of" },
	{ .name = "foreground", .type = UB_OPT_FLAG, AT(foreground), .conflicts = "all",
	  .help = "become the server of one device instead of starting one" },
	{ .name = "stay", .type = UB_OPT_FLAG, AT(stay),
	  .help = "leave the server in the control group that it is started in" },
	{ .name = "timeout", .type = UB_OPT_U32, AT(timeout_s), .metavar = "SEC", .min = 1,
	  .max = 86400, .help = "give up after so many seconds (default: 60)" },
	UB_OPT_END,
};
/* clang-format on */

static bool is_down(const struct ublksrv_ctrl_dev_info *info)
{
	return info->state == UBLK_S_DEV_QUIESCED || info->state == UBLK_S_DEV_FAIL_IO;
}

static bool is_wanted(struct ub_call *call, const struct ub_dev *dev)
{
	(void)call;
	/* One whose record can't be used may be one of ours: that is told. */
	return (dev->managed || dev->record_error.code) && !ub_dev_is_live(dev) &&
	       dev->info.state != UBLK_S_DEV_DEAD;
}

static int start_server(struct ub_call *call, struct ub_dev *dev, struct ub_error *err)
{
	const struct recover_args *args = call->args;
	struct ub_launch *launch = NULL;
	struct ub_notes notes = {0};
	uint32_t id;
	int ret;

	dev->record.spec.timeout_s = args->timeout_s;
	dev->record.spec.foreground = args->foreground;
	dev->record.spec.stay |= args->stay;
	dev->record.spec.restart &= !args->foreground;
	ret = ub_launch(UB_LAUNCH_RECOVER, &dev->record, -1, args->adding.interrupt.fd, &launch,
			&id, &notes, err);
	ub_out_notes(&notes);
	/* Its requests are answered again: that stays, whatever becomes of the output. */
	return ret < 0 ? ret : ub_launch_commit(launch, NULL, err);
}

/* Its server can do no more than fail: another client has had it shut out of what it serves. */
static enum ub_exit replace_fenced(struct ub_call *call, struct ub_ctrl *ctrl, struct ub_dev *dev)
{
	const struct recover_args *args = call->args;
	struct ub_notes notes = {0};
	struct ub_error err = {0};
	int ret;

	dev->record.spec.timeout_s = args->timeout_s;
	dev->record.spec.stay |= args->stay;
	ret = ub_dev_replace_fenced(ctrl, dev, args->adding.interrupt.fd, &notes, &err);
	ub_out_notes(&notes);
	if (ret)
		return ub_device_fail(call, dev->id, NULL, &err);
	ub_out_note("ublkb%u has a new server: the one before was shut out of what it serves",
		    dev->id);
	ub_device_tell(call, ctrl, dev->id);
	return UB_EXIT_DONE;
}

static enum ub_exit recover_one(struct ub_call *call, struct ub_ctrl *ctrl, struct ub_dev *dev)
{
	const struct recover_args *args = call->args;
	struct ub_error err = {0};
	int ret;

	/* The signal is to end the whole command, not one device of it. */
	if (ub_interrupt_is_there(&args->adding.interrupt))
		return UB_EXIT_FAILED;
	ub_recover_wait_for_death(ctrl, dev);
	if (!args->adding.type && !args->foreground && ub_dev_is_fenced(dev))
		return replace_fenced(call, ctrl, dev);
	if (ub_dev_is_live(dev)) {
		ub_out_note("ublkb%u " UB_RECOVER_IS_LIVE, dev->id);
		if (dev->restart.state == UB_RESTART_UNWATCHED)
			ub_restart_start();
		if (call->out.json)
			ub_device_tell(call, ctrl, dev->id);
		return UB_EXIT_DONE;
	}
	ret = args->adding.type ? ub_recover_with(dev, args->adding.record.spec.target, args->typed,
						  args->force, &err)
				: ub_recover_check(dev, &err);
	if (ret == 0)
		ret = start_server(call, dev, &err);
	if (ret == -EINTR && ub_interrupt_is_there(&args->adding.interrupt))
		return UB_EXIT_FAILED;
	/* When what is in the way has gone, it comes back by itself. */
	if (ret < 0 && dev->restart.state == UB_RESTART_UNWATCHED)
		ub_restart_start();
	if (ret < 0 && !ub_recover_was_faster(ctrl, dev))
		return ub_device_fail(call, dev->id, NULL, &err);
	if (ret < 0)
		ub_out_note("ublkb%u " UB_RECOVER_WAS_SLOWER, dev->id);
	ub_device_tell(call, ctrl, dev->id);
	return UB_EXIT_DONE;
}

static enum ub_exit run(struct ub_call *call)
{
	static const struct ub_device_job job = {.wants = is_wanted, .run = recover_one};
	struct recover_args *args = call->args;
	struct ub_error err = {0};
	enum ub_exit status, written;
	int ret;

	if (args->force && !args->adding.type)
		return ub_call_usage(call, "option '--force' needs '-t, --type TYPE'");
	if ((args->foreground || args->adding.type) && call->nr_operands > 1)
		return ub_call_usage(call, "unexpected argument '%s'", call->operands[1]);
	ret = ub_out_begin(&call->out, UB_DEVICES_SCHEMA, "devices");
	if (ret == 0)
		ret = ub_interrupt_open(&args->adding.interrupt);
	if (ret < 0) {
		(void)ub_fail(&err, UB_STAGE_NONE, ret, "cannot recover a device");
		return ub_call_fail(call, &err);
	}
	status = ub_devices_run(call, &args->devices, &job);
	/* What was done is told before a signal kills. */
	written = ub_out_finish(&call->out);
	ub_interrupt_close(&args->adding.interrupt);
	return status ? status : written;
}

static void defaults(void *args)
{
	ub_adding_defaults(args);
	((struct recover_args *)args)->devices.id = -1;
	((struct recover_args *)args)->timeout_s = 60;
}

static int more(void *args, const struct ub_args *typed, struct ub_optset *ret_sets,
		struct ub_error *err)
{
	((struct recover_args *)args)->typed = typed;
	return ub_adding_targets(args, typed, ret_sets, err);
}

const struct ub_command ub_cmd_recover = {
	.name = "recover",
	.summary = "start a new server for devices whose server died",
	.synopsis = "[OPTIONS] DEV...|--all, or DEV -t TYPE [OPTIONS OF THE TARGET]",
	.about =
		"Start a new server for devices whose server died, and print their paths. A "
		"device\n"
		"that is live stays as it is, unless its server was shut out of what it serves. A\n"
		"failure leaves a device as recoverable as before.\n"
		"Where the record is lost, or the file has gone elsewhere, -t and the target's\n"
		"options say what it is.\n",
	.options = options,
	.args_size = sizeof(struct recover_args),
	.max_operands = SIZE_MAX,
	.completer = "device",
	.suits = is_down,
	.json = true,
	.line_schema = UB_DEVICE_SCHEMA,
	.defaults = defaults,
	.done = ub_adding_done,
	.more = more,
	.run = run,
};
