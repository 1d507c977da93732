/* SPDX-License-Identifier: MIT */
/*
 * The order is: users, stop, the server's end, the record, the deletion. Each step has what is left
 * of one deadline, and each waits for what could make the next one hang: STOP_DEV for the I/O that the
 * server has in hand. DEL_DEV waits for the last close, up to Linux 6.18 under a lock of the whole
 * driver: so the device is deleted without waiting (DEL_DEV_ASYNC), and its number looked for.
 * Several devices go side by side, as most of it is waiting: each is a small state machine, and one
 * loop waits for all of them. Only what --force does to a server that hangs holds up the others.
 */
#include "device/stop.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <unistd.h>

#include "base/clean.h"
#include "base/clock.h"
#include "base/fault.h"
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
#define FIRST_PAUSE_MS 2
#define LAST_PAUSE_MS 50
/* So many at once, at the most. */
#define AT_ONCE_MAX 32
/* How long the helpers are kept waiting for the look for users. */
#define LOOK_MS 2000
/* What the helper has, of the deadline, to say that it is still in use. */
#define ANSWER_MS 500

enum state {
	STATE_STOPS,   /* the helper is at it */
	STATE_ENDS,    /* stopped; its server is waited for */
	STATE_DELETES, /* the driver is at it */
	STATE_GOES,    /* deleted; its number is waited for */
	STATE_OVER,
	STATE_VOID, /* what came of it has been taken */
};

/* One device's deletion. */
struct del {
	struct ub_ctrl *ctrl;
	const struct ub_dev *dev;
	const struct ub_del_options *opt;
	struct ub_del *to; /* where what came of it goes */
	struct ub_users *users;
	struct ub_error *err;
	int64_t deadline;
	int server_fd; /* its pidfd, or -1 */
	char name[32];

	enum state state;
	int64_t until; /* of this state, on ub_now_ms()'s clock */
	struct ub_helper helper;
	bool asks;              /* the helper, who uses it */
	bool tried_to_kill;     /* the server, since the stop hangs */
	int kill_code;          /* what came of that */
	struct ub_ctrl_cmd cmd; /* of the deletion, on a ring of its own */
	struct ub_ctrl *deleter;
	int64_t again; /* when it is looked for again */
	int pause_ms;
	bool killed; /* its server, since the number stayed taken */
};

/* What the helper process does, which may hang. */
struct stop_call {
	struct ublksrv_ctrl_dev_info info;
	bool force;
	int32_t server;
	struct ub_unused_wait wait;
};

/* In the helper: one process looks for all. But the device is claimed meanwhile, and must not stay so
 * when that process has been stopped. */
static void ask_for_users(const struct ublksrv_ctrl_dev_info *dev, int32_t server,
			  struct ub_unused_seen *ret_seen)
{
	if (ub_helper_ask(LOOK_MS, ret_seen, sizeof(*ret_seen)) != 0)
		ub_unused_look_here(dev, server, ret_seen);
}

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
	ret = ub_unused_stop(ctrl, &call->info, call->server, ask_for_users, &call->wait, &kind);
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

static void enter(struct del *d, enum state state, int ms)
{
	d->state = state;
	d->until = ub_now_ms() + ms;
}

/* The stop hangs, and --force has killed the server, or tried to, long enough ago. */
static int say_stuck(struct del *d)
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
static int stop_hangs(struct del *d)
{
	if (!d->opt->force)
		return say_hung(d);
	if (d->tried_to_kill)
		return say_stuck(d);
	d->tried_to_kill = true;
	d->kill_code = ub_served_by_kill(&d->dev->server, d->server_fd, KILL_MS);
	if (d->kill_code && d->kill_code != -ESRCH && d->kill_code != -ETIMEDOUT)
		return ub_fail(d->err, UB_STAGE_STOP, d->kill_code,
			       "cannot kill the server of %s (%d)", d->name, d->dev->server.pid);
	enter(d, STATE_STOPS, left(d, KILL_MS));
	return 0;
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
static int begin_stop(struct del *d)
{
	int64_t now = ub_now_ms();
	struct stop_call call = {
		.info = d->dev->info,
		.force = d->opt->force,
		.server = d->dev->server.pid,
		.wait = {.udev_ms = d->deadline - ANSWER_MS, .openers_ms = now + TRANSIENT_MS},
	};
	int ret;

	if (call.wait.openers_ms > call.wait.udev_ms)
		call.wait.openers_ms = call.wait.udev_ms;
	if (d->opt->force)
		(void)ub_users_find(d->dev->id, call.server, d->users);
	ret = ub_helper_start(&d->helper, call_stop, &call);
	if (ret)
		return ub_fail(d->err, UB_STAGE_STOP, ret, "cannot stop %s", d->name);
	enter(d, STATE_STOPS, patience(d));
	return 0;
}

/* Is there a server to be waited for? One of ours lets go of a device that is stopped, and ends. */
static bool awaits_server(const struct del *d)
{
	return d->dev->managed && d->server_fd >= 0 && !d->opt->async;
}

static int fail_delete(struct del *d, int ret)
{
	return ub_fail(d->err, UB_STAGE_DEL, ret, "cannot remove %s, which is stopped", d->name);
}

static int say_started(struct del *d)
{
	return ub_fail_text(d->err, UB_STAGE_DEL, -EBUSY,
			    "cannot remove %s: somebody has started it again", d->name);
}

/* Nobody waits for the last one to close it: with --force its users may keep it open for as long as they
 * like. */
static bool is_left_alone(const struct del *d)
{
	return d->opt->async || (d->opt->force && d->users->count);
}

/* The driver has DEL_DEV_ASYNC for privileged devices only. */
static int request_deletion(struct del *d)
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
	enter(d, STATE_DELETES, users_own && is_left_alone(d) ? DELETE_MS : left(d, DELETE_MS));
	return 0;
}

