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

#include <limits.h>
#include <poll.h>
#include <stdio.h>

#include "base/clean.h"
#include "base/clock.h"
#include "device/del_internal.h"
#include "device/restart.h"
#include "process/process.h"

/* Goes on, where it waits for nothing any more. */
static int go_on(struct ub_del_run *d)
{
	switch (d->state) {
	case UB_DEL_STOPS:
		return ub_del_end_stop(d);
	case UB_DEL_ENDS:
		return ub_del_end_server(d);
	case UB_DEL_DELETES:
		return ub_del_end_remove(d);
	case UB_DEL_GOES:
		return ub_del_look_again(d);
	case UB_DEL_OVER:
	case UB_DEL_VOID:
		break;
	}
	return 0;
}

static void note(struct ub_del_run *d, int ret)
{
	if (!ret)
		return;
	d->to->code = ret;
	d->state = UB_DEL_OVER;
}

/* What it waits for; poll() leaves a negative one out. */
static int fd_of(const struct ub_del_run *d)
{
	if (d->state == UB_DEL_STOPS)
		return d->helper.fd;
	if (d->state == UB_DEL_ENDS)
		return d->server_fd;
	return d->state == UB_DEL_DELETES ? ub_ctrl_fd(d->deleter) : -1;
}

/* How long it has to wait, at the most. */
static int wait_ms(const struct ub_del_run *d)
{
	if (d->state == UB_DEL_OVER)
		return 0;
	if (d->state == UB_DEL_VOID)
		return INT_MAX;
	return ub_left_ms(d->state == UB_DEL_GOES && d->again < d->until ? d->again : d->until);
}

static void wait_for_any(const struct ub_del_run *dels, struct pollfd *pfds, size_t count)
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

static void begin(struct ub_del_run *d, struct ub_ctrl *ctrl, struct ub_del *to,
		  const struct ub_del_options *opt)
{
	*d = (struct ub_del_run){
		.ctrl = ctrl,
		.dev = to->dev,
		.opt = opt,
		.to = to,
		.users = &to->users,
		.err = &to->err,
		.deadline = ub_now_ms() + opt->timeout_ms,
		.server_fd = -1,
		.state = UB_DEL_OVER,
		.helper = UB_HELPER_INIT,
	};
	(void)snprintf(d->name, sizeof(d->name), "ublkb%u", to->dev->id);
	d->claim = ub_restart_hold(to->dev);
	note(d, ub_del_begin_stop(d));
}

static void finish(struct ub_del_run *d)
{
	ub_close(&d->server_fd);
	ub_ctrl_close(d->deleter);
	ub_restart_let_go(d->dev, &d->claim);
	if (!d->to->code)
		ub_restart_forget(d->ctrl, d->dev);
	d->state = UB_DEL_VOID;
}

void ub_devices_del(struct ub_ctrl *ctrl, struct ub_del *list, size_t count,
		    const struct ub_del_options *opt)
{
	struct ub_del_run dels[UB_DEL_AT_ONCE_MAX];
	struct pollfd pfds[UB_DEL_AT_ONCE_MAX];
	size_t room = count < UB_DEL_AT_ONCE_MAX ? count : UB_DEL_AT_ONCE_MAX, next, active = room;

	for (next = 0; next < room; next++)
		begin(&dels[next], ctrl, &list[next], opt);
	while (active) {
		wait_for_any(dels, pfds, room);
		for (size_t i = 0; i < room; i++) {
			struct ub_del_run *d = &dels[i];

			if (d->state == UB_DEL_VOID || (!pfds[i].revents && wait_ms(d)))
				continue;
			note(d, go_on(d));
			if (d->state != UB_DEL_OVER)
				continue;
			finish(d);
			if (next < count)
				begin(d, ctrl, &list[next++], opt);
			else
				active--;
		}
		ub_del_answer(dels, room);
	}
}
