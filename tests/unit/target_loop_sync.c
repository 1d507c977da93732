/* SPDX-License-Identifier: MIT */
/* Flushes, writes that are to be durable, and what becomes of them after an error. */
#include "target_loop.h"

static void a_flush_is_a_sync_and_fua_is_durable(void **state)
{
	(void)state;
	assert_int_equal(run(&q, UBLK_IO_OP_FLUSH, 0, 0, 0), 0);
	assert_int_equal(q.nr_ops, 1);
	assert_int_equal(q.log[0].what, OP_SYNC);
	assert_int_equal(q.log[0].len, 0);
	q.fates[0] = (struct fate){CUT, 512};
	assert_int_equal(write_pattern(8192, 4096, 6, FUA), 0);
	assert_int_equal(q.nr_ops, 3);
	/* Neither by itself, which would sync beside others, nor may it end before its sync. */
	assert_int_equal(q.log[0].word, UB_LOOP_BACKING);
	assert_int_equal(q.log[1].word, UB_LOOP_BACKING);
	assert_int_equal(q.log[2].what, OP_SYNC);
	assert_int_equal(q.log[2].offset, OFFSET + 8192);
	assert_int_equal(q.log[2].len, 4096);
	assert_int_equal(run(&q, UBLK_IO_OP_WRITE_ZEROES, 0, 4096, FUA), 0);
	assert_int_equal(q.log[q.nr_ops - 1].what, OP_SYNC);
	assert_int_equal(run(&q, UBLK_IO_OP_WRITE_ZEROES, 0, 4096, 0), 0);
	assert_int_not_equal(q.log[q.nr_ops - 1].what, OP_SYNC);
}

static void a_direct_write_to_a_disk_is_durable_by_itself(void **state)
{
	struct ub_loop *loop = o.tgt.state;

	(void)state;
	loop->durable = true;
	assert_int_equal(write_pattern(0, 4096, 6, FUA), 0);
	assert_int_equal(q.nr_ops, 1);
	assert_int_equal(q.log[0].word, UB_LOOP_BACKING | UB_OP_LAST | UB_OP_DURABLE);
	assert_int_equal(run(&q, UBLK_IO_OP_WRITE_ZEROES, 0, 4096, FUA), 0);
	assert_int_equal(q.log[q.nr_ops - 1].what, OP_SYNC);
	assert_int_equal(write_pattern(0, 4096, 6, 0), 0);
	assert_int_equal(q.log[0].word, UB_LOOP_BACKING | UB_OP_LAST);
}

/* Of two that share one, the kernel tells a failed write-back to one only. */
static void each_thread_syncs_by_a_description_of_its_own(void **state)
{
	struct ub_queue other;

	(void)state;
	queue_init(&other, &o.tgt);
	assert_int_equal(q.own.nr_files, 1);
	assert_int_equal(other.own.nr_files, 1);
	assert_int_not_equal(q.own.files[0], other.own.files[0]);
	/* A flag of a description: the others do not have it. */
	assert_int_equal(fcntl(q.own.files[0], F_SETFL, O_APPEND), 0);
	assert_int_equal(fcntl(other.own.files[0], F_GETFL) & O_APPEND, 0);
	assert_int_equal(fcntl(o.tgt.files[0], F_GETFL) & O_APPEND, 0);
	assert_int_equal(run(&other, UBLK_IO_OP_FLUSH, 0, 0, 0), 0);
	assert_int_equal(other.log[0].file, o.tgt.nr_files);
	/* Also when nobody could find the file by its name any more. */
	assert_int_equal(rename("image", "elsewhere"), 0);
	queue_done(&other);
	queue_init(&other, &o.tgt);
	assert_int_equal(run(&other, UBLK_IO_OP_FLUSH, 0, 0, 0), 0);
	queue_done(&other);
	assert_int_equal(rename("elsewhere", "image"), 0);
}