static void look_again_later(struct del *d)
{
	d->pause_ms = 2 * d->pause_ms < LAST_PAUSE_MS ? 2 * d->pause_ms : LAST_PAUSE_MS;
	d->again = ub_now_ms() + d->pause_ms;
}

static void await_number(struct del *d, bool taken)
{
	int ms = patience(d);

	d->state = STATE_OVER;
	if (!taken || is_left_alone(d))
		return;
	enter(d, STATE_GOES, ms < DELETE_MS ? DELETE_MS : ms);
	d->pause_ms = FIRST_PAUSE_MS / 2;
	look_again_later(d);
}

static int begin_delete(struct del *d)
{
	struct ublksrv_ctrl_dev_info now;
	int ret = ub_same_info(d->ctrl, &d->dev->info, &now);

	/* Its server removed it, or somebody else did. */
	if (ret == -ENODEV)
		d->state = STATE_OVER;
	if (ret)
		return ret == -ENODEV ? 0 : fail_delete(d, ret);
	if (now.state == UBLK_S_DEV_LIVE)
		return say_started(d);
	/* A stopped device can't be recovered; and as long as it is there, its number, and so its
	 * record's name, is not another one's. */
	(void)ub_record_remove(d->dev->id, now.ublksrv_flags);
	return request_deletion(d);
}

/* The helper has answered, or its time is over. */
static int end_stop(struct del *d)
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
		return in_use(d, (enum ub_user_kind)(result - 1));
	/* Another one has got the number: this one is gone. */
	if (result && result != -ENODEV)
		return ub_fail(d->err, UB_STAGE_STOP, result, "cannot stop %s", d->name);
	if (!awaits_server(d))
		return begin_delete(d);
	enter(d, STATE_ENDS, patience(d));
	return 0;
}

