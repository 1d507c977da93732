/* SPDX-License-Identifier: MIT */
/* What `ublk top` shows: which devices in which order, what keys change, and how it fits. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/clean.h"
#include "top.h"
#include "top_layout.h"

#define DEVICES 5

static struct ub_dev devs[DEVICES];
static struct ub_stat stats[DEVICES];
static struct ub_stat_list list;
static struct ub_top top;

/* Device i is named after its number, and has had 100 * i % 300 reads. */
static int setup(void **state)
{
	static const char *const names[DEVICES] = {"zero", NULL, "two", "three", "four"};

	(void)state;
	memset(devs, 0, sizeof(devs));
	memset(stats, 0, sizeof(stats));
	for (uint32_t i = 0; i < DEVICES; i++) {
		devs[i].id = i;
		devs[i].info.state = UBLK_S_DEV_LIVE;
		devs[i].info.nr_hw_queues = 2;
		devs[i].info.queue_depth = 64;
		stats[i] = (struct ub_stat){.dev = &devs[i],
					    .id = i,
					    .name = names[i],
					    .queue = -1,
					    .thread = -1,
					    .by_server = true};
		stats[i].sum.op[UB_STATS_READ].ended = 100 * i % 300;
	}
	list = (struct ub_stat_list){.list = stats, .count = DEVICES};
	top = (struct ub_top){.interval = 1, .page = 10};
	assert_int_equal(ub_top_take(&top, &list), 0);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	ub_top_done(&top);
	return 0;
}

static void press(const char *keys)
{
	while (*keys)
		ub_top_press(&top, (unsigned char)*keys++);
	assert_int_equal(ub_top_take(&top, &list), 0);
}

static void press_key(enum ub_top_key key)
{
	ub_top_press(&top, key);
	assert_int_equal(ub_top_take(&top, &list), 0);
}

static void shows(const char *ids)
{
	char now[64] = "";

	for (size_t i = 0; i < top.count; i++)
		(void)snprintf(now + strlen(now), sizeof(now) - strlen(now), "%s%u", i ? " " : "",
			       top.rows[i]->id);
	assert_string_equal(now, ids);
}

static void a_filter_is_typed_kept_and_taken_away(void **state)
{
	(void)state;
	press("/t");
	/* As it is typed. */
	assert_true(top.typing);
	shows("2 3");
	press("Hr");
	shows("3");
	press_key(UB_KEY_BACK);
	press_key(UB_KEY_BACK);
	press("q");
	/* It is a letter here. */
	assert_false(top.leaves);
	shows("");
	press_key(UB_KEY_BACK);
	press_key(UB_KEY_ENTER);
	assert_false(top.typing);
	shows("2 3");
	press_key(UB_KEY_ESCAPE);
	shows("0 1 2 3 4");
	press("/ublkb1");
	shows("1");
	press_key(UB_KEY_ESCAPE);
	shows("0 1 2 3 4");
	press("/live");
	shows("0 1 2 3 4");
}

static void a_filter_has_room_for_so_much_and_rubs_out_whole_characters(void **state)
{
	(void)state;
	press("/\xc3\xa9");
	press_key(UB_KEY_BACK);
	assert_string_equal(top.filter, "");
	press_key(UB_KEY_BACK);
	for (int i = 0; i < 100; i++)
		press("x");
	assert_int_equal(strlen(top.filter), UB_TOP_FILTER_SIZE - 1);
	ub_top_press(&top, '\t');
	ub_top_press(&top, UB_KEY_UP);
	assert_int_equal(strlen(top.filter), UB_TOP_FILTER_SIZE - 1);
}

static void the_order_is_by_one_column_after_the_other(void **state)
{
	(void)state;
	press("r");
	shows("4 3 2 1 0");
	press("r");
	press(">");
	assert_string_equal(top.sort.keys[0].field->column, "NAME");
	/* What has no name is last, whichever way round. */
	shows("4 3 2 0 1");
	press("r");
	shows("0 2 3 4 1");
	for (int i = 0; i < 3; i++)
		press_key(UB_KEY_RIGHT);
	assert_string_equal(top.sort.keys[0].field->column, "READS");
	/* The most of them first; of equal ones those before stay before. */
	shows("2 4 1 0 3");
	press("<<<<");
	assert_string_equal(top.sort.keys[0].field->column, "ID");
	press("<");
	assert_string_equal(top.sort.keys[0].field->column, "OMAX");
}

