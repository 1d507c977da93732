/* SPDX-License-Identifier: MIT */
/* What can be changed of a device that is there: named, written, read, copied, exchanged. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/log.h"
#include "spec/json_live.h"
#include "spec/live.h"

static struct ub_spec spec;
static struct ub_error err;
static uint64_t set;

static int setup(void **state)
{
	(void)state;
	ub_spec_init(&spec);
	spec.cpus = strdup("0-3");
	spec.poll_us = 50;
	spec.buffer_memory = 1 << 20;
	spec.restart = true;
	spec.log_level = UB_LOG_ERR;
	spec.name = strdup("disk");
	err = (struct ub_error){0};
	set = 0;
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	ub_spec_done(&spec);
	return 0;
}

static int read_text(const char *text)
{
	return ub_live_from_json(text, strlen(text), &spec, &set, &err);
}

static void what_is_named_is_changed_and_nothing_else(void **state)
{
	(void)state;
	assert_int_equal(read_text("{\"poll_us\":7,\"scheduler\":\"bfq\"}"), 0);
	assert_int_equal(spec.poll_us, 7);
	assert_string_equal(spec.scheduler, "bfq");
	assert_string_equal(spec.cpus, "0-3");
	assert_true(UB_LIVE_HAS(set, poll_us) && UB_LIVE_HAS(set, scheduler));
	assert_false(UB_LIVE_HAS(set, cpus) || UB_LIVE_HAS(set, restart));
}

static void a_default_can_be_told_of_each(void **state)
{
	struct ub_spec defaults;
	char *text, names[200];

	(void)state;
	ub_spec_init(&defaults);
	for (const struct ub_opt *opt = ub_spec_options; opt->name; opt++)
		set |= opt->live ? ub_live_bit(opt) : 0;
	text = ub_live_to_json(&defaults, set);
	assert_int_equal(read_text(text), 0);
	free(text);
	assert_null(spec.cpus);
	assert_int_equal(spec.poll_us, 0);
	/* Which is out of the range of what may be asked for. */
	assert_int_equal(spec.buffer_memory, 0);
	assert_false(spec.restart);
	assert_int_equal(spec.log_level, UB_LOG_INFO);
	assert_string_equal(spec.name, "disk");
	assert_string_equal(ub_live_names(set, names, sizeof(names)),
			    "cpus, poll-us, buffer-memory, memory-limit, scheduler, log-file, "
			    "log-level, restart");
	assert_string_equal(ub_live_names(set, names, 8), "cpus, p");
}

static void what_is_no_change_is_refused(void **state)
{
	static const char *const texts[] = {
		"",
		"[]",
		"null",
		"{",
		"{\"queues\":4}",
		"{\"name\":\"other\"}",
		"{\"poll-us\":4}",
		"{\"poll_us\":1000001}",
		"{\"poll_us\":-1}",
		"{\"poll_us\":null}",
		"{\"buffer_memory\":1}",
		"{\"restart\":1}",
		"{\"log_level\":\"loud\"}",
		"{\"cpus\":\"a\\u0000b\"}",
	};

	(void)state;
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
		if (read_text(texts[i]) != -EBADMSG || !err.msg[0])
			fail_msg("%s: %s", texts[i], err.msg);
	assert_int_equal(spec.queues, 1);
	assert_string_equal(spec.name, "disk");
}

static void a_copy_has_its_own_of_what_can_be_changed_and_borrows_the_rest(void **state)
{
	struct ub_spec copy;

	(void)state;
	assert_int_equal(ub_live_copy(&spec, &copy), 0);
	assert_string_equal(copy.cpus, "0-3");
	assert_ptr_not_equal(copy.cpus, spec.cpus);
	assert_ptr_equal(copy.name, spec.name);
	ub_live_reset(&copy, UB_LIVE_ALL);
	assert_null(copy.cpus);
	assert_string_equal(spec.cpus, "0-3");
	copy.poll_us = 9;
	copy.log_level = UB_LOG_NOTICE;
	ub_live_swap(&spec, &copy, UB_LIVE_ALL);
	assert_null(spec.cpus);
	assert_int_equal(spec.poll_us, 9);
	assert_int_equal(copy.poll_us, 50);
	assert_int_equal(spec.log_level, UB_LOG_NOTICE);
	assert_false(spec.restart);
	assert_true(copy.restart);
	ub_live_done(&copy);
	assert_null(copy.cpus);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(what_is_named_is_changed_and_nothing_else),
		TEST(a_default_can_be_told_of_each),
		TEST(what_is_no_change_is_refused),
		TEST(a_copy_has_its_own_of_what_can_be_changed_and_borrows_the_rest),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
