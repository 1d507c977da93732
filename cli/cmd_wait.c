/* SPDX-License-Identifier: MIT */
/* ublk wait: until a device is in a state. */
#include <stdio.h>

#include "base/clean.h"
#include "commands.h"
#include "device/await.h"
#include "devices.h"

struct wait_args {
	struct ub_device_args devices;
	int state; /* enum ub_awaited */
	uint32_t timeout_s;
};

#define AT(field) .offset = offsetof(struct wait_args, field)

/* clang-format off */
static const struct ub_opt options[] = {
	UB_OPT_DEVICE_ID(struct wait_args),
	{ .name = "state", .type = UB_OPT_CHOICE, AT(state), .required = 1,
	  .choices = ub_awaited_names, .help = "what it is to be" },
	{ .name = "timeout", .type = UB_OPT_U32, AT(timeout_s), .metavar = "SEC", .min = 1,
	  .max = 86400, .help = "give up after so many seconds (default: 60)" },
	UB_OPT_END,
};
/* clang-format on */

static enum ub_exit run(struct ub_call *call)
{
	const struct wait_args *args = call->args;
	_cleanup_(ub_ctrl_closep)
	struct ub_ctrl *ctrl = NULL;
	struct ub_error err = {0};
	const char *text = call->operands[0];
	char number[16];
	int ret;

	if (args->devices.id >= 0) {
		if (text)
			return ub_call_usage(call, "unexpected argument '%s'", text);
		(void)snprintf(number, sizeof(number), "%d", args->devices.id);
		text = number;
	}
	if (!text)
		return ub_call_usage(call, "no device is named");
	ret = ub_ctrl_open(&ctrl, &err);
	if (ret == 0)
		ret = ub_dev_await(ctrl, text, (enum ub_awaited)args->state,
				   (int)args->timeout_s * 1000, &err);
	return ret < 0 ? ub_call_fail(call, &err) : UB_EXIT_DONE;
}

static void defaults(void *args)
{
	((struct wait_args *)args)->devices.id = -1;
	((struct wait_args *)args)->timeout_s = 60;
	((struct wait_args *)args)->state = UB_AWAIT_COUNT; /* not given */
}

const struct ub_command ub_cmd_wait = {
	.name = "wait",
	.summary = "wait until a device is in a state",
	.synopsis = "[OPTIONS] --state STATE DEV",
	.about = "Wait until a device is live, quiesced, failed, dead or gone, as `ublk list` says "
		 "it.\n"
		 "It need not be there yet. One that is there and then is removed, ends the wait "
		 "with\n"
		 "status 4, unless it was to be gone, or live: then the next one is waited for. At "
		 "the\n"
		 "deadline the status is 7.\n",
	.options = options,
	.args_size = sizeof(struct wait_args),
	.max_operands = 1,
	.completer = "device",
	.defaults = defaults,
	.run = run,
};
