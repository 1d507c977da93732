/* SPDX-License-Identifier: MIT */
/* What is counted: times in buckets, and the file read from outside. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/ticks.h"
#include "device/stats.h"
#include "stats/guard.h"

#define TOKEN 0x1234567890abcdefULL

static void each_value_is_in_the_bucket_that_tells_it_within_a_thirtieth(void **state)
{
	(void)state;
	for (uint64_t units = 16; units <= UB_STATS_UNITS_MAX; units += 1 + units / 700) {
		double middle = (double)ub_times_middle_ns(ub_stats_bucket(units));
		double least = (double)(units * UB_STATS_UNIT_NS);
		double most = least + UB_STATS_UNIT_NS;

		/* Wherever in its unit the time was. */
		assert_true(middle / least < 1.0 + 1.0 / 30 && middle / most > 1.0 - 1.0 / 30);
	}
}

static void buckets_follow_each_other_without_a_gap(void **state)
{
	unsigned last = 0;

	(void)state;
	assert_int_equal(ub_stats_bucket(0), 0);
	for (uint64_t units = 1; units < 1 << 14; units++) {
		unsigned bucket = ub_stats_bucket(units);

		assert_true(bucket == last || bucket == last + 1);
		last = bucket;
	}
	assert_int_equal(ub_stats_bucket(UB_STATS_UNITS_MAX), UB_STATS_BUCKETS - 1);
	assert_int_equal(ub_stats_bucket(UINT64_MAX), UB_STATS_BUCKETS - 1);
}

static void a_percentile_is_the_rank_that_it_says(void **state)
{
	struct ub_times times = {0};

	(void)state;
	assert_int_equal(ub_times_percentile_ns(&times, 500), 0);
	for (unsigned i = 0; i < 1000; i++)
		times.count[100 + i / 100]++;
	assert_int_equal(ub_times_total(&times), 1000);
	assert_int_equal(ub_times_percentile_ns(&times, 100), ub_times_middle_ns(100));
	assert_int_equal(ub_times_percentile_ns(&times, 101), ub_times_middle_ns(101));
	assert_int_equal(ub_times_percentile_ns(&times, 500), ub_times_middle_ns(104));
	assert_int_equal(ub_times_percentile_ns(&times, 999), ub_times_middle_ns(109));
	times.count[300]++;
	assert_int_equal(ub_times_percentile_ns(&times, 999), ub_times_middle_ns(109));
	assert_int_equal(ub_times_percentile_ns(&times, 1000), ub_times_middle_ns(300));
	/* One alone is all of them. */
	times = (struct ub_times){.count[7] = 1};
	assert_int_equal(ub_times_percentile_ns(&times, 1), ub_times_middle_ns(7));
	assert_int_equal(ub_times_percentile_ns(&times, 999), ub_times_middle_ns(7));
}

static void both_clocks_tell_the_time_that_has_passed(void **state)
{
	struct ub_ticks ticks[2] = {{0}};

	(void)state;
	ub_ticks_begin(&ticks[0]);
	ticks[1].counter = false;
	(void)usleep(5000);
	for (unsigned i = 0; i < 2; i++) {
		uint64_t before = ub_now_ns(), units;
		uint32_t began;

		ub_ticks_settle(&ticks[i], UB_STATS_UNIT_NS);
		began = ub_ticks_now(&ticks[i]);
		(void)usleep(2000);
		units = ub_ticks_units(&ticks[i], began, ub_ticks_now(&ticks[i]));
		assert_true(units * UB_STATS_UNIT_NS > 1980000);
		assert_true(units * UB_STATS_UNIT_NS < (ub_now_ns() - before) * 102 / 100);
	}
}

/* A file with two blocks, and its folder. */
struct file {
	char dir[32];
	int dirfd, fd;
	struct ub_stats_head head;
	struct ub_stats *block[2];
};

static void put_head(const struct file *f)
{
	const struct ub_stats_head head = f->head;

	assert_int_equal(pwrite(f->fd, &head, sizeof(head), 0), sizeof(head));
}

static int make_file(void **state)
{
	struct file *f = calloc(1, sizeof(*f));

	strcpy(f->dir, "/tmp/unit-stats-XXXXXX");
	assert_non_null(mkdtemp(f->dir));
	f->dirfd = open(f->dir, O_RDONLY | O_DIRECTORY);
	f->fd = openat(f->dirfd, "3.stats", O_RDWR | O_CREAT, 0600);
	f->head = (struct ub_stats_head){.format = UB_STATS_FORMAT,
					 .id = 3,
					 .token = TOKEN,
					 .since = 1000,
					 .queues = 2,
					 .threads = 1,
					 .share = 1,
					 .blocks = 2,
					 .first = 4096,
					 .stride = sizeof(struct ub_stats)};
	memcpy(f->head.magic, UB_STATS_MAGIC, sizeof(f->head.magic));
	put_head(f);
	assert_int_equal(ftruncate(f->fd, (off_t)ub_stats_size(&f->head)), 0);
	for (unsigned i = 0; i < 2; i++) {
		f->block[i] = mmap(NULL, sizeof(struct ub_stats), PROT_READ | PROT_WRITE,
				   MAP_SHARED, f->fd, (off_t)(f->head.first + i * f->head.stride));
		assert_true(f->block[i] != MAP_FAILED);
	}
	*state = f;
	return 0;
}