static void syncs_of_a_thread_are_one_at_a_time_and_shared(void **state)
{
	(void)state;
	begin(&q, UBLK_IO_OP_FLUSH, 0, 0, 0);
	begin_beside(&q, 1, UBLK_IO_OP_WRITE, 65536, 4096, FUA);
	begin_beside(&q, 2, UBLK_IO_OP_WRITE, 8192, 512, FUA);
	assert_int_equal(q.nr_ops, 3);
	/* Both writes are done while the sync is under way, which may have begun before. */
	q.log[3] = q.log[0];
	q.fates[3] = q.fates[0];
	q.log[0] = q.log[1];
	q.log[1] = q.log[2];
	q.log[2] = q.log[3];
	step(&q);
	step(&q);
	assert_int_equal(q.nr_ops, 3);
	assert_int_equal(q.ends[1] + q.ends[2], 0);
	/* It ends, and answers only the one that it was for; the next is for both. */
	step(&q);
	assert_int_equal(q.ends[0], 1);
	assert_int_equal(q.ends[1] + q.ends[2], 0);
	assert_int_equal(q.nr_ops, 4);
	assert_int_equal(q.log[3].what, OP_SYNC);
	assert_int_equal(q.log[3].offset, OFFSET + 8192);
	assert_int_equal(q.log[3].len, 65536 + 4096 - 8192);
	begin_beside(&q, 0, UBLK_IO_OP_FLUSH, 0, 0, 0);
	step(&q);
	assert_int_equal(q.ends[1], 1);
	assert_int_equal(q.ends[2], 1);
	assert_int_equal(q.results[1] | q.results[2], 0);
	assert_int_equal(q.ends[0], 0);
	assert_int_equal(q.log[4].len, 0);
	finish_all(&q);
	assert_int_equal(q.results[0], 0);
}

static void a_sync_that_fails_fails_all_that_share_it(void **state)
{
	(void)state;
	begin(&q, UBLK_IO_OP_FLUSH, 0, 0, 0);
	begin_beside(&q, 1, UBLK_IO_OP_FLUSH, 0, 0, 0);
	begin_beside(&q, 2, UBLK_IO_OP_FLUSH, 0, 0, 0);
	begin_beside(&q, 3, UBLK_IO_OP_WRITE_ZEROES, 0, 4096, 0);
	q.fates[2] = (struct fate){RETURN, -EIO};
	finish_all(&q);
	assert_int_equal(q.results[0], 0);
	assert_int_equal(q.results[1], -EIO);
	assert_int_equal(q.results[2], -EIO);
	assert_int_equal(q.results[3], 0);
	assert_int_equal(run(&q, UBLK_IO_OP_FLUSH, 0, 0, 0), -EIO);
}

static void what_keeps_data_by_handle_is_synced_by_both(void **state)
{
	struct ub_loop *loop = o.tgt.state;

	(void)state;
	loop->pushes = true;
	assert_int_equal(run(&q, UBLK_IO_OP_FLUSH, 0, 0, 0), 0);
	assert_int_equal(q.nr_ops, 2);
	assert_int_equal(q.log[0].file, UB_LOOP_BACKING);
	assert_int_equal(q.log[1].file, UB_LOOP_SYNC);
	assert_int_equal(write_pattern(0, 4096, 6, FUA), 0);
	assert_int_equal(q.nr_ops, 3);
	q.fates[0] = (struct fate){RETURN, -ENOSPC};
	assert_int_equal(run(&q, UBLK_IO_OP_FLUSH, 0, 0, 0), -ENOSPC);
	assert_int_equal(q.nr_ops, 1);
	assert_int_equal(o.tgt.write_error, -ENOSPC);
}

static void after_a_failed_sync_every_flush_fails(void **state)
{
	(void)state;
	q.fates[0] = (struct fate){RETURN, -EINTR};
	q.fates[1] = (struct fate){RETURN, -ENOSPC};
	assert_int_equal(run(&q, UBLK_IO_OP_FLUSH, 0, 0, 0), -ENOSPC);
	assert_int_equal(o.tgt.write_error, -ENOSPC);
	for (int i = 0; i < 3; i++) {
		assert_int_equal(run(&q, UBLK_IO_OP_FLUSH, 0, 0, 0), -ENOSPC);
		assert_int_equal(q.nr_ops, 0);
	}
	assert_int_equal(write_pattern(0, 4096, 7, FUA), -ENOSPC);
	assert_int_equal(run(&q, UBLK_IO_OP_WRITE_ZEROES, 0, 4096, FUA), -ENOSPC);
	assert_int_equal(write_pattern(0, 4096, 7, 0), 0);
	assert_int_equal(read_back(0, 4096), 0);
}