static void what_is_selected_stays_selected_wherever_it_goes(void **state)
{
	(void)state;
	press("j");
	press_key(UB_KEY_DOWN);
	assert_int_equal(ub_top_selected(&top)->id, 2);
	press("r");
	assert_int_equal(ub_top_selected(&top)->id, 2);
	press_key(UB_KEY_END);
	press("j");
	assert_int_equal(ub_top_selected(&top)->id, 0);
	press_key(UB_KEY_HOME);
	press("k");
	assert_int_equal(ub_top_selected(&top)->id, 4);
	/* When it is gone, what stands in its place is. */
	press("/three");
	assert_int_equal(ub_top_selected(&top)->id, 3);
	press("x");
	assert_null(ub_top_selected(&top));
}

static void one_device_is_looked_at_as_long_as_it_is_there(void **state)
{
	(void)state;
	press("jj");
	press_key(UB_KEY_ENTER);
	assert_int_equal(top.view, UB_TOP_DEVICE);
	press("h");
	assert_int_equal(top.view, UB_TOP_HELP);
	press("x");
	assert_int_equal(top.view, UB_TOP_DEVICE);
	press_key(UB_KEY_ESCAPE);
	assert_int_equal(top.view, UB_TOP_LIST);
	press_key(UB_KEY_ENTER);
	list.count = 2;
	assert_int_equal(ub_top_take(&top, &list), 0);
	assert_int_equal(top.view, UB_TOP_LIST);
	assert_int_equal(ub_top_selected(&top)->id, 1);
	list.count = 0;
	assert_int_equal(ub_top_take(&top, &list), 0);
	assert_null(ub_top_selected(&top));
	press_key(UB_KEY_ENTER);
	assert_int_equal(top.view, UB_TOP_LIST);
	/* Also while the help is. */
	list.count = 2;
	assert_int_equal(ub_top_take(&top, &list), 0);
	press_key(UB_KEY_ENTER);
	press("h");
	list.count = 1;
	assert_int_equal(ub_top_take(&top, &list), 0);
	press("x");
	assert_int_equal(top.view, UB_TOP_LIST);
	press("hq");
	assert_true(top.leaves);
}

static void what_is_selected_is_always_on_the_screen(void **state)
{
	(void)state;
	ub_top_fit(&top, 2);
	press_key(UB_KEY_END);
	assert_int_equal(top.first, 3);
	press("kk");
	assert_int_equal(top.first, 2);
	press_key(UB_KEY_PAGE_UP);
	assert_int_equal(top.first, 0);
	press_key(UB_KEY_PAGE_DOWN);
	assert_int_equal(top.selected, 2);
	assert_int_equal(top.first, 1);
	/* Of a larger window nothing stays empty. */
	ub_top_fit(&top, 4);
	assert_int_equal(top.first, 1);
	ub_top_fit(&top, 10);
	assert_int_equal(top.first, 0);
	ub_top_fit(&top, 0);
	assert_int_equal(top.first, 2);
}

/* Return: columns that it takes. */
static int width_of(const struct ub_top_layout *layout)
{
	int width = layout->bar;

	for (size_t i = 0; i < layout->count; i++)
		width += layout->columns[i].width + (layout->bar || i ? layout->gap : 0);
	return width;
}

static void columns_fit_into_every_width_and_more_of_them_into_a_wider_one(void **state)
{
	struct ub_top_layout layout;
	size_t before = 0;

	(void)state;
	for (int width = 10; width <= 300; width++) {
		assert_int_equal(ub_top_lay_out(width, top.rows, top.count, false, &layout), 0);
		assert_true(layout.count == 1 || width_of(&layout) <= width);
		/* Two blanks stand between from here on. */
		if (width != 100)
			assert_true(layout.count >= before);
		before = layout.count;
		if (width == 80) {
			assert_int_equal(layout.count, 9);
			assert_true(layout.bar >= 10);
		}
	}
	assert_int_equal(before, 17);
	stats[2].sum.op[UB_STATS_READ].ended = 12345678901;
	stats[2].name = "a-name-that-is-longer-than-what-there-is-room-for";
	assert_int_equal(ub_top_lay_out(100, top.rows, top.count, false, &layout), 0);
	assert_true(width_of(&layout) <= 100);
	assert_int_equal(layout.columns[1].width, UB_TOP_NAME_MAX);
	assert_int_equal(ub_top_lay_out(80, top.rows, 1, true, &layout), 0);
	assert_string_equal(layout.columns[0].field->column, "QUEUE");
}

