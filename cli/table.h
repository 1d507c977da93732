/* SPDX-License-Identifier: MIT */
/*
 * Tables: `ublk list`, `ublk features`. Heads in capitals, two blanks between, numbers to the
 * right, never cut short. Knows fields, and no object.
 */
#pragma once

#include <stdbool.h>
#include <stdio.h>

#include "field.h"

#define UB_COLUMNS_MAX 64

struct ub_columns {
	const struct ub_field *fields[UB_COLUMNS_MAX];
	size_t count;
	bool no_head; /* rows only */
};

/* A column by its name, the first @len bytes of @name, in any case. Return: NULL with a message of
 * stage UB_STAGE_USAGE. */
const struct ub_field *ub_column_find(const struct ub_field *fields, const char *name, size_t len,
				      struct ub_error *err);

/*
 * Chooses columns: @wanted is "COL,COL...", "+COL,..." for more than the usual ones, or NULL.
 * Return: 0, or -EINVAL with a message of stage UB_STAGE_USAGE.
 */
int ub_columns_choose(const struct ub_field *fields, const char *usual, const char *wanted,
		      struct ub_columns *ret_columns, struct ub_error *err);

/* Is there a column whose value has to be measured first? */
bool ub_columns_measured(const struct ub_columns *columns);

/* Prints @count objects of @size bytes each. Return: 0 or -ENOMEM; writing is checked later. */
int ub_table_print(FILE *file, const struct ub_columns *columns, const void *objects, size_t count,
		   size_t size, bool colour);

/*
 * Prints what is known of one object, a line for each field. Fields that are unknown, and lists
 * without elements, are left out.
 * Return: 0 or -ENOMEM.
 */
int ub_block_print(FILE *file, const struct ub_field *fields, const void *object, bool colour);
