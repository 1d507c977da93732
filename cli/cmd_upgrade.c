/* SPDX-License-Identifier: MIT */
/* ublk upgrade: devices that are served go over to the server program that is installed now. */
#include "commands.h"
#include "device/upgrade.h"
#include "device_fields.h"
#include "devices.h"
#include "interrupt.h"

struct upgrade_args {
	struct ub_device_args devices;
	struct ub_interrupt interrupt;
	bool by_recovery, stay;
	uint32_t timeout_s;
};

#define AT(field) .offset = offsetof(struct upgrade_args, field)

/* clang-format off */
static const struct ub_opt options[] = {
	UB_OPT_DEVICE_ID(struct upgrade_args),
	{ .name = "all", .letter = 'a', .type = UB_OPT_FLAG, AT(devices.all),
	  .conflicts = "id", .no_operands = 1,
	  .help = "all devices of ours that have a server, and can get another one" },
	{ .name = "by-recovery", .type = UB_OPT_FLAG, AT(by_recovery),
	  .help = "kill the old server: for devices with --recovery reissue" },
	{ .name = "stay", .type = UB_OPT_FLAG, AT(stay),
	  .help = "leave the server in the control group that it is started in" },
	{ .name = "timeout", .type = UB_OPT_U32, AT(timeout_s), .metavar = "SEC", .min = 1,
	  .max = 86400, .help = "wait so long for each (default: 60)" },
	UB_OPT_END,
};
/* clang-format on */

static bool suits(const struct ublksrv_ctrl_dev_info *info)
{
	return info->state == UBLK_S_DEV_LIVE && (info->flags & UBLK_F_USER_RECOVERY);
}

/* Those that can't be are told of, and are no failure of all. */
static bool is_wanted(struct ub_call *call, const struct ub_dev *dev)
{
	const struct upgrade_args *args = call->args;
	const char *why;

	if (!dev->managed || !suits(&dev->info))
		return false;
	if (!ub_dev_can_upgrade(dev, args->by_recovery, &why) || ub_dev_keeps_server(dev, &why)) {
		ub_out_note("ublkb%u keeps its server: %s", dev->id, why);
		return false;
	}
	return true;
}

static enum ub_exit upgrade_one(struct ub_call *call, struct ub_ctrl *ctrl, struct ub_dev *dev)
{
	const struct upgrade_args *args = call->args;
	struct ub_notes notes = {0};
	struct ub_error err = {0};
	int ret;

	/* The signal is to end the whole command, not one device of it. */
	if (ub_interrupt_is_there(&args->interrupt))
		return UB_EXIT_FAILED;
	dev->record.spec.timeout_s = args->timeout_s;
	dev->record.spec.stay |= args->stay;
	ret = ub_dev_upgrade(ctrl, dev, args->by_recovery, args->interrupt.fd, &notes, &err);
	ub_out_notes(&notes);
	if (ret)
		return ub_device_fail(call, dev->id, NULL, &err);
	ub_device_tell(call, ctrl, dev->id);
	return UB_EXIT_DONE;
}

static enum ub_exit run(struct ub_call *call)
{
	static const struct ub_device_job job = {.wants = is_wanted, .run = upgrade_one};
	struct upgrade_args *args = call->args;
	struct ub_error err = {0};
	enum ub_exit status, written;
	int ret = ub_out_begin(&call->out, UB_DEVICES_SCHEMA, "devices");

	if (ret == 0)
		ret = ub_interrupt_open(&args->interrupt);
	if (ret < 0) {
		(void)ub_fail(&err, UB_STAGE_NONE, ret, "cannot upgrade a device");
		return ub_call_fail(call, &err);
	}
	status = ub_devices_run(call, &args->devices, &job);
	/* What was done is told before a signal kills. */
	written = ub_out_finish(&call->out);
	ub_interrupt_close(&args->interrupt);
	return status ? status : written;
}

static void defaults(void *args)
{
	((struct upgrade_args *)args)->devices.id = -1;
	((struct upgrade_args *)args)->timeout_s = 60;
}

const struct ub_command ub_cmd_upgrade = {
	.name = "upgrade",
	.summary = "give devices a server of the program that is installed now",
	.synopsis = "[OPTIONS] DEV...|--all",
	.about =
		"Have devices served by the server program that is installed now, and print their\n"
		"paths. Nobody who has them open sees an error. What fails before the old server\n"
		"was told to end leaves it serving; after that its program is brought back.\n",
	.options = options,
	.args_size = sizeof(struct upgrade_args),
	.max_operands = SIZE_MAX,
	.completer = "device",
	.suits = suits,
	.json = true,
	.line_schema = UB_DEVICE_SCHEMA,
	.defaults = defaults,
	.run = run,
};
