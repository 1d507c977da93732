/* SPDX-License-Identifier: MIT */
/* What a queue's thread tells those who watch it. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "queue/internal.h"

static struct ub_queue q;
static struct ub_queue_status status;

static int setup(void **state)
{
	(void)state;
	q = (struct ub_queue){.event_fd = -1};
	return pthread_mutex_init(&q.lock, NULL);
}

static void of_faults_the_first_is_kept(void **state)
{
	(void)state;
	ub_queue_fault(&q, "one");
	ub_queue_fault(&q, "two");
	ub_queue_get_status(&q, &status);
	assert_int_equal(status.faults, 2);
	assert_string_equal(status.fault, "one");
	assert_int_equal(q.refused, 0);
}

static void why_a_queue_ends_is_kept_whatever_was_before_and_comes_after(void **state)
{
	(void)state;
	ub_queue_fault(&q, "a fault");
	ub_queue_fail(&q, -EIO, "the %s", "reason");
	ub_queue_fail(&q, -ENOMEM, "what came of it");
	ub_queue_fault(&q, "another fault");
	ub_queue_get_status(&q, &status);
	assert_int_equal(status.faults, 4);
	assert_string_equal(status.fault, "the reason");
	assert_int_equal(q.refused, -EIO);
}

static void that_there_is_a_fault_is_said_once(void **state)
{
	(void)state;
	assert_false(ub_queue_has_news(&q));
	ub_queue_fault(&q, "one");
	assert_true(ub_queue_has_news(&q));
	ub_queue_fault(&q, "two");
	assert_false(ub_queue_has_news(&q));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(of_faults_the_first_is_kept, setup),
		cmocka_unit_test_setup(why_a_queue_ends_is_kept_whatever_was_before_and_comes_after,
				       setup),
		cmocka_unit_test_setup(that_there_is_a_fault_is_said_once, setup),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
