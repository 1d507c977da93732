/* SPDX-License-Identifier: MIT */
#include "watch.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <time.h>

#include "base/clean.h"
#include "base/clock.h"
#include "device/sight.h"
#include "device/use_events.h"
#include "event_fields.h"
#include "interrupt.h"
#include "kernel/node.h"

/* Requests that fail are counted in memory that the server shares: nobody tells. */
#define STATS_MS 1000
/* Who has a device open for a moment only is no user: after an event it is waited for so long. */
#define USE_DELAY_MS 100
/* Some uses begin and end without an event. Looking takes long where there are many processes: of all time
 * it may have one part in so many; and of the time after events one in so many. */
#define USE_MS 30000
#define USE_PART 100
#define USE_EVENT_PART 5

#define NEVER INT64_MAX

struct watch {
	struct ub_call *call;
	const struct ub_watch_args *args;
	int id;
	struct ub_ctrl *ctrl;
	struct ub_events *events;
	struct ub_use_events use_events;
	struct ub_interrupt interrupt;
	struct ub_sight sight; /* as it was told */

	/* When what is to be looked at, in milliseconds; a time that is past: now. */
	int64_t devices_at, stats_at, users_at, ends_at;
	int64_t users_rest_until; /* not before that */
	bool use_is_heard;        /* an event has come since the users were looked at */
	bool has_begun;           /* what there was has been told */
	uint32_t told;            /* events */
};

static bool is_wanted(const struct watch *w, enum ub_change_kind kind)
{
	return !w->args->kinds || w->args->kinds >> kind & 1;
}

static bool are_users_wanted(const struct watch *w)
{
	return is_wanted(w, UB_CHANGE_USED) || is_wanted(w, UB_CHANGE_UNUSED) ||
	       (w->args->initial && !w->has_begun);
}

static bool is_named(const struct ub_dev *dev, const char *text)
{
	const char *name = dev->managed ? dev->record.spec.name : NULL;
	uint32_t id;

	if (ub_parse_dev_id(text, &id) == 0)
		return id == dev->id;
	return name && strcmp(name, text) == 0;
}

static bool is_chosen(const struct ub_dev *dev, const void *arg)
{
	const struct watch *w = arg;

	if (w->id >= 0 && (uint32_t)w->id == dev->id)
		return true;
	for (size_t i = 0; i < w->call->nr_operands; i++)
		if (is_named(dev, w->call->operands[i]))
			return true;
	return w->id < 0 && !w->call->nr_operands;
}

static bool is_over(const struct watch *w)
{
	return w->args->count && w->told >= w->args->count;
}

