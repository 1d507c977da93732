/* SPDX-License-Identifier: MIT */
/* Text that goes to people. Knows nobody. */
#pragma once

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

/* Writes @text, escaped (base/escape.h). */
void ub_put_escaped(FILE *file, const char *text);

/* A time, microseconds since 1970, as "2026-01-31T12:00:00.000000Z". */
void ub_format_moment(uint64_t time_us, char *buf, size_t size);

/* Columns that escaped text takes, one for each character. */
size_t ub_text_width(const char *text);
