/* SPDX-License-Identifier: MIT */
/*
 * The order is: users, stop, the server's end, the record, the deletion. Each step has what is left
 * of one deadline, and each waits for what could make the next one hang: STOP_DEV for the I/O that
 * the server has in hand, DEL_DEV (under a lock of the whole driver) for the last close.
 */
#include "device/stop.h"

#include <errno.h>
#include <stdio.h>

#include "base/clean.h"
#include "base/clock.h"
#include "base/retry.h"
#include "device/claim.h"
#include "process/helper.h"
#include "process/process.h"
#include "device/served_by.h"
#include "record/store.h"

/* How long a device that is open may stay so before that counts: udev and its helpers look at
 * every new device for a moment. */
#define TRANSIENT_MS 1000
/* What a server that got SIGKILL, and the driver after it, have at the least. */
#define KILL_MS 5000
/* How long --force waits for a server, or half of the time that there is. */
#define PATIENCE_MS 10000
/* What the deletion of a stopped device has at the least, and one that nobody waits for. */
#define DELETE_MS 1000

struct del {
	struct ub_ctrl *ctrl;
	const struct ub_dev *dev;
	const struct ub_del_options *opt;
	struct ub_users *users;
	struct ub_error *err;
	int64_t deadline;
	struct ub_served_by server;
	char name[32];
};

/* What the helper process does, which may hang: claims, stops. */
struct stop_call {
	struct ublksrv_ctrl_dev_info info;
	bool claim;
	bool only_unused;
};

static int call_stop(const void *arg)
{
	const struct stop_call *call = arg;
	_cleanup_(ub_ctrl_closep)
	struct ub_ctrl *ctrl = NULL;
	int ret = ub_ctrl_open(&ctrl, NULL);

	if (ret)
		return ret;
	if (call->claim) {
		/* Open until this process ends; whoever else can't open it does no harm. */
		ret = ub_claim_open(call->info.dev_id);
		if (ret == -EBUSY)
			return ret;
	}
	if (call->only_unused) {
		ret = ub_ctrl_simple(ctrl, &call->info, UBLK_U_CMD_TRY_STOP_DEV, 0,
				     UB_CTRL_NO_TIMEOUT);
		/* ENODEV: it is not started. */
		if (ret != -ENODEV && ret != -EOPNOTSUPP)
			return ret;
	}
	return ub_ctrl_simple(ctrl, &call->info, UBLK_U_CMD_STOP_DEV, 0, UB_CTRL_NO_TIMEOUT);
}

/* The driver stops no device that somebody has open, if it is asked so (TRY_STOP_DEV). */
static bool is_safe(const struct del *d)
{
	return d->dev->info.flags & UBLK_F_SAFE_STOP_DEV;
}

static int left(const struct del *d, int least_ms)
{
	int ms = ub_left_ms(d->deadline);

	return ms < least_ms ? least_ms : ms;
}

/* Is it still the device that the caller has looked at? Return: 0 with @ret_info, or -ENODEV. */
static int ask_again(const struct del *d, struct ublksrv_ctrl_dev_info *ret_info)
{
	const struct ublksrv_ctrl_dev_info *old = &d->dev->info;
	struct ublksrv_ctrl_dev_info now;
	int ret = ub_ctrl_get_info(d->ctrl, d->dev->id, &now);

	if (ret)
		return ret;
	/* Ours have a token. Of others this is all that there is; the number can only be another
	 * device's if somebody removed this one meanwhile. */
	if (now.ublksrv_flags != old->ublksrv_flags || now.flags != old->flags ||
	    now.owner_uid != old->owner_uid || now.owner_gid != old->owner_gid ||
	    now.nr_hw_queues != old->nr_hw_queues || now.queue_depth != old->queue_depth)
		return -ENODEV;
	*ret_info = now;
	return 0;
}

/* What is left; --force is patient only for so long with a server before it kills it. */
static int patience(const struct del *d)
{
	int ms = ub_left_ms(d->deadline);

	if (!d->opt->force)
		return ms;
	return ms / 2 < PATIENCE_MS ? ms / 2 : PATIENCE_MS;
}

