/* SPDX-License-Identifier: MIT */
#include "table.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/clean.h"
#include "guess.h"
#include "term.h"
#include "text.h"

static void offer_column(const struct ub_field *field, void *arg)
{
	ub_guess_offer(arg, field->column);
}

const struct ub_field *ub_column_find(const struct ub_field *fields, const char *name, size_t len,
				      struct ub_error *err)
{
	const struct ub_field *field;
	struct ub_guess guess;
	char column[64];

	(void)snprintf(column, sizeof(column), "%.*s", (int)len, name);
	field = len < sizeof(column) ? ub_field_find(fields, column) : NULL;
	if (field)
		return field;
	ub_guess_init(&guess, column);
	ub_field_each_column(fields, offer_column, &guess);
	(void)ub_guess_fail(&guess, "column", "", err);
	return NULL;
}

static int add_column(const struct ub_field *fields, const char *name, size_t len,
		      struct ub_columns *columns, struct ub_error *err)
{
	const struct ub_field *field = ub_column_find(fields, name, len, err);

	if (!field)
		return -EINVAL;
	for (size_t i = 0; i < columns->count; i++) {
		if (columns->fields[i] == field)
			return 0;
	}
	if (columns->count < UB_COLUMNS_MAX)
		columns->fields[columns->count++] = field;
	return 0;
}

static int add_columns(const struct ub_field *fields, const char *list, struct ub_columns *columns,
		       struct ub_error *err)
{
	int ret = 0;

	while (ret == 0) {
		size_t len = strcspn(list, ",");

		ret = add_column(fields, list, len, columns, err);
		list += len;
		if (!*list)
			break;
		list++;
	}
	return ret;
}

int ub_columns_choose(const struct ub_field *fields, const char *usual, const char *wanted,
		      struct ub_columns *ret_columns, struct ub_error *err)
{
	int ret = 0;

	*ret_columns = (struct ub_columns){0};
	if (!wanted || *wanted == '+')
		ret = add_columns(fields, usual, ret_columns, err);
	if (wanted && ret == 0)
		ret = add_columns(fields, *wanted == '+' ? wanted + 1 : wanted, ret_columns, err);
	return ret;
}

bool ub_columns_measured(const struct ub_columns *columns)
{
	for (size_t i = 0; i < columns->count; i++)
		if (columns->fields[i]->measured)
			return true;
	return false;
}

/* The texts of a table, row by row, the heads first. */
struct cells {
	char **texts;
	size_t count;
};

static void free_cells(struct cells *cells)
{
	for (size_t i = 0; i < cells->count; i++)
		free(cells->texts[i]);
	free(cells->texts);
}

static void put_spaces(FILE *file, size_t count)
{
	(void)fprintf(file, "%*s", (int)count, "");
}

static void print_row(FILE *file, const struct ub_columns *columns, char *const *texts,
		      const size_t *widths, bool colour)
{
	for (size_t i = 0; i < columns->count; i++) {
		const struct ub_field *field = columns->fields[i];
		size_t space = widths[i] - ub_text_width(texts[i]);
		bool right = field->type == UB_FIELD_NUMBER || field->type == UB_FIELD_SIZE ||
			     field->type == UB_FIELD_TIME;
		bool last = i + 1 == columns->count;

		if (right)
			put_spaces(file, space);
		if (field->type == UB_FIELD_STATE)
			ub_term_put_state(file, texts[i], colour);
		else
			(void)fputs(texts[i], file);
		if (!right && !last)
			put_spaces(file, space);
		(void)fputs(last ? "\n" : "  ", file);
	}
}

int ub_table_print(FILE *file, const struct ub_columns *columns, const void *objects, size_t count,
		   size_t size, bool colour)
{
	_cleanup_(free_cells)
	struct cells cells = {0};
	size_t widths[UB_COLUMNS_MAX] = {0}, first = columns->no_head;

	cells.texts = calloc((count + 1) * columns->count + 1, sizeof(*cells.texts));
	if (!cells.texts)
		return -ENOMEM;
	for (size_t row = first; row <= count; row++) {
		const char *object = row ? (const char *)objects + (row - 1) * size : NULL;

		for (size_t i = 0; i < columns->count; i++) {
			const struct ub_field *field = columns->fields[i];
			char *text =
				object ? ub_field_text(field, object, ",") : strdup(field->column);
			size_t width;

			if (!text)
				return -ENOMEM; /* cppcheck-suppress memleak */
			cells.texts[cells.count++] = text;
			width = ub_text_width(text);
			if (width > widths[i])
				widths[i] = width;
		}
	}
	for (size_t row = 0; row < cells.count; row += columns->count)
		print_row(file, columns, cells.texts + row, widths, colour);
	return 0;
}
