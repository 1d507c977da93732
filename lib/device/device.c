/* SPDX-License-Identifier: MIT */
#include "device/device.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clean.h"
#include "device/ask.h"
#include "device/restart.h"
#include "kernel/node.h"
#include "kernel/sysfs.h"
#include "record/store.h"

#define CHAR_CLASS "/sys/class/ublk-char"
#define SECTOR 512

const char *ub_state_name(unsigned state)
{
	switch (state) {
	case UBLK_S_DEV_DEAD:
		return "dead";
	case UBLK_S_DEV_LIVE:
		return "live";
	case UBLK_S_DEV_QUIESCED:
		return "quiesced";
	case UBLK_S_DEV_FAIL_IO:
		return "failed";
	default:
		return "unknown";
	}
}

const char *ub_dev_state_name(const struct ub_dev *dev)
{
	return ub_state_name(dev->info.state);
}

enum ub_recovery ub_dev_recovery(uint64_t flags)
{
	/* Alone the other two do nothing; Linux 6.12 takes them all the same. */
	if (!(flags & UBLK_F_USER_RECOVERY))
		return UB_RECOVERY_NONE;
	if (flags & UBLK_F_USER_RECOVERY_REISSUE)
		return UB_RECOVERY_REISSUE;
	return flags & UBLK_F_USER_RECOVERY_FAIL_IO ? UB_RECOVERY_FAIL : UB_RECOVERY_REQUEUE;
}

bool ub_dev_is_live(const struct ub_dev *dev)
{
	return dev->info.state == UBLK_S_DEV_LIVE && dev->server.answer != UB_SERVED_NO &&
	       !dev->server.ending;
}

bool ub_dev_has_disk(uint32_t id)
{
	char path[64];

	(void)snprintf(path, sizeof(path), "/sys/block/ublkb%u/queue", id);
	return access(path, F_OK) == 0 || access("/sys/block", F_OK) != 0;
}

bool ub_dev_is_going(uint32_t id)
{
	char path[64];

	(void)snprintf(path, sizeof(path), CHAR_CLASS "/ublkc%u", id);
	return access(path, F_OK) != 0;
}

bool ub_dev_is_orphan(const struct ub_dev *dev)
{
	return dev->info.state == UBLK_S_DEV_DEAD && dev->server.answer == UB_SERVED_NO;
}

void ub_dev_done(struct ub_dev *dev)
{
	if (dev->managed)
		ub_record_done(&dev->record);
	ub_footprint_done(&dev->memory);
	*dev = (struct ub_dev){0};
}

void ub_dev_measure(struct ub_dev *dev)
{
	const struct ub_record_memory *memory = dev->managed ? &dev->record.memory : NULL;

	ub_footprint_done(&dev->memory);
	if (dev->server.pid)
		(void)ub_footprint_read(dev->server.pid, memory, &dev->memory);
}

/* Believes the record only if it has the token that the kernel keeps for this very device. */
static void find_record(struct ub_dev *dev)
{
	uint64_t token = dev->info.ublksrv_flags;
	int ret =
		token ? ub_record_read(dev->id, token, &dev->record, &dev->record_error) : -ENOENT;

	/* Where another user keeps records is not known here. */
	if (ret == -ENOENT || dev->info.owner_uid != geteuid())
		dev->record_error = (struct ub_error){0};
	dev->managed = ret == 0;
}

static void find_disk(struct ub_dev *dev)
{
	const struct ublk_param_basic *basic = &dev->params.basic;
	bool has_basic = dev->params.types & UBLK_PARAM_TYPE_BASIC;
	uint64_t value;

	if (ub_sysfs_u64(&value, "/sys/block/ublkb%u/size", dev->id) == 0)
		dev->size = value * SECTOR;
	else if (has_basic)
		dev->size = basic->dev_sectors * SECTOR;
	if (ub_sysfs_u64(&value, "/sys/block/ublkb%u/ro", dev->id) == 0)
		dev->read_only = value;
	else if (has_basic)
		dev->read_only = basic->attrs & UBLK_ATTR_READ_ONLY;
}

int ub_dev_get_info(struct ub_ctrl *ctrl, uint32_t id, struct ublksrv_ctrl_dev_info *ret_info,
		    struct ub_error *err)
{
	int ret = ub_ctrl_get_info(ctrl, id, ret_info);

	if (ret == -ENODEV)
		return ub_fail_text(err, UB_STAGE_LOOKUP, -ENODEV,
				    "cannot find ublkb%u: there is no such device", id);
	if (ret < 0)
		return ub_fail(err, UB_STAGE_LOOKUP, ret, "cannot ask about ublkb%u", id);
	return 0;
}

