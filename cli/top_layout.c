/* SPDX-License-Identifier: MIT */
#include "top_layout.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/clean.h"
#include "text.h"

#define BAR_MIN 10
#define BAR_MAX 40
#define WIDE 100 /* columns from which two blanks stand between */
/* Of a histogram's times: each power of two is cut into so many. */
#define STEP 16
#define CLASSES (UB_STATS_BUCKETS / STEP)
#define FIRST_SHIFT 4

/* As they are shown from left to right. The larger the rank, the sooner one is left out. */
static const struct {
	const char *column;
	int rank, width;
	bool of_devices, of_queues;
} all[] = {
	{"ID", 0, 3, true, false},       {"NAME", 1, 8, true, false},
	{"QUEUE", 0, 5, false, true},    {"THREAD", 1, 6, false, true},
	{"STATE", 9, 8, true, false},    {"READS", 2, 6, true, true},
	{"WRITES", 3, 6, true, true},    {"READ", 4, 6, true, true},
	{"WRITTEN", 5, 7, true, true},   {"FLUSHES", 15, 7, true, true},
	{"DISCARDS", 16, 8, true, true}, {"ERRORS", 10, 6, true, true},
	{"R50", 11, 6, true, true},      {"R99", 7, 6, true, true},
	{"R999", 13, 6, true, true},     {"W50", 12, 6, true, true},
	{"W99", 8, 6, true, true},       {"W999", 14, 6, true, true},
	{"INFLIGHT", 6, 8, true, true},
};
#define LAST_RANK 16

_Static_assert(UB_ARRAY_SIZE(all) <= UB_TOP_COLUMNS_MAX, "a layout has room for all columns");

static int add_column(size_t i, const struct ub_stat *const *rows, size_t count,
		      struct ub_top_layout *layout)
{
	const struct ub_field *field = ub_field_find(ub_stat_columns, all[i].column);
	int width = all[i].width;

	for (size_t row = 0; row < count; row++) {
		_cleanup_free_ char *text = ub_field_text(field, rows[row], ",");
		int needed;

		if (!text)
			return -ENOMEM;
		needed = (int)ub_text_width(text);
		width = needed > width ? needed : width;
	}
	if (field->type == UB_FIELD_STRING && width > UB_TOP_NAME_MAX)
		width = UB_TOP_NAME_MAX;
	layout->columns[layout->count].field = field;
	layout->columns[layout->count++].width = width;
	return 0;
}

static int add_columns(int rank, const struct ub_stat *const *rows, size_t count, bool queues,
		       struct ub_top_layout *layout)
{
	int ret = 0;

	layout->count = 0;
	for (size_t i = 0; i < UB_ARRAY_SIZE(all) && !ret; i++)
		if (all[i].rank <= rank && (queues ? all[i].of_queues : all[i].of_devices))
			ret = add_column(i, rows, count, layout);
	return ret;
}

int ub_top_lay_out(int width, const struct ub_stat *const *rows, size_t count, bool queues,
		   struct ub_top_layout *ret_layout)
{
	struct ub_top_layout layout = {.gap = width < WIDE ? 1 : 2};
	int ret, rank = LAST_RANK, left;

	do {
		ret = add_columns(rank, rows, count, queues, &layout);
		left = width - BAR_MIN;
		for (size_t i = 0; i < layout.count; i++)
			left -= layout.columns[i].width + layout.gap;
	} while (!ret && left < 0 && rank-- > 0);
	if (ret)
		return ret;
	layout.bar = left < 0 ? 0 : left + BAR_MIN > BAR_MAX ? BAR_MAX : left + BAR_MIN;
	*ret_layout = layout;
	return 0;
}

/* A thread has several queues, or shares one with others. */
uint64_t ub_top_depth(const struct ub_stat *stat)
{
	const struct ublksrv_ctrl_dev_info *info = &stat->dev->info;
	uint64_t queues = info->nr_hw_queues;

	if (stat->queue >= 0)
		queues = stat->count && queues > stat->count ? queues / stat->count : 1;
	return queues * info->queue_depth;
}

void ub_top_bar(uint64_t part, uint64_t whole, int width, char *buf, size_t size)
{
	size_t inside = width > 2 ? (size_t)width - 2 : 0, filled;

	buf[0] = '\0';
	if (!inside || (size_t)width >= size)
		return;
	if (part > whole)
		part = whole;
	filled = whole ? (size_t)((part * inside + whole - 1) / whole) : 0;
	buf[0] = '[';
	memset(buf + 1, '|', filled);
	memset(buf + 1 + filled, ' ', inside - filled);
	(void)strcpy(buf + 1 + inside, "]");
}

static uint64_t sum_of(const struct ub_times *times, size_t class)
{
	uint64_t sum = 0;

	for (size_t i = class * STEP; i < (class + 1) * STEP; i++)
		sum += times->count[i];
	return sum;
}

static bool has_any(const struct ub_times *times, size_t class)
{
	for (unsigned kind = 0; kind < UB_TIMES_COUNT; kind++)
		if (sum_of(&times[kind], class))
			return true;
	return false;
}

size_t ub_top_classes(const struct ub_times times[static UB_TIMES_COUNT], size_t room,
		      struct ub_top_class *ret_classes)
{
	size_t first = 0, end = CLASSES, step, count = 0;

	while (first < end && !has_any(times, first))
		first++;
	while (end > first && !has_any(times, end - 1))
		end--;
	if (first == end || !room)
		return 0;
	step = (end - first + room - 1) / room;
	for (size_t class = first; class < end; class += step) {
		struct ub_top_class *c = &ret_classes[count++];
		size_t last = class + step - 1;

		*c = (struct ub_top_class){0};
		/* The last one of all has whatever took longer. */
		if (last + 1 < CLASSES)
			c->below_ns = (uint64_t)UB_STATS_UNIT_NS << (FIRST_SHIFT + last);
		for (size_t i = class; i <= last && i < CLASSES; i++)
			for (unsigned kind = 0; kind < UB_TIMES_COUNT; kind++)
				c->count[kind] += sum_of(&times[kind], i);
	}
	return count;
}
