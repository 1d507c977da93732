/* SPDX-License-Identifier: MIT */
/* Where a device's threads are connected: to one place. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "target/nbd.h"

static struct ub_nbd_place place(const char *address)
{
	struct ub_nbd_place p;

	p.len = ub_nbd_read_address(address, 10809, &p.addr);
	assert_int_not_equal(p.len, 0);
	return p;
}

static void who_comes_first_decides_until_all_have_left(void **state)
{
	struct ub_nbd n = {.lock_where = PTHREAD_MUTEX_INITIALIZER};
	struct ub_nbd_place a = place("192.0.2.1"), b = place("192.0.2.2"), c = place("::1");

	(void)state;
	assert_true(ub_nbd_where_settle(&n, &a));
	assert_false(ub_nbd_where_settle(&n, &b));
	assert_false(ub_nbd_where_settle(&n, &c));
	assert_true(ub_nbd_where_settle(&n, &a));
	ub_nbd_where_leave(&n);
	assert_false(ub_nbd_where_settle(&n, &b));
	assert_memory_equal(&n.where.addr, &a.addr, a.len);
	ub_nbd_where_leave(&n);
	assert_true(ub_nbd_where_settle(&n, &c));
	assert_false(ub_nbd_where_settle(&n, &a));
	assert_memory_equal(&n.where.addr, &c.addr, c.len);
	(void)pthread_mutex_destroy(&n.lock_where);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(who_comes_first_decides_until_all_have_left),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
