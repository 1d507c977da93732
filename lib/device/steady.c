/* SPDX-License-Identifier: MIT */
#include "device/steady.h"

#include <errno.h>

#include "base/clean.h"
#include "base/retry.h"
#include "device/same.h"
#include "record/store.h"

int ub_steady_try(uint32_t id)
{
	return ub_record_claim(UB_CLAIM_STEADY, id, NULL);
}

int ub_steady_hold(uint32_t id)
{
	struct ub_retry retry;
	int hold;

	ub_retry_init(&retry, UB_STEADY_MS);
	do
		hold = ub_steady_try(id);
	while (hold == -EAGAIN && ub_retry_wait(&retry));
	return hold;
}

void ub_steady_let_go(uint32_t id, int *hold)
{
	ub_record_release(UB_CLAIM_STEADY, id, hold);
}

static int edit_record(const struct ublksrv_ctrl_dev_info *dev,
		       int (*edit)(struct ub_record *record, void *arg), void *arg)
{
	_cleanup_(ub_record_done)
	struct ub_record record = {0};
	int ret = ub_record_read(dev->dev_id, dev->ublksrv_flags, &record, NULL);

	if (ret)
		return ret;
	ret = edit(&record, arg);
	return ret ? ret : ub_record_write(&record, NULL);
}

int ub_steady_edit(struct ub_ctrl *ctrl, const struct ublksrv_ctrl_dev_info *dev,
		   int (*edit)(struct ub_record *record, void *arg), void *arg)
{
	int hold = ub_steady_hold(dev->dev_id);
	struct ublksrv_ctrl_dev_info now;
	int ret = hold == -EAGAIN ? -EBUSY : ub_same_info(ctrl, dev, &now);

	if (!ret)
		ret = now.state == UBLK_S_DEV_DEAD   ? -ENODEV
		      : now.state == UBLK_S_DEV_LIVE ? -EBUSY
						     : edit_record(dev, edit, arg);
	ub_steady_let_go(dev->dev_id, &hold);
	return ret;
}

int ub_steady_stop(struct ub_ctrl *ctrl, const struct ublksrv_ctrl_dev_info *dev, uint32_t op)
{
	int hold = ub_steady_hold(dev->dev_id);
	int ret = ub_same_command(ctrl, dev, op, 0, UB_CTRL_NO_TIMEOUT);

	ub_steady_let_go(dev->dev_id, &hold);
	return ret;
}
