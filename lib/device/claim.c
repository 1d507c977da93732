/* SPDX-License-Identifier: MIT */
#include "device/claim.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/sysmacros.h>

#include "kernel/node.h"

#define FLAGS (O_RDONLY | O_EXCL | O_NONBLOCK | O_CLOEXEC)

int ub_claim_open(struct ub_ctrl *ctrl, const struct ublksrv_ctrl_dev_info *dev)
{
	struct ublk_params params;
	char path[32];
	dev_t disk;
	int ret = ub_ctrl_get_params(ctrl, dev, &params);

	if (ret)
		return ret;
	disk = makedev(params.devt.disk_major, params.devt.disk_minor);
	if (!(params.types & UBLK_PARAM_TYPE_DEVT) || !disk)
		return -ENXIO;
	return ub_node_open_any(ub_dev_block_path(dev->dev_id, path), S_IFBLK, disk, FLAGS);
}
