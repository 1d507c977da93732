/* SPDX-License-Identifier: MIT */
#include "device/sight.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/clean.h"
#include "device/stats.h"
#include "record/dir.h"

void ub_sight_done(struct ub_sight *sight)
{
	for (size_t i = 0; i < sight->count; i++)
		ub_seen_done(&sight->list[i]);
	free(sight->list);
	*sight = (struct ub_sight){0};
}

/* Return: an element to be filled, all zero, or NULL without memory. */
static struct ub_seen *append(struct ub_sight *sight)
{
	struct ub_seen *list = reallocarray(sight->list, sight->count + 1, sizeof(*list));

	if (!list)
		return NULL;
	sight->list = list;
	list[sight->count] = (struct ub_seen){0};
	return &list[sight->count++];
}

static int copy(const struct ub_seen *from, struct ub_sight *sight)
{
	struct ub_seen *to = append(sight);

	return to ? ub_seen_copy(from, to) : -ENOMEM;
}

int ub_sight_copy(const struct ub_sight *sight, struct ub_sight *ret_copy)
{
	struct ub_sight made = {0};
	int ret = 0;

	for (size_t i = 0; i < sight->count && !ret; i++)
		ret = copy(&sight->list[i], &made);
	if (ret)
		ub_sight_done(&made);
	else
		*ret_copy = made;
	return ret;
}

/* Of each device that is added, sysfs makes a node anew. */
static uint64_t find_birth(uint32_t id)
{
	char path[64];
	struct stat st;

	(void)snprintf(path, sizeof(path), "/sys/class/ublk-char/ublkc%u/", id);
	return stat(path, &st) == 0 ? st.st_ino : 0;
}

/* What was read of it last, the record, may say more than what was read first. */
static bool is_still(struct ub_ctrl *ctrl, const struct ub_dev *dev)
{
	struct ublksrv_ctrl_dev_info info;

	return ub_ctrl_get_info(ctrl, dev->id, &info) == 0 && info.state == dev->info.state &&
	       info.ublksrv_pid == dev->info.ublksrv_pid;
}

/* The driver says "live" before there is a disk, and for a while after the server's death; and "dead", or
 * before Linux 6.16 "quiesced", while a server that was stopped removes its device. */
static bool is_settled(const struct ub_dev *dev)
{
	bool is_served = dev->server.answer == UB_SERVED_YES;

	switch (dev->info.state) {
	case UBLK_S_DEV_LIVE:
		return ub_dev_is_live(dev) && ub_dev_has_disk(dev->id);
	case UBLK_S_DEV_DEAD:
		return !is_served && !ub_dev_is_going(dev->id);
	default:
		return !is_served || !dev->managed || dev->record.parked;
	}
}

static int see(const struct ub_dev *dev, struct ub_sight *sight)
{
	const char *name = dev->managed ? dev->record.spec.name : NULL;
	struct ub_seen *seen = append(sight);

	if (!seen)
		return -ENOMEM;
	*seen = (struct ub_seen){
		.id = dev->id,
		.token = dev->info.ublksrv_flags,
		.birth = find_birth(dev->id),
		.name = name ? strdup(name) : NULL,
		.managed = dev->managed,
		.state = dev->info.state,
		.settled = is_settled(dev),
		.parked = dev->managed && dev->record.parked,
		.pid = dev->server.pid,
		.start_time = dev->server.start_time,
		.size = dev->size,
		.restart = dev->restart.state,
	};
	return name && !seen->name ? -ENOMEM : 0;
}

/* While it is deleted, its record goes first, and its disk. */
static int remember(const struct ub_seen *before, struct ub_seen *now)
{
	if (!now->size)
		now->size = before->size;
	if (now->managed || !before->managed)
		return 0;
	now->managed = true;
	now->restart = before->restart;
	now->name = before->name ? strdup(before->name) : NULL;
	return before->name && !now->name ? -ENOMEM : 0;
}

/* What this look does not read. */
static int keep(const struct ub_seen *before, struct ub_seen *now)
{
	if (remember(before, now) < 0)
		return -ENOMEM;
	now->counted = before->counted;
	now->since = before->since;
	memcpy(now->errors, before->errors, sizeof(now->errors));
	now->stall = before->stall;
	return ub_seen_copy_users(before, now);
}

/* One that could not be asked about just now is still there. */
static bool is_gone(struct ub_ctrl *ctrl, const struct ub_seen *seen)
{
	struct ublksrv_ctrl_dev_info info;
	int ret = ub_dev_is_going(seen->id) ? -ENODEV : ub_ctrl_get_info(ctrl, seen->id, &info);

	return ret == -ENODEV || (ret == 0 && info.ublksrv_flags != seen->token);
}

