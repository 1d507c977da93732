/* SPDX-License-Identifier: MIT */
#include "device/quota.h"

#include <errno.h>

#include "base/clean.h"
#include "device/device.h"
#include "kernel/sysfs.h"

static int read_max(uint64_t *ret_max)
{
	return ub_sysfs_u64(ret_max, "/sys/module/ublk_drv/parameters/ublks_max");
}

int ub_quota_fail(struct ub_error *err)
{
	uint64_t max;

	if (read_max(&max) != 0)
		return ub_fail(err, UB_STAGE_ADD, -EACCES, "cannot add a device");
	return ub_fail_text(err, UB_STAGE_ADD, -EACCES,
			    "cannot add a device: ordinary users have as many as the driver allows "
			    "them (ublks_max is %llu)",
			    (unsigned long long)max);
}

/* Of another user's it asks for the node, and that he may read it (ublk_ctrl_uring_cmd_permission()); of
 * root's it says EPERM. */
static bool is_ordinary(struct ub_ctrl *ctrl, uint32_t id)
{
	struct ublksrv_ctrl_dev_info info;
	int ret = ub_ctrl_get_info(ctrl, id, &info);

	return ret == 0 ? info.flags & UBLK_F_UNPRIVILEGED_DEV : ret == -EACCES || ret == -EINVAL;
}

int ub_quota_check(struct ub_ctrl *ctrl, struct ub_error *err)
{
	_cleanup_free_ uint32_t *ids = NULL;
	size_t count = 0, ordinary = 0;
	uint64_t max;

	if (read_max(&max) != 0 || ub_dev_list_ids(&ids, &count) != 0)
		return 0;
	for (size_t i = 0; i < count && ordinary < max; i++)
		ordinary += is_ordinary(ctrl, ids[i]);
	return ordinary < max ? 0 : ub_quota_fail(err);
}
