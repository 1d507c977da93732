/* SPDX-License-Identifier: MIT */
/*
 * The order is: users, stop, the server's end, the record, the deletion. Each step has what is left
 * of one deadline, and each waits for what could make the next one hang: STOP_DEV for the I/O that
 * the server has in hand. DEL_DEV waits for the last close, up to Linux 6.18 under a lock of the whole
 * driver: so the device is deleted without waiting (DEL_DEV_ASYNC), and its number looked for.
 */
#include "device/stop.h"

#include <errno.h>
#include <stdio.h>
#include <unistd.h>

#include "base/clean.h"
#include "base/clock.h"
#include "device/same.h"
#include "device/served_by.h"
#include "device/unused.h"
#include "process/helper.h"
#include "process/process.h"
#include "record/store.h"

/* How long a device that is open may stay so before that counts: many a program looks at every new
 * device for a moment. udev, which is known, has the whole time. */
#define TRANSIENT_MS 1000
/* What a server that got SIGKILL, and the driver after it, have at the least. */
#define KILL_MS 5000
/* How long --force waits for a server, or half of the time that there is. */
#define PATIENCE_MS 10000
/* What the deletion of a stopped device has at the least, and one that nobody waits for. */
#define DELETE_MS 1000
/* How often it is looked whether a deleted device has gone: a grace period takes some milliseconds. */
#define FIRST_PAUSE_US 1000
#define LAST_PAUSE_US 50000
/* What the helper has, of the deadline, to say that it is still in use. */
#define ANSWER_MS 500

struct del {
	struct ub_ctrl *ctrl;
	const struct ub_dev *dev;
	const struct ub_del_options *opt;
	struct ub_users *users;
	struct ub_error *err;
	int64_t deadline;
	int server_fd; /* its pidfd, or -1 */
	char name[32];
};

/* What the helper process does, which may hang. */
struct stop_call {
	struct ublksrv_ctrl_dev_info info;
	bool force;
	int32_t server;
	struct ub_unused_wait wait;
};

/* Return: 0, 1 + the kind of a user, or a negative errno. */
static int call_stop(const void *arg)
{
	const struct stop_call *call = arg;
	_cleanup_(ub_ctrl_closep)
	struct ub_ctrl *ctrl = NULL;
	enum ub_user_kind kind;
	int ret = ub_ctrl_open(&ctrl, NULL);

	if (ret)
		return ret;
	if (call->force)
		return ub_same_command(ctrl, &call->info, UBLK_U_CMD_STOP_DEV, 0,
				       UB_CTRL_NO_TIMEOUT);
	ret = ub_unused_stop(ctrl, &call->info, call->server, &call->wait, &kind);
	return ret == -EBUSY ? 1 + (int)kind : ret;
}

static int left(const struct del *d, int least_ms)
{
	int ms = ub_left_ms(d->deadline);

	return ms < least_ms ? least_ms : ms;
}

/* What is left; --force is patient only for so long with a server before it kills it. */
static int patience(const struct del *d)
{
	int ms = ub_left_ms(d->deadline);

	if (!d->opt->force)
		return ms;
	return ms / 2 < PATIENCE_MS ? ms / 2 : PATIENCE_MS;
}

/* What is left to be done about a server. */
static const char *force_kills(const struct del *d)
{
	return d->opt->force ? "" : " (--force kills it)";
}

static int say_hung(struct del *d)
{
	const struct ub_served_by *server = &d->dev->server;

	if (server->pid)
		return ub_fail_text(d->err, UB_STAGE_STOP, -ETIMEDOUT,
				    "cannot stop %s in time: its server (process %d) does not "
				    "answer; the device is stopped when that answers or dies "
				    "(--force kills it)",
				    d->name, server->pid);
	return ub_fail_text(d->err, UB_STAGE_STOP, -ETIMEDOUT,
			    "cannot stop %s in time: the kernel does not answer", d->name);
}

