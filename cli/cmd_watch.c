/* SPDX-License-Identifier: MIT */
/* ublk watch: what happens to all devices of the machine, or some, as it happens. */
#include "commands.h"
#include "devices.h"
#include "event_fields.h"
#include "kernel/node.h"
#include "spec/check.h"
#include "value.h"
#include "watch.h"

struct watch_args {
	struct ub_device_args devices;
	struct ub_watch_args watch;
	char *kinds;
};

#define AT(field) .offset = offsetof(struct watch_args, field)

/* clang-format off */
static const struct ub_opt options[] = {
	UB_OPT_DEVICE_ID(struct watch_args),
	{ .name = "event", .letter = 'e', .type = UB_OPT_STRING, AT(kinds),
	  .choices = ub_change_names,
	  .help = "only events of this kind, or of several: with commas between" },
	{ .name = "initial", .type = UB_OPT_FLAG, AT(watch.initial),
	  .help = "tell first which devices there are" },
	{ .name = "count", .letter = 'c', .type = UB_OPT_U32, AT(watch.count), .metavar = "N", .min = 1,
	  .help = "end after so many events" },
	{ .name = "timeout", .type = UB_OPT_U32, AT(watch.timeout_s), .metavar = "SEC", .min = 1,
	  .max = 86400, .help = "end after so many seconds" },
	UB_OPT_END,
};
/* clang-format on */

/* It need not be there yet. */
static bool can_be_device(const char *text)
{
	uint32_t id;

	return ub_parse_dev_id(text, &id) == 0 || ub_spec_check_name(text, NULL) == 0;
}

static enum ub_exit run(struct ub_call *call)
{
	struct watch_args *args = call->args;

	if (call->out.json && !call->out.line_schema)
		return ub_call_usage(call, "events as JSON are lines: --json=lines");
	for (size_t i = 0; i < call->nr_operands; i++)
		if (!can_be_device(call->operands[i]))
			return ub_call_usage(call, "no device can be named '%s'",
					     call->operands[i]);
	args->watch.kinds = ub_opt_listed(ub_change_names, args->kinds);
	return ub_watch(call, &args->watch, args->devices.id);
}

static void defaults(void *args)
{
	((struct watch_args *)args)->devices.id = -1;
}

const struct ub_command ub_cmd_watch = {
	.name = "watch",
	.summary = "tell what happens to all devices, or some, as it happens",
	.synopsis = "[OPTIONS] [DEV...]",
	.about = "Tell what happens to all devices, or to those that are named, which need not be "
		 "there\n"
		 "yet: a line for each event, until it is interrupted. The first one says that "
		 "nothing\n"
		 "is missed from then on.\n",
	.options = options,
	.args_size = sizeof(struct watch_args),
	.max_operands = SIZE_MAX,
	.completer = "device",
	.json = true,
	.line_schema = UB_EVENT_SCHEMA,
	.defaults = defaults,
	.run = run,
};
