/* SPDX-License-Identifier: MIT */
/* The plan's arithmetic. What the kernel makes of it, tests/device/plan.bats sees. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "memory/plan.h"

static const struct ub_plan_facts facts = {
	.queues = 2,
	.threads = 1,
	.share = 1,
	.depth = 128,
	.ops_per_io = 1,
	.desc_size = 24,
	.control_entries = 4,
	.buffers = 64 << 20,
	.buffers_most = 64 << 20,
	.program = 1 << 20,
	.page = 4096,
	.buffer_page = 4096,
	.rings_charged = true,
};

/* As measured on kernels that charge them: depth 128 16 KiB, 512 52 KiB, 4096 404 KiB. */
static void rings_are_as_large_as_the_kernel_makes_them(void **state)
{
	(void)state;
	assert_int_equal(ub_ring_size(128, 256, 64, 4096), 16 << 10);
	assert_int_equal(ub_ring_size(256, 512, 64, 4096), 28 << 10);
	assert_int_equal(ub_ring_size(512, 1024, 64, 4096), 52 << 10);
	assert_int_equal(ub_ring_size(1024, 2048, 64, 4096), 104 << 10);
	assert_int_equal(ub_ring_size(4096, 8192, 64, 4096), 404 << 10);
	assert_int_equal(ub_ring_size(32, 64, 128, 4096), 8 << 10);
	/* Rounded up to powers of two. */
	assert_int_equal(ub_ring_size(100, 129, 64, 4096), ub_ring_size(128, 256, 64, 4096));
}

static void regions_are_there_for_each_queue_and_sum_up(void **state)
{
	struct ub_plan plan;

	(void)state;
	assert_int_equal(ub_plan_make(&plan, &facts), 0);
	assert_int_equal(plan.count, 2 * 6 + 2); /* and the control ring, and the program */
	assert_int_equal(ub_plan_of(&plan, UB_REGION_DESCRIPTORS).mapped, 2 * 4096);
	assert_int_equal(ub_plan_of(&plan, UB_REGION_DESCRIPTORS).most, 0);
	assert_int_equal(ub_plan_of(&plan, UB_REGION_RINGS).mapped, 2 * (16 << 10) + (8 << 10));
	assert_int_equal(ub_plan_of(&plan, UB_REGION_BUFFERS).most, 128 << 20);
	assert_int_equal(ub_plan_of(&plan, UB_REGION_BUFFERS).start, 0);
	/* An errand has a ring as well, in its own process. */
	assert_int_equal(plan.total.charged, 2 * (16 << 10) + 2 * (8 << 10));
	ub_plan_done(&plan);
	assert_null(plan.regions);
	ub_plan_done(&plan);
}

static void nothing_is_charged_where_nothing_is(void **state)
{
	struct ub_plan_facts none = facts;
	struct ub_plan plan;

	(void)state;
	none.rings_charged = false;
	assert_int_equal(ub_plan_make(&plan, &none), 0);
	assert_int_equal(plan.total.charged, 0);
	ub_plan_done(&plan);
}

static void a_capped_pool_is_mapped_whole_and_touched_to_its_cap(void **state)
{
	struct ub_plan_facts capped = facts;
	struct ub_plan plan;

	(void)state;
	capped.buffers_most = 1 << 20;
	assert_int_equal(ub_plan_make(&plan, &capped), 0);
	assert_int_equal(ub_plan_of(&plan, UB_REGION_BUFFERS).mapped, 128 << 20);
	assert_int_equal(ub_plan_of(&plan, UB_REGION_BUFFERS).most, 2 << 20);
	ub_plan_done(&plan);
	/* A target in memory needs none. */
	capped.buffers = 0;
	capped.target = 12345;
	assert_int_equal(ub_plan_make(&plan, &capped), 0);
	assert_int_equal(ub_plan_of(&plan, UB_REGION_BUFFERS).mapped, 0);
	assert_int_equal(ub_plan_of(&plan, UB_REGION_TARGET).most, 4 * 4096);
	ub_plan_done(&plan);
}

static void locked_memory_is_touched_and_charged_guards_and_all(void **state)
{
	struct ub_plan_facts locked = facts;
	struct ub_plan plan;

	(void)state;
	locked.rings_charged = false;
	locked.lock = true;
	assert_int_equal(ub_plan_make(&plan, &locked), 0);
	assert_int_equal(plan.total.charged, 0);
	assert_int_equal(ub_plan_of(&plan, UB_REGION_BUFFERS).locked, 128 << 20);
	assert_int_equal(ub_plan_of(&plan, UB_REGION_BUFFERS).start, 128 << 20);
	assert_int_equal(ub_plan_of(&plan, UB_REGION_RINGS).locked, 0);
	assert_int_equal(ub_plan_of(&plan, UB_REGION_DESCRIPTORS).locked, 0);
	ub_plan_done(&plan);
	locked.lock_charged = true;
	assert_int_equal(ub_plan_make(&plan, &locked), 0);
	/* All that is mapped, and nine pages between the parts of two queues. */
	assert_int_equal(plan.total.charged, plan.total.mapped + 9 * 4096);
	ub_plan_done(&plan);
}

