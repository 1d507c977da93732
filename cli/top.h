/* SPDX-License-Identifier: MIT */
/*
 * What `ublk top` shows: which devices, in which order, which one is looked at, and what a key changes of that.
 * Knows neither terminal nor picture.
 */
#pragma once

#include "sort.h"
#include "stat_read.h"

#define UB_TOP_FILTER_SIZE 64

/* Keys that are no characters. */
enum ub_top_key {
	UB_KEY_NONE = 0x110000,
	UB_KEY_UP,
	UB_KEY_DOWN,
	UB_KEY_LEFT,
	UB_KEY_RIGHT,
	UB_KEY_PAGE_UP,
	UB_KEY_PAGE_DOWN,
	UB_KEY_HOME,
	UB_KEY_END,
	UB_KEY_ENTER,
	UB_KEY_BACK, /* rubs out */
	UB_KEY_ESCAPE,
	UB_KEY_REDRAW,
	UB_KEY_OTHER, /* does nothing */
};

enum ub_top_view { UB_TOP_LIST, UB_TOP_DEVICE, UB_TOP_HELP };

struct ub_top {
	uint32_t interval;
	struct ub_sort sort;
	enum ub_top_view view, before; /* what is seen, and was before the help */
	bool totals;                   /* since each was added, not by the second */
	bool paused;
	bool typing; /* the filter */
	bool leaves;
	char filter[UB_TOP_FILTER_SIZE];
	const struct ub_stat_list *stats; /* borrowed: all that were read */
	const struct ub_stat **rows;      /* owned: those that are shown, in their order */
	size_t count;
	size_t selected; /* of them; it is the same device as long as that is shown */
	uint32_t selected_id;
	size_t first; /* that is on the screen */
	size_t page;  /* so many are */
};

/* Takes what was read, sorts it in its place, and chooses. Return: 0 or -ENOMEM. */
int ub_top_take(struct ub_top *top, const struct ub_stat_list *stats);
void ub_top_done(struct ub_top *top);

/* The device that is selected, or NULL. */
const struct ub_stat *ub_top_selected(const struct ub_top *top);

/* There is room for so many devices. */
void ub_top_fit(struct ub_top *top, size_t page);

/* @key: a character or one of ub_top_key. What it changes shows when all is taken anew. */
void ub_top_press(struct ub_top *top, unsigned key);
