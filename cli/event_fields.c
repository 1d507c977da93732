/* SPDX-License-Identifier: MIT */
#include "event_fields.h"

#include <inttypes.h>
#include <time.h>

#include "base/clock.h"
#include "base/escape.h"
#include "base/parse.h"
#include "device/restart.h"
#include "kernel/node.h"
#include "kernel/uapi.h"
#include "text.h"

#define GETTER(name) static void get_##name(const void *object, struct ub_value *value)

static const char *const operations[UB_STATS_OPS] = {
	[UB_STATS_READ] = "read",     [UB_STATS_WRITE] = "write",
	[UB_STATS_FLUSH] = "flush",   [UB_STATS_DISCARD] = "discard",
	[UB_STATS_UNKNOWN] = "other", [UB_STATS_WRITE_ZEROES] = "write_zeroes",
};

static const struct ub_event *event_of(const void *object)
{
	return object;
}

static const struct ub_seen *seen_of(const void *object)
{
	return event_of(object)->dev;
}

/* Return: the change, if it is of this kind, or NULL. */
static const struct ub_change *change_of(const void *object, enum ub_change_kind kind)
{
	const struct ub_change *change = event_of(object)->change;

	return change && change->kind == kind ? change : NULL;
}

static bool is_about_device(const void *object)
{
	return seen_of(object);
}

GETTER(id)
{
	ub_value_number(value, seen_of(object)->id);
}

GETTER(name)
{
	ub_value_text(value, seen_of(object)->name);
}

GETTER(path)
{
	ub_value_text(value, ub_dev_block_path(seen_of(object)->id, value->buf));
}

GETTER(managed)
{
	ub_value_number(value, seen_of(object)->managed);
}

GETTER(state)
{
	ub_value_text(value, ub_state_name(seen_of(object)->state));
}

/* Of another program's device it is not known; and of ours not whether its server has died or makes room for
 * another one (ublk upgrade). */
static const char *find_cause(const struct ub_event *event)
{
	if (!change_of(event, UB_CHANGE_QUIESCED) && !change_of(event, UB_CHANGE_FAILED))
		return NULL;
	if (!event->dev->managed)
		return NULL;
	return event->dev->parked ? "parked" : "gone";
}

GETTER(cause)
{
	ub_value_text(value, find_cause(object));
}

GETTER(pid)
{
	if (seen_of(object)->pid)
		ub_value_number(value, (uint64_t)seen_of(object)->pid);
}

GETTER(size)
{
	if (seen_of(object)->size)
		ub_value_number(value, seen_of(object)->size);
}

GETTER(old_size)
{
	const struct ub_change *change = change_of(object, UB_CHANGE_RESIZED);

	if (change)
		ub_value_number(value, change->before->size);
}

/* Of some that are stalled. */
static const char *stalled_operation(const struct ub_seen *dev)
{
	for (unsigned op = 0; op < UB_STATS_OPS; op++)
		if (dev->stall.ios[op])
			return operations[op];
	return NULL;
}

static uint64_t stalled_seconds(const struct ub_seen *dev)
{
	return ((uint64_t)ub_now_ms() - dev->stall.since_ms) / 1000;
}

GETTER(operation)
{
	const struct ub_change *change = change_of(object, UB_CHANGE_ERROR);

	ub_value_text(value, change ? operations[change->op]
			     : change_of(object, UB_CHANGE_STALLED)
				     ? stalled_operation(seen_of(object))
				     : NULL);
}

GETTER(stalled_seconds)
{
	if (ub_seen_is_stalled(seen_of(object)))
		ub_value_number(value, stalled_seconds(seen_of(object)));
}

GETTER(errors)
{
	const struct ub_change *change = change_of(object, UB_CHANGE_ERROR);

	if (change)
		ub_value_number(value, change->errors);
}

GETTER(restart_state)
{
	if (seen_of(object)->managed)
		ub_value_text(value, ub_restart_names[seen_of(object)->restart]);
}

GETTER(users)
{
	if (seen_of(object))
		ub_value_number(value, seen_of(object)->nr_users);
}

static const void *user_at(const void *object, size_t index)
{
	return seen_of(object)->users[index];
}

/* clang-format off */
#define OF_DEVICE(name) .key = #name, .get = get_##name, .when = is_about_device

