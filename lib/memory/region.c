/* SPDX-License-Identifier: MIT */
#include "memory/region.h"

const char *const ub_region_names[UB_REGION_COUNT] = {
	[UB_REGION_DESCRIPTORS] = "descriptors",
	[UB_REGION_RINGS] = "rings",
	[UB_REGION_TABLE] = "table",
	[UB_REGION_STATE] = "state",
	[UB_REGION_STATS] = "stats",
	[UB_REGION_STACKS] = "stacks",
	[UB_REGION_BUFFERS] = "buffers",
	[UB_REGION_TARGET] = "target",
	[UB_REGION_PROGRAM] = "program",
};

void ub_usage_add(struct ub_usage *to, const struct ub_usage *from)
{
	to->mapped += from->mapped;
	to->resident += from->resident;
	to->dirty += from->dirty;
	to->locked += from->locked;
	to->swapped += from->swapped;
}
