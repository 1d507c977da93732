/* SPDX-License-Identifier: MIT */
#include "sort.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/clean.h"
#include "table.h"

static int add_key(const struct ub_field *fields, const char *name, size_t len,
		   struct ub_sort *sort, struct ub_error *err)
{
	bool descending = len && *name == '-';
	const struct ub_field *field =
		ub_column_find(fields, name + descending, len - descending, err);

	if (!field)
		return -EINVAL;
	if (sort->count == UB_SORT_MAX)
		return ub_fail_usage(err, "--sort takes %d columns at the most", UB_SORT_MAX);
	sort->keys[sort->count].field = field;
	sort->keys[sort->count++].descending = descending;
	return 0;
}

int ub_sort_choose(const struct ub_field *fields, const char *wanted, struct ub_sort *ret_sort,
		   struct ub_error *err)
{
	int ret = 0;

	ret_sort->count = 0;
	while (wanted && !ret) {
		size_t len = strcspn(wanted, ",");

		ret = add_key(fields, wanted, len, ret_sort, err);
		wanted = wanted[len] ? wanted + len + 1 : NULL;
	}
	return ret;
}

bool ub_sort_measured(const struct ub_sort *sort)
{
	for (size_t i = 0; i < sort->count; i++)
		if (sort->keys[i].field->measured)
			return true;
	return false;
}

static bool is_number(const struct ub_field *field)
{
	return field->type == UB_FIELD_NUMBER || field->type == UB_FIELD_SIZE ||
	       field->type == UB_FIELD_TIME || field->type == UB_FIELD_BOOL;
}

/* As it stands in the table: of flags and lists there is no other text. */
static int compare_texts(const struct ub_field *field, const void *a, const void *b)
{
	_cleanup_free_ char *x = ub_field_text(field, a, ","), *y = ub_field_text(field, b, ",");

	return x && y ? strcmp(x, y) : 0;
}

static int compare_values(const struct ub_field *field, bool descending, const void *a,
			  const void *b)
{
	struct ub_value x, y;
	int order;

	ub_field_get(field, a, &x);
	ub_field_get(field, b, &y);
	if (!x.known || !y.known)
		return y.known - x.known;
	if (is_number(field))
		order = x.number < y.number ? -1 : x.number > y.number;
	else
		order = compare_texts(field, a, b);
	return descending ? -order : order;
}

/* Of two pointers to pointers to objects, which all stand in one array. */
static int compare(const void *a, const void *b, void *arg)
{
	const char *x = *(const char *const *)a, *y = *(const char *const *)b;
	const struct ub_sort *sort = arg;
	int order = 0;

	for (size_t i = 0; i < sort->count && !order; i++)
		order = compare_values(sort->keys[i].field, sort->keys[i].descending, x, y);
	return order ? order : x < y ? -1 : x > y;
}

int ub_sort(const struct ub_sort *sort, void *objects, size_t count, size_t size)
{
	_cleanup_free_ const char **order = NULL;
	_cleanup_free_ char *sorted = NULL;

	if (!sort->count || count < 2)
		return 0;
	order = calloc(count, sizeof(*order));
	sorted = calloc(count, size);
	if (!order || !sorted)
		return -ENOMEM;
	for (size_t i = 0; i < count; i++)
		order[i] = (const char *)objects + i * size;
	qsort_r(order, count, sizeof(*order), compare, (void *)sort);
	for (size_t i = 0; i < count; i++)
		memcpy(sorted + i * size, order[i], size);
	memcpy(objects, sorted, count * size);
	return 0;
}
