/* SPDX-License-Identifier: MIT */
#include "plan_fields.h"

#include "memory/plan.h"

#define GETTER(name) static void get_##name(const void *object, struct ub_value *value)

static const struct ub_plan_region *region_of(const void *object)
{
	return object;
}

GETTER(name)
{
	ub_value_text(value, ub_region_names[region_of(object)->kind]);
}

GETTER(queue)
{
	if (region_of(object)->queue >= 0)
		ub_value_number(value, (uint64_t)region_of(object)->queue);
}

GETTER(mapped)
{
	ub_value_number(value, region_of(object)->mapped);
}

GETTER(start)
{
	ub_value_number(value, region_of(object)->start);
}

GETTER(most)
{
	ub_value_number(value, region_of(object)->most);
}

GETTER(locked)
{
	ub_value_number(value, region_of(object)->locked);
}

GETTER(pinned)
{
	ub_value_number(value, region_of(object)->pinned);
}

GETTER(charged)
{
	ub_value_number(value, region_of(object)->charged);
}

GETTER(node)
{
	if (region_of(object)->node >= 0)
		ub_value_number(value, (uint64_t)region_of(object)->node);
}

GETTER(page_size)
{
	ub_value_number(value, region_of(object)->page_size);
}

/* clang-format off */
static const struct ub_field amount_fields[] = {
	{ .key = "mapped", .type = UB_FIELD_SIZE, .column = "MAPPED", .get = get_mapped },
	{ .key = "start", .type = UB_FIELD_SIZE, .column = "START", .get = get_start },
	{ .key = "most", .type = UB_FIELD_SIZE, .column = "MOST", .get = get_most },
	{ .key = "locked", .type = UB_FIELD_SIZE, .column = "LOCKED", .get = get_locked },
	{ .key = "pinned", .type = UB_FIELD_SIZE, .column = "PINNED", .get = get_pinned },
	{ .key = "charged", .type = UB_FIELD_SIZE, .column = "CHARGED", .get = get_charged },
	UB_FIELD_END,
};

const struct ub_field ub_plan_sum_fields[] = {
	{ .key = "name", .type = UB_FIELD_STRING, .column = "REGION", .get = get_name },
	{ .key = "amounts", .type = UB_FIELD_INCLUDE, .fields = amount_fields },
	UB_FIELD_END,
};

const struct ub_field ub_plan_region_fields[] = {
	{ .key = "name", .type = UB_FIELD_STRING, .column = "REGION", .get = get_name },
	{ .key = "queue", .type = UB_FIELD_NUMBER, .column = "QUEUE", .get = get_queue },
	{ .key = "amounts", .type = UB_FIELD_INCLUDE, .fields = amount_fields },
	{ .key = "page_size", .type = UB_FIELD_SIZE, .column = "PAGE", .get = get_page_size },
	{ .key = "node", .type = UB_FIELD_NUMBER, .column = "NODE", .get = get_node },
	UB_FIELD_END,
};
/* clang-format on */
