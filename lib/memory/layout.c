/* SPDX-License-Identifier: MIT */
#include "memory/layout.h"

#include <errno.h>

const char *const ub_part_names[UB_PART_COUNT] = {
	[UB_PART_STATE] = "state", [UB_PART_STATS] = "stats",     [UB_PART_BATCH] = "batch",
	[UB_PART_STACK] = "stack", [UB_PART_BUFFERS] = "buffers",
};

int ub_layout_make(struct ub_layout *ret_layout, const struct ub_layout_facts *facts)
{
	uint64_t depth = facts->depth;
	const uint64_t sizes[UB_PART_COUNT] = {
		[UB_PART_STATE] = ub_layout_before_ios(facts->target) +
				  depth * (UB_IO_STATE_SIZE + UB_POOL_SLOT_SIZE + facts->io),
		[UB_PART_STATS] = UB_STATS_SIZE,
		[UB_PART_BATCH] =
			facts->batch_element ? UB_BATCH_SIZE + depth * facts->batch_element : 0,
		[UB_PART_STACK] = UB_STACK_SIZE,
		[UB_PART_BUFFERS] = facts->buffers,
	};
	struct ub_layout layout = {.queues = facts->queues,
				   .threads = facts->threads,
				   .share = facts->share,
				   .buffer_page = facts->buffer_page};
	uint64_t total;

	for (unsigned i = 0; i < UB_PART_COUNT; i++) {
		uint64_t unit = i == UB_PART_BUFFERS ? facts->buffer_page : facts->page;

		if (sizes[i] > UINT64_MAX - unit)
			return -EOVERFLOW;
		layout.size[i] = ub_round_page(sizes[i], unit);
		if (layout.size[i] == 0)
			continue;
		layout.offset[i] = ub_round_page(layout.stride + facts->page, unit);
		if (__builtin_add_overflow(layout.offset[i], layout.size[i], &layout.stride))
			return -EOVERFLOW;
	}
	/* Buffers come last, so that with any the stride is whole pages of theirs. */
	if (__builtin_mul_overflow(layout.stride, ub_layout_stretches(&layout), &total) ||
	    __builtin_add_overflow(total, facts->page, &total))
		return -EOVERFLOW;
	*ret_layout = layout;
	return 0;
}
