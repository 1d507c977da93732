/* SPDX-License-Identifier: MIT */
/* A device's specification: defaults, and what is refused before anything is made. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/clean.h"
#include "spec/check.h"
#include "spec/data_path.h"
#include "spec/same.h"
#include "spec/spec.h"

static struct ub_spec spec;

static int setup(void **state)
{
	(void)state;
	ub_spec_init(&spec);
	return ub_spec_set_target(&spec, ub_target_find("null"));
}

static int teardown(void **state)
{
	(void)state;
	ub_spec_done(&spec);
	return 0;
}

static void refused(const char *word)
{
	struct ub_error err = {0};

	assert_int_equal(ub_spec_check(&spec, &err), -EINVAL);
	assert_int_equal(err.stage, UB_STAGE_USAGE);
	if (!strstr(err.msg, word))
		fail_msg("'%s' does not name '%s'", err.msg, word);
}

static void set_name(const char *name)
{
	free(spec.name);
	spec.name = strdup(name);
}

static void the_defaults_are_the_documented_ones(void **state)
{
	(void)state;
	assert_int_equal(spec.id, -1);
	assert_int_equal(spec.queues, 1);
	assert_int_equal(spec.depth, 128);
	assert_int_equal(spec.max_io, 512 << 10);
	assert_int_equal(spec.data_path, UB_PATH_AUTO);
	assert_int_equal(spec.timeout_s, 60);
	assert_int_equal(ub_spec_check(&spec, NULL), 0);
	assert_int_equal(spec.recovery, UB_RECOVERY_REISSUE);
}

static void a_target_whose_data_dies_is_recovered_by_an_upgrade_alone(void **state)
{
	(void)state;
	assert_int_equal(ub_spec_set_target(&spec, ub_target_find("mem")), 0);
	*(uint64_t *)spec.target_args = 1 << 20;
	assert_int_equal(ub_spec_check(&spec, NULL), 0);
	assert_int_equal(spec.recovery, UB_RECOVERY_NONE);
	spec.recovery = UB_RECOVERY_REISSUE;
	assert_int_equal(ub_spec_check(&spec, NULL), 0);
	spec.restart = true;
	refused("--restart");
}

static void without_a_lock_nothing_is_sent_again(void **state)
{
	(void)state;
	spec.no_lock = true;
	assert_int_equal(ub_spec_check(&spec, NULL), 0);
	assert_int_equal(spec.recovery, UB_RECOVERY_REQUEUE);
	spec.recovery = UB_RECOVERY_REISSUE;
	refused("--no-lock");
}

static void names_are_plain_and_no_numbers(void **state)
{
	static const char *const good[] = {"a", "vol-1", "A.b_c+d", "ublk", "9lives"};
	static const char *const bad[] = {"",  "-a",     ".hidden", "a b",         "a/b",
					  "3", "ublkb3", "ublkc7",  "99999999999", "\xc3\xa4"};

	(void)state;
	for (size_t i = 0; i < UB_ARRAY_SIZE(good); i++) {
		set_name(good[i]);
		assert_int_equal(ub_spec_check(&spec, NULL), 0);
	}
	for (size_t i = 0; i < UB_ARRAY_SIZE(bad); i++) {
		set_name(bad[i]);
		refused("--name");
	}
}

static void block_sizes_are_powers_of_two_that_fit(void **state)
{
	(void)state;
	spec.logical_block_size = 1536;
	refused("--logical-block-size 1536");
	spec.logical_block_size = 65536;
	refused("larger than a page");
	spec.logical_block_size = 4096;
	spec.physical_block_size = 512;
	refused("--physical-block-size 512");
	spec.physical_block_size = 0;
	spec.io_opt = 12288;
	refused("--io-opt");
	spec.io_opt = 0;
	assert_int_equal(ub_spec_check(&spec, NULL), 0);
}

static void a_log_file_has_a_whole_path(void **state)
{
	(void)state;
	spec.log_file = strdup("server.log");
	refused("--log-file server.log");
	free(spec.log_file);
	spec.log_file = strdup("/server.log");
	assert_int_equal(ub_spec_check(&spec, NULL), 0);
}

static void a_cap_on_buffers_means_user_copy_and_leaves_each_queue_one(void **state)
{
	(void)state;
	spec.queues = 4;
	assert_int_equal(ub_spec_path(&spec), UB_PATH_COPY);
	spec.buffer_memory = 4 * (512 << 10);
	assert_int_equal(ub_spec_check(&spec, NULL), 0);
	assert_int_equal(ub_spec_path(&spec), UB_PATH_USER_COPY);
	spec.buffer_memory--;
	refused("--buffer-memory");
	spec.buffer_memory++;
	spec.data_path = UB_PATH_COPY;
	refused("--data-path user-copy");
}

static void threads_are_as_many_for_each_queue(void **state)
{
	(void)state;
	assert_int_equal(ub_spec_threads_per_queue(&spec, 128), 1);
	spec.queues = 2;
	spec.threads = 3;
	refused("--threads 3 is no multiple of --queues 2");
	spec.threads = 8;
	assert_int_equal(ub_spec_check(&spec, NULL), 0);
	assert_int_equal(ub_spec_threads_per_queue(&spec, 128), 4);
	/* Of fewer requests than were asked for. */
	assert_int_equal(ub_spec_threads_per_queue(&spec, 3), 3);
	spec.batch = UB_BATCH_ON;
	refused("--batch on is for one thread to a queue");
	spec.batch = UB_BATCH_AUTO;
	spec.buffer_memory = 8 * (512 << 10) - 1;
	refused("8 threads, each with one request");
	spec.buffer_memory++;
	assert_int_equal(ub_spec_check(&spec, NULL), 0);
}

