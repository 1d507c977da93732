/* SPDX-License-Identifier: MIT */
/* ublk show: all that is known of a device. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/clean.h"
#include "budget/cgroup.h"
#include "commands.h"
#include "config.h"
#include "device/control.h"
#include "device/scheduler.h"
#include "device_fields.h"
#include "devices.h"
#include "table.h"

/* So long a server may take to answer. */
#define ANSWER_S 2

struct show_args {
	struct ub_device_args devices;
	bool config;
	bool printed; /* a device stands above */
};

/* clang-format off */
static const struct ub_opt options[] = {
	UB_OPT_DEVICE_ID(struct show_args),
	{ .name = "config", .type = UB_OPT_FLAG, .offset = offsetof(struct show_args, config),
	  .conflicts = "json",
	  .help = "print the configuration file of such a device, for add --config" },
	UB_OPT_END,
};
/* clang-format on */

static int print(struct ub_call *call, const struct ub_dev_detail *detail)
{
	struct show_args *args = call->args;
	struct ub_out *out = &call->out;

	if (out->json) {
		ub_doc_add(out->doc, ub_detail_fields, detail);
		return 0;
	}
	(void)fprintf(out->file, "%sublkb%u\n", args->printed ? "\n" : "", detail->dev.id);
	args->printed = true;
	return ub_block_print(out->file, ub_detail_fields, detail, out->colour);
}

/* Another program's device has none, and of an unreadable record none can be made. */
static enum ub_exit show_config(struct ub_call *call, const struct ub_dev *dev)
{
	struct ub_error err = {0};
	int ret = 0;

	if (dev->record_error.code)
		ret = ub_fail_text(&err, UB_STAGE_RECORD, -EINVAL,
				   "cannot tell the configuration of ublkb%u: %s", dev->id,
				   dev->record_error.msg);
	else if (!dev->managed)
		ret = ub_fail_text(&err, UB_STAGE_RECORD, -EINVAL,
				   "cannot tell the configuration of ublkb%u: it is another "
				   "program's",
				   dev->id);
	else if (ub_config_print(call->out.file, &dev->record.spec) < 0)
		ret = ub_fail(&err, UB_STAGE_OUTPUT, -ENOMEM, "cannot show ublkb%u", dev->id);
	return ret < 0 ? ub_device_fail(call, dev->id, NULL, &err) : UB_EXIT_DONE;
}

/* One that serves is to be there for whoever wants something of it. */
static void ask_server(struct ub_dev_detail *detail)
{
	const struct ub_control_request request = {.op = UB_CONTROL_STATUS};
	const struct ub_dev *dev = &detail->dev;
	struct ub_control_answer answer;

	if (!dev->managed || !dev->record.socket || !ub_dev_is_live(dev))
		return;
	detail->asked = true;
	detail->answer = ub_control_ask(dev->id, dev->info.ublksrv_flags, &request, ANSWER_S * 1000,
					&answer);
	detail->served_seconds = answer.value[0] / 1000;
	detail->stalled_seconds = answer.value[2] / 1000;
	detail->stalled_queue = (unsigned)answer.value[3];
	detail->stalled_op = (uint8_t)(answer.value[3] >> UB_CONTROL_OP_SHIFT);
	if (detail->answer && detail->answer != -ETIMEDOUT)
		ub_out_note("cannot speak with the server of ublkb%u by %s: %s", dev->id,
			    dev->record.socket, strerror(-detail->answer));
}

/* Where it reaches what it serves by a connection. */
static void ask_away(struct ub_dev_detail *detail)
{
	const struct ub_control_request request = {.op = UB_CONTROL_AWAY};
	const struct ub_dev *dev = &detail->dev;
	struct ub_control_answer answer;

	if (!detail->asked || detail->answer || !dev->record.spec.target->remote ||
	    ub_control_ask(dev->id, dev->info.ublksrv_flags, &request, ANSWER_S * 1000, &answer))
		return;
	detail->away = answer.value[0] != 0;
	detail->away_seconds = answer.value[0] / 1000;
	detail->away_tries = answer.value[1];
	detail->away_error = (int)answer.value[2];
	detail->away_fenced = answer.value[3];
}

