/* SPDX-License-Identifier: MIT */
#include "device/unused.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <sys/inotify.h>

#include "base/caps.h"
#include "base/clean.h"
#include "base/clock.h"
#include "device/claim.h"
#include "device/same.h"
#include "kernel/node.h"

/* How often to look again. The last close of a node comes with an event, just before it is closed;
 * that of what the kernel itself has open, a mount say, or of another node, comes without. */
#define FIRST_PAUSE_MS 4
#define LAST_PAUSE_MS 2000

/* May there be users among the processes that can't be seen, or asked? */
static bool may_hide(const struct ub_users *users, const struct ublksrv_ctrl_dev_info *dev)
{
	/* An ordinary user's disk is opened by his own processes, and by root's, which he can't ask
	 * anyway. */
	if (dev->flags & UBLK_F_UNPRIVILEGED_DEV && !ub_has_cap(CAP_SYS_ADMIN))
		return users->hidden;
	return users->hidden || users->forbidden;
}

/*
 * Who has it open, or uses it in a way that can be seen. @kind: of a user that counts for more than
 * an opener, if there is one; unchanged when there is no user. Return: 0 or a negative errno.
 */
static int find_kind(const struct ublksrv_ctrl_dev_info *dev, int32_t server,
		     enum ub_user_kind *kind, bool *ret_udev, bool *ret_hidden)
{
	_cleanup_(ub_users_done)
	struct ub_users users = {0};
	int ret = ub_users_find(dev->dev_id, server, &users);

	*ret_udev = users.count > 0;
	*ret_hidden = may_hide(&users, dev);
	for (size_t i = 0; i < users.count; i++) {
		*ret_udev = *ret_udev && users.list[i].is_udev;
		if (i == 0 || users.list[i].kind != UB_USER_OPENER)
			*kind = users.list[i].kind;
	}
	return ret;
}

/* From Linux 7.0 on the driver refuses, and doesn't say why. */
static int try_stop(struct ub_ctrl *ctrl, const struct ublksrv_ctrl_dev_info *dev, int32_t server,
		    enum ub_user_kind *ret_kind, bool *ret_udev)
{
	_cleanup_close_ int claim = -1;
	bool hidden;
	int ret = ub_same_command(ctrl, dev, UBLK_U_CMD_TRY_STOP_DEV, 0, UB_CTRL_NO_TIMEOUT);

	/* Also of a device that is not started. */
	if (ret == -ENODEV)
		return ub_same_command(ctrl, dev, UBLK_U_CMD_STOP_DEV, 0, UB_CTRL_NO_TIMEOUT);
	if (ret != -EBUSY)
		return ret;
	*ret_kind = UB_USER_UNSEEN;
	(void)find_kind(dev, server, ret_kind, ret_udev, &hidden);
	if (*ret_kind == UB_USER_UNSEEN) {
		claim = ub_claim_open(ctrl, dev);
		if (claim == -EBUSY)
			*ret_kind = UB_USER_CLAIM;
	}
	return ret;
}

/* Before that it does not. */
static int claim_and_stop(struct ub_ctrl *ctrl, const struct ublksrv_ctrl_dev_info *dev,
			  int32_t server, enum ub_user_kind *ret_kind, bool *ret_udev)
{
	_cleanup_close_ int claim = ub_claim_open(ctrl, dev);
	enum ub_user_kind kind = claim == -EBUSY ? UB_USER_CLAIM : UB_USER_UNSEEN;
	bool hidden = false;
	int ret = 0;

	*ret_kind = kind;
	/* Without a disk there are no users. */
	if (claim != -ENXIO)
		ret = find_kind(dev, server, ret_kind, ret_udev, &hidden);
	if (ret)
		return ret;
	if ((claim < 0 && claim != -ENXIO) || *ret_kind != kind || hidden)
		return -EBUSY;
	return ub_same_command(ctrl, dev, UBLK_U_CMD_STOP_DEV, 0, UB_CTRL_NO_TIMEOUT);
}

static int64_t until(const struct ub_unused_wait *wait, enum ub_user_kind kind, bool udev)
{
	int64_t ms = wait->any_ms;

	if ((kind == UB_USER_OPENER || kind == UB_USER_UNSEEN) && wait->openers_ms > ms)
		ms = wait->openers_ms;
	if (udev && wait->udev_ms > ms)
		ms = wait->udev_ms;
	return ms;
}

/* Watches the node being closed, if it is there. Partitions' closes are not heard. */
static int watch_node(uint32_t id)
{
	int fd = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
	char path[32];

	if (fd >= 0)
		(void)inotify_add_watch(fd, ub_dev_block_path(id, path), IN_CLOSE);
	return fd;
}

static void forget_events(int watch)
{
	char events[4096];

	while (read(watch, events, sizeof(events)) > 0)
		;
}

int ub_unused_stop(struct ub_ctrl *ctrl, const struct ublksrv_ctrl_dev_info *dev, int32_t server,
		   const struct ub_unused_wait *wait, enum ub_user_kind *ret_kind)
{
	bool is_safe = dev->flags & UBLK_F_SAFE_STOP_DEV;
	_cleanup_close_ int watch = -1;
	int pause = FIRST_PAUSE_MS;

	for (;;) {
		bool udev = false;
		int ret = is_safe ? try_stop(ctrl, dev, server, ret_kind, &udev)
				  : claim_and_stop(ctrl, dev, server, ret_kind, &udev);
		int left = ret == -EBUSY ? ub_left_ms(until(wait, *ret_kind, udev)) : 0;

		if (left == 0)
			return ret;
		/* What was closed until now was this process's own claim, or is seen the next time. */
		if (watch < 0)
			watch = watch_node(dev->dev_id);
		forget_events(watch);
		if (poll(&(struct pollfd){.fd = watch, .events = POLLIN}, 1,
			 left < pause ? left : pause) == 1)
			pause = FIRST_PAUSE_MS;
		else
			pause = 2 * pause < LAST_PAUSE_MS ? 2 * pause : LAST_PAUSE_MS;
	}
}