/* The stop hangs. Return: 0 when it has come to its end all the same. */
static int stop_hangs(struct del *d, struct ub_helper *helper, int *ret_result)
{
	const char *why = "there is no server that could be killed";
	int ret;

	if (!d->opt->force)
		return say_hung(d);
	ret = ub_served_by_kill(&d->dev->server, d->server_fd, KILL_MS);
	if (ret && ret != -ESRCH && ret != -ETIMEDOUT)
		return ub_fail(d->err, UB_STAGE_STOP, ret, "cannot kill the server of %s (%d)",
			       d->name, d->dev->server.pid);
	if (ub_helper_wait(helper, left(d, KILL_MS), ret_result) == 0)
		return 0;
	if (ret == 0)
		why = "its server was killed, but the driver does not let go";
	else if (ret == -ETIMEDOUT)
		why = "its server was killed, but the kernel does not let it end";
	else if (d->dev->server.answer == UB_SERVED_UNKNOWN)
		why = "its server cannot be seen from here, to be killed";
	return ub_fail_text(d->err, UB_STAGE_STOP, -ETIMEDOUT, "cannot stop %s: %s", d->name, why);
}

/* Those that can be seen from here; if there are none, what is known of them. */
static int in_use(struct del *d, enum ub_user_kind kind)
{
	(void)ub_users_find(d->dev->id, d->dev->server.pid, d->users);
	if (d->users->count == 0 && (kind == UB_USER_CLAIM || kind == UB_USER_UNSEEN))
		(void)ub_users_add(d->users, kind, d->name, "", 0);
	return ub_fail_text(d->err, UB_STAGE_STOP, -EBUSY, "cannot stop %s: it is in use", d->name);
}

/* Stops it; without force only if nobody uses it, and lets those who merely look at it come to an
 * end. With it, whoever uses it finds it gone; they are told of, since they keep the number taken. */
static int stop(struct del *d)
{
	int64_t now = ub_now_ms();
	struct stop_call call = {
		.info = d->dev->info,
		.force = d->opt->force,
		.server = d->dev->server.pid,
		.wait = {.udev_ms = d->deadline - ANSWER_MS, .openers_ms = now + TRANSIENT_MS},
	};
	struct ub_helper helper;
	int ret, result;

	if (call.wait.openers_ms > call.wait.udev_ms)
		call.wait.openers_ms = call.wait.udev_ms;
	if (d->opt->force)
		(void)ub_users_find(d->dev->id, call.server, d->users);
	ret = ub_helper_start(&helper, call_stop, &call);
	if (ret)
		return ub_fail(d->err, UB_STAGE_STOP, ret, "cannot stop %s", d->name);
	ret = ub_helper_wait(&helper, patience(d), &result);
	if (ret == -ETIMEDOUT)
		ret = stop_hangs(d, &helper, &result);
	else if (ret)
		(void)ub_fail(d->err, UB_STAGE_STOP, ret, "cannot stop %s", d->name);
	ub_helper_end(&helper);
	if (ret)
		return ret;
	if (result > 0)
		return in_use(d, (enum ub_user_kind)(result - 1));
	/* Another one has got the number: this one is gone. */
	if (result && result != -ENODEV)
		return ub_fail(d->err, UB_STAGE_STOP, result, "cannot stop %s", d->name);
	return 0;
}

/* A server of ours lets go of a device that is stopped, and ends. */
static int wait_server(struct del *d)
{
	int ret;

	if (!d->dev->managed || d->server_fd < 0 || d->opt->async)
		return 0;
	ret = ub_process_wait(d->server_fd, patience(d));
	if (ret && d->opt->force)
		ret = ub_served_by_kill(&d->dev->server, d->server_fd, KILL_MS);
	if (!ret)
		return 0;
	return ub_fail_text(d->err, UB_STAGE_DEL, ret,
			    "cannot remove %s: it is stopped, but its server (process %d) does not "
			    "end%s",
			    d->name, d->dev->server.pid, force_kills(d));
}

/* Waits until the device that was deleted is gone, with its number. Return: 0, -ETIMEDOUT, or another
 * negative errno. */
