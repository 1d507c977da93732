/* SPDX-License-Identifier: MIT */
/*
 * The order of a table's rows: numbers by value, sizes by bytes, text by its letters, what is unknown
 * last, whichever way round. Knows fields, and no object.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "field.h"

#define UB_SORT_MAX 8

struct ub_sort {
	struct {
		const struct ub_field *field;
		bool descending;
	} keys[UB_SORT_MAX];
	size_t count;
};

/*
 * @wanted: "COL,-COL,...": the first counts most, those with '-' the other way round; NULL: none
 * Return: 0, or -EINVAL with a message of stage UB_STAGE_USAGE.
 */
int ub_sort_choose(const struct ub_field *fields, const char *wanted, struct ub_sort *ret_sort,
		   struct ub_error *err);

/* Is there a key whose value has to be measured first? */
bool ub_sort_measured(const struct ub_sort *sort);

/* Puts @count objects of @size bytes each in order; equal ones stay in theirs. Return: 0 or -ENOMEM. */
int ub_sort(const struct ub_sort *sort, void *objects, size_t count, size_t size);
