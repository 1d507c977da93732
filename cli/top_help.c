/* SPDX-License-Identifier: MIT */
#include "top_help.h"

#include "base/clean.h"
#include "top_table.h"

static const struct {
	const char *keys, *help;
} lines[] = {
	{"Up Down k j", "select a device; also PgUp, PgDn, Home, End"},
	{"Enter", "look at its queues and times, and back"},
	{"Esc", "back to the list; there: show all devices"},
	{"< > Left Right", "order by another column"},
	{"r", "order the other way round"},
	{"/", "show only devices with this in number, name, backing, state"},
	{"t", "totals since devices were added, and back to rates"},
	{"Space", "stand still, and go on"},
	{"h ?", "this help; any key leaves it"},
	{"q", "end"},
};

static const char *const notes[] = {
	"READS, WRITES: requests. READ, WRITTEN: bytes. R99: the time that 99 % of",
	"the reads took at the most; R50, R999: half of them, 99.9 %; W...: of writes.",
	"The bar: requests under way, of those that there is room for in the queues.",
};

void ub_top_put_help(void)
{
	int row = 0;

	(void)ub_top_put_text(row, 0, UB_LOOK_BOLD, "ublk top: keys");
	row += 2;
	for (size_t i = 0; i < UB_ARRAY_SIZE(lines); i++, row++) {
		(void)ub_top_put_text(row, 2, UB_LOOK_BOLD, "%s", lines[i].keys);
		(void)ub_top_put_text(row, 18, UB_LOOK_PLAIN, "%s", lines[i].help);
	}
	row++;
	for (size_t i = 0; i < UB_ARRAY_SIZE(notes); i++, row++)
		(void)ub_top_put_text(row, 2, UB_LOOK_PLAIN, "%s", notes[i]);
}
