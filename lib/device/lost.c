/* SPDX-License-Identifier: MIT */
#include "device/lost.h"

#include "spec/data_path.h"

int ub_lost_record(const struct ub_dev *dev, const struct ub_target *target,
		   struct ub_record *ret_record)
{
	const struct ublksrv_ctrl_dev_info *info = &dev->info;
	const struct ublk_param_basic *basic = &dev->params.basic;
	struct ub_record *r = ret_record;
	struct ub_spec *spec = &r->spec;

	*r = (struct ub_record){
		.id = dev->id,
		.token = info->ublksrv_flags,
		.queues = info->nr_hw_queues,
		.depth = info->queue_depth,
		.max_io = info->max_io_buf_bytes,
		.flags = info->flags,
		.data_path = ub_path_granted(info->flags),
		.resizing = true,
	};
	ub_spec_init(spec);
	spec->queues = r->queues;
	spec->depth = r->depth;
	spec->max_io = r->max_io;
	spec->data_path = r->data_path;
	spec->batch = info->flags & UBLK_F_BATCH_IO ? UB_BATCH_ON : UB_BATCH_OFF;
	spec->recovery = (int)ub_dev_recovery(info->flags);
	spec->logical_block_size = 1U << basic->logical_bs_shift;
	spec->read_only = basic->attrs & UBLK_ATTR_READ_ONLY;
	spec->rotational = basic->attrs & UBLK_ATTR_ROTATIONAL;
	spec->no_discard = !(dev->params.types & UBLK_PARAM_TYPE_DISCARD);
	spec->unprivileged = info->flags & UBLK_F_UNPRIVILEGED_DEV;
	return ub_spec_set_target(spec, target);
}