const struct ub_field ub_event_fields[] = {
	{ .key = "time_us", .type = UB_FIELD_NUMBER, UB_AT(struct ub_event, time_us) },
	{ .key = "event", .type = UB_FIELD_STRING, UB_AT(struct ub_event, word) },
	{ OF_DEVICE(id), .type = UB_FIELD_NUMBER },
	{ OF_DEVICE(name), .type = UB_FIELD_STRING },
	{ OF_DEVICE(path), .type = UB_FIELD_STRING },
	{ OF_DEVICE(managed), .type = UB_FIELD_BOOL },
	{ OF_DEVICE(state), .type = UB_FIELD_STATE },
	{ OF_DEVICE(cause), .type = UB_FIELD_STRING },
	{ OF_DEVICE(pid), .type = UB_FIELD_NUMBER },
	{ OF_DEVICE(size), .type = UB_FIELD_SIZE },
	{ OF_DEVICE(old_size), .type = UB_FIELD_SIZE },
	{ OF_DEVICE(operation), .type = UB_FIELD_STRING },
	{ OF_DEVICE(errors), .type = UB_FIELD_NUMBER },
	{ OF_DEVICE(stalled_seconds), .type = UB_FIELD_NUMBER },
	{ OF_DEVICE(restart_state), .type = UB_FIELD_STATE },
	{ .key = "users", .type = UB_FIELD_LIST, .get = get_users, .at = user_at },
	UB_FIELD_END,
};
/* clang-format on */

static void put_size(FILE *file, uint64_t size)
{
	char buf[32];

	(void)fputs(ub_format_size(size, buf, sizeof(buf)), file);
}

static void put_users(FILE *file, const struct ub_seen *dev)
{
	for (size_t i = 0; i < dev->nr_users; i++) {
		(void)fputs(i ? ", " : "", file);
		ub_put_escaped(file, dev->users[i]);
	}
}

static void put_server(FILE *file, const struct ub_seen *dev)
{
	if (dev->pid)
		(void)fprintf(file, "server %" PRId32, dev->pid);
	else
		(void)fputc('-', file);
}

static void put_cause(FILE *file, const struct ub_event *event)
{
	const char *cause = find_cause(event);

	(void)fprintf(file, "%s%s", cause && !event->dev->parked ? "server " : "",
		      cause ? cause : "-");
}

/* What was there already when the watch began. */
static void put_present(FILE *file, const struct ub_seen *dev)
{
	(void)fputs(ub_state_name(dev->state), file);
	if (ub_seen_is_stalled(dev))
		(void)fputs(", stalled", file);
	if (dev->nr_users)
		(void)fputs(", ", file);
	put_users(file, dev);
}

static void put_detail(FILE *file, const struct ub_event *event)
{
	const struct ub_change *change = event->change;
	const struct ub_seen *dev = event->dev;

	if (!change && dev) {
		put_present(file, dev);
		return;
	}
	switch (change ? change->kind : UB_CHANGE_COUNT) {
	case UB_CHANGE_LIVE:
	case UB_CHANGE_RECOVERED:
		put_server(file, dev);
		break;
	case UB_CHANGE_RESIZED:
		put_size(file, change->before->size);
		(void)fputs(" to ", file);
		put_size(file, dev->size);
		break;
	case UB_CHANGE_ERROR:
		(void)fprintf(file, "%s: %" PRIu64, operations[change->op], change->errors);
		break;
	case UB_CHANGE_STALLED:
		(void)fprintf(file, "%s in hand for %" PRIu64 " s", stalled_operation(dev),
			      stalled_seconds(dev));
		break;
	case UB_CHANGE_RESTART:
		(void)fputs(ub_restart_names[dev->restart], file);
		break;
	case UB_CHANGE_USED:
		put_users(file, dev);
		break;
	case UB_CHANGE_QUIESCED:
	case UB_CHANGE_FAILED:
		put_cause(file, event);
		break;
	default:
		(void)fputc('-', file);
		break;
	}
}

void ub_event_print(FILE *file, const struct ub_event *event)
{
	const struct ub_seen *dev = event->dev;
	char device[16] = "-", name[80] = "-", when[40];

	if (dev)
		(void)snprintf(device, sizeof(device), "ublkb%" PRIu32, dev->id);
	if (dev && dev->name)
		ub_escape(dev->name, name, sizeof(name));
	ub_format_moment(event->time_us, when, sizeof(when));
	(void)fprintf(file, "%s  %-8s  %-8s  %-9s  ", when, device, name, event->word);
	put_detail(file, event);
	(void)fputc('\n', file);
}
