/* SPDX-License-Identifier: MIT */
#include "device/unused.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <sys/inotify.h>

#include "base/caps.h"
#include "base/clean.h"
#include "base/clock.h"
#include "base/fault.h"
#include "device/claim.h"
#include "device/steady.h"
#include "kernel/node.h"

/* How often to look again. The last close of a node comes with an event, just before it is closed;
 * that of what the kernel itself has open, a mount say, or of another node, comes without. */
#define FIRST_PAUSE_MS 4
#define LAST_PAUSE_MS 2000

/* How long nobody at all may be seen where users were, before that counts as somebody unseen: the event
 * of a close comes before the driver knows of it, and a look takes its time. */
#define GONE_MS 1000

/* May there be users among the processes that can't be seen, or asked? */
static bool may_hide(const struct ub_users *users, const struct ublksrv_ctrl_dev_info *dev)
{
	/* An ordinary user's disk is opened by his own processes, and by root's, which he can't ask
	 * anyway. */
	if (dev->flags & UBLK_F_UNPRIVILEGED_DEV && !ub_has_cap(CAP_SYS_ADMIN))
		return users->hidden;
	return users->hidden || users->forbidden;
}

void ub_unused_judge(const struct ublksrv_ctrl_dev_info *dev, int code,
		     const struct ub_users *users, struct ub_unused_seen *ret_seen)
{
	struct ub_unused_seen seen = {
		.code = code,
		.used = users->count > 0,
		.udev = users->count > 0,
		.hidden = may_hide(users, dev),
	};

	for (size_t i = 0; i < users->count; i++) {
		seen.udev = seen.udev && users->list[i].is_udev;
		if (i == 0 || users->list[i].kind != UB_USER_OPENER)
			seen.kind = users->list[i].kind;
	}
	*ret_seen = seen;
}

void ub_unused_look_here(const struct ublksrv_ctrl_dev_info *dev, int32_t server,
			 struct ub_unused_seen *ret_seen)
{
	_cleanup_(ub_users_done)
	struct ub_users users = {0};
	int ret = ub_users_find(dev->dev_id, server, &users);

	ub_unused_judge(dev, ret, &users, ret_seen);
}

/* What all attempts have in common. */
struct attempt {
	struct ub_ctrl *ctrl;
	const struct ublksrv_ctrl_dev_info *dev;
	int32_t server;
	ub_unused_look look;
};

/* From Linux 7.0 on the driver refuses, and doesn't say why. */
static int try_stop(const struct attempt *a, struct ub_unused_seen *ret_seen)
{
	_cleanup_close_ int claim = -1;
	int ret = ub_steady_stop(a->ctrl, a->dev, UBLK_U_CMD_TRY_STOP_DEV);

	/* Also of a device that is not started. */
	if (ret == -ENODEV)
		return ub_steady_stop(a->ctrl, a->dev, UBLK_U_CMD_STOP_DEV);
	if (ret != -EBUSY)
		return ret;
	/* The tests have its user go between the two. */
	(void)ub_fault("unused-look");
	a->look(a->dev, a->server, ret_seen);
	if (!ret_seen->used) {
		claim = ub_claim_open(a->ctrl, a->dev);
		ret_seen->kind = claim == -EBUSY ? UB_USER_CLAIM : UB_USER_UNSEEN;
	}
	return ret;
}

/* Before that it does not. */
static int claim_and_stop(const struct attempt *a, struct ub_unused_seen *ret_seen)
{
	_cleanup_close_ int claim = ub_claim_open(a->ctrl, a->dev);

	if (claim == -ENODEV)
		return claim;
	/* Without a disk there are no users. */
	if (claim != -ENXIO)
		a->look(a->dev, a->server, ret_seen);
	if (ret_seen->code)
		return ret_seen->code;
	if (!ret_seen->used)
		ret_seen->kind = claim == -EBUSY ? UB_USER_CLAIM : UB_USER_UNSEEN;
	if ((claim < 0 && claim != -ENXIO) || ret_seen->used || ret_seen->hidden)
		return -EBUSY;
	return ub_steady_stop(a->ctrl, a->dev, UBLK_U_CMD_STOP_DEV);
}

static int64_t later(int64_t a, int64_t b)
{
	return a > b ? a : b;
}

/* @gone_ms: when nobody was seen for the first time after users were; 0: that is not so. */
static int64_t until(const struct ub_unused_wait *wait, const struct ub_unused_seen *seen,
		     int64_t gone_ms)
{
	int64_t ms = wait->any_ms;
	int64_t last_ms = later(wait->any_ms, later(wait->openers_ms, wait->udev_ms));

	if (seen->kind == UB_USER_OPENER || seen->kind == UB_USER_UNSEEN)
		ms = later(ms, wait->openers_ms);
	if (seen->udev)
		ms = later(ms, wait->udev_ms);
	if (gone_ms)
		ms = later(ms, gone_ms + GONE_MS < last_ms ? gone_ms + GONE_MS : last_ms);
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
		   ub_unused_look look, const struct ub_unused_wait *wait,
		   enum ub_user_kind *ret_kind)
{
	const struct attempt a = {.ctrl = ctrl, .dev = dev, .server = server, .look = look};
	bool is_safe = dev->flags & UBLK_F_SAFE_STOP_DEV;
	_cleanup_close_ int watch = -1;
	int pause = FIRST_PAUSE_MS;
	bool was_used = false;
	int64_t gone_ms = 0;

	for (;;) {
		struct ub_unused_seen seen = {0};
		int ret = is_safe ? try_stop(&a, &seen) : claim_and_stop(&a, &seen);
		int left;

		was_used |= seen.used;
		if (seen.used)
			gone_ms = 0;
		else if (was_used && !gone_ms)
			gone_ms = ub_now_ms();
		left = ret == -EBUSY ? ub_left_ms(until(wait, &seen, gone_ms)) : 0;
		*ret_kind = seen.kind;
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
