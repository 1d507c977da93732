/* SPDX-License-Identifier: MIT */
#include "device/same.h"

#include <errno.h>
#include <stdbool.h>

#include "base/fault.h"

/* Ours have a token. Of others this is all that there is. */
static bool is_same(const struct ublksrv_ctrl_dev_info *a, const struct ublksrv_ctrl_dev_info *b)
{
	if (a->ublksrv_flags || b->ublksrv_flags)
		return a->ublksrv_flags == b->ublksrv_flags;
	return a->flags == b->flags && a->owner_uid == b->owner_uid &&
	       a->owner_gid == b->owner_gid && a->nr_hw_queues == b->nr_hw_queues &&
	       a->queue_depth == b->queue_depth;
}

int ub_same_info(struct ub_ctrl *ctrl, const struct ublksrv_ctrl_dev_info *dev,
		 struct ublksrv_ctrl_dev_info *ret_now)
{
	struct ublksrv_ctrl_dev_info now;
	int ret = ub_ctrl_get_info(ctrl, dev->dev_id, &now);

	if (ret)
		return ret;
	if (!is_same(&now, dev))
		return -ENODEV;
	*ret_now = now;
	return 0;
}

int ub_same_command(struct ub_ctrl *ctrl, const struct ublksrv_ctrl_dev_info *dev, uint32_t op,
		    uint64_t data, int timeout_ms)
{
	struct ublksrv_ctrl_dev_info now;
	int ret = ub_fault("same");

	if (!ret)
		ret = ub_same_info(ctrl, dev, &now);
	return ret ? ret : ub_ctrl_simple(ctrl, dev, op, data, timeout_ms);
}
