/* SPDX-License-Identifier: MIT */
/*
 * The parts of a record's JSON that are fields of its struct: a key, a type and an offset each, in
 * tables of the same kind as options, for the file that writes and the one that reads.
 */
#pragma once

#include "base/opt.h"

/* Of a struct ub_record. */
extern const struct ub_opt ub_record_head[], ub_record_granted[], ub_record_server[];
extern const struct ub_opt ub_record_memory[]; /* but for the layout's parts and the plan */
extern const struct ub_opt ub_record_target_memory[];

/* Of a struct ub_layout's element of offset. */
extern const struct ub_opt ub_record_range[];

/* Of a struct ub_plan_region. */
extern const struct ub_opt ub_record_region[];

/* Of a struct ub_backing. */
extern const struct ub_opt ub_record_backing[];

/* Of a struct ub_remote. */
extern const struct ub_opt ub_record_remote[];

/* Of a struct ub_export. */
extern const struct ub_opt ub_record_export[];
