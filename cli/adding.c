/* SPDX-License-Identifier: MIT */
#include "adding.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clean.h"
#include "config.h"
#include "device/driver.h"
#include "kernel/known.h"
#include "targets.h"

/* As every command's struct begins. */
struct any {
	struct ub_adding adding;
};

/* What was typed is stored later, and counts more. */
static int read_config(struct ub_adding *adding, const char *path, const struct ub_args *typed,
		       struct ub_error *err)
{
	_cleanup_(ub_config_file_done)
	struct ub_config_file file = {0};
	struct ub_spec *spec = &adding->record.spec;
	int ret = ub_config_file_read(path, &file, err);

	if (!ret)
		ret = ub_config_store(&file, typed, spec, err);
	if (!ret && !adding->type) {
		adding->type = strdup(spec->target->name);
		if (!adding->type)
			ret = ub_fail(err, UB_STAGE_NONE, -ENOMEM, "cannot choose a target");
	}
	return ret;
}

/* Where the target is named: behind -t or in a file. */
static int choose_target(struct ub_adding *adding, const struct ub_args *typed,
			 struct ub_error *err)
{
	static const struct ub_opt type_option = UB_OPT_TYPE(struct any);
	const struct ub_opt *opt = ub_spec_options;
	const struct ub_arg *type = ub_args_find(typed, &type_option), *config;

	if (type && type->value)
		return ub_target_choose_for(&adding->record.spec, type->value, err);
	while (strcmp(opt->name, "config") != 0)
		opt++;
	config = ub_args_find(typed, opt);
	return config && config->value ? read_config(adding, config->value, typed, err) : 0;
}

int ub_adding_targets(struct ub_adding *adding, const struct ub_args *typed,
		      struct ub_optset *ret_sets, struct ub_error *err)
{
	struct ub_spec *spec = &adding->record.spec;
	int count = 0, ret = choose_target(adding, typed, err);

	if (ret < 0)
		return ret;
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

int ub_adding_more(void *args, const struct ub_args *typed, struct ub_optset *ret_sets,
		   struct ub_error *err)
{
	struct ub_adding *adding = args;
	int count = ub_adding_targets(adding, typed, ret_sets + 1, err);

	ret_sets[0] = (struct ub_optset){.title = "Options of the device",
					 .options = ub_spec_options,
					 .values = &adding->record.spec};
	return count < 0 ? count : count + 1;
}

int ub_adding_prepare(struct ub_adding *adding, struct ub_error *err)
{
	int ret = ub_known_refuse(err);

	/* If that fails, so does what needs it, later. */
	if (!ret)
		(void)ub_driver_load(&adding->no_driver);
	return ret;
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
