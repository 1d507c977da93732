/* SPDX-License-Identifier: MIT */
#include "device/glance.h"

#include <errno.h>
#include <stdlib.h>

#include "base/clean.h"
#include "device/ask.h"
#include "device/device.h"

/* Return: whether it is to be told of. */
static bool look(const struct ub_asked_info *asked, struct ub_glance *glance)
{
	if (asked->answer != UB_ASKED_TOLD)
		return asked->answer == UB_ASKED_NOTHING;
	glance->known = true;
	glance->info = asked->info;
	if (glance->info.ublksrv_flags)
		(void)ub_record_glance(glance->id, glance->info.ublksrv_flags, &glance->record);
	return true;
}

int ub_glance_list(struct ub_glance **ret_list, size_t *ret_count)
{
	_cleanup_free_ uint32_t *ids = NULL;
	_cleanup_free_ struct ub_asked_info *infos = NULL;
	struct ub_glance *list;
	size_t id_count, count = 0;
	int ret = ub_dev_list_ids(&ids, &id_count);

	if (ret)
		return ret;
	infos = calloc(id_count + 1, sizeof(*infos));
	list = infos ? calloc(id_count + 1, sizeof(*list)) : NULL;
	if (!list)
		return -ENOMEM;
	ub_ask_infos(ids, id_count, infos);
	for (size_t i = 0; i < id_count; i++) {
		list[count].id = ids[i];
		count += look(&infos[i], &list[count]);
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
