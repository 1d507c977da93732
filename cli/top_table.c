/* SPDX-License-Identifier: MIT */
#include "top_table.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/clean.h"
#include "text.h"

static bool is_text(const struct ub_field *field)
{
	return field->type == UB_FIELD_STRING || field->type == UB_FIELD_STATE;
}

static int width_of(const struct ub_top_layout *layout, size_t column)
{
	int width = layout->columns[column].width;

	return is_text(layout->columns[column].field) ? width : -width;
}

void ub_top_put_heads(int row, const struct ub_top_layout *layout, const struct ub_sort *sort,
		      const char *bar)
{
	int at = 0;

	ub_top_screen_put(row, 0, ub_top_screen_columns(), UB_LOOK_REVERSE, "");
	for (size_t i = 0; i < layout->count; i++) {
		const struct ub_field *field = layout->columns[i].field;
		bool marked = sort->count && sort->keys[0].field == field;

		ub_top_screen_put(row, at, width_of(layout, i),
				  marked ? UB_LOOK_MARKED : UB_LOOK_REVERSE, field->column);
		at += layout->columns[i].width + layout->gap;
	}
	if (layout->bar)
		ub_top_screen_put(row, at, layout->bar, UB_LOOK_REVERSE, bar);
}

static enum ub_look look_of_state(const struct ub_dev *dev)
{
	if (ub_dev_is_live(dev))
		return UB_LOOK_PLAIN;
	return dev->info.state == UBLK_S_DEV_QUIESCED ? UB_LOOK_NOTE : UB_LOOK_BAD;
}

/* How full a queue is is not what is wrong with a device that nobody serves. */
static void put_end(int row, int at, const struct ub_top_layout *layout, const struct ub_stat *stat,
		    enum ub_look look)
{
	const struct ub_dev *dev = stat->dev;

	if (ub_dev_is_live(dev))
		ub_top_put_bar(row, at, layout->bar, stat->sum.in_flight, ub_top_depth(stat));
	else if (dev->info.state == UBLK_S_DEV_LIVE)
		ub_top_screen_put(row, at, layout->bar, look, "no server");
	else
		ub_top_screen_put(row, at, layout->bar, look, ub_dev_state_name(dev));
}

int ub_top_put_row(int row, const struct ub_top_layout *layout, const struct ub_stat *stat,
		   enum ub_look look)
{
	enum ub_look state = look_of_state(stat->dev);
	int at = 0;

	ub_top_screen_put(row, 0, ub_top_screen_columns(), look, "");
	for (size_t i = 0; i < layout->count; i++) {
		const struct ub_field *field = layout->columns[i].field;
		_cleanup_free_ char *text = ub_field_text(field, stat, ",");

		if (!text)
			return -ENOMEM;
		ub_top_screen_put(row, at, width_of(layout, i),
				  field->type == UB_FIELD_STATE && state != UB_LOOK_PLAIN ? state
											  : look,
				  text);
		at += layout->columns[i].width + layout->gap;
	}
	if (layout->bar)
		put_end(row, at, layout, stat, state);
	return 0;
}

void ub_top_put_bar(int row, int column, int width, uint64_t part, uint64_t whole)
{
	enum ub_look look = UB_LOOK_GOOD;
	char bar[256];

	if (part * 10 >= whole * 9)
		look = UB_LOOK_BAD;
	else if (part * 2 >= whole)
		look = UB_LOOK_NOTE;
	ub_top_bar(part, whole, width, bar, sizeof(bar));
	ub_top_screen_put(row, column, width, look, bar);
}

int ub_top_put_text(int row, int column, enum ub_look look, const char *fmt, ...)
{
	char text[512];
	va_list ap;
	int width;

	va_start(ap, fmt);
	(void)vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	width = (int)ub_text_width(text);
	ub_top_screen_put(row, column, width, look, text);
	return column + width;
}

int ub_top_put_value(int row, int column, const char *what, const char *of,
		     const struct ub_stat *stat)
{
	_cleanup_free_ char *text = ub_field_text(ub_field_find(ub_stat_columns, of), stat, ",");

	if (!text)
		return -ENOMEM;
	column = ub_top_put_text(row, column, UB_LOOK_PLAIN, "%s", what);
	return ub_top_put_text(row, column, UB_LOOK_BOLD, "%s", text);
}
