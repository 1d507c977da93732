/* SPDX-License-Identifier: MIT */
/* What a client of the loop target is promised, whatever becomes of the operations. */
#include "target_queue.h"

#include <linux/falloc.h>

#include "target/loop.h"

#define SIZE (8U << 20)
#define OFFSET 4096U /* of the device in the file */
#define PUNCH (FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE)
#define ZERO_RANGE (FALLOC_FL_ZERO_RANGE | FALLOC_FL_KEEP_SIZE)
#define FUA UBLK_IO_F_FUA

static struct opened o;
static struct ub_queue q;

static int setup(void **state)
{
	(void)state;
	make_file("image", SIZE + OFFSET);
	prepare(&o, "loop", "image");
	set_size(&o, "offset", OFFSET);
	*(int *)arg(&o, "direct") = 0;
	must_open(&o);
	queue_init(&q, &o.tgt);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	queue_done(&q);
	finish(&o);
	return unlink("image");
}

static int read_back(uint64_t offset, uint32_t len)
{
	memset(q.data, 0xee, len);
	return run(&q, UBLK_IO_OP_READ, offset, len, 0);
}

static int write_pattern(uint64_t offset, uint32_t len, unsigned seed, uint32_t flags)
{
	fill(q.data, len, seed);
	return run(&q, UBLK_IO_OP_WRITE, offset, len, flags);
}

static void what_is_written_is_read_at_the_offset(void **state)
{
	char head[OFFSET];
	int fd;

	(void)state;
	assert_int_equal(write_pattern(0, 65536, 1, 0), 0);
	assert_int_equal(q.log[0].flags, UB_WRITE_LAST);
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
	static const int errors[] = {-EIO, -ENOSPC, -EDQUOT, -ENOMEM, -EINVAL, -EOPNOTSUPP};

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

static void what_never_ends_to_say_again_is_an_error(void **state)
{
	static const int errors[] = {-EAGAIN, -EINTR, -ECANCELED};
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
	assert_int_equal(q.log[0].flags, 0);
	assert_int_equal(q.log[1].flags, 0);
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
	assert_int_equal(q.log[0].flags, UB_WRITE_LAST | UB_WRITE_DURABLE);
	assert_int_equal(run(&q, UBLK_IO_OP_WRITE_ZEROES, 0, 4096, FUA), 0);
	assert_int_equal(q.log[q.nr_ops - 1].what, OP_SYNC);
	assert_int_equal(write_pattern(0, 4096, 6, 0), 0);
	assert_int_equal(q.log[0].flags, UB_WRITE_LAST);
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
	static const int errors[] = {-ENOSPC, -EDQUOT, -ENOMEM, -EINVAL, -EFBIG, -EIO};

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
	assert_int_equal(q.log[0].flags, PUNCH);
	check_zeroes();
	zero_and_look(UBLK_IO_F_NOUNMAP);
	assert_int_equal(q.log[0].flags, ZERO_RANGE);
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
	assert_int_equal(q.log[0].flags, PUNCH);
	assert_int_equal(q.log[1].flags, ZERO_RANGE);
	assert_int_equal(q.log[2].flags, ZERO_RANGE);
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
	assert_int_equal(q.log[0].flags, PUNCH);
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
	assert_int_equal(q.log[0].flags, PUNCH);
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
	assert_int_equal(q.log[1].flags, PUNCH);
	q.fates[0] = (struct fate){RETURN, -EOPNOTSUPP};
	assert_int_equal(run(&q, UBLK_IO_OP_DISCARD, 0, 4096, 0), -EOPNOTSUPP);
	assert_int_equal(q.log[0].flags, PUNCH);
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(what_is_written_is_read_at_the_offset),
		T(short_results_are_completed_whole),
		T(direct_io_is_resumed_where_it_may_be),
		T(reading_past_the_end_of_a_cut_file_is_an_error),
		T(every_error_reaches_the_client),
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
		T(what_never_ends_to_say_again_is_an_error),
		T(zeroes_are_written_by_the_cheapest_way),
		T(what_the_backing_has_not_is_remembered),
		T(one_range_that_fails_is_not_remembered),
		T(a_discard_makes_a_hole),
		T(a_block_device_without_discard_on_a_ring_gets_holes),
	};

	return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
