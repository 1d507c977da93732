/* SPDX-License-Identifier: MIT */
/* ublk quiesce: devices without a server, by intent. */
#include <stdio.h>

#include "base/clean.h"
#include "commands.h"
#include "device/quiesce.h"
#include "devices.h"

struct quiesce_args {
	struct ub_device_args devices;
	uint32_t timeout_s;
};

#define AT(field) .offset = offsetof(struct quiesce_args, field)

/* clang-format off */
static const struct ub_opt options[] = {
	UB_OPT_DEVICE_ID(struct quiesce_args),
	{ .name = "timeout", .type = UB_OPT_U32, AT(timeout_s), .metavar = "SEC", .min = 1,
	  .max = 86400, .help = "wait so long for requests to end (default: 60)" },
	UB_OPT_END,
};
/* clang-format on */

static bool suits(const struct ublksrv_ctrl_dev_info *info)
{
	return info->state == UBLK_S_DEV_LIVE && (info->flags & UBLK_F_QUIESCE);
}

static enum ub_exit quiesce_one(struct ub_call *call, struct ub_ctrl *ctrl, struct ub_dev *dev)
{
	const struct quiesce_args *args = call->args;
	struct ub_error err = {0};
	int ret = ub_dev_quiesce(ctrl, dev, (int)args->timeout_s * 1000, &err);

	return ret ? ub_device_fail(call, dev->id, NULL, &err) : UB_EXIT_DONE;
}

static enum ub_exit run(struct ub_call *call)
{
	static const struct ub_device_job job = {.run = quiesce_one};
	const struct quiesce_args *args = call->args;

	return ub_devices_run(call, &args->devices, &job);
}

static void defaults(void *args)
{
	((struct quiesce_args *)args)->devices.id = -1;
	((struct quiesce_args *)args)->timeout_s = 60;
}

const struct ub_command ub_cmd_quiesce = {
	.name = "quiesce",
	.summary = "let a device wait without a server",
	.synopsis = "[OPTIONS] DEV...",
	.about = "Have the servers of devices finish what they have begun, and end. The devices, "
		 "their\n"
		 "mounts and whoever has them open stay: requests wait until `ublk recover` gives "
		 "them\n"
		 "another server.\n",
	.options = options,
	.args_size = sizeof(struct quiesce_args),
	.max_operands = SIZE_MAX,
	.completer = "device",
	.suits = suits,
	.defaults = defaults,
	.run = run,
};
