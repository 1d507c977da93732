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

#include "memory/desc.h"
#include "memory/space.h"

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
	struct ublksrv_ctrl_dev_info info = {.nr_hw_queues = 2, .queue_depth = 4};
	struct ublksrv_io_desc table[8] = {
		{.op_flags = 0x2001, .nr_sectors = 8}, [7] = {.op_flags = 0x2003}};
	struct ublksrv_io_desc desc = {0};
	struct ub_desc_map map = {.base = (const char *)table,
				  .stride = 4 * 24,
				  .desc_size = 24,
				  .depth = 4,
				  .queues = 2};
	struct ub_error err = {0};

	(void)state;
	assert_int_equal(ub_desc_map(&map, -1, &info, 2, 1, &err), -EINVAL);
	assert_int_equal(ub_desc_map(&map, -1, &info, 1, 2, &err), -EINVAL);
	assert_int_equal(err.stage, UB_STAGE_MAP);
	assert_true(ub_desc_get(&map, 0, 0, &desc));
	assert_int_equal(ub_desc_op(&desc), UBLK_IO_OP_WRITE);
	assert_int_equal(ub_desc_flags(&desc), UBLK_IO_F_FUA);
	assert_true(ub_desc_get(&map, 1, 3, &desc));
	assert_int_equal(ub_desc_op(&desc), UBLK_IO_OP_DISCARD);
	assert_false(ub_desc_get(&map, 0, 4, &desc));
	assert_false(ub_desc_get(&map, 0, UINT32_MAX, &desc));
	assert_false(ub_desc_get(&map, 2, 0, &desc));
}

static int make_layout(struct ub_layout *layout, uint32_t queues, uint32_t depth, uint64_t buffers,
		       uint64_t page, uint64_t buffer_page)
{
	return ub_layout_make(layout, &(struct ub_layout_facts){.queues = queues,
								.threads = 1,
								.share = 1,
								.depth = depth,
								.buffers = buffers,
								.page = page,
								.buffer_page = buffer_page});
}

static void parts_are_whole_pages_with_one_between(void **state)
{
	struct ub_layout_facts facts = {.queues = 3,
					.threads = 1,
					.share = 1,
					.depth = 128,
					.batch_element = 16,
					.buffers = 5 * 4096 + 1,
					.page = 4096,
					.buffer_page = 4096};
	struct ub_layout layout;
	uint64_t end = 0;

	(void)state;
	assert_int_equal(ub_layout_make(&layout, &facts), 0);
	assert_int_equal(layout.size[UB_PART_STATE], 12288); /* 1024 + 128 * 64 */
	assert_int_equal(layout.size[UB_PART_STATS], UB_STATS_SIZE);
	assert_int_equal(layout.size[UB_PART_BATCH], 8192); /* 2304 + 128 * 16 */
	assert_int_equal(layout.size[UB_PART_STACK], UB_STACK_SIZE);
	assert_int_equal(layout.size[UB_PART_BUFFERS], 6 * 4096);
	for (unsigned part = 0; part < UB_PART_COUNT; part++) {
		assert_int_equal(layout.offset[part], end + 4096);
		end = layout.offset[part] + layout.size[part];
	}
	assert_int_equal(layout.stride, end);
	assert_int_equal(ub_layout_total(&layout, 4096), 3 * end + 4096);
	/* Without addresses there is less of it. */
	facts.batch_element = 8;
	assert_int_equal(ub_layout_make(&layout, &facts), 0);
	assert_int_equal(layout.size[UB_PART_BATCH], 4096); /* 2304 + 128 * 8 */
	/* A part that a queue does not have takes no room, nor a page before it. */
	assert_int_equal(make_layout(&layout, 1, 1, 0, 4096, 4096), 0);
	assert_int_equal(layout.size[UB_PART_BATCH], 0);
	assert_int_equal(layout.size[UB_PART_BUFFERS], 0);
	assert_int_equal(layout.stride, 3 * 4096 + 4096 + UB_STATS_SIZE + UB_STACK_SIZE);
}

static void a_stretch_is_for_several_queues_or_a_part_of_one(void **state)
{
	struct ub_layout_facts facts = {.queues = 5,
					.threads = 1,
					.share = 2,
					.depth = 8,
					.page = 4096,
					.buffer_page = 4096};
	struct ub_layout layout;

	(void)state;
	assert_int_equal(ub_layout_make(&layout, &facts), 0);
	assert_int_equal(ub_layout_stretches(&layout), 3);
	assert_int_equal(ub_layout_queue(&layout, 0), 0);
	assert_int_equal(ub_layout_queue(&layout, 2), 4);
	facts.threads = 3;
	facts.share = 1;
	assert_int_equal(ub_layout_make(&layout, &facts), 0);
	assert_int_equal(ub_layout_stretches(&layout), 15);
	assert_int_equal(ub_layout_queue(&layout, 2), 0);
	assert_int_equal(ub_layout_queue(&layout, 14), 4);
}