static void a_bar_shows_what_is_there_at_all_and_never_more_than_all(void **state)
{
	char bar[32];

	(void)state;
	ub_top_bar(0, 100, 12, bar, sizeof(bar));
	assert_string_equal(bar, "[          ]");
	ub_top_bar(1, 100, 12, bar, sizeof(bar));
	assert_string_equal(bar, "[|         ]");
	ub_top_bar(50, 100, 12, bar, sizeof(bar));
	assert_string_equal(bar, "[|||||     ]");
	ub_top_bar(300, 100, 12, bar, sizeof(bar));
	assert_string_equal(bar, "[||||||||||]");
	ub_top_bar(UB_STATS_NOT_KNOWN, 100, 4, bar, sizeof(bar));
	assert_string_equal(bar, "[||]");
	ub_top_bar(1, 0, 4, bar, sizeof(bar));
	assert_string_equal(bar, "[  ]");
	ub_top_bar(1, 1, 2, bar, sizeof(bar));
	assert_string_equal(bar, "");
	ub_top_bar(1, 1, 40, bar, sizeof(bar));
	assert_string_equal(bar, "");
}

static void a_thread_has_room_for_what_its_queues_have(void **state)
{
	struct ub_stat stat = stats[0];

	(void)state;
	assert_int_equal(ub_top_depth(&stat), 128);
	stat.queue = 0;
	stat.count = 2;
	assert_int_equal(ub_top_depth(&stat), 64);
	/* It shares one, or has both. */
	stat.count = 4;
	assert_int_equal(ub_top_depth(&stat), 64);
	stat.count = 1;
	assert_int_equal(ub_top_depth(&stat), 128);
}

static uint64_t total(const struct ub_top_class *classes, size_t count, unsigned kind)
{
	uint64_t sum = 0;

	for (size_t i = 0; i < count; i++)
		sum += classes[i].count[kind];
	return sum;
}

static void times_are_in_classes_from_the_shortest_to_the_longest(void **state)
{
	struct ub_times times[UB_TIMES_COUNT] = {{0}};
	struct ub_top_class classes[24];

	(void)state;
	assert_int_equal(ub_top_classes(times, 24, classes), 0);
	/* 100 units of 32 ns are 3.2 us, 1000 are 32 us. */
	times[UB_TIMES_READ].count[ub_stats_bucket(100)] = 7;
	times[UB_TIMES_WRITE].count[ub_stats_bucket(1000)] = 9;
	assert_int_equal(ub_top_classes(times, 0, classes), 0);
	assert_int_equal(ub_top_classes(times, 24, classes), 4);
	assert_int_equal(classes[0].below_ns, 4096);
	assert_int_equal(classes[0].count[UB_TIMES_READ], 7);
	assert_int_equal(classes[3].below_ns, 32768);
	assert_int_equal(classes[3].count[UB_TIMES_WRITE], 9);
	/* What took very long has no limit. */
	times[UB_TIMES_OTHER].count[UB_STATS_BUCKETS - 1] = 1;
	times[UB_TIMES_OTHER].count[0] = 1;
	assert_int_equal(ub_top_classes(times, 24, classes), 24);
	assert_int_equal(classes[0].below_ns, 512);
	assert_int_equal(classes[23].below_ns, 0);
	for (size_t room = 1; room < 24; room++) {
		size_t count = ub_top_classes(times, room, classes);

		assert_true(count && count <= room);
		assert_int_equal(total(classes, count, UB_TIMES_READ), 7);
		assert_int_equal(total(classes, count, UB_TIMES_WRITE), 9);
		assert_int_equal(total(classes, count, UB_TIMES_OTHER), 2);
		assert_int_equal(classes[count - 1].below_ns, 0);
	}
}

#define TEST(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_filter_is_typed_kept_and_taken_away),
		TEST(a_filter_has_room_for_so_much_and_rubs_out_whole_characters),
		TEST(the_order_is_by_one_column_after_the_other),
		TEST(what_is_selected_stays_selected_wherever_it_goes),
		TEST(one_device_is_looked_at_as_long_as_it_is_there),
		TEST(what_is_selected_is_always_on_the_screen),
		TEST(columns_fit_into_every_width_and_more_of_them_into_a_wider_one),
		TEST(a_bar_shows_what_is_there_at_all_and_never_more_than_all),
		TEST(a_thread_has_room_for_what_its_queues_have),
		TEST(times_are_in_classes_from_the_shortest_to_the_longest),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
