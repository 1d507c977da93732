/* SPDX-License-Identifier: MIT */
#include "device/changes.h"

#include <string.h>

#include "kernel/uapi.h"

const char *const ub_change_names[] = {
	[UB_CHANGE_ADDED] = "added",
	[UB_CHANGE_LIVE] = "live",
	[UB_CHANGE_QUIESCED] = "quiesced",
	[UB_CHANGE_FAILED] = "failed",
	[UB_CHANGE_DEAD] = "dead",
	[UB_CHANGE_RECOVERED] = "recovered",
	[UB_CHANGE_RESIZED] = "resized",
	[UB_CHANGE_ERROR] = "error",
	[UB_CHANGE_STALLED] = "stalled",
	[UB_CHANGE_UNSTALLED] = "unstalled",
	[UB_CHANGE_RESTART] = "restart",
	[UB_CHANGE_USED] = "used",
	[UB_CHANGE_UNUSED] = "unused",
	[UB_CHANGE_DELETED] = "deleted",
	NULL,
};

/* Whom it is told. */
struct listener {
	void (*tell)(const struct ub_change *change, void *arg);
	void *arg;
};

static void tell(const struct listener *l, enum ub_change_kind kind, const struct ub_seen *before,
		 const struct ub_seen *dev)
{
	l->tell(&(struct ub_change){.kind = kind, .dev = dev, .before = before}, l->arg);
}

static bool is_other_server(const struct ub_seen *before, const struct ub_seen *now)
{
	return before->start_time && now->start_time &&
	       (before->pid != now->pid || before->start_time != now->start_time);
}

/* While another server takes a device over, that it has none just now is no news. */
static bool is_taken_over(const struct ub_seen *before, const struct ub_seen *now)
{
	return (now->state == UBLK_S_DEV_QUIESCED || now->state == UBLK_S_DEV_FAIL_IO) &&
	       now->pid && (!before->pid || is_other_server(before, now));
}

/* One that has just been added has no server yet that would count. */
static void settle(const struct ub_seen *before, struct ub_seen *now)
{
	if (now->settled && !(before && is_taken_over(before, now)))
		return;
	now->state = before ? before->state : UBLK_S_DEV_DEAD;
	now->parked = before && before->parked;
	now->pid = before ? before->pid : 0;
	now->start_time = before ? before->start_time : 0;
}

static void compare_states(const struct listener *l, const struct ub_seen *before,
			   const struct ub_seen *now)
{
	unsigned old = before ? before->state : UBLK_S_DEV_DEAD;

	if (now->state == UBLK_S_DEV_LIVE && old == UBLK_S_DEV_DEAD)
		tell(l, UB_CHANGE_LIVE, before, now);
	else if (now->state == UBLK_S_DEV_LIVE &&
		 (old != UBLK_S_DEV_LIVE || is_other_server(before, now)))
		tell(l, UB_CHANGE_RECOVERED, before, now);
	if (now->state == old)
		return;
	if (now->state == UBLK_S_DEV_QUIESCED)
		tell(l, UB_CHANGE_QUIESCED, before, now);
	else if (now->state == UBLK_S_DEV_FAIL_IO)
		tell(l, UB_CHANGE_FAILED, before, now);
	else if (now->state == UBLK_S_DEV_DEAD)
		tell(l, UB_CHANGE_DEAD, before, now);
}

/* What has been counted before this program could read it is no news. */
static void compare_errors(const struct listener *l, const struct ub_seen *before,
			   const struct ub_seen *now)
{
	struct ub_change change = {.kind = UB_CHANGE_ERROR, .dev = now, .before = before};

	if (!now->counted || (before && !before->counted && before->state != UBLK_S_DEV_DEAD))
		return;
	for (change.op = 0; change.op < UB_STATS_OPS; change.op++) {
		bool goes_on = before && before->counted && before->since == now->since;
		uint64_t old = goes_on ? before->errors[change.op] : 0;

		if (now->errors[change.op] <= old)
			continue;
		change.errors = now->errors[change.op] - old;
		l->tell(&change, l->arg);
	}
}

/* Of one that has lost its server, or has got another one, that is told. */
static void compare_stalls(const struct listener *l, const struct ub_seen *before,
			   const struct ub_seen *now)
{
	bool old = before && !is_other_server(before, now) && ub_seen_is_stalled(before);

	if (now->state == UBLK_S_DEV_LIVE && old != ub_seen_is_stalled(now))
		tell(l, old ? UB_CHANGE_UNSTALLED : UB_CHANGE_STALLED, before, now);
}

static bool are_same_users(const struct ub_seen *a, const struct ub_seen *b)
{
	if (a->nr_users != b->nr_users)
		return false;
	for (size_t i = 0; i < a->nr_users; i++)
		if (strcmp(a->users[i], b->users[i]) != 0)
			return false;
	return true;
}

/* @before: NULL: it is new. A size that comes with the first server is none that has changed. */
static void compare(const struct listener *l, const struct ub_seen *before, struct ub_seen *now)
{
	static const struct ub_seen none = {0};
	const struct ub_seen *old = before ? before : &none;

	settle(before, now);
	if (!before)
		tell(l, UB_CHANGE_ADDED, NULL, now);
	compare_states(l, before, now);
	if (old->state != UBLK_S_DEV_DEAD && old->size && now->size && old->size != now->size)
		tell(l, UB_CHANGE_RESIZED, before, now);
	compare_errors(l, before, now);
	compare_stalls(l, before, now);
	if (before && before->managed && before->restart != now->restart)
		tell(l, UB_CHANGE_RESTART, before, now);
	if (!are_same_users(old, now))
		tell(l, now->nr_users ? UB_CHANGE_USED : UB_CHANGE_UNUSED, before, now);
}

void ub_changes_find(const struct ub_seen *before, size_t nr_before, struct ub_seen *after,
		     size_t nr_after, void (*tell_one)(const struct ub_change *change, void *arg),
		     void *arg)
{
	const struct listener l = {.tell = tell_one, .arg = arg};
	size_t i = 0, j = 0;

	while (i < nr_before || j < nr_after) {
		const struct ub_seen *old = i < nr_before ? &before[i] : NULL;
		struct ub_seen *now = j < nr_after ? &after[j] : NULL;

		if (old && now && ub_seen_is_same(old, now)) {
			compare(&l, old, now);
			i++;
			j++;
		} else if (old && (!now || old->id <= now->id)) {
			tell(&l, UB_CHANGE_DELETED, old, old);
			i++;
		} else {
			compare(&l, NULL, now);
			j++;
		}
	}
}
