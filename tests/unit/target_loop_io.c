/* SPDX-License-Identifier: MIT */
/* What a client of the loop target is promised, whatever becomes of the operations. */
#include "target_loop.h"

static void what_is_written_is_read_at_the_offset(void **state)
{
	char head[OFFSET];
	int fd;

	(void)state;
	assert_int_equal(write_pattern(0, 65536, 1, 0), 0);
	assert_int_equal(q.log[0].word, UB_LOOP_BACKING | UB_OP_LAST);
	assert_int_equal(read_back(0, 65536), 0);
	assert_true(is_filled(q.data, 65536, 1));
	fd = open("image", O_RDONLY | O_CLOEXEC);
	assert_int_equal(read(fd, head, OFFSET), OFFSET);
	assert_true(is_zero(head, OFFSET));
	(void)close(fd);
	assert_int_equal(write_pattern(SIZE - 512, 512, 2, 0), 0);
	assert_int_equal(read_back(SIZE - 512, 512), 0);
	assert_true(is_filled(q.data, 512, 2));
}

static void short_results_are_completed_whole(void **state)
{
	(void)state;
	q.fates[0] = (struct fate){CUT, 1000};
	q.fates[1] = (struct fate){RETURN, -EINTR};
	q.fates[2] = (struct fate){CUT, 1};
	q.fates[3] = (struct fate){RETURN, -EAGAIN};
	assert_int_equal(write_pattern(4096, 65536, 3, 0), 0);
	assert_int_equal(q.nr_ops, 5);
	assert_int_equal(q.log[4].data, 1001);
	assert_int_equal(q.log[4].offset, OFFSET + 4096 + 1001);
	assert_int_equal(q.log[4].len, 65536 - 1001);
	q.fates[0] = (struct fate){CUT, 4097};
	q.fates[2] = (struct fate){CUT, 20000};
	assert_int_equal(read_back(4096, 65536), 0);
	assert_true(is_filled(q.data, 65536, 3));
}

static void direct_io_is_resumed_where_it_may_be(void **state)
{
	struct ub_loop *loop = o.tgt.state;

	(void)state;
	loop->resume = 512;
	q.fates[0] = (struct fate){CUT, 1000};
	assert_int_equal(write_pattern(0, 4096, 4, 0), 0);
	assert_int_equal(q.nr_ops, 2);
	assert_int_equal(q.log[1].data, 512);
	assert_int_equal(q.log[1].len, 4096 - 512);
	assert_int_equal(read_back(0, 4096), 0);
	assert_true(is_filled(q.data, 4096, 4));
	/* Less than one block can't be resumed, and must not go on for ever. */
	q.fates[0] = (struct fate){CUT, 100};
	assert_int_equal(read_back(0, 4096), -EIO);
}

static void reading_past_the_end_of_a_cut_file_is_an_error(void **state)
{
	(void)state;
	assert_int_equal(truncate("image", OFFSET + 6000), 0);
	assert_int_equal(read_back(8192, 4096), -EIO);
	assert_int_equal(read_back(4096, 4096), -EIO); /* the end is in the middle */
	assert_int_equal(read_back(0, 4096), 0);
	((struct ub_loop *)o.tgt.state)->resume = 512;
	assert_int_equal(read_back(4096, 4096), -EIO);
}

static void every_error_reaches_the_client(void **state)
{
	static const int errors[] = {-EIO, -ENOSPC, -EDQUOT, -EINVAL, -EOPNOTSUPP, -ECANCELED};

	(void)state;
	for (size_t i = 0; i < UB_ARRAY_SIZE(errors); i++) {
		q.fates[0] = (struct fate){RETURN, errors[i]};
		assert_int_equal(write_pattern(0, 4096, 5, 0), errors[i]);
		q.fates[0] = (struct fate){CUT, 512};
		q.fates[1] = (struct fate){RETURN, errors[i]};
		assert_int_equal(write_pattern(0, 4096, 5, 0), errors[i]);
		q.fates[0] = (struct fate){RETURN, errors[i]};
		assert_int_equal(read_back(0, 4096), errors[i]);
	}
	q.fates[0] = (struct fate){RETURN, 0};
	assert_int_equal(write_pattern(0, 4096, 5, 0), -EIO);
	q.fates[0] = (struct fate){CUT, 512};
	q.fates[1] = (struct fate){RETURN, 0};
	assert_int_equal(write_pattern(0, 4096, 5, 0), -EIO);
	q.fates[0] = (struct fate){RETURN, 4097};
	assert_int_equal(read_back(0, 4096), -EIO);
	/* None of these was a write-back. */
	assert_int_equal(o.tgt.write_error, 0);
	assert_int_equal(run(&q, UBLK_IO_OP_FLUSH, 0, 0, 0), 0);
	assert_int_equal(run(&q, 99, 0, 512, 0), -EOPNOTSUPP);
}