static int end_server(struct del *d)
{
	int ret = ub_process_wait(d->server_fd, ub_left_ms(d->until));

	if (ret && d->opt->force)
		ret = ub_served_by_kill(&d->dev->server, d->server_fd, KILL_MS);
	if (!ret || ret == -ESRCH)
		return begin_delete(d);
	return ub_fail_text(d->err, UB_STAGE_DEL, ret,
			    "cannot remove %s: it is stopped, but its server (process %d) does not "
			    "end%s",
			    d->name, d->dev->server.pid, force_kills(d));
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

/* The driver has answered, or its time is over: given up, the device is deleted all the same. */
static int end_delete(struct del *d)
{
	int ret = 0;

	if (!ub_ctrl_done(d->deleter, &ret)) {
		if (ub_left_ms(d->until))
			return 0;
		ub_ctrl_cancel(d->deleter);
	}
	if (ret < 0 && ret != -ENODEV)
		return fail_delete(d, ret);
	await_number(d, ret == 0);
	return 0;
}

/* It is deleted; what remains is the number, as long as somebody has a node open. */
static int look_again(struct del *d)
{
	struct ublksrv_ctrl_dev_info now;
	int ret = ub_same_info(d->ctrl, &d->dev->info, &now);

	if (ret == -ENODEV)
		d->state = STATE_OVER;
	else if (ret)
		return fail_delete(d, ret);
	else if (ub_left_ms(d->until) == 0) {
		if (!d->opt->force || d->killed ||
		    ub_served_by_kill(&d->dev->server, d->server_fd, KILL_MS) != 0)
			return still_open(d);
		d->killed = true;
		enter(d, STATE_GOES, KILL_MS);
	}
	look_again_later(d);
	return 0;
}

/* Goes on, where it waits for nothing any more. */
static int go_on(struct del *d)
{
	switch (d->state) {
	case STATE_STOPS:
		return end_stop(d);
	case STATE_ENDS:
		return end_server(d);
	case STATE_DELETES:
		return end_delete(d);
	case STATE_GOES:
		return look_again(d);
	case STATE_OVER:
	case STATE_VOID:
		break;
	}
	return 0;
}

static int find_and_stop(struct del *d)
{
	struct ublksrv_ctrl_dev_info info;
	int ret = ub_same_info(d->ctrl, &d->dev->info, &info);

	if (ret)
		return ub_fail(d->err, UB_STAGE_LOOKUP, ret, "cannot remove %s", d->name);
	/* Others may have had their turn for a while since it was looked at. */
	if (!d->opt->force && !d->dev->managed && info.state == UBLK_S_DEV_LIVE &&
	    d->dev->info.state != UBLK_S_DEV_LIVE)
		return say_started(d);
	ret = ub_ctrl_open(&d->deleter, d->err);
	if (ret)
		return ret;
	d->server_fd = ub_process_open(d->dev->server.pid, d->dev->server.start_time);
	return begin_stop(d);
}

static void note(struct del *d, int ret)
{
	if (!ret)
		return;
	d->to->code = ret;
	d->state = STATE_OVER;
}

/* What it waits for; poll() leaves a negative one out. */
static int fd_of(const struct del *d)
{
	if (d->state == STATE_STOPS)
		return d->helper.fd;
	if (d->state == STATE_ENDS)
		return d->server_fd;
	return d->state == STATE_DELETES ? ub_ctrl_fd(d->deleter) : -1;
}

/* How long it has to wait, at the most. */
static int wait_ms(const struct del *d)
{
	if (d->state == STATE_OVER)
		return 0;
	if (d->state == STATE_VOID)
		return INT_MAX;
	return ub_left_ms(d->state == STATE_GOES && d->again < d->until ? d->again : d->until);
}

static void wait_for_any(const struct del *dels, struct pollfd *pfds, size_t count)
{
	int least = INT_MAX;

	for (size_t i = 0; i < count; i++) {
		int ms = wait_ms(&dels[i]);

		pfds[i] = (struct pollfd){.fd = fd_of(&dels[i]), .events = POLLIN};
		if (ms < least)
			least = ms;
	}
	(void)poll(pfds, count, least);
}

/* Return: its server, which is no user, or 0: its number may be another process's by now. */
static int32_t server_of(const struct del *d)
{
	return d->server_fd >= 0 && ub_process_wait(d->server_fd, 0) == -ETIMEDOUT
		       ? d->dev->server.pid
		       : 0;
}

/* Answers the helpers that ask who uses their devices, with one look for all. */
static void answer(struct del *dels, size_t count)
{
	struct ub_users_query queries[AT_ONCE_MAX];
	struct del *asking[AT_ONCE_MAX];
	size_t asked = 0;
	int ret;

	for (size_t i = 0; i < count; i++) {
		if (!dels[i].asks)
			continue;
		/* The helper has claimed the device. */
		queries[asked] = (struct ub_users_query){
			.id = dels[i].dev->id,
			.except = {server_of(&dels[i]), dels[i].helper.pid},
		};
		asking[asked++] = &dels[i];
	}
	if (!asked)
		return;
	ret = ub_users_find_some(queries, asked);
	for (size_t i = 0; i < asked; i++) {
		struct ub_unused_seen seen;

		ub_unused_judge(&asking[i]->dev->info, ret, &queries[i].users, &seen);
		(void)ub_helper_tell(&asking[i]->helper, &seen, sizeof(seen));
		/* It has a moment to make something of it. */
		if (ub_left_ms(asking[i]->until) < ANSWER_MS)
			asking[i]->until = ub_now_ms() + ANSWER_MS;
		ub_users_done(&queries[i].users);
		asking[i]->asks = false;
	}
}

static void begin(struct del *d, struct ub_ctrl *ctrl, struct ub_del *to,
		  const struct ub_del_options *opt)
{
	*d = (struct del){
		.ctrl = ctrl,
		.dev = to->dev,
		.opt = opt,
		.to = to,
		.users = &to->users,
		.err = &to->err,
		.deadline = ub_now_ms() + opt->timeout_ms,
		.server_fd = -1,
		.state = STATE_OVER,
		.helper = UB_HELPER_INIT,
	};
	(void)snprintf(d->name, sizeof(d->name), "ublkb%u", to->dev->id);
	note(d, find_and_stop(d));
}

static void finish(struct del *d)
{
	ub_close(&d->server_fd);
	ub_ctrl_close(d->deleter);
	d->state = STATE_VOID;
}

void ub_devices_del(struct ub_ctrl *ctrl, struct ub_del *list, size_t count,
		    const struct ub_del_options *opt)
{
	struct del dels[AT_ONCE_MAX];
	struct pollfd pfds[AT_ONCE_MAX];
	size_t room = count < AT_ONCE_MAX ? count : AT_ONCE_MAX, next, active = room;

	for (next = 0; next < room; next++)
		begin(&dels[next], ctrl, &list[next], opt);
	while (active) {
		wait_for_any(dels, pfds, room);
		for (size_t i = 0; i < room; i++) {
			struct del *d = &dels[i];

			if (d->state == STATE_VOID || (!pfds[i].revents && wait_ms(d)))
				continue;
			note(d, go_on(d));
			if (d->state != STATE_OVER)
				continue;
			finish(d);
			if (next < count)
				begin(d, ctrl, &list[next++], opt);
			else
				active--;
		}
		answer(dels, room);
	}
}