/* Those that were there before @id and are not listed. Return: 1: one is still there; 0; or -ENOMEM. */
static int keep_missing(struct ub_ctrl *ctrl, const struct ub_sight *before, size_t *at,
			uint64_t id, struct ub_sight *sight)
{
	int ret = 0;

	for (; *at < before->count && before->list[*at].id < id && ret >= 0; (*at)++)
		if (!is_gone(ctrl, &before->list[*at]))
			ret = copy(&before->list[*at], sight) ?: 1;
	return ret;
}

/* @old: what was seen of this number, or NULL. Return: as ub_sight_read(), without a message. */
static int see_again(struct ub_ctrl *ctrl, const struct ub_dev *dev, const struct ub_seen *old,
		     struct ub_sight *sight)
{
	int ret = see(dev, sight);
	struct ub_seen *now;

	if (ret)
		return ret;
	now = &sight->list[sight->count - 1];
	if (!old || !ub_seen_is_same(old, now))
		return 0;
	if (now->state == UBLK_S_DEV_LIVE && now->pid != old->pid)
		now->settled = now->settled && is_still(ctrl, dev);
	ret = keep(old, now);
	return ret < 0 ? ret : !now->settled;
}

/* Return: as ub_sight_read(), without a message. */
static int see_all(struct ub_ctrl *ctrl, const struct ub_dev *devs, size_t count,
		   const struct ub_sight *before, struct ub_sight *sight)
{
	size_t at = 0;
	bool again = false;
	int ret;

	for (size_t i = 0; i < count; i++) {
		const struct ub_seen *old;

		ret = keep_missing(ctrl, before, &at, devs[i].id, sight);
		if (ret < 0)
			return ret;
		again |= ret;
		old = at < before->count ? &before->list[at] : NULL;
		at += old && old->id == devs[i].id;
		ret = see_again(ctrl, &devs[i], old, sight);
		if (ret < 0)
			return ret;
		again |= ret;
	}
	ret = keep_missing(ctrl, before, &at, UINT64_MAX, sight);
	return ret < 0 ? ret : ret || again;
}

static bool was_chosen(const struct ub_sight *before, const struct ub_dev *dev)
{
	for (size_t i = 0; i < before->count; i++)
		if (before->list[i].id == dev->id &&
		    before->list[i].token == dev->info.ublksrv_flags)
			return true;
	return false;
}

/* Drops the others. Return: how many are left. */
static size_t choose(const struct ub_sight_choice *choice, const struct ub_sight *before,
		     struct ub_dev *devs, size_t count)
{
	size_t kept = 0;

	for (size_t i = 0; i < count; i++) {
		if (!choice->is_chosen || was_chosen(before, &devs[i]) ||
		    choice->is_chosen(&devs[i], choice->arg))
			devs[kept++] = devs[i];
		else
			ub_dev_done(&devs[i]);
	}
	return kept;
}

int ub_sight_read(struct ub_ctrl *ctrl, struct ub_events *events,
		  const struct ub_sight_choice *choice, const struct ub_sight *before,
		  struct ub_sight *ret_sight, struct ub_error *err)
{
	struct ub_sight sight = {0};
	struct ub_dev *devs;
	size_t count;
	int ret = ub_dev_list(ctrl, &devs, &count, err), follows;

	if (ret)
		return ret;
	count = choose(choice, before, devs, count);
	ret = see_all(ctrl, devs, count, before, &sight);
	follows = ub_events_follow(events, devs, count);
	ub_dev_list_free(devs, count);
	if (ret < 0 || follows < 0) {
		ub_sight_done(&sight);
		return ub_fail(err, UB_STAGE_LOOKUP, -ENOMEM, "cannot watch the devices");
	}
	*ret_sight = sight;
	return ret || follows;
}

static void read_stats(int dirfd, struct ub_seen *seen)
{
	struct ub_dev_stats stats;

	if (ub_dev_stats_read_file(dirfd, seen->id, seen->token, &stats) != 0)
		return;
	seen->counted = true;
	seen->since = stats.since;
	for (unsigned op = 0; op < UB_STATS_OPS; op++)
		seen->errors[op] = stats.all.op[op].errors;
	seen->stall = stats.all.stall;
	ub_dev_stats_done(&stats);
}

void ub_sight_read_stats(struct ub_sight *sight)
{
	for (size_t i = 0; i < sight->count; i++)
		sight->list[i].counted = false;
	for (unsigned place = 0; place < UB_RECORD_PLACES; place++) {
		_cleanup_close_ int dirfd = ub_record_dir_open_place(place, NULL);

		for (size_t i = 0; i < sight->count && dirfd >= 0; i++)
			if (sight->list[i].managed && !sight->list[i].counted)
				read_stats(dirfd, &sight->list[i]);
	}
}

bool ub_sight_is_counted(const struct ub_sight *sight)
{
	for (size_t i = 0; i < sight->count; i++)
		if (sight->list[i].counted && sight->list[i].state == UBLK_S_DEV_LIVE)
			return true;
	return false;
}
