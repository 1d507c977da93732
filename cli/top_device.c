/* SPDX-License-Identifier: MIT */
#include "top_device.h"

#include <errno.h>
#include <stdlib.h>

#include "base/clean.h"
#include "base/escape.h"
#include "base/parse.h"
#include "top_table.h"

#define FIRST_ROW 3
#define LABEL 10
#define NUMBER 9
#define CLASSES_MAX 24

static const char *const names[UB_TIMES_COUNT] = {
	[UB_TIMES_READ] = "reads",
	[UB_TIMES_WRITE] = "writes",
	[UB_TIMES_OTHER] = "others",
};

static void put_title(const struct ub_top *top, const struct ub_stat *stat)
{
	const struct ub_dev *dev = stat->dev;
	const struct ub_record *record = dev->managed ? &dev->record : NULL;
	char text[256], size[32];
	int at = ub_top_put_text(0, 0, UB_LOOK_BOLD, "ublkb%u", stat->id);

	ub_escape(stat->name ? stat->name : "", text, sizeof(text));
	at = ub_top_put_text(0, at, UB_LOOK_BOLD, "  %s", text);
	(void)ub_top_put_text(0, at, UB_LOOK_PLAIN, "  %s%s",
			      top->totals ? "since added" : "by the second",
			      top->paused ? ", paused" : "");
	ub_escape(record && record->backings.count ? record->backings.at[0].path : "", text,
		  sizeof(text));
	(void)ub_top_put_text(1, 0, UB_LOOK_PLAIN,
			      "%s  %s  %u x %u requests  counted by the %s  %s %s",
			      ub_dev_state_name(dev), ub_format_size(dev->size, size, sizeof(size)),
			      dev->info.nr_hw_queues, dev->info.queue_depth,
			      stat->by_server ? "server" : "kernel",
			      record ? record->spec.target->name : "", text);
}

/* The device as a whole, and below it the threads that there is room for. Return: rows that were taken, or
 * -ENOMEM. */
static int put_queues(const struct ub_top *top, const struct ub_stat *stat, size_t room)
{
	size_t count = stat->count + 1 < room ? stat->count + 1 : room;
	_cleanup_free_ struct ub_stat *parts = calloc(count, sizeof(*parts));
	_cleanup_free_ const struct ub_stat **rows = calloc(count, sizeof(const struct ub_stat *));
	struct ub_top_layout layout;
	int ret = parts && rows ? 0 : -ENOMEM;

	for (size_t i = 0; !ret && i < count; i++) {
		parts[i] = i ? ub_stat_part(stat, i - 1) : *stat;
		rows[i] = &parts[i];
	}
	if (!ret)
		ret = ub_top_lay_out(ub_top_screen_columns(), rows, count, true, &layout);
	if (ret)
		return ret;
	ub_top_put_heads(2, &layout, &top->sort, "QUEUE FULL");
	for (size_t i = 0; i < count && !ret; i++)
		ret = ub_top_put_row(FIRST_ROW + (int)i, &layout, rows[i], UB_LOOK_PLAIN);
	if (ret || count == stat->count + 1)
		return ret ? ret : (int)count;
	(void)ub_top_put_text(FIRST_ROW + (int)count, 0, UB_LOOK_PLAIN, "... and %zu more",
			      stat->count + 1 - count);
	return (int)count + 1;
}

static uint64_t most_of(const struct ub_top_class *classes, size_t count, unsigned kind)
{
	uint64_t most = 0;

	for (size_t i = 0; i < count; i++)
		if (classes[i].count[kind] > most)
			most = classes[i].count[kind];
	return most;
}

static void put_kind(int row, int column, int width, const struct ub_top_class *classes,
		     size_t count, unsigned kind, const struct ub_times *times)
{
	uint64_t most = most_of(classes, count, kind);
	char half[32], nearly[32];

	(void)ub_top_put_text(
		row, column, UB_LOOK_BOLD, "%9s  50 %% %s  99 %% %s", names[kind],
		ub_format_time(ub_times_percentile_ns(times, 500), half, sizeof(half)),
		ub_format_time(ub_times_percentile_ns(times, 990), nearly, sizeof(nearly)));
	for (size_t i = 0; i < count; i++) {
		char number[24], bar[256];
		int at = row + 1 + (int)i;

		(void)snprintf(number, sizeof(number), "%llu",
			       (unsigned long long)classes[i].count[kind]);
		ub_top_screen_put(at, column, -NUMBER, UB_LOOK_PLAIN, number);
		ub_top_bar(classes[i].count[kind], most, width - NUMBER - 3, bar, sizeof(bar));
		ub_top_screen_put(at, column + NUMBER + 1, width - NUMBER - 3, UB_LOOK_PLAIN, bar);
	}
}

static void put_times(int row, const struct ub_stat *stat, size_t room)
{
	struct ub_top_class classes[CLASSES_MAX];
	size_t count =
		ub_top_classes(stat->sum.times, room < CLASSES_MAX ? room : CLASSES_MAX, classes);
	unsigned kinds = 0;
	int column = LABEL;

	for (unsigned i = 0; i < UB_TIMES_COUNT; i++)
		kinds += most_of(classes, count, i) > 0;
	if (!kinds) {
		(void)ub_top_put_text(row, 2, UB_LOOK_PLAIN, "%s",
				      stat->by_server ? "no request has ended in this time"
						      : "the kernel does not tell times");
		return;
	}
	ub_top_screen_put(row, 0, -LABEL, UB_LOOK_BOLD, "time");
	for (size_t i = 0; i < count; i++) {
		char limit[32], text[40];

		(void)snprintf(text, sizeof(text), "< %s",
			       ub_format_time(classes[i].below_ns, limit, sizeof(limit)));
		ub_top_screen_put(row + 1 + (int)i, 0, -LABEL, UB_LOOK_PLAIN,
				  classes[i].below_ns ? text : "longer");
	}
	for (unsigned i = 0; i < UB_TIMES_COUNT; i++) {
		int width = (ub_top_screen_columns() - LABEL) / (int)kinds;

		if (!most_of(classes, count, i))
			continue;
		put_kind(row, column, width, classes, count, i, &stat->sum.times[i]);
		column += width;
	}
}

int ub_top_put_device(const struct ub_top *top, const struct ub_stat *stat)
{
	int left = ub_top_screen_rows() - FIRST_ROW - 1, taken;

	put_title(top, stat);
	taken = put_queues(top, stat, left > 4 ? (size_t)left / 2 : 2);
	if (taken < 0)
		return taken;
	left -= taken + 2;
	if (left > 0)
		put_times(FIRST_ROW + taken + 1, stat, (size_t)left);
	return 0;
}