static enum ub_exit show_one(struct ub_call *call, struct ub_ctrl *ctrl, struct ub_dev *dev)
{
	struct ub_dev_detail detail; /* borrows what dev owns */
	struct ub_error err = {0};
	enum ub_exit status = UB_EXIT_DONE;
	int ret;

	(void)ctrl;
	if (((const struct show_args *)call->args)->config)
		return show_config(call, dev);
	ub_dev_measure(dev);
	detail = (struct ub_dev_detail){.dev = *dev};
	ub_spec_init(&detail.defaults);
	ret = ub_users_find(dev->id, dev->server.pid, &detail.users);
	if (ret < 0)
		ub_out_note("cannot find out who uses ublkb%u: %s", dev->id, strerror(-ret));
	/* Whatever else its queue were asked for would hang, too. */
	if (ub_scheduler_ask(dev->id, detail.scheduler) == -ETIMEDOUT)
		ub_out_note("ublkb%u does not tell how it is queued: somebody waits for its I/O",
			    dev->id);
	else
		(void)ub_placement_find(dev, &detail.queues, &detail.queue_count);
	if (dev->server.pid > 0)
		detail.group = ub_cgroup_of(dev->server.pid);
	ask_server(&detail);
	ask_away(&detail);
	ub_device_health(dev, detail.status, sizeof(detail.status), detail.action,
			 sizeof(detail.action));
	if (detail.stalled_seconds)
		ub_device_stall(&detail, detail.status, sizeof(detail.status), detail.action,
				sizeof(detail.action));
	if (detail.away)
		ub_device_away(&detail, detail.status, sizeof(detail.status), detail.action,
			       sizeof(detail.action));
	if (detail.answer == -ETIMEDOUT && !detail.status[0])
		ub_device_silence(dev, ANSWER_S, detail.status, sizeof(detail.status),
				  detail.action, sizeof(detail.action));
	ret = print(call, &detail);
	if (ret < 0) {
		(void)ub_fail(&err, UB_STAGE_OUTPUT, ret, "cannot show ublkb%u", dev->id);
		status = ub_device_fail(call, dev->id, NULL, &err);
	}
	ub_placement_free(detail.queues, detail.queue_count);
	ub_users_done(&detail.users);
	free(detail.group);
	return status;
}

static enum ub_exit run(struct ub_call *call)
{
	static const struct ub_device_job job = {.run = show_one};
	const struct show_args *args = call->args;
	struct ub_error err = {0};
	int ret;

	/* A file is of one device. */
	if (args->config && call->nr_operands + (args->devices.id >= 0) > 1)
		return ub_call_usage(call, "--config is for one device");
	ret = ub_out_begin(&call->out, UB_DEVICES_SCHEMA, "devices");
	if (ret < 0) {
		(void)ub_fail(&err, UB_STAGE_OUTPUT, ret, "cannot show a device");
		return ub_call_fail(call, &err);
	}
	return ub_devices_run(call, &args->devices, &job);
}

static void defaults(void *args)
{
	((struct show_args *)args)->devices.id = -1;
}

const struct ub_command ub_cmd_show = {
	.name = "show",
	.summary = "show all that is known of a device",
	.synopsis = "[OPTIONS] DEV...",
	.about = "Show all that is known of devices: what was asked for and what was granted, who\n"
		 "uses them, and, if one is not well, what to do about it.\n",
	.options = options,
	.args_size = sizeof(struct show_args),
	.max_operands = SIZE_MAX,
	.completer = "device",
	.json = true,
	.line_schema = UB_DEVICE_SCHEMA,
	.defaults = defaults,
	.run = run,
};
