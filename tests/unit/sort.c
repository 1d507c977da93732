/* SPDX-License-Identifier: MIT */
/* The order of a table's rows. */
#include "sort.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/clean.h"

struct thing {
	char name[8];
	uint32_t number;
	uint64_t size;
	bool flag;
};

/* clang-format off */
static const struct ub_field fields[] = {
	{ .key = "name", .type = UB_FIELD_STRING, .column = "NAME", UB_AT_CHARS(struct thing, name) },
	{ .key = "number", .type = UB_FIELD_NUMBER, .column = "NUMBER", UB_AT(struct thing, number),
	  .positive = true },
	{ .key = "size", .type = UB_FIELD_SIZE, .column = "SIZE", UB_AT(struct thing, size),
	  .positive = true, .measured = true },
	{ .key = "flag", .type = UB_FIELD_BOOL, .column = "FLAG", UB_AT(struct thing, flag) },
	UB_FIELD_END,
};
/* clang-format on */

/* Sorts five things, and tells by their numbers in which order they stand now. */
static const char *order(const char *wanted)
{
	static char text[64];
	struct thing things[] = {
		{"b", 2, 1000, false}, {"a", 10, 2048, true}, {"", 9, 1 << 20, true},
		{"b", 1, 0, false},    {"B", 0, 999, true},
	};
	struct ub_sort sort;
	size_t len = 0;

	assert_int_equal(ub_sort_choose(fields, wanted, &sort, NULL), 0);
	assert_int_equal(ub_sort(&sort, things, UB_ARRAY_SIZE(things), sizeof(things[0])), 0);
	for (size_t i = 0; i < UB_ARRAY_SIZE(things); i++)
		len += (size_t)snprintf(text + len, sizeof(text) - len, "%s%u", i ? " " : "",
					things[i].number);
	return text;
}

static void numbers_go_by_value_and_what_is_unknown_comes_last(void **state)
{
	(void)state;
	assert_string_equal(order("NUMBER"), "1 2 9 10 0");
	assert_string_equal(order("-NUMBER"), "10 9 2 1 0");
}

static void sizes_go_by_bytes_not_by_their_text(void **state)
{
	(void)state;
	assert_string_equal(order("size"), "0 2 10 9 1");
	assert_string_equal(order("-size"), "9 10 2 0 1");
}

static void text_goes_by_its_bytes_and_equals_stay_in_their_order(void **state)
{
	(void)state;
	assert_string_equal(order("NAME"), "0 10 2 1 9");
	assert_string_equal(order("-NAME"), "2 1 10 0 9");
}

static void the_first_column_counts_most(void **state)
{
	(void)state;
	assert_string_equal(order("NAME,NUMBER"), "0 10 1 2 9");
	assert_string_equal(order("FLAG,-NUMBER"), "2 1 10 9 0");
}

static void without_a_wish_all_stays(void **state)
{
	(void)state;
	assert_string_equal(order(NULL), "2 10 9 1 0");
}

static void refused(const char *wanted, const char *words)
{
	struct ub_error err = {0};
	struct ub_sort sort;

	assert_int_equal(ub_sort_choose(fields, wanted, &sort, &err), -EINVAL);
	assert_int_equal(err.stage, UB_STAGE_USAGE);
	if (!strstr(err.msg, words))
		fail_msg("'%s' lacks '%s'", err.msg, words);
}

static void columns_that_are_none_are_refused_and_guessed(void **state)
{
	(void)state;
	refused("NAEM", "unknown column 'NAEM': did you mean 'NAME'?");
	refused("-siz", "unknown column 'siz': did you mean 'SIZE'?");
	refused("", "unknown column ''");
	refused("-", "unknown column ''");
	refused("NAME,,SIZE", "unknown column ''");
	refused("NAME,SIZE,NAME,SIZE,NAME,SIZE,NAME,SIZE,NAME", "takes 8 columns at the most");
}

static void what_is_measured_is_known_beforehand(void **state)
{
	struct ub_sort sort;

	(void)state;
	assert_int_equal(ub_sort_choose(fields, "NAME", &sort, NULL), 0);
	assert_false(ub_sort_measured(&sort));
	assert_int_equal(ub_sort_choose(fields, "NAME,-SIZE", &sort, NULL), 0);
	assert_true(ub_sort_measured(&sort));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(numbers_go_by_value_and_what_is_unknown_comes_last),
		cmocka_unit_test(sizes_go_by_bytes_not_by_their_text),
		cmocka_unit_test(text_goes_by_its_bytes_and_equals_stay_in_their_order),
		cmocka_unit_test(the_first_column_counts_most),
		cmocka_unit_test(without_a_wish_all_stays),
		cmocka_unit_test(columns_that_are_none_are_refused_and_guessed),
		cmocka_unit_test(what_is_measured_is_known_beforehand),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
