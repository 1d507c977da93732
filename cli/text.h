/* SPDX-License-Identifier: MIT */
/* Text that goes to people. Knows nobody. */
#pragma once

#include <stddef.h>
#include <stdio.h>

/* Writes @text, escaped (base/escape.h). */
void ub_put_escaped(FILE *file, const char *text);

/* Columns that escaped text takes, one for each character. */
size_t ub_text_width(const char *text);