void ub_dev_fill(const struct ublksrv_ctrl_dev_info *infos, size_t count, struct ub_dev *ret_devs)
{
	_cleanup_free_ struct ublk_params *params = calloc(count + 1, sizeof(*params));

	if (params)
		ub_ask_params(infos, count, params);
	for (size_t i = 0; i < count; i++) {
		struct ub_dev *dev = &ret_devs[i];

		*dev = (struct ub_dev){.id = infos[i].dev_id, .info = infos[i]};
		if (params)
			dev->params = params[i];
		find_record(dev);
		ub_served_by_find(&dev->info, &dev->params, dev->managed ? &dev->record : NULL,
				  &dev->server);
		find_disk(dev);
	}
	ub_restart_find(ret_devs, count);
}

int ub_dev_get(struct ub_ctrl *ctrl, uint32_t id, struct ub_dev *ret_dev, struct ub_error *err)
{
	struct ublksrv_ctrl_dev_info info;
	int ret = ub_dev_get_info(ctrl, id, &info, err);

	if (!ret)
		ub_dev_fill(&info, 1, ret_dev);
	return ret;
}

struct ids {
	uint32_t *list;
	size_t count, room;
};

static int add_id(struct ids *ids, uint32_t id)
{
	if (ids->count == ids->room) {
		size_t room = ids->room ? 2 * ids->room : 16;
		uint32_t *list = reallocarray(ids->list, room, sizeof(*list));

		if (!list)
			return -ENOMEM;
		ids->list = list;
		ids->room = room;
	}
	ids->list[ids->count++] = id;
	return 0;
}

static int compare_ids(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

	return x < y ? -1 : x > y;
}

/* Ids of what is named ublkcN in sysfs, or in /dev where there is no sysfs. */
static int find_ids(struct ids *ids)
{
	DIR *dir = opendir(CHAR_CLASS);
	struct dirent *entry;
	uint32_t id;
	int ret = 0;

	if (!dir)
		dir = opendir("/dev");
	if (!dir)
		return -errno;
	while (!ret && (entry = readdir(dir)))
		if (strncmp(entry->d_name, "ublkc", 5) == 0 &&
		    ub_parse_dev_id(entry->d_name, &id) == 0)
			ret = add_id(ids, id);
	(void)closedir(dir);
	if (ids->count)
		qsort(ids->list, ids->count, sizeof(*ids->list), compare_ids);
	return ret;
}

int ub_dev_list_ids(uint32_t **ret_ids, size_t *ret_count)
{
	struct ids ids = {0};
	int ret = find_ids(&ids);

	if (ret) {
		free(ids.list);
		return ret;
	}
	*ret_ids = ids.list;
	*ret_count = ids.count;
	return 0;
}

int ub_dev_list(struct ub_ctrl *ctrl, struct ub_dev **ret_devs, size_t *ret_count,
		struct ub_error *err)
{
	_cleanup_free_ uint32_t *ids = NULL;
	_cleanup_free_ struct ublksrv_ctrl_dev_info *infos = NULL;
	struct ub_dev *devs;
	size_t id_count = 0, count = 0;
	int ret = ub_dev_list_ids(&ids, &id_count);

	if (ret)
		return ub_fail(err, UB_STAGE_LOOKUP, ret, "cannot list the devices");
	infos = calloc(id_count + 1, sizeof(*infos));
	devs = calloc(id_count + 1, sizeof(*devs));
	if (!infos || !devs) {
		free(devs);
		return ub_fail(err, UB_STAGE_LOOKUP, -ENOMEM, "cannot list the devices");
	}
	for (size_t i = 0; i < id_count; i++)
		if (ub_dev_get_info(ctrl, ids[i], &infos[count], NULL) == 0)
			count++;
	ub_dev_fill(infos, count, devs);
	*ret_devs = devs;
	*ret_count = count;
	return 0;
}

void ub_dev_list_free(struct ub_dev *devs, size_t count)
{
	for (size_t i = 0; i < count; i++)
		ub_dev_done(&devs[i]);
	free(devs);
}

static int resolve_name(struct ub_ctrl *ctrl, const char *name, uint32_t *ret_id,
			struct ub_error *err)
{
	struct ub_dev *devs;
	size_t count, found = 0;
	int ret = ub_dev_list(ctrl, &devs, &count, err);

	if (ret)
		return ret;
	for (size_t i = 0; i < count; i++) {
		if (!devs[i].managed || !devs[i].record.spec.name ||
		    strcmp(devs[i].record.spec.name, name) != 0)
			continue;
		*ret_id = devs[i].id;
		found++;
	}
	ub_dev_list_free(devs, count);
	if (found == 0)
		return ub_fail_text(err, UB_STAGE_LOOKUP, -ENODEV,
				    "cannot find %.100s: there is no such device", name);
	if (found > 1)
		return ub_fail_text(err, UB_STAGE_LOOKUP, -ENOTUNIQ,
				    "cannot tell which device is meant: more than one is named %s",
				    name);
	return 0;
}

int ub_dev_resolve(struct ub_ctrl *ctrl, const char *text, uint32_t *ret_id, struct ub_error *err)
{
	if (ub_parse_dev_id(text, ret_id) == 0)
		return 0;
	return resolve_name(ctrl, text, ret_id, err);
}
