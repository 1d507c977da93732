/* SPDX-License-Identifier: MIT */
#include "top.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bool lies_on(const struct ub_dev *dev, const char *filter)
{
	const struct ub_backings *backings = &dev->record.backings;
	bool found = false;

	for (unsigned i = 0; dev->managed && i < backings->count && !found; i++)
		found = strcasestr(backings->at[i].path, filter);
	return found;
}

/* In what a user may know a device by. */
static bool matches(const struct ub_stat *stat, const char *filter)
{
	const struct ub_dev *dev = stat->dev;
	char number[16];

	(void)snprintf(number, sizeof(number), "ublkb%u", stat->id);
	return strstr(number, filter) || (stat->name && strcasestr(stat->name, filter)) ||
	       (dev->managed && strstr(dev->record.spec.target->name, filter)) ||
	       lies_on(dev, filter) || strstr(ub_dev_state_name(dev), filter);
}

static void select_row(struct ub_top *top, size_t row)
{
	top->selected = row < top->count ? row : top->count ? top->count - 1 : 0;
	if (top->count)
		top->selected_id = top->rows[top->selected]->id;
}

/* Where the device is now that was selected; if it is gone, what stands in its place is. */
static void select_again(struct ub_top *top)
{
	for (size_t i = 0; i < top->count; i++) {
		if (top->rows[i]->id == top->selected_id) {
			top->selected = i;
			return;
		}
	}
	if (top->view == UB_TOP_DEVICE)
		top->view = UB_TOP_LIST;
	top->before = UB_TOP_LIST;
	select_row(top, top->selected);
}

int ub_top_take(struct ub_top *top, const struct ub_stat_list *stats)
{
	const struct ub_stat **rows = calloc(stats->count + 1, sizeof(*rows));
	bool first = !top->rows;
	int ret = rows ? ub_sort(&top->sort, stats->list, stats->count, sizeof(*stats->list))
		       : -ENOMEM;

	if (ret) {
		free(rows);
		return ret;
	}
	free(top->rows);
	top->rows = rows;
	top->stats = stats;
	top->count = 0;
	for (size_t i = 0; i < stats->count; i++)
		if (matches(&stats->list[i], top->filter))
			rows[top->count++] = &stats->list[i];
	if (first)
		select_row(top, 0);
	else
		select_again(top);
	ub_top_fit(top, top->page);
	return 0;
}

void ub_top_done(struct ub_top *top)
{
	free(top->rows);
	top->rows = NULL;
	top->count = 0;
}

const struct ub_stat *ub_top_selected(const struct ub_top *top)
{
	return top->selected < top->count ? top->rows[top->selected] : NULL;
}

void ub_top_fit(struct ub_top *top, size_t page)
{
	top->page = page ? page : 1;
	if (top->first + top->page > top->count)
		top->first = top->count > top->page ? top->count - top->page : 0;
	if (top->selected < top->first)
		top->first = top->selected;
	if (top->selected >= top->first + top->page)
		top->first = top->selected - top->page + 1;
}

/* Numbers begin with the largest one. */
static bool falls(const struct ub_field *field)
{
	return field->type != UB_FIELD_STRING && field->type != UB_FIELD_STATE &&
	       strcmp(field->column, "ID") != 0;
}

/* By the next column, or the one before; round and round. */
static void sort_by_next(struct ub_top *top, int step)
{
	const struct ub_field *at = top->sort.count ? top->sort.keys[0].field : ub_stat_columns;
	size_t count = 0, index = 0;

	for (const struct ub_field *field = ub_stat_columns; field->key; field++, count++)
		if (field == at)
			index = count;
	/* Of a device as a whole these two say nothing. */
	do {
		index = (index + count + (size_t)step) % count;
		at = &ub_stat_columns[index];
	} while (strcmp(at->column, "QUEUE") == 0 || strcmp(at->column, "THREAD") == 0);
	top->sort.count = 1;
	top->sort.keys[0].field = at;
	top->sort.keys[0].descending = falls(at);
}

static void reverse(struct ub_top *top)
{
	if (!top->sort.count) {
		top->sort.count = 1;
		top->sort.keys[0].field = ub_stat_columns;
		top->sort.keys[0].descending = false;
	}
	top->sort.keys[0].descending = !top->sort.keys[0].descending;
}

static void type(struct ub_top *top, unsigned key)
{
	size_t len = strlen(top->filter);

	if (key == UB_KEY_ENTER) {
		top->typing = false;
	} else if (key == UB_KEY_ESCAPE) {
		top->typing = false;
		top->filter[0] = '\0';
	} else if (key == UB_KEY_BACK) {
		/* A character of several bytes as a whole. */
		while (len && (top->filter[--len] & 0xc0) == 0x80)
			;
		top->filter[len] = '\0';
	} else if (key >= ' ' && key < 0x100 && len + 1 < sizeof(top->filter)) {
		top->filter[len] = (char)key;
		top->filter[len + 1] = '\0';
	}
}

/* Return: false if it is no such key. */
static bool move(struct ub_top *top, unsigned key)
{
	size_t at = top->selected, page = top->page;

	switch (key) {
	case UB_KEY_UP:
	case 'k':
		select_row(top, at ? at - 1 : 0);
		break;
	case UB_KEY_DOWN:
	case 'j':
		select_row(top, at + 1);
		break;
	case UB_KEY_PAGE_UP:
		select_row(top, at > page ? at - page : 0);
		break;
	case UB_KEY_PAGE_DOWN:
		select_row(top, at + page);
		break;
	case UB_KEY_HOME:
		select_row(top, 0);
		break;
	case UB_KEY_END:
		select_row(top, top->count);
		break;
	default:
		return false;
	}
	ub_top_fit(top, page);
	return true;
}

static void go_back(struct ub_top *top)
{
	if (top->view == UB_TOP_LIST)
		top->filter[0] = '\0';
	top->view = UB_TOP_LIST;
}

static void press(struct ub_top *top, unsigned key)
{
	switch (key) {
	case 'q':
		top->leaves = true;
		break;
	case 'h':
	case '?':
		top->before = top->view;
		top->view = UB_TOP_HELP;
		break;
	case UB_KEY_ENTER:
		top->view = top->view == UB_TOP_LIST && top->count ? UB_TOP_DEVICE : UB_TOP_LIST;
		break;
	case UB_KEY_ESCAPE:
	case UB_KEY_BACK:
		go_back(top);
		break;
	case '>':
	case UB_KEY_RIGHT:
		sort_by_next(top, 1);
		break;
	case '<':
	case UB_KEY_LEFT:
		sort_by_next(top, -1);
		break;
	case 'r':
		reverse(top);
		break;
	case '/':
		top->typing = top->view == UB_TOP_LIST;
		break;
	case 't':
		top->totals = !top->totals;
		break;
	case ' ':
		top->paused = !top->paused;
		break;
	}
}

void ub_top_press(struct ub_top *top, unsigned key)
{
	if (key == UB_KEY_NONE || key == UB_KEY_REDRAW || key == UB_KEY_OTHER)
		return;
	if (top->typing)
		type(top, key);
	else if (top->view == UB_TOP_HELP && key != 'q')
		top->view = top->before;
	else if (!move(top, key))
		press(top, key);
}
