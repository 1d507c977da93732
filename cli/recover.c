/* SPDX-License-Identifier: MIT */
#include "recover.h"

#include <errno.h>

#include "base/clean.h"
#include "base/retry.h"
#include "device/same.h"

/* What the driver needs at the most to notice that a server is dead. */
#define DEATH_MS 2000

int ub_recover_check(const struct ub_dev *dev, struct ub_error *err)
{
	if (dev->record_error.code)
		return ub_fail_text(err, UB_STAGE_RECOVER, -EINVAL, "cannot recover ublkb%u: %s",
				    dev->id, dev->record_error.msg);
	if (!dev->managed)
		return ub_fail_text(err, UB_STAGE_RECOVER, -EINVAL,
				    "cannot recover ublkb%u: it is another program's", dev->id);
	if (!(dev->info.flags & UBLK_F_USER_RECOVERY))
		return ub_fail_text(err, UB_STAGE_RECOVER, -EINVAL,
				    "cannot recover ublkb%u: it was made without recovery",
				    dev->id);
	if (dev->info.state == UBLK_S_DEV_DEAD)
		return ub_fail_text(err, UB_STAGE_RECOVER, -EINVAL,
				    "cannot recover ublkb%u: it is dead", dev->id);
	return 0;
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
