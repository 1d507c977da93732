/* SPDX-License-Identifier: MIT */
/* Tables on the screen of `ublk top`. */
#pragma once

#include "sort.h"
#include "top_layout.h"
#include "top_screen.h"

/* Heads of columns, with a mark at the one that rows are ordered by. */
void ub_top_put_heads(int row, const struct ub_top_layout *layout, const struct ub_sort *sort,
		      const char *bar);

/* Return: 0 or -ENOMEM. */
int ub_top_put_row(int row, const struct ub_top_layout *layout, const struct ub_stat *stat,
		   enum ub_look look);

/* A bar, and in its colour how full it is. */
void ub_top_put_bar(int row, int column, int width, uint64_t part, uint64_t whole);

/* Text from here on. Return: the column behind it. */
int ub_top_put_text(int row, int column, enum ub_look look, const char *fmt, ...)
	__attribute__((format(printf, 4, 5)));

/* A field's value, with what it is before it. Return: the column behind it, or -ENOMEM. */
int ub_top_put_value(int row, int column, const char *what, const char *of,
		     const struct ub_stat *stat);
