/* SPDX-License-Identifier: MIT */
/* A record as text to try things with: read back as it is, or with something else in its place. */
#pragma once

#include <errno.h>

#include "record/json.h"
#include "record_support.h"

static struct ub_record made, got;
static char *text;

static inline int setup(void **state)
{
	(void)state;
	made = make_record(3, ODD_PATH);
	text = ub_record_to_json(&made, false);
	return text ? 0 : -1;
}

static inline int teardown(void **state)
{
	(void)state;
	free(text);
	ub_record_done(&made);
	ub_record_done(&got);
	return 0;
}

/* Reads the record with @from replaced by @to. */
static inline int read_with(const char *from, const char *to, struct ub_error *err)
{
	const char *at = strstr(text, from);
	_cleanup_free_ char *changed = NULL;

	if (!at)
		fail_msg("there is no %s in %s", from, text);
	assert_true(asprintf(&changed, "%.*s%s%s", (int)(at - text), text, to, at + strlen(from)) >
		    0);
	ub_record_done(&got);
	return ub_record_from_json(changed, strlen(changed), &got, err);
}

static inline void refused(const char *from, const char *to, const char *word)
{
	struct ub_error err = {0};
	int ret = read_with(from, to, &err);

	if (ret != -EBADMSG)
		fail_msg("%s gives %d", to, ret);
	assert_int_equal(err.code, -EBADMSG);
	assert_int_equal(err.stage, UB_STAGE_RECORD);
	if (!strstr(err.msg, word))
		fail_msg("'%s' does not name '%s'", err.msg, word);
	assert_null(got.spec.target);
}

static inline void taken(const char *from, const char *to)
{
	struct ub_error err = {0};

	if (read_with(from, to, &err) != 0)
		fail_msg("%s: %s", to, err.msg);
}

#define TEST(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)