static int remove_file(void **state)
{
	struct file *f = *state;

	for (unsigned i = 0; i < 2; i++)
		(void)munmap(f->block[i], sizeof(struct ub_stats));
	(void)unlinkat(f->dirfd, "3.stats", 0);
	(void)close(f->fd);
	(void)close(f->dirfd);
	(void)rmdir(f->dir);
	free(f);
	return 0;
}

static int read_it(const struct file *f, struct ub_dev_stats *stats)
{
	return ub_dev_stats_read_file(f->dirfd, 3, TOKEN, stats);
}

static void what_threads_have_counted_is_summed_up(void **state)
{
	struct file *f = *state;
	struct ub_dev_stats stats;

	f->block[0]->rw[UB_STATS_READ].op =
		(struct ub_stats_op){.begun = 7, .ended = 5, .bytes = 4096, .errors = 1, .most = 9};
	f->block[1]->rw[UB_STATS_READ].op =
		(struct ub_stats_op){.begun = 3, .ended = 3, .bytes = 512, .most = 4};
	ub_stats_op(f->block[1], UB_STATS_FLUSH)->ended = 2;
	f->block[0]->rw[UB_STATS_READ].times[40] = 4;
	f->block[1]->rw[UB_STATS_READ].times[40] = 3;
	f->block[1]->other_times[50] = 2;
	assert_int_equal(read_it(f, &stats), 0);
	assert_true(stats.by_server);
	assert_int_equal(stats.since, 1000);
	assert_int_equal(stats.all.op[UB_STATS_READ].ended, 8);
	assert_int_equal(stats.all.op[UB_STATS_READ].bytes, 4608);
	assert_int_equal(stats.all.op[UB_STATS_READ].errors, 1);
	assert_int_equal(stats.all.op[UB_STATS_READ].most, 9);
	assert_int_equal(stats.all.op[UB_STATS_FLUSH].ended, 2);
	assert_int_equal(stats.all.in_flight, 2);
	assert_int_equal(stats.all.times[UB_TIMES_READ].count[40], 7);
	assert_int_equal(stats.all.times[UB_TIMES_OTHER].count[50], 2);
	assert_int_equal(stats.count, 2);
	assert_int_equal(stats.parts[1].queue, 1);
	assert_int_equal(stats.parts[1].sum.op[UB_STATS_READ].ended, 3);
	ub_dev_stats_done(&stats);
	ub_dev_stats_done(&stats);
}

static void a_difference_is_of_the_same_counting_and_never_negative(void **state)
{
	struct file *f = *state;
	struct ub_dev_stats before, all, now;
	struct ub_stats_op *op = &f->block[0]->rw[UB_STATS_WRITE].op;

	*op = (struct ub_stats_op){.begun = 10, .ended = 10, .bytes = 5120, .most = 100};
	assert_int_equal(read_it(f, &before), 0);
	*op = (struct ub_stats_op){.begun = 16, .ended = 15, .bytes = 5000, .most = 100};
	f->block[0]->rw[UB_STATS_WRITE].times[20] = 6;
	assert_int_equal(read_it(f, &all), 0);
	assert_int_equal(ub_dev_stats_since(&all, &before, &now), 0);
	assert_int_equal(all.all.op[UB_STATS_WRITE].ended, 15);
	assert_int_equal(now.all.op[UB_STATS_WRITE].ended, 5);
	/* One that was counted as done turned out not to be. */
	assert_int_equal(now.all.op[UB_STATS_WRITE].bytes, 0);
	assert_int_equal(now.all.op[UB_STATS_WRITE].most, 0);
	assert_int_equal(now.all.in_flight, 1);
	assert_int_equal(now.all.times[UB_TIMES_WRITE].count[20], 6);
	assert_int_equal(now.parts[0].sum.op[UB_STATS_WRITE].ended, 5);
	ub_dev_stats_done(&now);
	ub_dev_stats_done(&all);
	/* It has begun anew. */
	f->head.since++;
	put_head(f);
	assert_int_equal(read_it(f, &all), 0);
	assert_int_equal(ub_dev_stats_since(&all, &before, &now), 0);
	assert_int_equal(now.all.op[UB_STATS_WRITE].ended, 15);
	ub_dev_stats_done(&now);
	ub_dev_stats_done(&all);
	ub_dev_stats_done(&before);
}

