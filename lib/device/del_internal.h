/* SPDX-License-Identifier: MIT */
/*
 * One device's deletion while it is under way, for the files that carry it out (stop.c and del_*.c) and
 * for nobody else. A step returns 0, or a negative errno with the message in d->err, which ends the
 * deletion.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/clock.h"
#include "device/stop.h"
#include "device/unused.h"
#include "process/helper.h"

/* What a server that got SIGKILL, and the driver after it, have at the least. */
#define UB_DEL_KILL_MS 5000
/* How long --force waits for a server, or half of the time that there is. */
#define UB_DEL_PATIENCE_MS 10000
/* What the helper has, of the deadline, to say that it is still in use. */
#define UB_DEL_ANSWER_MS 500
/* So many at once, at the most. */
#define UB_DEL_AT_ONCE_MAX 32

enum ub_del_state {
	UB_DEL_STOPS,   /* the helper is at it */
	UB_DEL_ENDS,    /* stopped; its server is waited for */
	UB_DEL_DELETES, /* the driver is at it */
	UB_DEL_GOES,    /* deleted; its number is waited for */
	UB_DEL_OVER,
	UB_DEL_VOID, /* what came of it has been taken */
};

/* One device's deletion. */
struct ub_del_run {
	struct ub_ctrl *ctrl;
	const struct ub_dev *dev;
	const struct ub_del_options *opt;
	struct ub_del *to; /* where what came of it goes */
	struct ub_users *users;
	struct ub_error *err;
	int64_t deadline;
	int server_fd; /* its pidfd, or -1 */
	int claim;     /* nobody restarts it meanwhile; or negative */
	char name[32];

	enum ub_del_state state;
	int64_t until; /* of this state, on ub_now_ms()'s clock */
	struct ub_helper helper;
	bool asks;              /* the helper, who uses it */
	bool tried_to_kill;     /* the server, since the stop hangs */
	int kill_code;          /* what came of that */
	struct ub_ctrl_cmd cmd; /* of the deletion, on a ring of its own */
	struct ub_ctrl *deleter;
	bool cancelled; /* the deletion */
	int64_t again;  /* when it is looked for again */
	int pause_ms;
	bool killed; /* its server, since the number stayed taken */
};

/* del_stop.c: up to the deletion. */
/* Looks whether it still is the device, and begins to stop it; without force only if nobody uses it, and
 * lets those who merely look at it come to an end. With it, whoever uses it finds it gone; they are told
 * of, since they keep the number taken. */
int ub_del_begin_stop(struct ub_del_run *d);
/* The helper has answered, or its time is over. */
int ub_del_end_stop(struct ub_del_run *d);
/* The server has ended, or its time is over. */
int ub_del_end_server(struct ub_del_run *d);

/* del_remove.c: a stopped device goes. */
int ub_del_begin_remove(struct ub_del_run *d);
/* The driver has answered, or its time is over. */
int ub_del_end_remove(struct ub_del_run *d);
/* It is deleted; what remains is the number, as long as somebody has a node open. */
int ub_del_look_again(struct ub_del_run *d);
/* Return: -EBUSY. */
int ub_del_say_started(struct ub_del_run *d);

/* del_users.c: who uses a device. */
/* In the helper: asks the process that looks for all. */
void ub_del_ask_for_users(const struct ublksrv_ctrl_dev_info *dev, int32_t server,
			  struct ub_unused_seen *ret_seen);
/* Answers the helpers that ask who uses their devices, with one look for all. @count: at most
 * UB_DEL_AT_ONCE_MAX */
void ub_del_answer(struct ub_del_run *dels, size_t count);
/* Tells of those that can be seen from here; if there are none, of what is known. Return: -EBUSY. */
int ub_del_say_used(struct ub_del_run *d, enum ub_user_kind kind);

/* What is left of the time for the whole, or at least so much. */
static inline int ub_del_left(const struct ub_del_run *d, int least_ms)
{
	int ms = ub_left_ms(d->deadline);

	return ms < least_ms ? least_ms : ms;
}

/* What is left; --force is patient only for so long with a server before it kills it. */
static inline int ub_del_patience(const struct ub_del_run *d)
{
	int ms = ub_left_ms(d->deadline);

	if (!d->opt->force)
		return ms;
	return ms / 2 < UB_DEL_PATIENCE_MS ? ms / 2 : UB_DEL_PATIENCE_MS;
}

/* What is left to be done about a server. */
static inline const char *ub_del_force_kills(const struct ub_del_run *d)
{
	return d->opt->force ? "" : " (--force kills it)";
}

/* @ms: that the state may last */
static inline void ub_del_enter(struct ub_del_run *d, enum ub_del_state state, int ms)
{
	d->state = state;
	d->until = ub_now_ms() + ms;
}
