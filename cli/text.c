/* SPDX-License-Identifier: MIT */
#include "text.h"

#include <inttypes.h>
#include <time.h>

#include "base/escape.h"

void ub_put_escaped(FILE *file, const char *text)
{
	char buf[UB_ESCAPED_SIZE];

	while (*text) {
		size_t len = ub_escape_char(&text, buf);

		(void)fwrite(buf, 1, len, file);
	}
}

void ub_format_moment(uint64_t time_us, char *buf, size_t size)
{
	time_t seconds = (time_t)(time_us / 1000000);
	char text[32];
	struct tm tm;

	if (!gmtime_r(&seconds, &tm) || !strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%S", &tm))
		text[0] = '\0';
	(void)snprintf(buf, size, "%s.%06" PRIu64 "Z", text, time_us % 1000000);
}

size_t ub_text_width(const char *text)
{
	size_t width = 0;

	for (; *text; text++)
		width += ((unsigned char)*text & 0xc0) != 0x80;
	return width;
}