static void print(const struct watch *w, const char *word, const struct ub_seen *dev,
		  const struct ub_change *change)
{
	struct ub_event event = {.word = word, .dev = dev, .change = change};
	struct timespec now;

	(void)clock_gettime(CLOCK_REALTIME, &now);
	event.time_us = (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
	ub_interrupt_let(&w->interrupt, w->call->out.file);
	if (w->call->out.json)
		ub_doc_add(w->call->out.doc, ub_event_fields, &event);
	else
		ub_event_print(w->call->out.file, &event);
	ub_interrupt_hold_again(&w->interrupt);
}

static bool flush(struct watch *w)
{
	bool ok;

	ub_interrupt_let(&w->interrupt, w->call->out.file);
	ok = ub_out_flush(&w->call->out);
	ub_interrupt_hold_again(&w->interrupt);
	return ok;
}

static void tell(const struct ub_change *change, void *arg)
{
	struct watch *w = arg;

	if (!is_wanted(w, change->kind) || is_over(w))
		return;
	print(w, ub_change_names[change->kind], change->dev, change);
	w->told++;
}

/* Looks anew at who uses the devices when whoever has one open for a moment has closed it again. */
static void hear_use(struct watch *w)
{
	int64_t at = ub_now_ms() + USE_DELAY_MS;

	if (w->use_is_heard)
		return;
	w->use_is_heard = true;
	w->users_at = at > w->users_rest_until ? at : w->users_rest_until;
}

/* What comes during the look is looked at again. */
static void look_at_users(struct watch *w, struct ub_sight *now)
{
	struct pollfd fds[UB_USE_EVENTS_FDS];
	int64_t began_ms = ub_now_ms(), ended_ms, took_ms;

	ub_use_events_fill(&w->use_events, fds);
	if (poll(fds, UB_ARRAY_SIZE(fds), 0) > 0)
		(void)ub_use_events_take(&w->use_events, fds);
	w->use_is_heard = false;
	/* What could not be found stays as it was, and is looked for again. */
	(void)ub_sight_find_users(now);
	ended_ms = ub_now_ms();
	took_ms = ended_ms - began_ms;
	w->users_rest_until = ended_ms + took_ms * (USE_EVENT_PART - 1);
	w->users_at = ended_ms + (took_ms * USE_PART > USE_MS ? took_ms * USE_PART : USE_MS);
}

/* Return: 0, or a negative errno with a message. */
static int look_at_devices(struct watch *w, struct ub_sight *ret_now, struct ub_error *err)
{
	const struct ub_sight_choice choice = {.is_chosen = is_chosen, .arg = w};
	int ret = ub_sight_read(w->ctrl, w->events, &choice, &w->sight, ret_now, err);

	if (ret < 0)
		return ret;
	w->devices_at = ret ? ub_now_ms() + ub_events_pause(w->events) : NEVER;
	for (size_t i = 0; are_users_wanted(w) && i < ret_now->count; i++)
		if (ub_use_events_follow(&w->use_events, ret_now->list[i].id))
			hear_use(w);
	return 0;
}

static void look_at_stats(struct watch *w, struct ub_sight *now)
{
	w->stats_at = NEVER;
	if (!is_wanted(w, UB_CHANGE_ERROR) && !is_wanted(w, UB_CHANGE_STALLED) &&
	    !is_wanted(w, UB_CHANGE_UNSTALLED))
		return;
	ub_sight_read_stats(now);
	if (ub_sight_is_counted(now))
		w->stats_at = ub_now_ms() + STATS_MS;
}

/* Looks at what is due. Return: as above. */
static int look(struct watch *w, struct ub_sight *ret_now, struct ub_error *err)
{
	int64_t now_ms = ub_now_ms();
	bool stats = w->stats_at <= now_ms, users = w->users_at <= now_ms;
	int ret;

	if (w->devices_at <= now_ms) {
		ret = look_at_devices(w, ret_now, err);
		stats = true;
	} else {
		ret = ub_sight_copy(&w->sight, ret_now);
		if (ret)
			ret = ub_fail(err, UB_STAGE_LOOKUP, ret, "cannot watch the devices");
	}
	if (ret)
		return ret;
	if (stats)
		look_at_stats(w, ret_now);
	if (!ret_now->count || !are_users_wanted(w)) {
		w->users_at = NEVER;
		w->use_is_heard = false;
	} else if (users) {
		look_at_users(w, ret_now);
	} else if (w->users_at == NEVER) {
		hear_use(w);
	}
	return 0;
}

/* Looks, and tells what has changed. Return: as above. */
static int look_and_tell(struct watch *w, struct ub_error *err)
{
	struct ub_sight now = {0};
	int ret = look(w, &now, err);

	if (ret)
		return ret;
	ub_changes_find(w->sight.list, w->sight.count, now.list, now.count, tell, w);
	ub_sight_done(&w->sight);
	w->sight = now;
	return 0;
}

/* Return: milliseconds for poll(), until the first of what is to come. */
static int time_left(const struct watch *w)
{
	const int64_t times[] = {w->devices_at, w->stats_at, w->users_at, w->ends_at};
	int64_t first = NEVER;

	for (size_t i = 0; i < UB_ARRAY_SIZE(times); i++)
		if (times[i] < first)
			first = times[i];
	return first == NEVER ? -1 : ub_left_ms(first);
}

/* Until something is to be looked at. Return: 1; 0 if there is a signal; -EPIPE if nobody reads. */
static int wait_for_change(struct watch *w)
{
	struct pollfd fds[3 + UB_USE_EVENTS_FDS] = {
		{.fd = w->interrupt.fd, .events = POLLIN},
		{.fd = fileno(w->call->out.file)},
		{.fd = ub_events_fd(w->events), .events = POLLIN},
	};
	/* Of many opens one after the other none but the first is heard. */
	nfds_t count =
		w->sight.count && are_users_wanted(w) && !w->use_is_heard ? UB_ARRAY_SIZE(fds) : 3;

	ub_use_events_fill(&w->use_events, &fds[3]);
	do {
		if (poll(fds, count, time_left(w)) < 0) {
			if (errno != EINTR)
				return -errno;
			continue;
		}
		if (fds[0].revents)
			return 0;
		if (fds[1].revents)
			return -EPIPE;
		if (fds[2].revents && ub_events_take(w->events))
			w->devices_at = 0;
		if (count > 3 && ub_use_events_take(&w->use_events, &fds[3])) {
			hear_use(w);
			count = 3;
		}
	} while (time_left(w) != 0);
	return 1;
}

static void ignore(const struct ub_change *change, void *arg)
{
	(void)change;
	(void)arg;
}

/* What there is, and that from here on nothing is missed. */
static int begin(struct watch *w, struct ub_error *err)
{
	int ret = look(w, &w->sight, err);

	if (ret)
		return ret;
	ub_changes_find(NULL, 0, w->sight.list, w->sight.count, ignore, NULL);
	for (size_t i = 0; i < w->sight.count && w->args->initial; i++)
		print(w, "present", &w->sight.list[i], NULL);
	print(w, "ready", NULL, NULL);
	w->has_begun = true;
	/* Nobody would see them change. */
	for (size_t i = 0; i < w->sight.count && !are_users_wanted(w); i++)
		ub_seen_drop_users(&w->sight.list[i]);
	return 0;
}

static int fail_timeout(const struct watch *w, struct ub_error *err)
{
	if (!w->args->count)
		return 0;
	return ub_fail_text(err, UB_STAGE_NONE, -ETIMEDOUT,
			    "cannot watch any longer: %u of %u events have come", w->told,
			    w->args->count);
}

/* Return: 0 when it is over, or a negative errno with a message. */
static int watch(struct watch *w, struct ub_error *err)
{
	int ret = begin(w, err);

	while (!ret && flush(w) && !is_over(w)) {
		ret = wait_for_change(w);
		if (ret < 0)
			return ub_fail(err, UB_STAGE_OUTPUT, ret,
				       "cannot write to standard output");
		if (!ret)
			return 0;
		ret = look_and_tell(w, err);
		if (!ret && w->ends_at <= ub_now_ms() && !is_over(w))
			return fail_timeout(w, err);
	}
	return ret;
}

static int open_all(struct watch *w, struct ub_error *err)
{
	int ret = ub_ctrl_open(&w->ctrl, err);

	if (!ret)
		ret = ub_events_open(&w->events, err);
	if (ret)
		return ret;
	ub_use_events_open(&w->use_events);
	ret = ub_out_begin(&w->call->out, UB_EVENT_SCHEMA, NULL);
	if (!ret)
		ret = ub_interrupt_open(&w->interrupt);
	return ret ? ub_fail(err, UB_STAGE_NONE, ret, "cannot watch the devices") : 0;
}

enum ub_exit ub_watch(struct ub_call *call, const struct ub_watch_args *args, int id)
{
	struct watch w = {
		.call = call,
		.args = args,
		.id = id,
		.use_events.fds = {-1, -1, -1, -1, -1},
		.interrupt.fd = -1,
		.ends_at = args->timeout_s ? ub_now_ms() + args->timeout_s * INT64_C(1000) : NEVER,
	};
	enum ub_exit status = UB_EXIT_DONE;
	struct ub_error err = {0};
	int ret = open_all(&w, &err);

	if (!ret)
		ret = watch(&w, &err);
	if (ret)
		status = ub_call_fail(call, &err);
	ub_sight_done(&w.sight);
	ub_use_events_close(&w.use_events);
	ub_events_freep(&w.events);
	ub_ctrl_close(w.ctrl);
	ub_interrupt_close(&w.interrupt);
	return status;
}
