/* SPDX-License-Identifier: MIT */
#include "apply.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clean.h"
#include "config.h"
#include "value.h"
#include "device/launch.h"
#include "kernel/known.h"
#include "out.h"
#include "prepare.h"
#include "recover.h"
#include "spec/same.h"

int ub_apply_read(const char *path, struct ub_apply *apply, struct ub_error *err)
{
	_cleanup_(ub_config_file_done)
	struct ub_config_file file = {0};
	struct ub_spec *spec = &apply->record.spec;
	int ret;

	*apply = (struct ub_apply){.config = strdup(path), .id = -1};
	ub_spec_init(spec);
	spec->config = strdup(path);
	if (!apply->config || !spec->config)
		return ub_fail(err, UB_STAGE_CONFIG, -ENOMEM, "cannot read %s", path);
	ret = ub_config_file_read(path, &file, err);
	if (!ret)
		ret = ub_config_store(&file, NULL, spec, err);
	if (spec->name)
		apply->name = strdup(spec->name);
	return ret ? ret : ub_prepare(spec, err);
}

/* Return: 0 or -ENOMEM. Takes the texts. */
static int add_difference(struct ub_apply *apply, const char *key, char *configured, char *actual)
{
	struct ub_difference *list =
		reallocarray(apply->differences, apply->count + 1, sizeof(*list));
	struct ub_difference one = {.key = strdup(key), .configured = configured, .actual = actual};

	if (list)
		apply->differences = list;
	if (!list || !one.key) {
		free(one.key);
		free(configured);
		free(actual);
		return -ENOMEM;
	}
	list[apply->count++] = one;
	return 0;
}

struct compare {
	struct ub_apply *apply;
	int ret;
};

static void note_option(void *arg, const struct ub_opt *opt, const void *asked, const void *kept)
{
	struct compare *c = arg;

	if (!c->ret)
		c->ret = add_difference(c->apply, opt->name, ub_opt_exact(opt, asked),
					ub_opt_exact(opt, kept));
}

static int compare_id(struct ub_apply *apply, const struct ub_dev *dev)
{
	const struct ub_spec *spec = &apply->record.spec;
	char *configured, *actual;

	if (spec->id < 0 || (uint32_t)spec->id == dev->id)
		return 0;
	if (asprintf(&configured, "%d", spec->id) < 0)
		return -ENOMEM;
	if (asprintf(&actual, "%u", dev->id) < 0) {
		free(configured);
		return -ENOMEM;
	}
	return add_difference(apply, "id", configured, actual);
}

/* What the device has otherwise than the file says. */
static int compare(struct ub_apply *apply, const struct ub_dev *dev)
{
	const struct ub_spec *asked = &apply->record.spec, *kept = &dev->record.spec;
	struct compare c = {.apply = apply};
	int ret;

	if (asked->target != kept->target)
		return add_difference(apply, "type", strdup(asked->target->name),
				      strdup(kept->target->name));
	ret = ub_spec_differ(asked, kept, note_option, &c);
	if (ret < 0 || c.ret < 0)
		return -ENOMEM;
	return compare_id(apply, dev);
}

/* Return: -EEXIST if there are differences, else 0. */
static int tell_differences(const struct ub_apply *apply, struct ub_error *err)
{
	int code = -EEXIST;

	if (!apply->count)
		return 0;
	(void)ub_fail_text(err, UB_STAGE_CONFIG, code, "ublkb%d differs from %s", apply->id,
			   apply->config);
	for (size_t i = 0; i < apply->count; i++) {
		const struct ub_difference *one = &apply->differences[i];

		ub_error_add(err, "%s %s is %s, not %s", i ? "," : ":", one->key,
			     one->actual ? one->actual : "not set",
			     one->configured ? one->configured : "not set");
	}
	return code;
}