static void fewer_threads_than_queues_serve_several_each(void **state)
{
	(void)state;
	spec.queues = 6;
	spec.threads = 4;
	assert_int_equal(ub_spec_check(&spec, NULL), 0);
	assert_int_equal(ub_spec_threads_per_queue(&spec, 128), 1);
	assert_int_equal(ub_spec_queues_per_thread(&spec, 6), 2);
	assert_int_equal(ub_spec_threads(&spec, 6, 128), 3);
	assert_int_equal(ub_spec_ios(&spec, 6, 128), 256);
	/* Of fewer queues than were asked for. */
	assert_int_equal(ub_spec_queues_per_thread(&spec, 3), 1);
	assert_int_equal(ub_spec_threads(&spec, 3, 128), 3);
	assert_int_equal(ub_spec_queues_per_thread(&spec, 5), 2);
	spec.threads = 1;
	assert_int_equal(ub_spec_threads(&spec, 6, 128), 1);
	spec.batch = UB_BATCH_ON;
	refused("--batch on is for one thread to a queue");
	spec.batch = UB_BATCH_AUTO;
	spec.depth = 4096;
	refused("--threads 1 is too few: one would serve 24576 requests of 6 queues");
	spec.depth = 2;
	spec.queues = 257;
	refused("--threads 1 is too few");
}

static void cpus_are_a_list(void **state)
{
	(void)state;
	free(spec.cpus);
	spec.cpus = strdup("0-3,9");
	assert_int_equal(ub_spec_check(&spec, NULL), 0);
	free(spec.cpus);
	spec.cpus = strdup("0-3,2");
	refused("--cpus");
}

static void what_a_record_may_hold_is_checked_like_options(void **state)
{
	(void)state;
	spec.queues = 0;
	refused("--queues 0");
	spec.queues = 4097;
	refused("--queues 4097");
	spec.queues = 1;
	spec.depth = 5000;
	refused("--depth");
	spec.depth = 1;
	spec.max_io = 0;
	refused("--max-io");
	spec.max_io = 5000;
	refused("multiple of the page");
	spec.max_io = 64U << 20;
	refused("--max-io");
	spec.max_io = 4096;
	spec.data_path = 99;
	refused("--data-path");
	spec.data_path = -1;
	refused("--data-path");
	spec.data_path = UB_PATH_AUTO;
	spec.recovery = 17;
	refused("--recovery");
	spec.recovery = UB_RECOVERY_DEFAULT;
	spec.id = -2;
	refused("--id");
	spec.id = 0;
	assert_int_equal(ub_spec_check(&spec, NULL), 0);
}

static void a_specification_without_target_is_refused(void **state)
{
	struct ub_spec empty;

	(void)state;
	ub_spec_init(&empty);
	assert_int_equal(ub_spec_check(&empty, NULL), -EINVAL);
	ub_spec_done(&empty);
	ub_spec_done(&empty);
}

#define TEST(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

static void set_file(struct ub_spec *one, const char *path)
{
	char **file;

	assert_int_equal(ub_spec_set_target(one, ub_target_find("loop")), 0);
	file = (void *)((char *)one->target_args + one->target->options[0].offset);
	*file = strdup(path);
}

static void a_device_is_known_by_its_description(void **state)
{
	_cleanup_close_ int fd = -1;
	struct ub_spec kept;
	char path[40];

	(void)state;
	ub_spec_init(&kept);
	set_file(&spec, "/a.img");
	set_file(&kept, "/a.img");
	kept.id = 7;
	kept.data_path = UB_PATH_ZERO_COPY;
	kept.logical_block_size = 4096;
	kept.log_file = strdup("/log");
	assert_true(ub_spec_is_same(&spec, &kept));
	spec.logical_block_size = 512;
	assert_false(ub_spec_is_same(&spec, &kept));
	spec.logical_block_size = 4096;
	assert_true(ub_spec_is_same(&spec, &kept));
	spec.name = strdup("one");
	assert_false(ub_spec_is_same(&spec, &kept));
	kept.name = strdup("one");
	assert_true(ub_spec_is_same(&spec, &kept));
	kept.queues = 2;
	assert_false(ub_spec_is_same(&spec, &kept));
	kept.queues = spec.queues;
	set_file(&kept, "/b.img");
	assert_false(ub_spec_is_same(&spec, &kept));
	/* By a descriptor: the record has what it leads to. */
	fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
	(void)snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	set_file(&spec, path);
	assert_false(ub_spec_is_same(&spec, &kept));
	set_file(&kept, "/dev/null");
	assert_true(ub_spec_is_same(&spec, &kept));
	assert_int_equal(ub_spec_set_target(&kept, ub_target_find("null")), 0);
	assert_false(ub_spec_is_same(&spec, &kept));
	ub_spec_done(&kept);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(the_defaults_are_the_documented_ones),
		TEST(a_target_whose_data_dies_is_recovered_by_an_upgrade_alone),
		TEST(without_a_lock_nothing_is_sent_again),
		TEST(names_are_plain_and_no_numbers),
		TEST(block_sizes_are_powers_of_two_that_fit),
		TEST(a_log_file_has_a_whole_path),
		TEST(a_cap_on_buffers_means_user_copy_and_leaves_each_queue_one),
		TEST(threads_are_as_many_for_each_queue),
		TEST(fewer_threads_than_queues_serve_several_each),
		TEST(cpus_are_a_list),
		TEST(what_a_record_may_hold_is_checked_like_options),
		TEST(a_specification_without_target_is_refused),
		cmocka_unit_test_setup_teardown(a_device_is_known_by_its_description, setup,
						teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
