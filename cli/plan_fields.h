/* SPDX-License-Identifier: MIT */
/* What a plan says of a region (struct ub_plan_region), or of all regions of a kind. */
#pragma once

#include "field.h"

/* Its bytes. */
extern const struct ub_field ub_plan_amount_fields[];
/* And its kind's name. */
extern const struct ub_field ub_plan_sum_fields[];
/* And its queue and page size. */
extern const struct ub_field ub_plan_region_fields[];