static int wait_gone(struct del *d, const struct ublksrv_ctrl_dev_info *info, int timeout_ms)
{
	int64_t deadline = ub_now_ms() + timeout_ms;
	struct ublksrv_ctrl_dev_info now;
	int pause_us = FIRST_PAUSE_US;

	for (;;) {
		int ret = ub_same_info(d->ctrl, info, &now);

		if (ret == -ENODEV)
			return 0;
		if (ret)
			return ret;
		if (ub_left_ms(deadline) == 0)
			return -ETIMEDOUT;
		(void)usleep((unsigned)pause_us);
		pause_us = 2 * pause_us < LAST_PAUSE_US ? 2 * pause_us : LAST_PAUSE_US;
	}
}

/* The driver has DEL_DEV_ASYNC for privileged devices only. */
static int delete_for(struct del *d, const struct ublksrv_ctrl_dev_info *info, int timeout_ms)
{
	int ret;

	if (info->flags & UBLK_F_UNPRIVILEGED_DEV)
		return ub_same_command(d->ctrl, info, UBLK_U_CMD_DEL_DEV, 0, timeout_ms);
	ret = ub_same_command(d->ctrl, info, UBLK_U_CMD_DEL_DEV_ASYNC, 0, timeout_ms);
	/* Given up, it is deleted all the same. */
	return ret && ret != -ETIMEDOUT ? ret : wait_gone(d, info, timeout_ms);
}

static int delete_now(struct del *d, const struct ublksrv_ctrl_dev_info *info)
{
	int ms = patience(d);
	int ret = delete_for(d, info, ms < DELETE_MS ? DELETE_MS : ms);

	if (ret != -ETIMEDOUT)
		return ret;
	/* It is deleted; what remains is the number, as long as somebody has a node open. */
	if (d->opt->force && ub_served_by_kill(&d->dev->server, d->server_fd, KILL_MS) == 0)
		ret = wait_gone(d, info, KILL_MS);
	return ret;
}

static int delete_without_waiting(struct del *d, const struct ublksrv_ctrl_dev_info *info)
{
	int ret = info->flags & UBLK_F_UNPRIVILEGED_DEV
			  ? ub_same_command(d->ctrl, info, UBLK_U_CMD_DEL_DEV, 0, DELETE_MS)
			  : ub_same_command(d->ctrl, info, UBLK_U_CMD_DEL_DEV_ASYNC, 0,
					    left(d, DELETE_MS));

	/* Given up, DEL_DEV has done the same. */
	return ret == -ETIMEDOUT ? 0 : ret;
}

/* Its number is taken until the last one closes it. */
static int still_open(struct del *d)
{
	uint64_t rdev = d->dev->server.rdev;
	bool all;
	int32_t pid = rdev ? ub_process_find_open(rdev, &all) : 0;

	if (!pid)
		return ub_fail_text(d->err, UB_STAGE_DEL, -ETIMEDOUT,
				    "cannot remove %s to the end: it is stopped and its nodes are "
				    "gone, but its number stays taken until all who have it open "
				    "have closed it",
				    d->name);
	return ub_fail_text(d->err, UB_STAGE_DEL, -ETIMEDOUT,
			    "cannot remove %s to the end: it is stopped and its nodes are gone, "
			    "but its number stays taken until its server (process %d) closes it%s",
			    d->name, pid, force_kills(d));
}

static int delete_stopped(struct del *d)
{
	struct ublksrv_ctrl_dev_info info;
	int ret = ub_same_info(d->ctrl, &d->dev->info, &info);

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
	ret = ub_same_info(ctrl, &dev->info, &info);
	if (ret)
		return ub_fail(err, UB_STAGE_LOOKUP, ret, "cannot remove %s", d.name);
	d.server_fd = ub_process_open(dev->server.pid, dev->server.start_time);
	ret = stop(&d);
	if (!ret)
		ret = wait_server(&d);
	if (!ret)
		ret = delete_stopped(&d);
	ub_close(&d.server_fd);
	return ret;
}
