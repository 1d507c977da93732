/* SPDX-License-Identifier: MIT */
/* The pool of buffers: order, cap, what is resident, what is returned. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

#include "memory/pool.h"

#define SLOTS 8
#define SLOT_PAGES 4

static struct ub_pool pool;
static struct ub_pool_slot slots[SLOTS];
static size_t page;
static char *base;

static void make(uint64_t cap_pages)
{
	page = (size_t)sysconf(_SC_PAGESIZE);
	base = mmap(NULL, SLOTS * SLOT_PAGES * page, PROT_READ | PROT_WRITE,
		    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	assert_ptr_not_equal(base, MAP_FAILED);
	ub_pool_init(&pool, base, SLOT_PAGES * page, SLOTS, cap_pages * page, slots);
}

static int teardown(void **state)
{
	(void)state;
	return munmap(base, SLOTS * SLOT_PAGES * page);
}

static size_t resident_pages(void)
{
	unsigned char map[SLOTS * SLOT_PAGES];
	size_t count = 0;

	assert_int_equal(mincore(base, sizeof(map) * page, map), 0);
	for (size_t i = 0; i < sizeof(map); i++)
		count += map[i] & 1;
	return count;
}

/* Takes a buffer and uses all of it. */
static char *use(size_t len)
{
	char *buffer = ub_pool_take(&pool, len);

	assert_non_null(buffer);
	memset(buffer, 0x55, len);
	return buffer;
}

static void the_buffer_used_last_is_given_out_first(void **state)
{
	char *a, *b;

	(void)state;
	make(SLOTS * SLOT_PAGES);
	a = use(1);
	b = use(1);
	assert_ptr_not_equal(a, b);
	ub_pool_put(&pool, a);
	ub_pool_put(&pool, b);
	assert_ptr_equal(use(1), b);
	assert_ptr_equal(use(1), a);
	assert_int_equal(resident_pages(), 2);
}

static void buffers_are_aligned_and_do_not_overlap(void **state)
{
	char *buffers[SLOTS];

	(void)state;
	make(SLOTS * SLOT_PAGES);
	for (int i = 0; i < SLOTS; i++) {
		buffers[i] = use(SLOT_PAGES * page);
		assert_int_equal((uintptr_t)buffers[i] % page, 0);
		memset(buffers[i], i, SLOT_PAGES * page);
	}
	for (int i = 0; i < SLOTS; i++) {
		assert_int_equal(buffers[i][0], i);
		assert_int_equal(buffers[i][SLOT_PAGES * page - 1], i);
	}
	/* There are no more, whatever the cap. */
	assert_null(ub_pool_take(&pool, 1));
}

static void what_is_in_memory_never_exceeds_the_cap(void **state)
{
	char *large, *small;

	(void)state;
	make(5);
	large = use(4 * page);
	small = use(1);
	assert_null(ub_pool_take(&pool, 1));
	ub_pool_put(&pool, small);
	/* One page was touched there: two would be one too many. */
	assert_null(ub_pool_take(&pool, page + 1));
	assert_ptr_equal(ub_pool_take(&pool, page), small);
	ub_pool_put(&pool, small);
	ub_pool_put(&pool, large);
	assert_int_equal(resident_pages(), 5);
}

static void idle_memory_makes_room_the_coldest_first(void **state)
{
	char *a, *b, *c;

	(void)state;
	make(6);
	a = use(2 * page);
	b = use(2 * page);
	c = use(2 * page);
	ub_pool_put(&pool, a);
	ub_pool_put(&pool, b);
	ub_pool_put(&pool, c);
	/* c grows by two pages, which a gives, since it was put back first. */
	assert_ptr_equal(ub_pool_take(&pool, 4 * page), c);
	memset(c, 1, 4 * page);
	assert_int_equal(resident_pages(), 6);
	assert_int_equal(a[0], 0);
	assert_int_equal(b[0], 0x55);
}

