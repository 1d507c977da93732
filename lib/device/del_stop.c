/* SPDX-License-Identifier: MIT */
#include "device/del_internal.h"

#include <errno.h>

#include "base/clean.h"
#include "device/same.h"
#include "device/served_by.h"
#include "device/steady.h"
#include "device/unused.h"
#include "process/process.h"

/* How long a device that is open may stay so before that counts: many a program looks at every new
 * device for a moment. udev, which is known, has the whole time. */
#define TRANSIENT_MS 1000

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
		return ub_steady_stop(ctrl, &call->info, UBLK_U_CMD_STOP_DEV);
	ret = ub_unused_stop(ctrl, &call->info, call->server, ub_del_ask_for_users, &call->wait,
			     &kind);
	return ret == -EBUSY ? 1 + (int)kind : ret;
}

static int say_hung(struct ub_del_run *d)
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

/* The stop hangs, and --force has killed the server, or tried to, long enough ago. */
static int say_stuck(struct ub_del_run *d)
{
	const char *why = "there is no server that could be killed";

	if (d->kill_code == 0)
		why = "its server was killed, but the driver does not let go";
	else if (d->kill_code == -ETIMEDOUT)
		why = "its server was killed, but the kernel does not let it end";
	else if (d->dev->server.answer == UB_SERVED_UNKNOWN)
		why = "its server cannot be seen from here, to be killed";
	return ub_fail_text(d->err, UB_STAGE_STOP, -ETIMEDOUT, "cannot stop %s: %s", d->name, why);
}

/* The stop hangs: with --force the server is killed, and the helper waited for again. */
static int stop_hangs(struct ub_del_run *d)
{
	if (!d->opt->force)
		return say_hung(d);
	if (d->tried_to_kill)
		return say_stuck(d);
	d->tried_to_kill = true;
	d->kill_code = ub_served_by_kill(&d->dev->server, d->server_fd, UB_DEL_KILL_MS);
	if (d->kill_code && d->kill_code != -ESRCH && d->kill_code != -ETIMEDOUT)
		return ub_fail(d->err, UB_STAGE_STOP, d->kill_code,
			       "cannot kill the server of %s (%d)", d->name, d->dev->server.pid);
	ub_del_enter(d, UB_DEL_STOPS, ub_del_left(d, UB_DEL_KILL_MS));
	return 0;
}

/* Stops it; without force only if nobody uses it, and lets those who merely look at it come to an
 * end. With it, whoever uses it finds it gone; they are told of, since they keep the number taken. */
static int begin_stop(struct ub_del_run *d)
{
	int64_t now = ub_now_ms();
	struct stop_call call = {
		.info = d->dev->info,
		.force = d->opt->force,
		.server = d->dev->server.pid,
		.wait = {.udev_ms = d->deadline - UB_DEL_ANSWER_MS,
			 .openers_ms = now + TRANSIENT_MS},
	};
	int ret;

	if (call.wait.openers_ms > call.wait.udev_ms)
		call.wait.openers_ms = call.wait.udev_ms;
	if (d->opt->force)
		(void)ub_users_find(d->dev->id, call.server, d->users);
	ret = ub_helper_start(&d->helper, call_stop, &call);
	if (ret)
		return ub_fail(d->err, UB_STAGE_STOP, ret, "cannot stop %s", d->name);
	ub_del_enter(d, UB_DEL_STOPS, ub_del_patience(d));
	return 0;
}

int ub_del_begin_stop(struct ub_del_run *d)
{
	struct ublksrv_ctrl_dev_info info;
	int ret = ub_same_info(d->ctrl, &d->dev->info, &info);

	if (ret)
		return ub_fail(d->err, UB_STAGE_LOOKUP, ret, "cannot remove %s", d->name);
	/* Others may have had their turn for a while since it was looked at. */
	if (!d->opt->force && !d->dev->managed && info.state == UBLK_S_DEV_LIVE &&
	    d->dev->info.state != UBLK_S_DEV_LIVE)
		return ub_del_say_started(d);
	ret = ub_ctrl_open(&d->deleter, d->err);
	if (ret)
		return ret;
	d->server_fd = ub_process_open(d->dev->server.pid, d->dev->server.start_time);
	return begin_stop(d);
}

/* Is there a server to be waited for? One of ours lets go of a device that is stopped, and ends. */
static bool awaits_server(const struct ub_del_run *d)
{
	return d->dev->managed && d->server_fd >= 0 && !d->opt->async;
}

int ub_del_end_stop(struct ub_del_run *d)
{
	int result, ret = ub_helper_wait(&d->helper, ub_left_ms(d->until), &result);

	d->asks = ret == UB_HELPER_ASKS;
	if (d->asks)
		return 0;
	if (ret == -ETIMEDOUT) {
		ret = stop_hangs(d);
		if (!ret)
			return 0;
	} else if (ret) {
		(void)ub_fail(d->err, UB_STAGE_STOP, ret, "cannot stop %s", d->name);
	}
	ub_helper_end(&d->helper);
	if (ret)
		return ret;
	if (result > 0)
		return ub_del_say_used(d, (enum ub_user_kind)(result - 1));
	/* Another one has got the number: this one is gone. */
	if (result && result != -ENODEV)
		return ub_fail(d->err, UB_STAGE_STOP, result, "cannot stop %s", d->name);
	if (!awaits_server(d))
		return ub_del_begin_remove(d);
	ub_del_enter(d, UB_DEL_ENDS, ub_del_patience(d));
	return 0;
}

int ub_del_end_server(struct ub_del_run *d)
{
	int ret = ub_process_wait(d->server_fd, ub_left_ms(d->until));

	if (ret && d->opt->force)
		ret = ub_served_by_kill(&d->dev->server, d->server_fd, UB_DEL_KILL_MS);
	if (!ret || ret == -ESRCH)
		return ub_del_begin_remove(d);
	return ub_fail_text(d->err, UB_STAGE_DEL, ret,
			    "cannot remove %s: it is stopped, but its server (process %d) does not "
			    "end%s",
			    d->name, d->dev->server.pid, ub_del_force_kills(d));
}
