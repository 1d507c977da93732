/* SPDX-License-Identifier: MIT */
/* ublk set: changes what can be changed of a device that is there. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/clean.h"
#include "commands.h"
#include "device/set.h"
#include "devices.h"
#include "prepare.h"
#include "spec/live.h"
#include "target/target.h"
#include "value.h"

#define LIVE_MAX 64

struct set_args {
	struct ub_device_args devices;
	uint32_t timeout_s;
	char *defaults;                  /* names, with commas between */
	struct ub_spec spec;             /* what was typed */
	uint64_t set;                    /* which of it */
	struct ub_opt live[LIVE_MAX];    /* the options that can be changed, */
	const char *names[LIVE_MAX];     /* and their names */
	struct ub_opt default_option[2]; /* which chooses among these */
	const struct ub_args *typed;
};

#define AT(field) .offset = offsetof(struct set_args, field)

/* clang-format off */
static const struct ub_opt options[] = {
	UB_OPT_DEVICE_ID(struct set_args),
	{ .name = "timeout", .type = UB_OPT_U32, AT(timeout_s), .metavar = "SEC", .min = 1,
	  .max = 86400, .help = "wait so long for its server and the disk (default: 10)" },
	UB_OPT_END,
};

/* Its words are those of a table. */
static const struct ub_opt default_option = {
	.name = "default", .type = UB_OPT_STRING, AT(defaults), .metavar = "OPTION,...",
	.help = "give these options their defaults again"
};
/* clang-format on */

static int refuse(const struct ub_opt *opt, struct ub_error *err)
{
	if (opt->transient)
		return ub_fail_usage(err, "option '--%s' is for devices that are made", opt->name);
	if (opt->changed_by)
		return ub_fail_usage(err, "option '--%s' is not changed by this, but by: %s DEV",
				     opt->name, opt->changed_by);
	return ub_fail_usage(err,
			     "option '--%s' can't be changed while the device is there: remove "
			     "it, and add it anew (ublk show --config DEV has all its options)",
			     opt->name);
}

/* The rows of the device's options that are marked. */
static void pick(struct set_args *args)
{
	size_t count = 0;

	for (const struct ub_opt *opt = ub_spec_options; opt->name; opt++) {
		if (!opt->live)
			continue;
		args->live[count] = *opt;
		args->names[count++] = opt->name;
	}
	args->default_option[0] = default_option;
	args->default_option[0].choices = args->names;
}

static int more(void *data, const struct ub_args *typed, struct ub_optset *ret_sets,
		struct ub_error *err)
{
	struct set_args *args = data;
	int count = 0;

	(void)err;
	args->typed = typed;
	ret_sets[count++] = (struct ub_optset){.options = args->live, .values = &args->spec};
	ret_sets[count++] = (struct ub_optset){.options = args->default_option, .values = args};
	ret_sets[count++] = (struct ub_optset){.options = ub_spec_options, .refuse = refuse};
	for (const struct ub_target *const *t = ub_targets; *t; t++)
		ret_sets[count++] = (struct ub_optset){.options = (*t)->options, .refuse = refuse};
	return count;
}

static bool is_suited(const struct ublksrv_ctrl_dev_info *info)
{
	return info->state != UBLK_S_DEV_DEAD;
}

static enum ub_exit set_one(struct ub_call *call, struct ub_ctrl *ctrl, struct ub_dev *dev)
{
	const struct set_args *args = call->args;
	const struct ub_set set = {.spec = &args->spec,
				   .options = args->set,
				   .timeout_ms = (int)args->timeout_s * 1000};
	struct ub_error err = {0};
	int ret = ub_dev_set(ctrl, dev, &set, &err);

	return ret ? ub_device_fail(call, dev->id, NULL, &err) : UB_EXIT_DONE;
}

/* Return: the option that was typed and is to have its default as well, or NULL. */
static const struct ub_opt *choose(struct set_args *args)
{
	uint32_t defaults = ub_opt_listed(args->names, args->defaults);
	size_t i = 0;

	for (const struct ub_opt *opt = ub_spec_options; opt->name; opt++) {
		bool is_typed, is_default;

		if (!opt->live)
			continue;
		is_typed = ub_args_find(args->typed, opt);
		is_default = defaults & 1U << i++;
		if (is_typed && is_default)
			return opt;
		if (is_typed || is_default)
			args->set |= ub_live_bit(opt);
	}
	return NULL;
}

/* The server gets the file's directory: where a link leads is somewhere else there. */
static void follow_log_file(struct ub_spec *spec)
{
	struct stat st;
	char *file = NULL;

	if (spec->log_file && lstat(spec->log_file, &st) == 0 && S_ISLNK(st.st_mode))
		file = realpath(spec->log_file, NULL);
	if (!file)
		return;
	free(spec->log_file);
	spec->log_file = file;
}

static enum ub_exit run(struct ub_call *call)
{
	static const struct ub_device_job job = {.run = set_one};
	struct set_args *args = call->args;
	const struct ub_opt *twice = choose(args);
	struct ub_error err = {0};

	if (twice)
		return ub_call_usage(call, "options '--%s' and '--default %s' exclude each other",
				     twice->name, twice->name);
	if (!call->nr_operands && args->devices.id < 0)
		return ub_call_usage(call, "no device is named");
	if (!args->set)
		return ub_call_usage(call, "nothing to change is named");
	if (ub_prepare_log_file(&args->spec, &err) < 0)
		return ub_call_fail(call, &err);
	follow_log_file(&args->spec);
	return ub_devices_run(call, &args->devices, &job);
}

static void defaults(void *data)
{
	struct set_args *args = data;

	args->devices.id = -1;
	args->timeout_s = 10;
	ub_spec_init(&args->spec);
	pick(args);
}

static void done(void *data)
{
	struct set_args *args = data;

	free(args->defaults);
	ub_spec_done(&args->spec);
}

const struct ub_command ub_cmd_set = {
	.name = "set",
	.summary = "change what can be changed of a device that is there",
	.synopsis = "[OPTIONS] DEV...",
	.about =
		"Change devices while they are used: each option that is named, and no other one.\n"
		"Nothing is changed if one of them can't be. What is changed stays so, whatever\n"
		"server the device gets.\n",
	.options = options,
	.args_size = sizeof(struct set_args),
	.max_operands = SIZE_MAX,
	.completer = "device",
	.suits = is_suited,
	.defaults = defaults,
	.done = done,
	.more = more,
	.run = run,
};
