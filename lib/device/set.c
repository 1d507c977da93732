/* SPDX-License-Identifier: MIT */
#include "device/set.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/clean.h"
#include "base/clock.h"
#include "base/fault.h"
#include "base/retry.h"
#include "device/control.h"
#include "device/restart.h"
#include "device/same.h"
#include "device/scheduler.h"
#include "device/steady.h"
#include "record/store.h"
#include "spec/check.h"
#include "spec/data_path.h"
#include "spec/json_live.h"
#include "spec/live.h"

/* What is under way. */
struct run {
	struct ub_ctrl *ctrl;
	const struct ub_dev *dev;
	const struct ub_set *set;
	const char *text; /* for the server */
	bool parked;      /* it has none */
	struct ub_error *err;
};

__attribute__((format(printf, 4, 5))) static int fail_at(const struct run *r, enum ub_stage stage,
							 int code, const char *fmt, ...)
{
	char why[sizeof(r->err->msg)];
	va_list args;

	va_start(args, fmt);
	(void)vsnprintf(why, sizeof(why), fmt, args);
	va_end(args);
	return ub_fail_text(r->err, stage, code, "cannot change ublkb%u: %s", r->dev->id, why);
}

#define fail(r, ...) fail_at(r, UB_STAGE_SET, __VA_ARGS__)

static int check(const struct run *r)
{
	const struct ub_dev *dev = r->dev;

	if (dev->record_error.code)
		return fail(r, -ESTALE, "its record can't be used: %s", dev->record_error.msg);
	if (!dev->managed)
		return fail(r, -ESTALE, "it is another program's");
	if (dev->info.state == UBLK_S_DEV_DEAD)
		return fail(r, -EINVAL, "it is dead");
	if (!r->parked && dev->server.answer == UB_SERVED_NO)
		return fail(r, -ENOTCONN, "it has no server");
	return 0;
}

static int fail_gone(const struct run *r)
{
	return fail(r, -ENODEV, "it was stopped meanwhile");
}

/* Of a server that says nothing: has it ended, with its device or without, or does it not know the word? */
static int fail_hung_up(const struct run *r)
{
	const struct ub_control_request request = {.op = UB_CONTROL_STATUS};
	struct ublksrv_ctrl_dev_info now;
	struct ub_control_answer answer;

	if (ub_control_ask(r->dev->id, r->dev->info.ublksrv_flags, &request, r->set->timeout_ms,
			   &answer) == 0)
		return fail(r, -EPROTONOSUPPORT, "its server is older than this program");
	if (ub_same_info(r->ctrl, &r->dev->info, &now) != 0 || now.state == UBLK_S_DEV_DEAD)
		return fail_gone(r);
	return fail(r, -ENOTCONN, "its server has ended meanwhile");
}

/* Of an answer that is none. */
static int fail_control(const struct run *r, int code)
{
	switch (code) {
	case -ENOENT:
		return fail(r, code, "its server has no control socket here");
	case -EMSGSIZE:
		return fail(r, code, "that is too long");
	case -ECONNRESET:
	case -ECONNREFUSED:
		return fail_hung_up(r);
	case -ENODEV:
		return fail_gone(r);
	case -ETIMEDOUT:
		return r->parked ? fail(r, code, "its new server does not answer")
				 : fail(r, code, "its server (process %d) does not answer",
					r->dev->server.pid);
	default:
		return fail(r, code, "its server can't be spoken with: %s", strerror(-code));
	}
}

/* @try: only whether it could be. */
static int ask(const struct run *r, bool try)
{
	const struct ub_control_request request = {.op = UB_CONTROL_SET, .value = {try}};
	char why[UB_CONTROL_TEXT_MAX];
	struct ub_control_answer answer;
	struct ub_retry retry;
	int ret;

	ub_retry_init(&retry, (unsigned)r->set->timeout_ms);
	do
		ret = ub_control_ask_text(r->dev->id, r->dev->info.ublksrv_flags, &request, r->text,
					  strlen(r->text), ub_left_ms(retry.until_ms), &answer,
					  why);
	while (ret == -EAGAIN && ub_retry_wait(&retry));
	if (!ret)
		return 0;
	if (ret == -EAGAIN)
		ret = -EBUSY;
	return *why ? fail_at(r, answer.value[0] == 1 ? UB_STAGE_USAGE : UB_STAGE_SET, ret, "%s",
			      why)
		    : fail_control(r, ret);
}

