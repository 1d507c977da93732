/* SPDX-License-Identifier: MIT */
/*
 * First everything is watched that tells of a change, then it is looked; so none is missed. What comes
 * without an event, or a moment after one, is looked for again and again, at longer and longer pauses;
 * when these are at their longest it goes on only where the next change may have no event at all.
 */
#include "device/await.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>

#include "base/clean.h"
#include "base/clock.h"
#include "device/device.h"
#include "device/events.h"
#include "kernel/node.h"

/* How long a device may be another user's: until udev has opened its node to him, his own are root's. */
#define DENIED_MS 3000

const char *const ub_awaited_names[] = {
	[UB_AWAIT_LIVE] = "live", [UB_AWAIT_QUIESCED] = "quiesced", [UB_AWAIT_FAILED] = "failed",
	[UB_AWAIT_DEAD] = "dead", [UB_AWAIT_GONE] = "gone",         NULL,
};

struct await {
	struct ub_ctrl *ctrl;
	const char *text;
	enum ub_awaited what;
	struct ub_error *err;
	struct ub_events *events;
	int64_t denied_until; /* 0: it is not */

	/* The device, since it was first seen. */
	bool seen;
	uint32_t id;
	uint64_t token;

	/* As it was at the last look. */
	char state[32]; /* "it is live" */
	bool is_silent; /* the next change may have no event */
};

static int fail(const struct await *a, int code, const char *why)
{
	char number[32];
	uint32_t id;

	if (ub_parse_dev_id(a->text, &id) == 0)
		(void)snprintf(number, sizeof(number), "ublkb%u", id);
	else
		(void)snprintf(number, sizeof(number), "%.30s", a->text);
	return ub_fail_text(a->err, UB_STAGE_LOOKUP, code, "cannot wait for %s to be %s%s: %s",
			    number, ub_awaited_names[a->what],
			    code == -ETIMEDOUT ? " any longer" : "", why);
}

static void say(struct await *a, const char *state)
{
	(void)snprintf(a->state, sizeof(a->state), "%s", state);
}

static bool is_awaited(const struct await *a, const struct ub_dev *dev)
{
	switch (a->what) {
	case UB_AWAIT_LIVE:
		return ub_dev_is_live(dev) && ub_dev_has_disk(dev->id);
	case UB_AWAIT_QUIESCED:
		return dev->info.state == UBLK_S_DEV_QUIESCED;
	case UB_AWAIT_FAILED:
		return dev->info.state == UBLK_S_DEV_FAIL_IO;
	case UB_AWAIT_DEAD:
		return dev->info.state == UBLK_S_DEV_DEAD;
	case UB_AWAIT_COUNT:
	case UB_AWAIT_GONE:
		break;
	}
	return false;
}

/* Return: 1: that is it; 0: it is not. */
static int judge(struct await *a, const struct ublksrv_ctrl_dev_info *info)
{
	_cleanup_(ub_dev_done)
	struct ub_dev dev = {.id = info->dev_id, .info = *info};
	bool is_ending = false;

	/* Who serves it costs something to find out. */
	if (info->state == UBLK_S_DEV_LIVE) {
		ub_dev_fill(info, 1, &dev);
		is_ending = !ub_dev_is_live(&dev);
	}
	if (is_ending)
		say(a, "its server has died");
	else
		(void)snprintf(a->state, sizeof(a->state), "it is %s", ub_dev_state_name(&dev));
	/* A recovery's end has no event. */
	a->is_silent = ub_events_follow(a->events, &dev, 1) != 0 ||
		       info->state == UBLK_S_DEV_QUIESCED || info->state == UBLK_S_DEV_FAIL_IO;
	return is_awaited(a, &dev);
}

/* There is none. Return: as look(). */
static int is_not_there(struct await *a)
{
	bool was_there = a->seen;

	a->seen = false;
	say(a, "there is no such device");
	a->is_silent = ub_events_follow(a->events, NULL, 0) != 0;
	if (a->what == UB_AWAIT_GONE)
		return 1;
	if (was_there && a->what != UB_AWAIT_LIVE)
		return fail(a, -ENODEV, "it has been removed");
	return 0;
}

/* Its user can't ask, who needs its node for that: the number is not free yet. Return: as look(). */
static int is_without_node(struct await *a)
{
	say(a, "its node is gone");
	a->is_silent = true;
	return 0;
}

/* This user may not ask about it. Return: as look(). */
static int is_denied(struct await *a)
{
	if (!a->denied_until)
		a->denied_until = ub_now_ms() + DENIED_MS;
	say(a, "it is another user's");
	a->is_silent = true;
	return ub_left_ms(a->denied_until) ? 0 : fail(a, -EACCES, a->state);
}

/* Return: 1: it is as awaited; 0: not yet; or a negative errno with a message. */
static int look(struct await *a)
{
	struct ublksrv_ctrl_dev_info info;
	int ret = a->seen ? 0 : ub_dev_resolve(a->ctrl, a->text, &a->id, a->err);

	if (ret)
		return ret == -ENODEV ? is_not_there(a) : ret;
	ret = ub_dev_get_info(a->ctrl, a->id, &info, a->err);
	if (ret == -ENODEV || (ret == 0 && a->seen && info.ublksrv_flags != a->token))
		return is_not_there(a);
	if (ret == -EACCES || ret == -EPERM)
		return is_denied(a);
	if (ret == -EINVAL)
		return is_without_node(a);
	if (ret)
		return ret;
	a->denied_until = 0;
	a->seen = true;
	a->token = info.ublksrv_flags;
	return judge(a, &info);
}

static void wait_for_change(struct await *a, int left_ms)
{
	bool looks_again = a->is_silent || !ub_events_are_past(a->events);
	int pause = looks_again ? ub_events_pause(a->events) : left_ms;
	int64_t until = ub_now_ms() + (pause < left_ms ? pause : left_ms);
	struct pollfd pfd = {.fd = ub_events_fd(a->events), .events = POLLIN};

	do
		(void)poll(&pfd, 1, ub_left_ms(until));
	while (!ub_events_take(a->events) && ub_left_ms(until));
}

int ub_dev_await(struct ub_ctrl *ctrl, const char *text, enum ub_awaited what, int timeout_ms,
		 struct ub_error *err)
{
	struct await a = {.ctrl = ctrl, .text = text, .what = what, .err = err};
	int64_t deadline = ub_now_ms() + timeout_ms;
	int ret = ub_events_open(&a.events, err), left = timeout_ms;

	if (ret)
		return ret;
	while ((ret = look(&a)) == 0 && left) {
		wait_for_change(&a, left);
		left = ub_left_ms(deadline);
	}
	ub_events_freep(&a.events);
	if (ret)
		return ret < 0 ? ret : 0;
	return fail(&a, -ETIMEDOUT, a.state);
}
