/* SPDX-License-Identifier: MIT */
/* Descriptor mapping's arithmetic and the buffer arena, without a device. */
#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "memory/arena.h"
#include "memory/desc.h"

static void descriptors_are_24_bytes_unless_granted(void **state)
{
	struct ublksrv_ctrl_dev_info info = {.io_desc_size = 64};

	(void)state;
	/* An old kernel echoes the field: only the flag says that it means something. */
	assert_int_equal(ub_desc_size(&info), 24);
	info.flags = UBLK_F_IO_DESC_SIZE;
	assert_int_equal(ub_desc_size(&info), 64);
}

static void a_queue_maps_whole_pages_at_the_stride_of_the_deepest_queue(void **state)
{
	struct ublksrv_ctrl_dev_info info = {.nr_hw_queues = 4};
	size_t page = (size_t)sysconf(_SC_PAGESIZE);
	size_t stride = (4096 * 24 + page - 1) / page * page;

	(void)state;
	info.queue_depth = 128; /* 3072 bytes */
	assert_int_equal(ub_desc_map_size(&info), page > 3072 ? page : 3072);
	info.queue_depth = 4096;
	assert_int_equal(ub_desc_map_size(&info), stride);
	assert_int_equal(ub_desc_map_offset(&info, 0), 0);
	assert_int_equal(ub_desc_map_offset(&info, 3), 3 * stride);
}

static void a_queue_or_tag_out_of_range_is_refused(void **state)
{
	struct ublksrv_ctrl_dev_info info = {.nr_hw_queues = 2, .queue_depth = 8};
	struct ublksrv_io_desc table[8] = {{.op_flags = 0x2001, .nr_sectors = 8}};
	struct ublksrv_io_desc desc = {0};
	struct ub_desc_map map = {
		.base = (const char *)table, .size = sizeof(table), .desc_size = 24, .depth = 8};
	struct ub_error err = {0};

	(void)state;
	assert_int_equal(ub_desc_map(&map, -1, &info, 2, &err), -EINVAL);
	assert_int_equal(err.stage, UB_STAGE_MAP);
	assert_true(ub_desc_get(&map, 0, &desc));
	assert_int_equal(ub_desc_op(&desc), UBLK_IO_OP_WRITE);
	assert_int_equal(ub_desc_flags(&desc), UBLK_IO_F_FUA);
	assert_true(ub_desc_get(&map, 7, &desc));
	assert_false(ub_desc_get(&map, 8, &desc));
	assert_false(ub_desc_get(&map, UINT32_MAX, &desc));
}

static void slots_are_page_aligned_and_do_not_overlap(void **state)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE);
	struct ub_arena arena;

	(void)state;
	assert_int_equal(ub_arena_init(&arena, 5, page + 1, "test", NULL), 0);
	assert_int_equal(arena.slot_size, 2 * page);
	for (size_t i = 0; i < 5; i++) {
		char *slot = ub_arena_slot(&arena, i);

		assert_int_equal((uintptr_t)slot % page, 0);
		memset(slot, (int)i + 1, arena.slot_size);
	}
	for (size_t i = 0; i < 5; i++) {
		char *slot = ub_arena_slot(&arena, i);

		assert_int_equal(slot[0], i + 1);
		assert_int_equal(slot[arena.slot_size - 1], i + 1);
	}
	ub_arena_done(&arena);
	assert_null(arena.base);
	ub_arena_done(&arena); /* half-built and done ones are taken */
}

static void nothing_is_touched_before_use(void **state)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE), pages = 64;
	unsigned char resident[64];
	struct ub_arena arena;

	(void)state;
	assert_int_equal(ub_arena_init(&arena, pages, page, "test", NULL), 0);
	((char *)ub_arena_slot(&arena, 3))[0] = 1;
	assert_int_equal(mincore(arena.base, pages * page, resident), 0);
	for (size_t i = 0; i < pages; i++)
		assert_int_equal(resident[i] & 1, i == 3);
	ub_arena_done(&arena);
}

static int signal_of_write_at(const char *where)
{
	int status;
	pid_t pid = fork();

	if (pid == 0) {
		(void)signal(SIGSEGV, SIG_DFL);
		*(volatile char *)(uintptr_t)where = 1;
		_exit(0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return WIFSIGNALED(status) ? WTERMSIG(status) : 0;
}

static void one_byte_past_either_end_hits_a_guard_page(void **state)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE);
	struct ub_arena arena;

	(void)state;
	assert_int_equal(ub_arena_init(&arena, 2, page, "test", NULL), 0);
	assert_int_equal(signal_of_write_at(arena.base), 0);
	assert_int_equal(signal_of_write_at(arena.base + 2 * page - 1), 0);
	assert_int_equal(signal_of_write_at(arena.base - 1), SIGSEGV);
	assert_int_equal(signal_of_write_at(arena.base + 2 * page), SIGSEGV);
	ub_arena_done(&arena);
}

static void a_size_that_wraps_around_is_refused(void **state)
{
	struct ub_arena arena;
	struct ub_error err = {0};

	(void)state;
	assert_int_equal(ub_arena_init(&arena, SIZE_MAX / 4096, 8192, "test", &err), -EOVERFLOW);
	assert_int_equal(ub_arena_init(&arena, 1, SIZE_MAX, "test", &err), -EOVERFLOW);
	assert_int_equal(err.stage, UB_STAGE_MEMORY);
	assert_null(arena.base);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(descriptors_are_24_bytes_unless_granted),
		cmocka_unit_test(a_queue_maps_whole_pages_at_the_stride_of_the_deepest_queue),
		cmocka_unit_test(a_queue_or_tag_out_of_range_is_refused),
		cmocka_unit_test(slots_are_page_aligned_and_do_not_overlap),
		cmocka_unit_test(nothing_is_touched_before_use),
		cmocka_unit_test(one_byte_past_either_end_hits_a_guard_page),
		cmocka_unit_test(a_size_that_wraps_around_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