static void a_trim_returns_all_that_is_free_and_nothing_else(void **state)
{
	char *busy, *idle;

	(void)state;
	make(SLOTS * SLOT_PAGES);
	busy = use(3 * page);
	idle = use(4 * page);
	ub_pool_put(&pool, idle);
	ub_pool_trim(&pool);
	assert_int_equal(resident_pages(), 3);
	assert_int_equal(busy[3 * page - 1], 0x55);
	assert_int_equal(pool.touched, 3 * page);
	ub_pool_put(&pool, busy);
	ub_pool_trim(&pool);
	assert_int_equal(resident_pages(), 0);
	assert_int_equal(pool.touched, 0);
}

/* A model beside it: whatever is taken and put back, the count is right and the cap holds. */
static void the_count_holds_over_a_long_time(void **state)
{
	char *taken[SLOTS];
	unsigned count = 0, seed = 1, refused = 0;

	(void)state;
	make(10);
	for (unsigned i = 0; i < 20000; i++) {
		size_t len;
		char *buffer;

		seed = seed * 1103515245 + 12345;
		len = (seed >> 8) % (SLOT_PAGES * page) + 1;
		if ((seed >> 20) % 3 == 0 && count) {
			ub_pool_put(&pool, taken[--count]);
			continue;
		}
		buffer = ub_pool_take(&pool, len);
		refused += !buffer;
		if (!buffer)
			continue;
		memset(buffer, 1, len);
		taken[count++] = buffer;
		assert_true(pool.touched <= pool.cap);
		assert_true(resident_pages() * page <= pool.touched);
	}
	assert_true(refused > 0);
	while (count)
		ub_pool_put(&pool, taken[--count]);
	assert_int_equal(pool.free, SLOTS);
	/* With nothing under way the largest request always has its buffer. */
	assert_non_null(ub_pool_take(&pool, SLOT_PAGES * page));
}

#define TEST(name) cmocka_unit_test_teardown(name, teardown)

static void what_is_spent_is_given_out_when_it_is_put_back(void **state)
{
	char *all[SLOTS];

	(void)state;
	make(SLOTS * SLOT_PAGES);
	for (unsigned i = 0; i < SLOTS; i++)
		all[i] = use(page);
	for (unsigned i = 0; i < SLOTS - 1; i++)
		ub_pool_spend(&pool, all[i]);
	assert_null(ub_pool_take(&pool, page));
	ub_pool_put(&pool, all[SLOTS - 1]);
	assert_ptr_equal(ub_pool_take(&pool, page), all[SLOTS - 1]);
	assert_null(ub_pool_take(&pool, page));
	ub_pool_put_spent(&pool);
	for (unsigned i = 0; i < SLOTS - 1; i++)
		assert_ptr_equal(ub_pool_take(&pool, page), all[i]);
	assert_null(ub_pool_take(&pool, page));
}

static void another_cap_holds_from_the_next_buffer_on(void **state)
{
	char *all[SLOTS];

	(void)state;
	make(SLOTS * SLOT_PAGES);
	for (unsigned i = 0; i < SLOTS; i++)
		all[i] = use(SLOT_PAGES * page);
	ub_pool_set_cap(&pool, SLOT_PAGES * page);
	/* What is under way keeps what it has. */
	assert_int_equal(resident_pages(), SLOTS * SLOT_PAGES);
	for (unsigned i = 0; i < SLOTS - 1; i++)
		ub_pool_put(&pool, all[i]);
	assert_null(ub_pool_take(&pool, page));
	assert_true(resident_pages() <= 2 * SLOT_PAGES);
	ub_pool_put(&pool, all[SLOTS - 1]);
	assert_non_null(ub_pool_take(&pool, page));
	assert_int_equal(resident_pages(), SLOT_PAGES);
	assert_null(ub_pool_take(&pool, page));
	ub_pool_set_cap(&pool, 2 * SLOT_PAGES * page);
	assert_non_null(ub_pool_take(&pool, page));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(the_buffer_used_last_is_given_out_first),
		TEST(buffers_are_aligned_and_do_not_overlap),
		TEST(what_is_in_memory_never_exceeds_the_cap),
		TEST(idle_memory_makes_room_the_coldest_first),
		TEST(a_trim_returns_all_that_is_free_and_nothing_else),
		TEST(the_count_holds_over_a_long_time),
		TEST(another_cap_holds_from_the_next_buffer_on),
		TEST(what_is_spent_is_given_out_when_it_is_put_back),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