static void a_file_that_is_not_as_it_should_be_is_refused(void **state)
{
	struct file *f = *state;
	struct ub_stats_head good = f->head;
	struct ub_dev_stats stats;

	assert_int_equal(ub_dev_stats_read_file(f->dirfd, 4, TOKEN, &stats), -ENOENT);
	assert_int_equal(ub_dev_stats_read_file(f->dirfd, 3, TOKEN + 1, &stats), -EBADMSG);
#define REFUSED(member, value)                                  \
	do {                                                    \
		f->head = good;                                 \
		f->head.member = (value);                       \
		put_head(f);                                    \
		assert_int_equal(read_it(f, &stats), -EBADMSG); \
	} while (0)
	REFUSED(magic[0], 'U');
	REFUSED(format, UB_STATS_FORMAT + 1);
	REFUSED(id, 4);
	REFUSED(blocks, 0);
	REFUSED(blocks, 1);
	REFUSED(blocks, UINT32_MAX);
	REFUSED(threads, 0);
	REFUSED(share, 0);
	REFUSED(first, 4);
	REFUSED(first, UINT64_MAX);
	REFUSED(stride, 0);
	REFUSED(stride, UINT64_MAX / 2 + 1);
	f->head = good;
	put_head(f);
	for (int more = -1; more <= 1; more++) {
		assert_int_equal(ftruncate(f->fd, (off_t)ub_stats_size(&good) + more), 0);
		assert_int_equal(read_it(f, &stats), more ? -EBADMSG : 0);
	}
	assert_int_equal(ftruncate(f->fd, 10), 0);
	assert_int_equal(read_it(f, &stats), -EBADMSG);
}

static void a_file_that_others_may_write_or_that_is_none_is_not_believed(void **state)
{
	struct file *f = *state;
	struct ub_dev_stats stats = {0};

	assert_int_equal(fchmod(f->fd, 0620), 0);
	assert_int_equal(read_it(f, &stats), -EPERM);
	assert_int_equal(fchmod(f->fd, 0600), 0);
	assert_int_equal(read_it(f, &stats), 0);
	ub_dev_stats_done(&stats);
	assert_int_equal(unlinkat(f->dirfd, "3.stats", 0), 0);
	assert_int_equal(symlinkat("/etc/passwd", f->dirfd, "3.stats"), 0);
	assert_int_equal(read_it(f, &stats), -EPERM);
	assert_int_equal(unlinkat(f->dirfd, "3.stats", 0), 0);
	assert_int_equal(mkfifoat(f->dirfd, "3.stats", 0600), 0);
	assert_int_equal(read_it(f, &stats), -EPERM);
}

static void who_touches_what_was_cut_off_goes_on_with_zeroes(void **state)
{
	struct file *f = *state;
	struct ub_stats *cut = f->block[1];
	const struct ub_guard guard = {.base = (char *)cut - 4096,
				       .total = 4096 + sizeof(*cut),
				       .stride = 4096 + sizeof(*cut),
				       .offset = 4096,
				       .size = sizeof(*cut)};

	cut->rw[UB_STATS_READ].op.ended = 5;
	ub_guard_begin(&guard);
	assert_int_equal(ftruncate(f->fd, 0), 0);
	ub_stats_add(&cut->rw[UB_STATS_READ].op.ended, 3);
	assert_int_equal(cut->rw[UB_STATS_READ].op.ended, 3);
	assert_true(ub_guard_end());
	ub_guard_begin(&guard);
	assert_false(ub_guard_end());
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_value_is_in_the_bucket_that_tells_it_within_a_thirtieth),
		cmocka_unit_test(buckets_follow_each_other_without_a_gap),
		cmocka_unit_test(a_percentile_is_the_rank_that_it_says),
		cmocka_unit_test(both_clocks_tell_the_time_that_has_passed),
		cmocka_unit_test_setup_teardown(what_threads_have_counted_is_summed_up, make_file,
						remove_file),
		cmocka_unit_test_setup_teardown(
			a_difference_is_of_the_same_counting_and_never_negative, make_file,
			remove_file),
		cmocka_unit_test_setup_teardown(a_file_that_is_not_as_it_should_be_is_refused,
						make_file, remove_file),
		cmocka_unit_test_setup_teardown(
			a_file_that_others_may_write_or_that_is_none_is_not_believed, make_file,
			remove_file),
		cmocka_unit_test_setup_teardown(who_touches_what_was_cut_off_goes_on_with_zeroes,
						make_file, remove_file),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
