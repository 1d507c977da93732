/* SPDX-License-Identifier: MIT */
/* How what `ublk top` shows is put into a width: columns, bars, and times in classes. Arithmetic and text
 * alone; knows no terminal. */
#pragma once

#include "stat_fields.h"

#define UB_TOP_COLUMNS_MAX 20
#define UB_TOP_NAME_MAX 24

struct ub_top_layout {
	struct {
		const struct ub_field *field;
		int width;
	} columns[UB_TOP_COLUMNS_MAX];
	size_t count;
	int gap; /* blanks between them */
	int bar; /* columns that are left for it; 0: none */
};

/* The columns that @rows are shown by, the most important ones where there is no room for all.
 * @queues: rows are threads of a device. Return: 0 or -ENOMEM. */
int ub_top_lay_out(int width, const struct ub_stat *const *rows, size_t count, bool queues,
		   struct ub_top_layout *ret_layout);

/* How many requests may be under way: of a device, or of one of its threads. */
uint64_t ub_top_depth(const struct ub_stat *stat);

/* "[|||   ]", @width columns, @size > @width bytes: what is there at all shows. */
void ub_top_bar(uint64_t part, uint64_t whole, int width, char *buf, size_t size);

/* Times up to a limit. */
struct ub_top_class {
	uint64_t below_ns; /* 0: no limit */
	uint64_t count[UB_TIMES_COUNT];
};

/* The classes from the shortest time to the longest one that there was, each twice the one before, or more if
 * there are more than @room of them. Return: how many. */
size_t ub_top_classes(const struct ub_times times[static UB_TIMES_COUNT], size_t room,
		      struct ub_top_class *ret_classes);
