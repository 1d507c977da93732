/* SPDX-License-Identifier: MIT */
#include "base/escape.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

static uint32_t decode(const unsigned char *p, size_t len)
{
	static const unsigned char first_bits[] = {0, 0x7f, 0x1f, 0x0f, 0x07};
	uint32_t c = p[0] & first_bits[len];

	for (size_t i = 1; i < len; i++) {
		if ((p[i] & 0xc0) != 0x80)
			return UINT32_MAX;
		c = c << 6 | (p[i] & 0x3f);
	}
	return c;
}

size_t ub_utf8_length(const char *text)
{
	static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
	const unsigned char *p = (const unsigned char *)text;
	uint32_t c;
	size_t len;

	if (p[0] < 0x80)
		return 1;
	if (p[0] >= 0xc2 && p[0] < 0xe0)
		len = 2;
	else if (p[0] >= 0xe0 && p[0] < 0xf0)
		len = 3;
	else if (p[0] >= 0xf0 && p[0] < 0xf5)
		len = 4;
	else
		return 0;
	c = decode(p, len);
	if (c < least[len] || c > 0x10ffff || (c >= 0xd800 && c < 0xe000))
		return 0;
	return len;
}

static bool is_harmful(uint32_t c)
{
	return c < 0x20 || (c >= 0x7f && c < 0xa0) || (c >= 0x200e && c <= 0x200f) ||
	       (c >= 0x2028 && c <= 0x202e) || (c >= 0x2066 && c <= 0x2069);
}

uint32_t ub_harmful_char(const char *text, size_t len)
{
	uint32_t c = decode((const unsigned char *)text, len);

	return is_harmful(c) ? c : 0;
}

size_t ub_escape_char(const char **text, char buf[static UB_ESCAPED_SIZE])
{
	size_t len = ub_utf8_length(*text), n = 0;

	if (len && !ub_harmful_char(*text, len)) {
		memcpy(buf, *text, len);
		buf[len] = '\0';
		*text += len;
		return len;
	}
	do {
		n += (size_t)snprintf(buf + n, UB_ESCAPED_SIZE - n, "\\x%02x",
				      (unsigned char)*(*text)++);
	} while (len && --len);
	return n;
}

void ub_escape(const char *text, char *buf, size_t size)
{
	char one[UB_ESCAPED_SIZE];
	size_t len = 0;

	while (*text) {
		size_t n = ub_escape_char(&text, one);

		if (len + n >= size)
			break;
		memcpy(buf + len, one, n);
		len += n;
	}
	buf[len] = '\0';
}