static void a_flush_beside_one_that_fails_fails_too(void **state)
{
	(void)state;
	begin(&q, UBLK_IO_OP_FLUSH, 0, 0, 0);
	/* Another queue's sync gets the error, and the kernel tells it once. */
	o.tgt.write_error = -EIO;
	step(&q);
	assert_int_equal(q.ends[0], 1);
	assert_int_equal(q.results[0], -EIO);
}

static void a_durable_write_that_is_refused_loses_nothing_else(void **state)
{
	static const int errors[] = {-ENOSPC, -EDQUOT, -EINVAL, -EFBIG, -EIO};

	(void)state;
	for (size_t i = 0; i < UB_ARRAY_SIZE(errors); i++) {
		q.fates[0] = (struct fate){RETURN, errors[i]};
		assert_int_equal(write_pattern(0, 4096, 8, FUA), errors[i]);
		assert_int_equal(q.nr_ops, 1);
		q.fates[0] = (struct fate){RETURN, -EOPNOTSUPP};
		q.fates[1] = (struct fate){RETURN, -EOPNOTSUPP};
		q.fates[2] = (struct fate){RETURN, errors[i]};
		assert_int_equal(run(&q, UBLK_IO_OP_WRITE_ZEROES, 0, 4096, FUA), errors[i]);
		((struct ub_loop *)o.tgt.state)->can_punch = true;
		((struct ub_loop *)o.tgt.state)->can_zero_range = true;
		assert_int_equal(run(&q, UBLK_IO_OP_FLUSH, 0, 0, 0), 0);
	}
}

static void a_write_back_without_room_is_a_loss(void **state)
{
	(void)state;
	q.fates[1] = (struct fate){RETURN, -ENOSPC};
	assert_int_equal(write_pattern(0, 4096, 8, FUA), -ENOSPC);
	assert_int_equal(q.log[1].what, OP_SYNC);
	assert_int_equal(run(&q, UBLK_IO_OP_FLUSH, 0, 0, 0), -ENOSPC);
}

static void a_disk_that_fails_a_durable_write_may_have_lost_more(void **state)
{
	static const int refusals[] = {-EINVAL, -ENOSPC, -ENOMEM, -ECANCELED};
	struct ub_loop *loop = o.tgt.state;

	(void)state;
	loop->durable = true;
	for (size_t i = 0; i < UB_ARRAY_SIZE(refusals); i++) {
		for (unsigned n = 0; n < OPS_MAX; n++)
			q.fates[n] = (struct fate){RETURN, refusals[i]};
		assert_int_equal(write_pattern(0, 4096, 8, FUA), refusals[i]);
		assert_int_equal(run(&q, UBLK_IO_OP_FLUSH, 0, 0, 0), 0);
	}
	q.fates[0] = (struct fate){RETURN, -EIO};
	assert_int_equal(write_pattern(0, 4096, 8, FUA), -EIO);
	assert_int_equal(run(&q, UBLK_IO_OP_FLUSH, 0, 0, 0), -EIO);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(a_flush_is_a_sync_and_fua_is_durable),
		T(after_a_failed_sync_every_flush_fails),
		T(a_flush_beside_one_that_fails_fails_too),
		T(a_direct_write_to_a_disk_is_durable_by_itself),
		T(each_thread_syncs_by_a_description_of_its_own),
		T(syncs_of_a_thread_are_one_at_a_time_and_shared),
		T(a_sync_that_fails_fails_all_that_share_it),
		T(what_keeps_data_by_handle_is_synced_by_both),
		T(a_durable_write_that_is_refused_loses_nothing_else),
		T(a_write_back_without_room_is_a_loss),
		T(a_disk_that_fails_a_durable_write_may_have_lost_more),
	};

	return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
