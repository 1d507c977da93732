/* SPDX-License-Identifier: MIT */
#include "device/del_internal.h"

#include <errno.h>

#include "base/fault.h"
#include "device/same.h"
#include "device/served_by.h"
#include "process/files.h"
#include "process/process.h"
#include "record/store.h"

/* What the deletion of a stopped device has at the least, and one that nobody waits for. */
#define DELETE_MS 1000
/* How long a cancelled one has to end. */
#define CANCEL_MS 1000
/* How often it is looked whether a deleted device has gone: a grace period takes some milliseconds. */
#define FIRST_PAUSE_MS 2
#define LAST_PAUSE_MS 50

static int fail_delete(struct ub_del_run *d, int ret)
{
	return ub_fail(d->err, UB_STAGE_DEL, ret, "cannot remove %s, which is stopped", d->name);
}

int ub_del_say_started(struct ub_del_run *d)
{
	return ub_fail_text(d->err, UB_STAGE_DEL, -EBUSY,
			    "cannot remove %s: somebody has started it again", d->name);
}

/* Nobody waits for the last one to close it: with --force its users may keep it open for as long as they
 * like. */
static bool is_left_alone(const struct ub_del_run *d)
{
	return d->opt->async || (d->opt->force && d->users->count);
}

/* The driver has DEL_DEV_ASYNC for privileged devices only. */
static int request_deletion(struct ub_del_run *d)
{
	bool users_own = d->dev->info.flags & UBLK_F_UNPRIVILEGED_DEV;
	int ret = ub_fault("same");

	d->cmd = (struct ub_ctrl_cmd){
		.op = users_own ? UBLK_U_CMD_DEL_DEV : UBLK_U_CMD_DEL_DEV_ASYNC,
		.dev_id = d->dev->id,
		.unprivileged = users_own,
	};
	if (!ret)
		ret = ub_ctrl_start(d->deleter, &d->cmd);
	if (ret)
		return fail_delete(d, ret);
	ub_del_enter(d, UB_DEL_DELETES,
		     users_own && is_left_alone(d) ? DELETE_MS : ub_del_left(d, DELETE_MS));
	return 0;
}

static void look_again_later(struct ub_del_run *d)
{
	d->pause_ms = 2 * d->pause_ms < LAST_PAUSE_MS ? 2 * d->pause_ms : LAST_PAUSE_MS;
	d->again = ub_now_ms() + d->pause_ms;
}

static void await_number(struct ub_del_run *d, bool taken)
{
	int ms = ub_del_patience(d);

	d->state = UB_DEL_OVER;
	if (!taken || is_left_alone(d))
		return;
	ub_del_enter(d, UB_DEL_GOES, ms < DELETE_MS ? DELETE_MS : ms);
	d->pause_ms = FIRST_PAUSE_MS / 2;
	look_again_later(d);
}

int ub_del_begin_remove(struct ub_del_run *d)
{
	struct ublksrv_ctrl_dev_info now;
	int ret = ub_same_info(d->ctrl, &d->dev->info, &now);

	/* Its server removed it, or somebody else did. */
	if (ret == -ENODEV)
		d->state = UB_DEL_OVER;
	if (ret)
		return ret == -ENODEV ? 0 : fail_delete(d, ret);
	if (now.state == UBLK_S_DEV_LIVE)
		return ub_del_say_started(d);
	/* A stopped device can't be recovered; and as long as it is there, its number, and so its
	 * record's name, is not another one's. */
	(void)ub_record_remove(d->dev->id, now.ublksrv_flags);
	return request_deletion(d);
}

/* Its number is taken until the last one closes it. */
static int still_open(struct ub_del_run *d)
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
			    d->name, pid, ub_del_force_kills(d));
}

/* The deletion was given up. Until the driver has its lock (ublk_ctrl_del_dev()) that leaves the device as
 * it is; from then on it is deleted, whoever waits. */
static int end_given_up(struct ub_del_run *d)
{
	struct ublksrv_ctrl_dev_info now;
	int ret = ub_same_info(d->ctrl, &d->dev->info, &now);

	if (ret == 0 && !ub_dev_is_going(d->dev->id))
		return ub_fail_text(d->err, UB_STAGE_DEL, -ETIMEDOUT,
				    "cannot remove %s in time: it is stopped, and the driver is "
				    "busy with another deletion",
				    d->name);
	if (ret && ret != -ENODEV)
		return fail_delete(d, ret);
	await_number(d, ret == 0);
	return 0;
}

int ub_del_end_remove(struct ub_del_run *d)
{
	int ret = 0;
	bool ended = ub_ctrl_done(d->deleter, &ret);

	if (!ended && ub_left_ms(d->until))
		return 0;
	if (!ended && !d->cancelled) {
		ub_ctrl_cancel(d->deleter);
		d->cancelled = true;
		ub_del_enter(d, UB_DEL_DELETES, CANCEL_MS);
		return 0;
	}
	if (!ended || ret == -EINTR || ret == -ECANCELED)
		return end_given_up(d);
	if (ret < 0 && ret != -ENODEV)
		return fail_delete(d, ret);
	await_number(d, ret == 0);
	return 0;
}

int ub_del_look_again(struct ub_del_run *d)
{
	struct ublksrv_ctrl_dev_info now;
	int ret = ub_same_info(d->ctrl, &d->dev->info, &now);

	if (ret == -ENODEV)
		d->state = UB_DEL_OVER;
	else if (ret)
		return fail_delete(d, ret);
	else if (ub_left_ms(d->until) == 0) {
		if (!d->opt->force || d->killed ||
		    ub_served_by_kill(&d->dev->server, d->server_fd, UB_DEL_KILL_MS) != 0)
			return still_open(d);
		d->killed = true;
		ub_del_enter(d, UB_DEL_GOES, UB_DEL_KILL_MS);
	}
	look_again_later(d);
	return 0;
}