/* The stop hangs. Return: 0 when it has come to its end all the same. */
static int stop_hangs(struct del *d, struct ub_helper *helper, int *ret_result)
{
	const char *why = "there is no server that could be killed";
	int ret;

	if (!d->opt->force)
		return ub_fail_text(d->err, UB_STAGE_STOP, -ETIMEDOUT,
				    "cannot stop %s in time: its server (process %d) does not "
				    "answer; the device is stopped when that answers or dies "
				    "(--force kills it)",
				    d->name, d->server.pid);
	ret = ub_served_by_kill(&d->server, KILL_MS);
	if (ret && ret != -ESRCH && ret != -ETIMEDOUT)
		return ub_fail(d->err, UB_STAGE_STOP, ret, "cannot kill the server of %s (%d)",
			       d->name, d->server.pid);
	if (ub_helper_wait(helper, left(d, KILL_MS), ret_result) == 0)
		return 0;
	if (ret == 0)
		why = "its server was killed, but the driver does not let go";
	else if (ret == -ETIMEDOUT)
		why = "its server was killed, but the kernel does not let it end";
	return ub_fail_text(d->err, UB_STAGE_STOP, -ETIMEDOUT, "cannot stop %s: %s", d->name, why);
}

/* Return: 0 (also when it is gone), -EBUSY without a message, or an error. */
static int stop_once(struct del *d)
{
	struct stop_call call = {
		.info = d->dev->info,
		.only_unused = !d->opt->force && is_safe(d),
		/* Where the driver can't refuse, nobody may mount it from now on. */
		.claim = !d->opt->force && !is_safe(d) && d->dev->info.state == UBLK_S_DEV_LIVE,
	};
	struct ub_helper helper;
	int ret = ub_helper_start(&helper, call_stop, &call), result;

	if (ret)
		return ub_fail(d->err, UB_STAGE_STOP, ret, "cannot stop %s", d->name);
	ret = ub_helper_wait(&helper, patience(d), &result);
	if (ret == -ETIMEDOUT)
		ret = stop_hangs(d, &helper, &result);
	else if (ret)
		(void)ub_fail(d->err, UB_STAGE_STOP, ret, "cannot stop %s", d->name);
	ub_helper_end(&helper);
	if (ret || result == -EBUSY)
		return ret ? ret : result;
	if (result && result != -ENODEV)
		return ub_fail(d->err, UB_STAGE_STOP, result, "cannot stop %s", d->name);
	return 0;
}

static bool only_openers(const struct ub_users *users)
{
	for (size_t i = 0; i < users->count; i++)
		if (users->list[i].kind != UB_USER_OPENER)
			return false;
	return true;
}

static int busy(struct del *d)
{
	/* Nobody seen: perhaps it is mounted where this process can't look. */
	if (d->users->count == 0 && d->dev->info.state == UBLK_S_DEV_LIVE)
		(void)ub_users_find_claim(d->dev->id, d->users);
	return ub_fail_text(d->err, UB_STAGE_STOP, -EBUSY, "cannot stop %s: it is in use", d->name);
}

static int find_users(struct del *d)
{
	int ret = ub_users_find(d->dev->id, d->server.pid, d->users);

	return ret ? ub_fail(d->err, UB_STAGE_STOP, ret, "cannot tell who uses %s", d->name) : 0;
}

/* Return: 0, -EBUSY without a message and with the users that can be seen, or an error. */
static int stop_if_unused(struct del *d)
{
	int ret;

	/* A driver that can refuse knows better, and need not look at every process's descriptors. */
	if (is_safe(d)) {
		ret = stop_once(d);
		if (ret != -EBUSY)
			return ret;
		ret = find_users(d);
		return ret ? ret : -EBUSY;
	}
	ret = find_users(d);
	if (ret)
		return ret;
	return d->users->count ? -EBUSY : stop_once(d);
}

/* Stops a device that nobody uses; lets those who only look at it come to an end. */
static int stop_unused(struct del *d)
{
	struct ub_retry retry;
	int ret;

	ub_retry_init(&retry, TRANSIENT_MS);
	do {
		ub_users_done(d->users);
		ret = stop_if_unused(d);
	} while (ret == -EBUSY && only_openers(d->users) && ub_retry_wait(&retry));
	return ret == -EBUSY ? busy(d) : ret;
}

/* As --force: whoever uses it finds it gone. They are told of, since they keep the number taken. */
static int stop_used(struct del *d)
{
	(void)ub_users_find(d->dev->id, d->server.pid, d->users);
	return stop_once(d);
}

/* A server of ours lets go of a device that is stopped, and ends. */
static int wait_server(struct del *d)
{
	int ret;

	if (!d->dev->managed || d->server.fd < 0 || d->opt->async)
		return 0;
	ret = ub_process_wait(d->server.fd, patience(d));
	if (ret && d->opt->force)
		ret = ub_served_by_kill(&d->server, KILL_MS);
	if (!ret)
		return 0;
	return ub_fail_text(d->err, UB_STAGE_DEL, ret,
			    "cannot remove %s: it is stopped, but its server (process %d) does not "
			    "end (--force kills it)",
			    d->name, d->server.pid);
}

