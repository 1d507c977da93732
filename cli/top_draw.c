/* SPDX-License-Identifier: MIT */
#include "top_draw.h"

#include <errno.h>
#include <string.h>
#include <time.h>

#include "base/clean.h"
#include "base/escape.h"
#include "top_device.h"
#include "top_help.h"
#include "top_table.h"

#define HEAD_ROWS 3
#define KEYS "q quit  h help  Enter one device  < > r order  / filter  t totals  space pause"

static void put_clock(int column)
{
	time_t now = time(NULL);
	struct tm tm;
	char text[16];

	/* Where there is room. */
	if (column + 2 + 8 <= ub_top_screen_columns() && localtime_r(&now, &tm) &&
	    strftime(text, sizeof(text), "%H:%M:%S", &tm))
		ub_top_screen_put(0, ub_top_screen_columns() - 8, 8, UB_LOOK_PLAIN, text);
}

static const char *order_of(const struct ub_top *top)
{
	return top->sort.count ? top->sort.keys[0].field->column : "ID";
}

static int put_times(const struct ub_top *top, int column)
{
	if (top->totals)
		column = ub_top_put_text(0, column, UB_LOOK_PLAIN, "  since added");
	else
		column = ub_top_put_text(0, column, UB_LOOK_PLAIN, "  by the second, each %u s",
					 top->interval);
	return top->paused ? ub_top_put_text(0, column, UB_LOOK_REVERSE, "  paused ") : column;
}

static void put_title(const struct ub_top *top)
{
	char filter[UB_TOP_FILTER_SIZE * 4];
	int at = ub_top_put_text(0, 0, UB_LOOK_BOLD, "ublk top");

	ub_escape(top->filter, filter, sizeof(filter));
	at = ub_top_put_text(0, at, UB_LOOK_PLAIN, "  devices: %zu", top->count);
	if (*top->filter)
		at = ub_top_put_text(0, at, UB_LOOK_PLAIN, " of %zu, with %s", top->stats->count,
				     filter);
	at = ub_top_put_text(0, at, UB_LOOK_PLAIN, "  by %s%s", order_of(top),
			     top->sort.count && top->sort.keys[0].descending ? ", falling" : "");
	put_clock(put_times(top, at));
}

static void add_number(uint64_t *to, uint64_t number)
{
	if (number != UB_STATS_NOT_KNOWN)
		*to += number;
}

static void add(struct ub_dev_sum *to, const struct ub_dev_sum *from)
{
	for (unsigned i = 0; i < UB_STATS_OPS; i++) {
		add_number(&to->op[i].ended, from->op[i].ended);
		add_number(&to->op[i].bytes, from->op[i].bytes);
		add_number(&to->op[i].errors, from->op[i].errors);
	}
	add_number(&to->in_flight, from->in_flight);
}

/* Of all that are listed. */
static int put_sums(const struct ub_top *top)
{
	static const struct {
		const char *what, *of;
	} parts[] = {
		{"reads ", "READS"}, {" of ", "READ"},         {"   writes ", "WRITES"},
		{" of ", "WRITTEN"}, {"   errors ", "ERRORS"}, {"   in flight ", "INFLIGHT"},
	};
	struct ub_stat sum = {.queue = -1, .thread = -1};
	int at = 0;

	for (size_t i = 0; i < top->count; i++) {
		sum.interval_ms = top->rows[i]->interval_ms;
		add(&sum.sum, &top->rows[i]->sum);
	}
	for (size_t i = 0; i < UB_ARRAY_SIZE(parts) && at >= 0; i++)
		at = ub_top_put_value(1, at, parts[i].what, parts[i].of, &sum);
	return at < 0 ? at : 0;
}

static int put_list(struct ub_top *top)
{
	int rows = ub_top_screen_rows(), ret;
	struct ub_top_layout layout;
	size_t shown;

	ub_top_fit(top, rows > HEAD_ROWS + 1 ? (size_t)(rows - HEAD_ROWS - 1) : 1);
	shown = top->count - top->first < top->page ? top->count - top->first : top->page;
	ret = ub_top_lay_out(ub_top_screen_columns(), top->rows + top->first, shown, false,
			     &layout);
	if (ret)
		return ret;
	put_title(top);
	ret = put_sums(top);
	ub_top_put_heads(2, &layout, &top->sort, "QUEUES FULL");
	for (size_t i = 0; i < shown && !ret; i++) {
		size_t row = top->first + i;

		ret = ub_top_put_row(HEAD_ROWS + (int)i, &layout, top->rows[row],
				     row == top->selected ? UB_LOOK_REVERSE : UB_LOOK_PLAIN);
	}
	if (!top->count)
		(void)ub_top_put_text(HEAD_ROWS + 1, 2, UB_LOOK_PLAIN,
				      *top->filter ? "no device has that" : "there is no device");
	return ret;
}

static void put_keys(const struct ub_top *top)
{
	int row = ub_top_screen_rows() - 1, at;
	char filter[UB_TOP_FILTER_SIZE * 4];

	if (!top->typing) {
		ub_top_screen_put(row, 0, ub_top_screen_columns(), UB_LOOK_PLAIN, KEYS);
		return;
	}
	ub_escape(top->filter, filter, sizeof(filter));
	at = ub_top_put_text(row, 0, UB_LOOK_PLAIN, "filter: ");
	at = ub_top_put_text(row, at, UB_LOOK_BOLD, "%s", filter);
	at = ub_top_put_text(row, at, UB_LOOK_REVERSE, " ");
	(void)ub_top_put_text(row, at, UB_LOOK_PLAIN, "   Enter keeps it, Esc takes it away");
}

int ub_top_draw(struct ub_top *top)
{
	const struct ub_stat *selected = ub_top_selected(top);
	int ret = 0;

	ub_top_screen_begin();
	if (top->view == UB_TOP_HELP)
		ub_top_put_help();
	else if (top->view == UB_TOP_DEVICE && selected)
		ret = ub_top_put_device(top, selected);
	else
		ret = put_list(top);
	put_keys(top);
	ub_top_screen_show();
	return ret;
}
