/* SPDX-License-Identifier: MIT */
#include "plan_fields.h"

#include "memory/plan.h"

/* clang-format off */
#define AT(member) UB_AT(struct ub_plan_region, member)
#define NAME { .key = "name", .type = UB_FIELD_STRING, .column = "REGION", AT(kind), .names = ub_region_names }

const struct ub_field ub_plan_amount_fields[] = {
	{ .key = "mapped", .type = UB_FIELD_SIZE, .column = "MAPPED", AT(mapped) },
	{ .key = "start", .type = UB_FIELD_SIZE, .column = "START", AT(start) },
	{ .key = "most", .type = UB_FIELD_SIZE, .column = "MOST", AT(most) },
	{ .key = "locked", .type = UB_FIELD_SIZE, .column = "LOCKED", AT(locked) },
	{ .key = "pinned", .type = UB_FIELD_SIZE, .column = "PINNED", AT(pinned) },
	{ .key = "charged", .type = UB_FIELD_SIZE, .column = "CHARGED", AT(charged) },
	UB_FIELD_END,
};

const struct ub_field ub_plan_sum_fields[] = {
	NAME,
	{ .key = "amounts", .type = UB_FIELD_INCLUDE, .fields = ub_plan_amount_fields },
	UB_FIELD_END,
};

const struct ub_field ub_plan_region_fields[] = {
	NAME,
	{ .key = "queue", .type = UB_FIELD_NUMBER, .column = "QUEUE", AT(queue) },
	{ .key = "amounts", .type = UB_FIELD_INCLUDE, .fields = ub_plan_amount_fields },
	{ .key = "page_size", .type = UB_FIELD_SIZE, .column = "PAGE", AT(page_size) },
	{ .key = "node", .type = UB_FIELD_NUMBER, .column = "NODE", AT(node) },
	UB_FIELD_END,
};
/* clang-format on */
