/* SPDX-License-Identifier: MIT */
#include "adopt.h"

#include "base/clean.h"
#include "spec/same.h"

static bool is_left(const struct ub_dev *dev)
{
	return dev->managed && !ub_dev_is_live(dev) && dev->info.state != UBLK_S_DEV_DEAD;
}

int ub_adopt_find(const struct ub_spec *spec, struct ub_dev *ret_dev, struct ub_error *err)
{
	_cleanup_(ub_ctrl_closep)
	struct ub_ctrl *ctrl = NULL;
	struct ub_dev *devs = NULL;
	size_t count = 0;
	int ret = ub_ctrl_open(&ctrl, err);

	if (!ret)
		ret = ub_dev_list(ctrl, &devs, &count, err);
	for (size_t i = 0; i < count && !ret; i++) {
		if (!is_left(&devs[i]) || !ub_spec_is_same(spec, &devs[i].record.spec) ||
		    (spec->id >= 0 && (uint32_t)spec->id != devs[i].id))
			continue;
		*ret_dev = devs[i];
		devs[i] = (struct ub_dev){0};
		ret = 1;
	}
	ub_dev_list_free(devs, count);
	return ret;
}