static void huge_pages_are_taken_at_once_and_never_locked(void **state)
{
	struct ub_plan_facts huge = facts;
	struct ub_plan_region buffers;
	struct ub_plan plan;

	(void)state;
	huge.buffer_page = 2 << 20;
	huge.buffers = huge.buffers_most = (2 << 20) + 1;
	huge.lock = huge.lock_charged = true;
	assert_int_equal(ub_plan_make(&plan, &huge), 0);
	buffers = ub_plan_of(&plan, UB_REGION_BUFFERS);
	assert_int_equal(buffers.mapped, 2 * (4 << 20));
	assert_int_equal(buffers.start, buffers.mapped);
	assert_int_equal(buffers.most, buffers.mapped);
	assert_int_equal(buffers.huge, buffers.mapped);
	assert_int_equal(buffers.locked, 0);
	/* mlockall() counts addresses. */
	assert_int_equal(buffers.charged, buffers.mapped);
	assert_int_equal(buffers.page_size, 2 << 20);
	assert_int_equal(plan.total.huge, buffers.mapped);
	ub_plan_done(&plan);
}

static void a_thread_of_several_queues_has_one_ring_for_all(void **state)
{
	struct ub_plan_facts shared = facts;
	struct ub_plan one, two;

	(void)state;
	shared.queues = 4;
	assert_int_equal(ub_plan_make(&one, &shared), 0);
	shared.share = 3; /* 3 and 1 */
	shared.buffers = shared.buffers_most = 3 * facts.buffers;
	assert_int_equal(ub_plan_make(&two, &shared), 0);
	assert_int_equal(ub_plan_of(&two, UB_REGION_DESCRIPTORS).mapped,
			 ub_plan_of(&one, UB_REGION_DESCRIPTORS).mapped);
	assert_int_equal(ub_plan_of(&two, UB_REGION_STACKS).mapped, 2 * UB_STACK_SIZE);
	assert_int_equal(ub_plan_of(&two, UB_REGION_RINGS).mapped,
			 ub_ring_size(384, 387, 64, 4096) + ub_ring_size(128, 131, 64, 4096) +
				 ub_ring_size(4, 8, 128, 4096));
	assert_int_equal(ub_plan_of(&two, UB_REGION_BUFFERS).mapped, 6 * facts.buffers);
	ub_plan_done(&one);
	ub_plan_done(&two);
}

static void threads_that_share_a_queue_share_its_requests(void **state)
{
	struct ub_plan_facts shared = facts;
	struct ub_plan one, three;

	(void)state;
	shared.slots = true;
	shared.slot_pages = 129;
	assert_int_equal(ub_plan_make(&one, &shared), 0);
	shared.threads = 3; /* 43, 43 and 42 requests */
	shared.buffers = shared.buffers_most = 43 << 19;
	assert_int_equal(ub_plan_make(&three, &shared), 0);
	assert_int_equal(three.count, one.count);
	assert_int_equal(three.layout.queues, 2);
	assert_int_equal(three.layout.threads, 3);
	/* Each maps the queue's descriptors, and has a ring and a stack. */
	assert_int_equal(ub_plan_of(&three, UB_REGION_DESCRIPTORS).mapped, 6 * 4096);
	assert_int_equal(ub_plan_of(&three, UB_REGION_STACKS).mapped,
			 3 * ub_plan_of(&one, UB_REGION_STACKS).mapped);
	assert_int_equal(ub_plan_of(&three, UB_REGION_RINGS).mapped,
			 6 * ub_ring_size(43, 46, 64, 4096) + ub_ring_size(4, 8, 128, 4096));
	assert_int_equal(ub_plan_of(&three, UB_REGION_BUFFERS).mapped, 6ULL * (43 << 19));
	assert_int_equal(ub_plan_of(&three, UB_REGION_TABLE).start, 6 * 43 * 8);
	ub_plan_done(&one);
	ub_plan_done(&three);
}

static void a_plan_that_wraps_around_is_refused(void **state)
{
	struct ub_plan_facts huge = facts;
	struct ub_plan plan;

	(void)state;
	huge.buffers = UINT64_MAX / 2;
	assert_int_equal(ub_plan_make(&plan, &huge), -EOVERFLOW);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(rings_are_as_large_as_the_kernel_makes_them),
		cmocka_unit_test(regions_are_there_for_each_queue_and_sum_up),
		cmocka_unit_test(nothing_is_charged_where_nothing_is),
		cmocka_unit_test(a_capped_pool_is_mapped_whole_and_touched_to_its_cap),
		cmocka_unit_test(huge_pages_are_taken_at_once_and_never_locked),
		cmocka_unit_test(locked_memory_is_touched_and_charged_guards_and_all),
		cmocka_unit_test(a_thread_of_several_queues_has_one_ring_for_all),
		cmocka_unit_test(threads_that_share_a_queue_share_its_requests),
		cmocka_unit_test(a_plan_that_wraps_around_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
