/* SPDX-License-Identifier: MIT */
#include "text.h"

#include "base/escape.h"

void ub_put_escaped(FILE *file, const char *text)
{
	char buf[UB_ESCAPED_SIZE];

	while (*text) {
		size_t len = ub_escape_char(&text, buf);

		(void)fwrite(buf, 1, len, file);
	}
}

size_t ub_text_width(const char *text)
{
	size_t width = 0;

	for (; *text; text++)
		width += ((unsigned char)*text & 0xc0) != 0x80;
	return width;
}
