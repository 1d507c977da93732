/* SPDX-License-Identifier: MIT */
#include "device/glance.h"

#include <errno.h>
#include <stdlib.h>

#include "base/clean.h"
#include "device/device.h"
#include "kernel/ctrl.h"

/* GET_DEV_INFO takes no lock: it answers also for a device whose server hangs. */
static bool look(struct ub_ctrl *ctrl, struct ub_glance *glance)
{
	if (!ctrl)
		return true;
	if (ub_ctrl_get_info(ctrl, glance->id, &glance->info) != 0)
		return false;
	glance->known = true;
	if (glance->info.ublksrv_flags)
		(void)ub_record_glance(glance->id, glance->info.ublksrv_flags, &glance->record);
	return true;
}

int ub_glance_list(struct ub_glance **ret_list, size_t *ret_count)
{
	_cleanup_(ub_ctrl_closep)
	struct ub_ctrl *ctrl = NULL;
	_cleanup_free_ uint32_t *ids = NULL;
	struct ub_glance *list;
	size_t id_count, count = 0;
	int ret = ub_dev_list_ids(&ids, &id_count);

	if (ret)
		return ret;
	list = calloc(id_count + 1, sizeof(*list));
	if (!list)
		return -ENOMEM;
	if (id_count)
		(void)ub_ctrl_open(&ctrl, NULL);
	for (size_t i = 0; i < id_count; i++) {
		list[count].id = ids[i];
		count += look(ctrl, &list[count]);
	}
	*ret_list = list;
	*ret_count = count;
	return 0;
}

void ub_glance_list_free(struct ub_glance *list, size_t count)
{
	for (size_t i = 0; i < count; i++)
		ub_record_glance_done(&list[i].record);
	free(list);
}
