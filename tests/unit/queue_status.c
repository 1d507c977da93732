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

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(of_faults_the_first_is_kept, setup),
		cmocka_unit_test_setup(why_a_queue_ends_is_kept_whatever_was_before_and_comes_after,
				       setup),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