static int delete_now(struct del *d, const struct ublksrv_ctrl_dev_info *info)
{
	int ms = patience(d);
	int ret = ub_ctrl_simple(d->ctrl, info, UBLK_U_CMD_DEL_DEV, 0,
				 ms < DELETE_MS ? DELETE_MS : ms);

	if (ret != -ETIMEDOUT)
		return ret;
	/* It is deleted; what remains is the number, as long as somebody has a node open. */
	if (d->opt->force && ub_served_by_kill(&d->server, KILL_MS) == 0)
		ret = ub_ctrl_simple(d->ctrl, info, UBLK_U_CMD_DEL_DEV, 0, KILL_MS);
	return ret;
}

static int delete_without_waiting(struct del *d, const struct ublksrv_ctrl_dev_info *info)
{
	int ret;

	/* The driver has DEL_DEV_ASYNC for privileged devices only; the other one, given up, has
	 * done the same. */
	if (!(info->flags & UBLK_F_UNPRIVILEGED_DEV))
		return ub_ctrl_simple(d->ctrl, info, UBLK_U_CMD_DEL_DEV_ASYNC, 0,
				      left(d, DELETE_MS));
	ret = ub_ctrl_simple(d->ctrl, info, UBLK_U_CMD_DEL_DEV, 0, DELETE_MS);
	return ret == -ETIMEDOUT ? 0 : ret;
}

/* Its number is taken until the last one closes it. */
static int still_open(struct del *d)
{
	int32_t pid = d->server.rdev ? ub_process_find_open(d->server.rdev) : 0;

	if (!pid)
		return ub_fail_text(d->err, UB_STAGE_DEL, -ETIMEDOUT,
				    "cannot remove %s to the end: it is stopped and its nodes are "
				    "gone, but its number stays taken until all who have it open "
				    "have closed it",
				    d->name);
	return ub_fail_text(d->err, UB_STAGE_DEL, -ETIMEDOUT,
			    "cannot remove %s to the end: it is stopped and its nodes are gone, "
			    "but its number stays taken until its server (process %d) closes it "
			    "(--force kills that)",
			    d->name, pid);
}

static int delete_stopped(struct del *d)
{
	struct ublksrv_ctrl_dev_info info;
	int ret = ask_again(d, &info);

	/* Its server removed it, or somebody else did. */
	if (ret == -ENODEV)
		return 0;
	if (!ret && info.state == UBLK_S_DEV_LIVE)
		return ub_fail_text(d->err, UB_STAGE_DEL, -EBUSY,
				    "cannot remove %s: somebody has started it again", d->name);
	/* A stopped device can't be recovered; and as long as it is there, its number, and so its
	 * record's name, is not another one's. */
	if (!ret)
		(void)ub_record_remove(d->dev->id, info.ublksrv_flags);
	/* With --force its users may keep it open for as long as they like. */
	if (!ret && (d->opt->async || (d->opt->force && d->users->count)))
		ret = delete_without_waiting(d, &info);
	else if (!ret)
		ret = delete_now(d, &info);
	if (!ret || ret == -ENODEV)
		return 0;
	if (ret == -ETIMEDOUT)
		return still_open(d);
	return ub_fail(d->err, UB_STAGE_DEL, ret, "cannot remove %s, which is stopped", d->name);
}

int ub_device_del(struct ub_ctrl *ctrl, const struct ub_dev *dev, const struct ub_del_options *opt,
		  struct ub_users *ret_users, struct ub_error *err)
{
	struct del d = {
		.ctrl = ctrl,
		.dev = dev,
		.opt = opt,
		.users = ret_users,
		.err = err,
		.deadline = ub_now_ms() + opt->timeout_ms,
	};
	struct ublksrv_ctrl_dev_info info;
	int ret;

	*ret_users = (struct ub_users){0};
	(void)snprintf(d.name, sizeof(d.name), "ublkb%u", dev->id);
	ret = ask_again(&d, &info);
	if (ret)
		return ub_fail(err, UB_STAGE_LOOKUP, ret, "cannot remove %s", d.name);
	ub_served_by_find(dev, &d.server);
	ret = opt->force ? stop_used(&d) : stop_unused(&d);
	if (!ret)
		ret = wait_server(&d);
	if (!ret)
		ret = delete_stopped(&d);
	ub_served_by_done(&d.server);
	return ret;
}
