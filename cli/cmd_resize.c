/* SPDX-License-Identifier: MIT */
/* ublk resize: a live device gets another size. */
#include <errno.h>
#include <stdio.h>

#include "base/clean.h"
#include "commands.h"
#include "device/resize.h"
#include "devices.h"

struct resize_args {
	struct ub_device_args devices;
	struct ub_resize resize;
	uint32_t timeout_s;
};

#define AT(field) .offset = offsetof(struct resize_args, field)

/* clang-format off */
static const struct ub_opt options[] = {
	UB_OPT_DEVICE_ID(struct resize_args),
	{ .name = "grow-backing", .type = UB_OPT_FLAG, AT(resize.grow_backing),
	  .help = "make the file larger, if the size asks for it" },
	{ .name = "force", .type = UB_OPT_FLAG, AT(resize.force),
	  .help = "make the device smaller even if it is in use" },
	{ .name = "timeout", .type = UB_OPT_U32, AT(timeout_s), .metavar = "SEC", .min = 1,
	  .max = 86400, .help = "wait so long for its server and the driver (default: 10)" },
	UB_OPT_END,
};
/* clang-format on */

static bool suits(const struct ublksrv_ctrl_dev_info *info)
{
	return info->state == UBLK_S_DEV_LIVE || info->state == UBLK_S_DEV_QUIESCED;
}

static enum ub_exit resize_one(struct ub_call *call, struct ub_ctrl *ctrl, struct ub_dev *dev)
{
	const struct resize_args *args = call->args;
	_cleanup_(ub_users_done)
	struct ub_users users = {0};
	struct ub_error err = {0};
	int ret = ub_dev_resize(ctrl, dev, &args->resize, &users, &err);

	return ret ? ub_device_fail(call, dev->id, &users, &err) : UB_EXIT_DONE;
}

static enum ub_exit run(struct ub_call *call)
{
	static const struct ub_device_job job = {.run = resize_one};
	struct resize_args *args = call->args;
	size_t wanted = args->devices.id >= 0 ? 1 : 2;
	const char *size;

	if (call->nr_operands > wanted)
		return ub_call_usage(call, "unexpected argument '%s'", call->operands[wanted]);
	if (call->nr_operands < wanted)
		return ub_call_usage(call, "%s",
				     call->nr_operands || wanted == 1 ? "no size is named"
								      : "no device is named");
	size = call->operands[--call->nr_operands];
	if (ub_resize_parse(size, &args->resize) != 0)
		return ub_call_usage(call, "'%s' is no size: 10G, +1G, -1G or max", size);
	args->resize.timeout_ms = (int)args->timeout_s * 1000;
	return ub_devices_run(call, &args->devices, &job);
}

static void defaults(void *args)
{
	((struct resize_args *)args)->devices.id = -1;
	((struct resize_args *)args)->timeout_s = 10;
}

const struct ub_command ub_cmd_resize = {
	.name = "resize",
	.summary = "change the size of a live device",
	.synopsis = "[OPTIONS] DEV SIZE|+SIZE|-SIZE|max",
	.about =
		"Give a device another size while it is used: larger as far as what it serves "
		"goes,\n"
		"or as the file is made to go (--grow-backing), or smaller, if nobody uses it.\n"
		"What is on it, a file system say, is grown by its own tools afterwards, and made\n"
		"smaller before.\n",
	.options = options,
	.args_size = sizeof(struct resize_args),
	.max_operands = 2,
	.completer = "device",
	.suits = suits,
	.defaults = defaults,
	.run = run,
};
