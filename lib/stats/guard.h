/* SPDX-License-Identifier: MIT */
/*
 * A mapped file that somebody makes shorter ends whoever touches what is gone, with SIGBUS. Here it gets
 * other memory instead, of zeroes, and goes on. There is one guard in a process. Knows nobody.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Pieces of @size bytes in memory, one in each @stride from @base + @offset on, up to @total from @base.
 * Whole pages. */
struct ub_guard {
	char *base;
	uint64_t total, stride, offset, size;
};

/* Takes the process's SIGBUS; before threads use the pieces. */
void ub_guard_begin(const struct ub_guard *guard);
/* Gives it back. Return: was any piece replaced? */
bool ub_guard_end(void);

/* Other memory in the place of a piece, which may be anything. Return: 0 or a negative errno. */
int ub_guard_replace(char *piece, size_t size);
