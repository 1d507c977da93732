/* SPDX-License-Identifier: MIT */
/* Zeroes and discards, by whatever the backing can. */
#include "target_loop.h"

/* Zeroes [offset, offset + len) between two borders that have to stay. */
static void zero_and_look(uint32_t flags)
{
	assert_int_equal(write_pattern(0, 3U << 20, 9, 0), 0);
	assert_int_equal(run(&q, UBLK_IO_OP_WRITE_ZEROES, 512, (2U << 20) + 512, flags), 0);
}

static void check_zeroes(void)
{
	assert_int_equal(read_back(0, 3U << 20), 0);
	assert_true(is_filled(q.data, 512, 9));
	assert_true(is_zero(q.data + 512, (2U << 20) + 512));
	assert_false(is_zero(q.data + (2U << 20) + 1024, 1));
}

static void zeroes_are_written_by_the_cheapest_way(void **state)
{
	(void)state;
	zero_and_look(0);
	assert_int_equal(q.log[0].mode, PUNCH);
	check_zeroes();
	zero_and_look(UBLK_IO_F_NOUNMAP);
	assert_int_equal(q.log[0].mode, ZERO_RANGE);
	check_zeroes();
}

static void what_the_backing_has_not_is_remembered(void **state)
{
	(void)state;
	assert_int_equal(write_pattern(0, 3U << 20, 9, 0), 0);
	q.fates[0] = (struct fate){RETURN, -EOPNOTSUPP};
	q.fates[1] = (struct fate){RETURN, -EAGAIN};
	q.fates[2] = (struct fate){RETURN, -EOPNOTSUPP};
	q.fates[4] = (struct fate){CUT, 512};
	assert_int_equal(run(&q, UBLK_IO_OP_WRITE_ZEROES, 512, (2U << 20) + 512, FUA), 0);
	assert_int_equal(q.log[0].mode, PUNCH);
	assert_int_equal(q.log[1].mode, ZERO_RANGE);
	assert_int_equal(q.log[2].mode, ZERO_RANGE);
	assert_int_equal(q.log[3].what, OP_ZEROES);
	assert_int_equal(q.log[3].len, UB_ZEROES_MAX);
	assert_int_equal(q.log[4].len, UB_ZEROES_MAX);
	assert_int_equal(q.log[5].len, UB_ZEROES_MAX);
	assert_int_equal(q.log[6].what, OP_SYNC);
	assert_int_equal(q.nr_ops, 7);
	check_zeroes();
	zero_and_look(0);
	assert_int_equal(q.log[0].what, OP_ZEROES);
	check_zeroes();
	assert_int_equal(run(&q, UBLK_IO_OP_DISCARD, 0, 4096, 0), -EOPNOTSUPP);
}

static void one_range_that_fails_is_not_remembered(void **state)
{
	(void)state;
	q.fates[0] = (struct fate){RETURN, -EINVAL};
	q.fates[1] = (struct fate){RETURN, -EBUSY};
	assert_int_equal(run(&q, UBLK_IO_OP_WRITE_ZEROES, 0, 4096, 0), 0);
	assert_int_equal(q.log[2].what, OP_ZEROES);
	assert_int_equal(run(&q, UBLK_IO_OP_WRITE_ZEROES, 0, 4096, 0), 0);
	assert_int_equal(q.log[0].mode, PUNCH);
	q.fates[0] = (struct fate){RETURN, -EIO};
	assert_int_equal(run(&q, UBLK_IO_OP_WRITE_ZEROES, 0, 4096, 0), -EIO);
}

static void a_discard_makes_a_hole(void **state)
{
	struct stat before, after;

	(void)state;
	if (!o.tgt.discard_granularity)
		skip();
	assert_int_equal(write_pattern(0, 1U << 20, 10, 0), 0);
	assert_int_equal(run(&q, UBLK_IO_OP_FLUSH, 0, 0, 0), 0);
	assert_int_equal(stat("image", &before), 0);
	assert_int_equal(run(&q, UBLK_IO_OP_DISCARD, 0, 1U << 20, 0), 0);
	assert_int_equal(q.log[0].mode, PUNCH);
	assert_int_equal(stat("image", &after), 0);
	assert_true(after.st_blocks < before.st_blocks);
	assert_int_equal(after.st_size, before.st_size);
	o.tgt.discard_granularity = 0;
	assert_int_equal(run(&q, UBLK_IO_OP_DISCARD, 0, 4096, 0), -EOPNOTSUPP);
	assert_int_equal(q.nr_ops, 0);
}

static void a_block_device_without_discard_on_a_ring_gets_holes(void **state)
{
	struct ub_loop *loop = o.tgt.state;

	(void)state;
	o.tgt.discard_granularity = 4096;
	loop->can_discard = true;
	q.fates[0] = (struct fate){RETURN, -EIO};
	assert_int_equal(run(&q, UBLK_IO_OP_DISCARD, 0, 4096, 0), -EIO);
	q.fates[0] = (struct fate){RETURN, -EOPNOTSUPP};
	q.fates[1] = (struct fate){RETURN, 0};
	assert_int_equal(run(&q, UBLK_IO_OP_DISCARD, 0, 4096, 0), 0);
	assert_int_equal(q.log[0].what, OP_DISCARD);
	assert_int_equal(q.log[1].mode, PUNCH);
	q.fates[0] = (struct fate){RETURN, -EOPNOTSUPP};
	assert_int_equal(run(&q, UBLK_IO_OP_DISCARD, 0, 4096, 0), -EOPNOTSUPP);
	assert_int_equal(q.log[0].mode, PUNCH);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(zeroes_are_written_by_the_cheapest_way),
		T(what_the_backing_has_not_is_remembered),
		T(one_range_that_fails_is_not_remembered),
		T(a_discard_makes_a_hole),
		T(a_block_device_without_discard_on_a_ring_gets_holes),
	};

	return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