static void huge_pages_begin_at_huge_pages(void **state)
{
	const uint64_t huge = 2 << 20;
	struct ub_layout layout;
	struct ub_space space;

	(void)state;
	assert_int_equal(make_layout(&layout, 3, 128, huge + 1, 4096, huge), 0);
	assert_int_equal(layout.offset[UB_PART_BUFFERS], huge);
	assert_int_equal(layout.size[UB_PART_BUFFERS], 2 * huge);
	assert_int_equal(layout.stride, 3 * huge);
	assert_int_equal(ub_layout_total(&layout, 4096), 9 * huge + 4096);
	/* As far as the machine has none, they are refused at once, and nothing stays mapped. */
	if (ub_space_init(&space, &layout, NULL) != 0)
		assert_null(space.base);
	else
		assert_int_equal((uintptr_t)ub_space_part(&space, 2, UB_PART_BUFFERS) % huge, 0);
	ub_space_done(&space);
	/* Without buffers nothing needs the room. */
	assert_int_equal(make_layout(&layout, 3, 128, 0, 4096, huge), 0);
	assert_true(layout.stride < huge);
	assert_int_equal(make_layout(&layout, 1, 1, UINT64_MAX - 8191, 4096, huge), -EOVERFLOW);
}

static void a_layout_that_wraps_around_is_refused(void **state)
{
	struct ub_layout layout;

	(void)state;
	assert_int_equal(make_layout(&layout, 1, 1, UINT64_MAX, 4096, 4096), -EOVERFLOW);
	assert_int_equal(make_layout(&layout, 4096, 1, UINT64_MAX / 4096, 4096, 4096), -EOVERFLOW);
	assert_int_equal(make_layout(&layout, 1, 1, UINT64_MAX - 8191, 4096, 4096), -EOVERFLOW);
}

static void make_space(struct ub_space *space, uint32_t queues, uint64_t buffers)
{
	uint64_t page = (uint64_t)sysconf(_SC_PAGESIZE);
	const struct ub_layout_facts facts = {.queues = queues,
					      .threads = 1,
					      .share = 1,
					      .depth = 4,
					      .batch_element = 16,
					      .buffers = buffers,
					      .page = page,
					      .buffer_page = page};
	struct ub_layout layout;

	assert_int_equal(ub_layout_make(&layout, &facts), 0);
	assert_int_equal(ub_space_init(space, &layout, NULL), 0);
}

static void parts_are_zeroes_and_do_not_overlap(void **state)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE);
	struct ub_space space;

	(void)state;
	make_space(&space, 3, 2 * page);
	for (unsigned pass = 0; pass < 2; pass++) {
		for (unsigned i = 0; i < 3 * UB_PART_COUNT; i++) {
			char *part = ub_space_part(&space, i / UB_PART_COUNT, i % UB_PART_COUNT);
			size_t size = space.layout.size[i % UB_PART_COUNT];
			int want = pass ? (int)i + 1 : 0;

			assert_int_equal((uintptr_t)part % page, 0);
			assert_int_equal(part[0], want);
			assert_int_equal(part[size - 1], want);
			memset(part, (int)i + 1, size);
		}
	}
	ub_space_done(&space);
	assert_null(space.base);
	ub_space_done(&space); /* half-built and done ones are taken */
}

static void nothing_is_touched_before_use(void **state)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE), pages = 64;
	unsigned char resident[64];
	struct ub_space space;
	char *buffers;

	(void)state;
	make_space(&space, 1, pages * page);
	buffers = ub_space_part(&space, 0, UB_PART_BUFFERS);
	buffers[3 * page] = 1;
	assert_int_equal(mincore(buffers, pages * page, resident), 0);
	for (size_t i = 0; i < pages; i++)
		assert_int_equal(resident[i] & 1, i == 3);
	ub_space_done(&space);
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

static void one_byte_past_either_end_of_any_part_is_a_fault(void **state)
{
	struct ub_space space;

	(void)state;
	make_space(&space, 2, 4096);
	for (unsigned i = 0; i < 2 * UB_PART_COUNT; i++) {
		char *part = ub_space_part(&space, i / UB_PART_COUNT, i % UB_PART_COUNT);
		size_t size = space.layout.size[i % UB_PART_COUNT];

		assert_int_equal(signal_of_write_at(part), 0);
		assert_int_equal(signal_of_write_at(part + size - 1), 0);
		assert_int_equal(signal_of_write_at(part - 1), SIGSEGV);
		assert_int_equal(signal_of_write_at(part + size), SIGSEGV);
	}
	ub_space_done(&space);
}

static void more_than_the_address_space_is_refused(void **state)
{
	struct ub_error err = {0};
	struct ub_layout layout;
	struct ub_space space;

	(void)state;
	assert_int_equal(make_layout(&layout, 1, 1, (uint64_t)1 << 60, 4096, 4096), 0);
	assert_int_equal(ub_space_init(&space, &layout, &err), -ENOMEM);
	assert_int_equal(err.stage, UB_STAGE_MEMORY);
	assert_null(space.base);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(descriptors_are_24_bytes_unless_granted),
		cmocka_unit_test(a_queue_maps_whole_pages_at_the_stride_of_the_deepest_queue),
		cmocka_unit_test(a_queue_or_tag_out_of_range_is_refused),
		cmocka_unit_test(parts_are_whole_pages_with_one_between),
		cmocka_unit_test(a_stretch_is_for_several_queues_or_a_part_of_one),
		cmocka_unit_test(huge_pages_begin_at_huge_pages),
		cmocka_unit_test(a_layout_that_wraps_around_is_refused),
		cmocka_unit_test(parts_are_zeroes_and_do_not_overlap),
		cmocka_unit_test(nothing_is_touched_before_use),
		cmocka_unit_test(one_byte_past_either_end_of_any_part_is_a_fault),
		cmocka_unit_test(more_than_the_address_space_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