static void what_the_ring_had_no_memory_for_is_tried_again(void **state)
{
	(void)state;
	q.fates[0] = (struct fate){RETURN, -ENOMEM};
	assert_int_equal(write_pattern(0, 4096, 5, 0), 0);
	q.fates[0] = (struct fate){CUT, 512};
	q.fates[1] = (struct fate){RETURN, -ENOMEM};
	assert_int_equal(write_pattern(0, 4096, 6, FUA), 0);
	q.fates[0] = (struct fate){RETURN, -ENOMEM};
	assert_int_equal(read_back(0, 4096), 0);
	((struct ub_loop *)o.tgt.state)->can_punch = false;
	((struct ub_loop *)o.tgt.state)->can_zero_range = false;
	q.fates[0] = (struct fate){RETURN, -ENOMEM};
	assert_int_equal(run(&q, UBLK_IO_OP_WRITE_ZEROES, 0, 4096, 0), 0);
	/* Of a sync it may be what a write-back has lost. */
	q.fates[0] = (struct fate){RETURN, -ENOMEM};
	assert_int_equal(run(&q, UBLK_IO_OP_FLUSH, 0, 0, 0), -ENOMEM);
	assert_int_equal(o.tgt.write_error, -ENOMEM);
}

static void what_never_ends_to_say_again_is_an_error(void **state)
{
	static const int errors[] = {-EAGAIN, -EINTR, -ENOMEM};
	static const struct {
		uint8_t op;
		uint32_t len, flags;
	} ios[] = {
		{UBLK_IO_OP_READ, 4096, 0},         {UBLK_IO_OP_WRITE, 4096, 0},
		{UBLK_IO_OP_WRITE, 4096, FUA},      {UBLK_IO_OP_FLUSH, 0, 0},
		{UBLK_IO_OP_WRITE_ZEROES, 4096, 0},
	};

	(void)state;
	for (size_t e = 0; e < UB_ARRAY_SIZE(errors); e++) {
		for (size_t i = 0; i < UB_ARRAY_SIZE(ios); i++) {
			/* Of a sync that is no invitation. */
			if (errors[e] == -ENOMEM && ios[i].op == UBLK_IO_OP_FLUSH)
				continue;
			/* Not a hole, but zeroes. */
			((struct ub_loop *)o.tgt.state)->can_punch = false;
			((struct ub_loop *)o.tgt.state)->can_zero_range = false;
			for (unsigned n = 0; n < OPS_MAX; n++)
				q.fates[n] = (struct fate){RETURN, errors[e]};
			assert_int_equal(run(&q, ios[i].op, 0, ios[i].len, ios[i].flags),
					 errors[e] == -EAGAIN ? -EIO : errors[e]);
			assert_in_range(q.nr_ops, 10, 200);
		}
	}
	/* Nothing of it was tried, so nothing is lost. */
	assert_int_equal(o.tgt.write_error, 0);
	/* With progress now and then it may take as long as it takes. */
	for (unsigned n = 0; n < 240; n++)
		q.fates[n] = n % 60 ? (struct fate){RETURN, -EINTR} : (struct fate){CUT, 512};
	assert_int_equal(write_pattern(0, 4096, 5, 0), 0);
	assert_int_equal(q.nr_ops, 241);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(what_is_written_is_read_at_the_offset),
		T(short_results_are_completed_whole),
		T(direct_io_is_resumed_where_it_may_be),
		T(reading_past_the_end_of_a_cut_file_is_an_error),
		T(every_error_reaches_the_client),
		T(what_the_ring_had_no_memory_for_is_tried_again),
		T(what_never_ends_to_say_again_is_an_error),
	};

	return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
