/* SPDX-License-Identifier: MIT */
#include "memory/layout.h"

#include <errno.h>

const char *const ub_part_names[UB_PART_COUNT] = {
	[UB_PART_STATE] = "state",
	[UB_PART_STACK] = "stack",
	[UB_PART_BUFFERS] = "buffers",
};

int ub_layout_make(struct ub_layout *ret_layout, uint32_t queues, uint32_t depth, uint64_t buffers,
		   uint64_t page, uint64_t buffer_page)
{
	const uint64_t sizes[UB_PART_COUNT] = {
		[UB_PART_STATE] = UB_QUEUE_STATE_SIZE +
				  (uint64_t)depth * (UB_IO_STATE_SIZE + UB_POOL_SLOT_SIZE),
		[UB_PART_STACK] = UB_STACK_SIZE,
		[UB_PART_BUFFERS] = buffers,
	};
	struct ub_layout layout = {.queues = queues, .buffer_page = buffer_page};
	uint64_t total;

	for (unsigned i = 0; i < UB_PART_COUNT; i++) {
		uint64_t unit = i == UB_PART_BUFFERS ? buffer_page : page;

		if (sizes[i] > UINT64_MAX - unit)
			return -EOVERFLOW;
		layout.size[i] = ub_round_page(sizes[i], unit);
		if (layout.size[i] == 0)
			continue;
		layout.offset[i] = ub_round_page(layout.stride + page, unit);
		if (__builtin_add_overflow(layout.offset[i], layout.size[i], &layout.stride))
			return -EOVERFLOW;
	}
	/* Buffers come last, so that with any the stride is whole pages of theirs. */
	if (__builtin_mul_overflow(layout.stride, queues, &total) ||
	    __builtin_add_overflow(total, page, &total))
		return -EOVERFLOW;
	*ret_layout = layout;
	return 0;
}
