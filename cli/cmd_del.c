/* SPDX-License-Identifier: MIT */
/* ublk del: stops and removes devices. */
#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/clean.h"
#include "commands.h"
#include "device/stop.h"
#include "device_fields.h"
#include "devices.h"

struct del_args {
	struct ub_device_args devices;
	bool force, if_exists, async;
	uint32_t timeout_s;
};

#define AT(field) .offset = offsetof(struct del_args, field)

/* clang-format off */
static const struct ub_opt options[] = {
	UB_OPT_DEVICE_ID(struct del_args),
	{ .name = "all", .letter = 'a', .type = UB_OPT_FLAG, AT(devices.all),
	  .conflicts = "id", .no_operands = 1,
	  .help = "all devices but the living ones of other programs" },
	{ .name = "force", .type = UB_OPT_FLAG, AT(force),
	  .help = "even if it is in use; with --all: also other programs' devices" },
	{ .name = "if-exists", .type = UB_OPT_FLAG, AT(if_exists),
	  .help = "a device that is not there is no error" },
	{ .name = "async", .type = UB_OPT_FLAG, AT(async),
	  .help = "do not wait until the last user has let it go" },
	{ .name = "timeout", .type = UB_OPT_U32, AT(timeout_s), .metavar = "SEC", .min = 1,
	  .max = 86400, .help = "give up after so many seconds (default: 60)" },
	UB_OPT_END,
};
/* clang-format on */

static bool is_wanted(struct ub_call *call, const struct ub_dev *dev)
{
	const struct del_args *args = call->args;

	if (dev->managed || args->force || dev->server.answer == UB_SERVED_NO)
		return true;
	if (dev->record_error.code)
		ub_out_note("ublkb%u is left alone: it lives, and whose it is cannot be told: %s",
			    dev->id, dev->record_error.msg);
	else
		ub_out_note("ublkb%u is left alone: it lives, and is another %s", dev->id,
			    dev->info.owner_uid == geteuid() ? "program's" : "user's");
	return false;
}

static enum ub_exit tell(struct ub_call *call, struct ub_del *del)
{
	const struct del_args *args = call->args;

	/* One that nobody named, and that has gone meanwhile, is nobody's concern. */
	if (del->code && !(del->code == -ENODEV && (args->if_exists || args->devices.all)))
		return ub_device_fail(call, del->dev->id, &del->users, &del->err);
	if (call->out.json)
		ub_doc_add(call->out.doc, ub_deleted_fields, del->dev);
	return UB_EXIT_DONE;
}

static enum ub_exit del_some(struct ub_call *call, struct ub_ctrl *ctrl, struct ub_dev *const *devs,
			     size_t count)
{
	const struct del_args *args = call->args;
	const struct ub_del_options opt = {
		.force = args->force,
		.async = args->async,
		.timeout_ms = (int)args->timeout_s * 1000,
	};
	_cleanup_free_ struct ub_del *dels = calloc(count, sizeof(*dels));
	struct ub_common_status common = {0};
	struct ub_error err = {0};

	if (!dels) {
		(void)ub_fail(&err, UB_STAGE_STOP, -ENOMEM, "cannot stop ublkb%u", devs[0]->id);
		return ub_call_fail(call, &err);
	}
	for (size_t i = 0; i < count; i++)
		dels[i].dev = devs[i];
	ub_devices_del(ctrl, dels, count, &opt);
	for (size_t i = 0; i < count; i++) {
		ub_common_add(&common, tell(call, &dels[i]));
		ub_users_done(&dels[i].users);
	}
	return common.status;
}

static enum ub_exit run(struct ub_call *call)
{
	const struct del_args *args = call->args;
	const struct ub_device_job job = {
		.wants = is_wanted,
		.run_some = del_some,
		.missing_is_done = args->if_exists,
	};
	struct ub_error err = {0};
	int ret = ub_out_begin(&call->out, "ublk.deleted/1", "deleted");

	if (ret < 0) {
		(void)ub_fail(&err, UB_STAGE_OUTPUT, ret, "cannot remove a device");
		return ub_call_fail(call, &err);
	}
	return ub_devices_run(call, &args->devices, &job);
}

static void defaults(void *args)
{
	((struct del_args *)args)->devices.id = -1;
	((struct del_args *)args)->timeout_s = 60;
}

const struct ub_command ub_cmd_del = {
	.name = "del",
	.summary = "stop and remove devices",
	.synopsis = "[OPTIONS] DEV...|--all",
	.about =
		"Stop and remove devices. One that is in use is refused, and its users are named.\n"
		"--all removes our devices and what dead servers left behind; living devices of\n"
		"other programs are named and left, unless --force is given too.\n",
	.options = options,
	.args_size = sizeof(struct del_args),
	.max_operands = SIZE_MAX,
	.completer = "device",
	.json = true,
	.line_schema = UB_DELETED_DEVICE_SCHEMA,
	.defaults = defaults,
	.run = run,
};
