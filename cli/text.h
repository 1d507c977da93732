/* SPDX-License-Identifier: MIT */
/*
 * Text that goes to people: names and paths hold any byte, and must neither break a line nor move
 * a terminal's cursor. Knows nobody.
 */
#pragma once

#include <stddef.h>
#include <stdio.h>

/* Length of the valid UTF-8 sequence at @text (1 to 4), or 0 if there is none. */
size_t ub_utf8_length(const char *text);

/*
 * Writes @text with control characters, direction marks and bytes that are no UTF-8 as \xNN.
 * Backslashes stay as they are: this is for reading, not for parsing.
 */
void ub_put_escaped(FILE *file, const char *text);

/* Columns that escaped text takes, one for each character. */
size_t ub_text_width(const char *text);
