/* SPDX-License-Identifier: MIT */
/* The targets mem and null: what they keep, and what they give back. */
#include "target_queue.h"

#include <sys/mman.h>

#define SIZE (4U << 20)
#define PAGE 4096U

static struct opened o;
static struct ub_queue q;

static int setup_of(const char *target)
{
	prepare(&o, target, NULL);
	set_size(&o, "size", SIZE);
	must_open(&o);
	queue_init(&q, &o.tgt);
	return 0;
}

static int setup_mem(void **state)
{
	(void)state;
	return setup_of("mem");
}

static int setup_null(void **state)
{
	(void)state;
	return setup_of("null");
}

static int teardown(void **state)
{
	(void)state;
	queue_done(&q);
	finish(&o);
	return 0;
}

static void memory_keeps_what_is_written_and_starts_as_zeroes(void **state)
{
	(void)state;
	memset(q.data, 0xee, 4096);
	assert_int_equal(run(&q, UBLK_IO_OP_READ, SIZE - 4096, 4096, 0), 0);
	assert_true(is_zero(q.data, 4096));
	fill(q.data, 5 * 512, 1);
	assert_int_equal(run(&q, UBLK_IO_OP_WRITE, 512, 5 * 512, UBLK_IO_F_FUA), 0);
	memset(q.data, 0xee, 4096);
	assert_int_equal(run(&q, UBLK_IO_OP_READ, 512, 5 * 512, 0), 0);
	assert_true(is_filled(q.data, 5 * 512, 1));
	assert_int_equal(run(&q, UBLK_IO_OP_FLUSH, 0, 0, 0), 0);
	assert_int_equal(run(&q, 99, 0, 512, 0), -EOPNOTSUPP);
}

static void write_all(void)
{
	fill(q.data, SIZE, 2);
	assert_int_equal(run(&q, UBLK_IO_OP_WRITE, 0, SIZE, 0), 0);
}

/* All but [offset, offset + len) is as it was written, and that is zero. */
static void check_hole(uint32_t offset, uint32_t len)
{
	char *want = malloc(SIZE);

	assert_non_null(want);
	fill(want, SIZE, 2);
	memset(want + offset, 0, len);
	assert_int_equal(run(&q, UBLK_IO_OP_READ, 0, SIZE, 0), 0);
	assert_memory_equal(q.data, want, SIZE);
	free(want);
}

static void write_zeroes_is_exact(void **state)
{
	static const uint32_t ranges[][2] = {
		{0, PAGE},         {512, 512},
		{512, PAGE},       {PAGE - 512, 1024},
		{512, 3 * PAGE},   {PAGE, 2 * PAGE - 512},
		{0, SIZE},         {SIZE - 512, 512},
		{PAGE - 512, 512}, {PAGE - 512, PAGE + 512},
		{3 * PAGE, 512},
	};

	(void)state;
	for (size_t i = 0; i < UB_ARRAY_SIZE(ranges); i++) {
		write_all();
		assert_int_equal(run(&q, UBLK_IO_OP_WRITE_ZEROES, ranges[i][0], ranges[i][1],
				     i % 2 ? UBLK_IO_F_NOUNMAP : 0),
				 0);
		check_hole(ranges[i][0], ranges[i][1]);
	}
}

/* Resident pages of the device; its mapping is the first thing in the target's state. */
static unsigned resident(void)
{
	unsigned char vec[SIZE / PAGE];
	unsigned n = 0;

	assert_int_equal(mincore(*(void **)o.tgt.state, SIZE, vec), 0);
	for (size_t i = 0; i < sizeof(vec); i++)
		n += vec[i] & 1;
	return n;
}

static void memory_is_taken_by_writing_and_given_back_by_discarding(void **state)
{
	(void)state;
	if (sysconf(_SC_PAGESIZE) != PAGE)
		skip();
	assert_int_equal(resident(), 0);
	assert_int_equal(run(&q, UBLK_IO_OP_WRITE, 10 * PAGE, 512, 0), 0);
	assert_int_equal(resident(), 1);
	write_all();
	assert_int_equal(resident(), SIZE / PAGE);
	assert_int_equal(run(&q, UBLK_IO_OP_DISCARD, 512, 3 * PAGE, 0), 0);
	assert_int_equal(resident(), SIZE / PAGE - 2);
	assert_int_equal(run(&q, UBLK_IO_OP_DISCARD, 512, 1024, 0), 0);
	check_hole(PAGE, 2 * PAGE);
	assert_int_equal(run(&q, UBLK_IO_OP_WRITE_ZEROES, 0, SIZE, 0), 0);
	assert_int_equal(resident(), 0);
}

static void locked_memory_is_given_back_too(void **state)
{
	(void)state;
	if (mlock(*(void **)o.tgt.state, SIZE) < 0)
		skip();
	write_all();
	assert_int_equal(run(&q, UBLK_IO_OP_WRITE_ZEROES, PAGE, 2 * PAGE, 0), 0);
	assert_int_equal(munlock(*(void **)o.tgt.state, SIZE), 0);
	check_hole(PAGE, 2 * PAGE);
}

static void null_ends_everything_at_once(void **state)
{
	static const uint8_t ops[] = {UBLK_IO_OP_READ, UBLK_IO_OP_WRITE, UBLK_IO_OP_FLUSH,
				      UBLK_IO_OP_DISCARD, UBLK_IO_OP_WRITE_ZEROES};

	(void)state;
	for (size_t i = 0; i < UB_ARRAY_SIZE(ops); i++)
		assert_int_equal(run(&q, ops[i], 0, 4096, 0), 0);
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup_mem, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(memory_keeps_what_is_written_and_starts_as_zeroes),
		T(write_zeroes_is_exact),
		T(memory_is_taken_by_writing_and_given_back_by_discarding),
		T(locked_memory_is_given_back_too),
		cmocka_unit_test_setup_teardown(null_ends_everything_at_once, setup_null, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
