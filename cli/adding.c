/* SPDX-License-Identifier: MIT */
#include "adding.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "device/driver.h"
#include "kernel/ctrl.h"
#include "kernel/known.h"
#include "spec/check.h"
#include "target/path.h"
#include "targets.h"

static int choose_target(struct ub_adding *adding, const char *name, struct ub_error *err)
{
	const struct ub_target *target = ub_target_choose(name, err);

	if (!target)
		return -EINVAL;
	if (target == adding->record.spec.target ||
	    ub_spec_set_target(&adding->record.spec, target) == 0)
		return 0;
	return ub_fail(err, UB_STAGE_NONE, -ENOMEM, "cannot choose a target");
}

int ub_adding_more(void *args, const struct ub_args *typed, struct ub_optset *ret_sets,
		   struct ub_error *err)
{
	static const struct ub_opt type_option = UB_OPT_TYPE(struct { struct ub_adding adding; });
	struct ub_adding *adding = args;
	struct ub_spec *spec = &adding->record.spec;
	const struct ub_arg *type = ub_args_find(typed, &type_option);
	int count = 0, ret = type && type->value ? choose_target(adding, type->value, err) : 0;

	if (ret < 0)
		return ret;
	ret_sets[count++] = (struct ub_optset){
		.title = "Options of the device", .options = ub_spec_options, .values = spec};
	for (size_t i = 0; i < UB_ADDING_TARGETS_MAX && ub_targets[i]; i++) {
		const struct ub_target *target = ub_targets[i];
		char *owner = adding->targets[i].owner, *title = adding->targets[i].title;

		(void)snprintf(owner, sizeof(adding->targets[i].owner), "target %s", target->name);
		(void)snprintf(title, sizeof(adding->targets[i].title), "Options of target %s (%s)",
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

int ub_adding_check(struct ub_adding *adding, struct ub_error *err)
{
	struct ub_spec *spec = &adding->record.spec;
	int ret;

	spec->unprivileged = ub_ctrl_is_unprivileged();
	ret = resolve_target(spec, err);
	if (ret == 0)
		ret = resolve_log_file(spec, err);
	return ret ? ret : ub_spec_check(spec, err);
}

int ub_adding_prepare(struct ub_adding *adding, struct ub_error *err)
{
	int ret = ub_known_refuse(err);

	/* If that fails, so does what needs it, later. */
	if (!ret)
		(void)ub_driver_load(&adding->no_driver);
	return ret;
}

const struct ub_error *ub_adding_cause(const struct ub_adding *adding, const struct ub_error *err)
{
	bool is_missing = err->stage == UB_STAGE_CONTROL && err->code == -ENOENT;

	return is_missing && adding->no_driver.code ? &adding->no_driver : err;
}

void ub_adding_defaults(void *args)
{
	struct ub_adding *adding = args;

	ub_spec_init(&adding->record.spec);
	adding->interrupt.fd = -1;
}

void ub_adding_done(void *args)
{
	ub_record_done(&((struct ub_adding *)args)->record);
}
