/* SPDX-License-Identifier: MIT */
/*
 * Names and paths hold any byte, and must neither break a line nor move a terminal's cursor: what is
 * shown instead. Knows nobody.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

/* Room for any character, escaped, and a NUL. */
#define UB_ESCAPED_SIZE 17

/* Length of the valid UTF-8 sequence at @text (1 to 4), or 0 if there is none. */
size_t ub_utf8_length(const char *text);

/* The character of @len bytes at @text if it would break a line, turn its direction or be a command to
 * a terminal; 0 if not. */
uint32_t ub_harmful_char(const char *text, size_t len);

/* Takes one character off @text: into @buf, as \xNN each byte of what is harmful or no UTF-8.
 * Return: bytes in @buf. */
size_t ub_escape_char(const char **text, char buf[static UB_ESCAPED_SIZE]);

/* The same of a whole text, as much as has room: no character is cut in two. Backslashes stay as they
 * are: this is for reading, not for parsing. */
void ub_escape(const char *text, char *buf, size_t size);