static int fail_scheduler(const struct run *r, int code, const char *name)
{
	if (code == -EINVAL)
		return fail(r, code, "this kernel has no I/O scheduler %s", name);
	if (code == -ETIMEDOUT)
		return fail(r, code,
			    "its requests do not come to an end: it may have the I/O "
			    "scheduler %s later",
			    name);
	return fail(r, code, "cannot set the I/O scheduler %s: %s", name, strerror(-code));
}

/* The disk's own, which waits for requests: neither the server's affair, nor done by halves. */
static int change_scheduler(const struct run *r, char was[static UB_SCHEDULER_MAX + 1])
{
	const char *name = r->set->spec->scheduler ?: UB_SCHEDULER_NONE;
	int ret;

	*was = '\0';
	if (!UB_LIVE_HAS(r->set->options, scheduler) || strcmp(name, UB_SCHEDULER_KEEP) == 0)
		return 0;
	ret = ask(r, true);
	if (ret)
		return ret;
	(void)ub_scheduler_ask(r->dev->id, was);
	ret = ub_scheduler_change(r->dev->id, name, r->set->timeout_ms);
	return ret ? fail_scheduler(r, ret, name) : 0;
}

static int change(const struct run *r)
{
	char was[UB_SCHEDULER_MAX + 1];
	int ret = change_scheduler(r, was);

	if (ret)
		return ret;
	(void)ub_fault("set");
	ret = ask(r, false);
	if (ret && *was)
		(void)ub_scheduler_change(r->dev->id, was, r->set->timeout_ms);
	return ret;
}

static int edit(struct ub_record *record, void *arg)
{
	const struct run *r = arg;
	struct ub_spec next;
	uint64_t options;
	int ret = ub_live_copy(&record->spec, &next);

	if (ret)
		return ret;
	ret = ub_live_from_json(r->text, strlen(r->text), &next, &options, r->err);
	if (!ret)
		ret = ub_spec_check(&next, r->err);
	if (!ret && UB_LIVE_HAS(options, buffer_memory))
		ret = ub_spec_check_pool(&next, ub_path_granted(record->flags), r->err);
	if (!ret) {
		ub_live_swap(&record->spec, &next, options);
		record->changes++;
	}
	ub_live_done(&next);
	return ret;
}

static int change_parked(struct run *r)
{
	struct ublksrv_ctrl_dev_info now;
	int ret;

	/* A recovery leaves the disk's as it is. */
	if (UB_LIVE_HAS(r->set->options, scheduler))
		return fail(r, -EINVAL,
			    "its I/O scheduler can be changed only while it has a server");
	*r->err = (struct ub_error){0};
	ret = ub_steady_edit(r->ctrl, &r->dev->info, edit, r);
	if (!ret)
		return 0;
	if (r->err->code)
		return fail_at(r, r->err->stage, ret, "%s", r->err->msg);
	/* Whoever was recovering it has let go by now. */
	if (ret == -EBUSY && ub_same_info(r->ctrl, &r->dev->info, &now) == 0 &&
	    now.state == UBLK_S_DEV_LIVE)
		return change(r);
	if (ret == -EBUSY)
		return fail(r, ret, "it gets a server just now");
	if (ret == -ENODEV)
		return fail_gone(r);
	return fail(r, ret, "its record can't be written: %s", strerror(-ret));
}

/* One after the other: what the disk has and what the record says would else be of two. */
static int claim(const struct run *r)
{
	struct ub_retry retry;
	int lock;

	ub_retry_init(&retry, (unsigned)r->set->timeout_ms);
	do
		lock = ub_record_claim(UB_CLAIM_SET, r->dev->id, r->err);
	while (lock == -EAGAIN && ub_retry_wait(&retry));
	return lock == -EAGAIN ? fail(r, -EBUSY, "somebody else is doing it just now") : lock;
}

int ub_dev_set(struct ub_ctrl *ctrl, const struct ub_dev *dev, const struct ub_set *set,
	       struct ub_error *err)
{
	_cleanup_free_ char *text = ub_live_to_json(set->spec, set->options);
	struct run r = {.ctrl = ctrl,
			.dev = dev,
			.set = set,
			.text = text,
			.parked = dev->info.state == UBLK_S_DEV_QUIESCED ||
				  dev->info.state == UBLK_S_DEV_FAIL_IO,
			.err = err};
	int ret = text ? check(&r) : fail(&r, -ENOMEM, "there is no memory left"), lock;

	if (ret)
		return ret;
	lock = claim(&r);
	if (lock < 0)
		return lock;
	ret = r.parked ? change_parked(&r) : change(&r);
	ub_record_release(UB_CLAIM_SET, dev->id, &lock);
	if (!ret && UB_LIVE_HAS(set->options, restart) && set->spec->restart)
		ub_restart_start();
	return ret;
}
