/* SPDX-License-Identifier: MIT */
#include "recover.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/clean.h"
#include "base/retry.h"
#include "device/lost.h"
#include "device/same.h"
#include "prepare.h"
#include "target/identity.h"
#include "value.h"

/* What the driver needs at the most to notice that a server is dead. */
#define DEATH_MS 2000

static int check_driver(const struct ub_dev *dev, struct ub_error *err)
{
	if (!(dev->info.flags & UBLK_F_USER_RECOVERY))
		return ub_fail_text(err, UB_STAGE_RECOVER, -EINVAL,
				    "cannot recover ublkb%u: it was made without recovery",
				    dev->id);
	if (dev->info.state == UBLK_S_DEV_DEAD)
		return ub_fail_text(err, UB_STAGE_RECOVER, -EINVAL,
				    "cannot recover ublkb%u: it is dead", dev->id);
	return 0;
}

int ub_recover_check(const struct ub_dev *dev, struct ub_error *err)
{
	if (dev->record_error.code)
		return ub_fail_text(err, UB_STAGE_RECOVER, -EINVAL, "cannot recover ublkb%u: %s",
				    dev->id, dev->record_error.msg);
	if (!dev->managed)
		return ub_fail_text(
			err, UB_STAGE_RECOVER, -EINVAL,
			"cannot recover ublkb%u: it is another program's, or its record is "
			"lost",
			dev->id);
	if (dev->record.spec.target->hand_over && !ub_dev_is_live(dev) &&
	    dev->server.answer == UB_SERVED_NO && dev->info.flags & UBLK_F_USER_RECOVERY)
		return ub_fail_text(err, UB_STAGE_BACKING, -ENODATA,
				    "cannot recover ublkb%u: its data has died with its server",
				    dev->id);
	return check_driver(dev, err);
}

/* Without a record there is no more than the user's word. */
static int make_record(struct ub_dev *dev, const struct ub_target *target, bool force,
		       struct ub_error *err)
{
	if (!dev->info.ublksrv_flags)
		return ub_fail_text(err, UB_STAGE_RECOVER, -EINVAL,
				    "cannot recover ublkb%u: it is another program's", dev->id);
	if (!force)
		return ub_fail_text(
			err, UB_STAGE_RECOVER, -EXDEV,
			"cannot recover ublkb%u: it has no record that could be used, so "
			"nothing proves what it was made of",
			dev->id);
	if (ub_lost_record(dev, target, &dev->record) != 0) {
		ub_record_done(&dev->record);
		return ub_fail(err, UB_STAGE_RECOVER, -ENOMEM, "cannot recover ublkb%u", dev->id);
	}
	dev->managed = true;
	return 0;
}

/* Only what was named is to be served, wherever else the right one may lie; with @force whatever it is. */
static int aim(struct ub_dev *dev, const struct ub_target *target, bool force, struct ub_error *err)
{
	struct ub_record *r = &dev->record;

	if (r->spec.target != target)
		return ub_fail_text(err, UB_STAGE_RECOVER, -EINVAL,
				    "cannot recover ublkb%u: it is of target %s, not %s", dev->id,
				    r->spec.target->name, target->name);
	if (force) {
		ub_backings_done(&r->backings);
		r->resizing = true;
		return 0;
	}
	for (unsigned i = 0; i < r->backings.count; i++) {
		struct ub_backing *b = &r->backings.at[i];

		free(b->real);
		b->real = NULL;
		b->handle_opens = false;
	}
	return 0;
}

static int store_typed(struct ub_spec *spec, const struct ub_args *typed, struct ub_error *err)
{
	int ret = 0;

	for (const struct ub_opt *opt = spec->target->options; opt->name && !ret; opt++) {
		const struct ub_arg *arg = ub_args_find(typed, opt);

		if (!arg)
			continue;
		/* It is made already. */
		if (opt->transient || strcmp(opt->name, "size") == 0)
			return ub_fail_usage(err, "option '--%s' is for devices that are made",
					     opt->name);
		ret = ub_opt_store(opt, arg->value, spec->target_args, err);
	}
	return ret;
}

int ub_recover_with(struct ub_dev *dev, const struct ub_target *target, const struct ub_args *typed,
		    bool force, struct ub_error *err)
{
	int ret = check_driver(dev, err);

	if (!ret && !dev->managed)
		ret = make_record(dev, target, force, err);
	if (!ret)
		ret = aim(dev, target, force, err);
	if (!ret)
		ret = store_typed(&dev->record.spec, typed, err);
	if (!ret && target->check)
		ret = target->check(dev->record.spec.target_args, err);
	return ret ? ret : ub_prepare_target(&dev->record.spec, err);
}

bool ub_recover_was_faster(struct ub_ctrl *ctrl, const struct ub_dev *dev)
{
	_cleanup_(ub_dev_done)
	struct ub_dev now = {0};

	return ub_dev_get(ctrl, dev->id, &now, NULL) == 0 && ub_dev_is_live(&now) &&
	       now.info.ublksrv_flags == dev->info.ublksrv_flags;
}

void ub_recover_wait_for_death(struct ub_ctrl *ctrl, struct ub_dev *dev)
{
	struct ublksrv_ctrl_dev_info now;
	struct ub_retry retry;

	if (!ub_dev_is_live(dev) || dev->server.answer == UB_SERVED_YES)
		return;
	ub_retry_init(&retry, DEATH_MS);
	do {
		if (ub_same_info(ctrl, &dev->info, &now) == 0)
			dev->info = now;
	} while (dev->info.state == UBLK_S_DEV_LIVE && ub_retry_wait(&retry));
}