/* What was done stays, whatever becomes of the output. */
static int launch(enum ub_launch_mode mode, struct ub_record *record,
		  const struct ub_apply_how *how, uint32_t *ret_id, struct ub_error *err)
{
	struct ub_launch *launched = NULL;
	struct ub_notes notes = {0};
	int ret;

	record->spec.timeout_s = how->timeout_s;
	record->spec.foreground = false;
	ret = ub_launch(mode, record, -1, how->interrupt_fd, &launched, ret_id, &notes, err);
	ub_out_notes(&notes);
	return ret < 0 ? ret : ub_launch_commit(launched, NULL, err);
}

static int add(struct ub_apply *apply, const struct ub_apply_how *how, struct ub_error *err)
{
	uint32_t id;
	int ret = ub_known_refuse(err);

	if (ret == 0 && how->dry_run) {
		apply->result = UB_APPLY_WOULD_ADD;
		return 0;
	}
	if (ret == 0)
		ret = launch(UB_LAUNCH_ADD, &apply->record, how, &id, err);
	if (ret < 0) {
		ub_error_prefix(err, "%s", apply->config);
		return ret;
	}
	apply->id = (int)id;
	apply->result = UB_APPLY_ADDED;
	return 0;
}

static int recover(struct ub_ctrl *ctrl, struct ub_apply *apply, struct ub_dev *dev,
		   const struct ub_apply_how *how, struct ub_error *err)
{
	uint32_t id;
	int ret = ub_recover_check(dev, err);

	if (ret == 0 && how->dry_run) {
		apply->result = UB_APPLY_WOULD_RECOVER;
		return 0;
	}
	if (ret == 0)
		ret = launch(UB_LAUNCH_RECOVER, &dev->record, how, &id, err);
	if (ret < 0 && !ub_recover_was_faster(ctrl, dev))
		return ret;
	if (ret < 0)
		*err = (struct ub_error){0};
	apply->result = ret < 0 ? UB_APPLY_UNCHANGED : UB_APPLY_RECOVERED;
	return 0;
}

/* Return: 1 with the device of that name, 0: there is none, or a negative errno with a message. */
static int find(struct ub_ctrl *ctrl, const char *name, struct ub_dev *ret_dev,
		struct ub_error *err)
{
	struct ub_error why = {0};
	uint32_t id;
	int ret = ub_dev_resolve(ctrl, name, &id, &why);

	if (ret == 0)
		ret = ub_dev_get(ctrl, id, ret_dev, &why);
	/* It has gone meanwhile, and its number may be another's. */
	if (ret == 0 && !ret_dev->managed) {
		ub_dev_done(ret_dev);
		*ret_dev = (struct ub_dev){0};
		return 0;
	}
	if (ret == -ENODEV)
		return 0;
	if (ret < 0)
		*err = why;
	return ret < 0 ? ret : 1;
}

int ub_apply_device(struct ub_ctrl *ctrl, const struct ub_apply_how *how, struct ub_apply *apply,
		    struct ub_error *err)
{
	_cleanup_(ub_dev_done)
	struct ub_dev dev = {0};
	int ret = find(ctrl, apply->record.spec.name, &dev, err);

	if (ret < 0)
		return ret;
	if (ret == 0)
		return add(apply, how, err);
	apply->id = (int)dev.id;
	ret = compare(apply, &dev);
	if (ret < 0)
		return ub_fail(err, UB_STAGE_CONFIG, ret, "cannot compare ublkb%u with %s", dev.id,
			       apply->config);
	ub_recover_wait_for_death(ctrl, &dev);
	if (ub_dev_is_live(&dev))
		apply->result = apply->count ? UB_APPLY_DIFFERS : UB_APPLY_UNCHANGED;
	else
		ret = recover(ctrl, apply, &dev, how, err);
	return ret < 0 ? ret : tell_differences(apply, err);
}

void ub_apply_done(struct ub_apply *apply)
{
	for (size_t i = 0; i < apply->count; i++) {
		free(apply->differences[i].key);
		free(apply->differences[i].configured);
		free(apply->differences[i].actual);
	}
	free(apply->differences);
	free(apply->config);
	free(apply->name);
	ub_record_done(&apply->record);
	*apply = (struct ub_apply){0};
}
