/* SPDX-License-Identifier: MIT */
/* What is glanced out of a record is what reading all of it gives. */
#include "record/glance.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "record/json.h"

#define TOKEN 0xfedcba9876543210U

struct loop_args {
	char *file;
};

static char *text_of(const char *name, const char *path)
{
	struct ub_record r = {.id = 3, .token = TOKEN};
	char *text;

	ub_spec_init(&r.spec);
	assert_int_equal(ub_spec_set_target(&r.spec, ub_target_find(path ? "loop" : "null")), 0);
	if (path)
		((struct loop_args *)r.spec.target_args)->file = strdup(path);
	r.spec.name = name ? strdup(name) : NULL;
	r.backings.count = path != NULL;
	r.backings.at[0].path = path ? strdup(path) : NULL;
	ub_note(&r.notes, "a note with \"token\": \"0x1\", {[ and such");
	text = ub_record_to_json(&r, false);
	assert_non_null(text);
	ub_record_done(&r);
	return text;
}

static void same(const char *a, const char *b)
{
	if (a && b)
		assert_string_equal(a, b);
	else
		assert_ptr_equal(a, b);
}

static void glance_gives_what_reading_gives(void **state)
{
	static const char *const cases[][2] = {
		{NULL, NULL},
		{"name", NULL},
		{NULL, "/plain"},
		{"a.b-c", "/with \"quotes\" and \\ and {[]}"},
		{"n", "/new\nline\ttab\r\b\f\x01\x1f\x7f end\\"},
		{"n", "/gr\xc3\xbc\xc3\x9f: \"path\":"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char *text = text_of(cases[i][0], cases[i][1]);
		struct ub_record_glance glance;
		struct ub_record record;

		assert_int_equal(ub_record_from_json(text, strlen(text), &record, NULL), 0);
		assert_int_equal(ub_record_glance_at(text, strlen(text), TOKEN, &glance), 0);
		same(glance.name, record.spec.name);
		same(glance.target, record.spec.target->name);
		same(glance.backing, record.backings.at[0].path);
		same(glance.backing, cases[i][1]);
		ub_record_glance_done(&glance);
		ub_record_done(&record);
		free(text);
	}
}

static void of_several_backings_the_first_is_shown(void **state)
{
	struct ub_record r = {.id = 3, .token = TOKEN, .backings = {.count = 2}};
	struct ub_record_glance glance;
	char *text;

	(void)state;
	ub_spec_init(&r.spec);
	assert_int_equal(ub_spec_set_target(&r.spec, ub_target_find("null")), 0);
	r.spec.name = strdup("name");
	r.backings.at[0].path = strdup("/first");
	r.backings.at[1].path = strdup("/second");
	text = ub_record_to_json(&r, false);
	assert_non_null(text);
	assert_int_equal(ub_record_glance_at(text, strlen(text), TOKEN, &glance), 0);
	assert_string_equal(glance.name, "name");
	assert_string_equal(glance.target, "null");
	assert_string_equal(glance.backing, "/first");
	ub_record_glance_done(&glance);
	ub_record_done(&r);
	free(text);
}

static void another_devices_record_is_not_shown(void **state)
{
	char *text = text_of("name", "/file");
	struct ub_record_glance glance;

	(void)state;
	assert_int_equal(ub_record_glance_at(text, strlen(text), TOKEN + 1, &glance), -ENOENT);
	free(text);
}

/* Cut at every byte, from a heap block of just that size: sanitizers and valgrind see a step too far. */
static void a_text_that_is_cut_is_read_no_further(void **state)
{
	char *text = text_of("name", "/fi\\le\n");
	size_t len = strlen(text);

	(void)state;
	for (size_t n = 0; n < len; n++) {
		struct ub_record_glance glance;
		char *cut = malloc(n ? n : 1);

		assert_non_null(cut);
		memcpy(cut, text, n);
		if (ub_record_glance_at(cut, n, TOKEN, &glance) == 0)
			ub_record_glance_done(&glance);
		free(cut);
	}
	free(text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(glance_gives_what_reading_gives),
		cmocka_unit_test(of_several_backings_the_first_is_shown),
		cmocka_unit_test(another_devices_record_is_not_shown),
		cmocka_unit_test(a_text_that_is_cut_is_read_no_further),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
