/* SPDX-License-Identifier: MIT */
#include "base/parse.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

static int digit_of(char c, unsigned base)
{
	int digit = -1;

	if (c >= '0' && c <= '9')
		digit = c - '0';
	else if (c >= 'a' && c <= 'f')
		digit = c - 'a' + 10;
	else if (c >= 'A' && c <= 'F')
		digit = c - 'A' + 10;
	return digit < (int)base ? digit : -1;
}

/* Takes digits off @text. Return: how many, or -ERANGE. */
static int take_digits(const char **text, unsigned base, uint64_t *ret_value)
{
	uint64_t value = 0;
	int digit, count = 0;

	for (; (digit = digit_of(**text, base)) >= 0; (*text)++) {
		if (__builtin_mul_overflow(value, base, &value) ||
		    __builtin_add_overflow(value, (uint64_t)digit, &value))
			return -ERANGE;
		count++;
	}
	*ret_value = value;
	return count;
}

int ub_parse_u64(const char *text, uint64_t max, uint64_t *ret_value)
{
	unsigned base = 10;
	uint64_t value;
	const char *p = text;
	int count;

	if (p[0] == '0' && (p[1] == 'x' || p[1] == 'X')) {
		base = 16;
		p += 2;
	}
	count = take_digits(&p, base, &value);
	if (count == -ERANGE) {
		/* Too large is said only of what is a number to its end. */
		while (digit_of(*p, base) >= 0)
			p++;
		return *p ? -EINVAL : -ERANGE;
	}
	if (count == 0 || *p)
		return -EINVAL;
	if (value > max)
		return -ERANGE;
	*ret_value = value;
	return 0;
}

/* "", "K", "KiB" and so on, in either case. Return: the power of 1024, or -EINVAL. */
static int parse_unit(const char *text)
{
	static const char units[] = "KMGTPE";
	const char *unit;

	if (!*text)
		return 0;
	unit = strchr(units, *text >= 'a' && *text <= 'z' ? *text - 'a' + 'A' : *text);
	if (!unit || (text[1] && strcmp(text + 1, "iB") != 0))
		return -EINVAL;
	return (int)(unit - units) + 1;
}

int ub_parse_size(const char *text, uint64_t *ret_bytes)
{
	uint64_t whole = 0, fraction = 0, scale = 1, unit;
	const char *p = text;
	int count, power;
	bool too_large;
	unsigned __int128 bytes;

	count = take_digits(&p, 10, &whole);
	too_large = count == -ERANGE;
	while (digit_of(*p, 10) >= 0)
		p++;
	if (count == 0)
		return -EINVAL;
	if (*p == '.') {
		p++;
		count = take_digits(&p, 10, &fraction);
		/* 10^18 is the largest scale that 64 bits hold. */
		if (count <= 0 || count > 18)
			return -EINVAL;
		while (count--)
			scale *= 10;
	}
	power = parse_unit(p);
	if (power < 0 || (power == 0 && scale > 1))
		return -EINVAL;
	if (too_large)
		return -ERANGE;
	unit = 1ULL << (10 * power);
	if ((unsigned __int128)fraction * unit % scale)
		return -EINVAL;
	bytes = (unsigned __int128)whole * unit + (unsigned __int128)fraction * unit / scale;
	if (bytes > INT64_MAX)
		return -ERANGE;
	*ret_bytes = (uint64_t)bytes;
	return 0;
}

const char *ub_format_size(uint64_t bytes, char *buf, size_t size)
{
	static const char units[] = "KMGTPE";
	unsigned power = 0;
	uint64_t tenths;

	if (bytes < 1024) {
		(void)snprintf(buf, size, "%u", (unsigned)bytes);
		return buf;
	}
	while (power < sizeof(units) - 2 && bytes >> (10 * (power + 1)) >= 1024)
		power++;
	for (;; power++) {
		unsigned __int128 unit = (unsigned __int128)1 << (10 * (power + 1));

		tenths = (uint64_t)(((unsigned __int128)bytes * 10 + unit / 2) / unit);
		/* 1023.96M is 1G. */
		if (tenths < 10240 || power == sizeof(units) - 2)
			break;
	}
	if (tenths % 10)
		(void)snprintf(buf, size, "%llu.%u%c", (unsigned long long)(tenths / 10),
			       (unsigned)(tenths % 10), units[power]);
	else
		(void)snprintf(buf, size, "%llu%c", (unsigned long long)(tenths / 10),
			       units[power]);
	return buf;
}

const char *ub_format_time(uint64_t ns, char *buf, size_t size)
{
	static const char *const names[] = {"ns", "us", "ms", "s"};
	uint64_t unit = 1, whole;
	unsigned i = 0;

	for (; i < 3 && ns / unit >= 1000; i++)
		unit *= 1000;
	whole = ns / unit;
	if (i && whole < 10)
		(void)snprintf(buf, size, "%llu.%02llu%s", (unsigned long long)whole,
			       (unsigned long long)(ns % unit * 100 / unit), names[i]);
	else if (i && whole < 100)
		(void)snprintf(buf, size, "%llu.%llu%s", (unsigned long long)whole,
			       (unsigned long long)(ns % unit * 10 / unit), names[i]);
	else
		(void)snprintf(buf, size, "%llu%s", (unsigned long long)whole, names[i]);
	return buf;
}

static bool is_octal(char c)
{
	return c >= '0' && c <= '7';
}

void ub_unescape_octal(char *text)
{
	char *to = text;

	for (const char *p = text; *p; to++) {
		if (p[0] == '\\' && p[1] >= '0' && p[1] <= '3' && is_octal(p[2]) &&
		    is_octal(p[3])) {
			*to = (char)((p[1] - '0') * 64 + (p[2] - '0') * 8 + (p[3] - '0'));
			p += 4;
		} else {
			*to = *p++;
		}
	}
	*to = '\0';
}

/* "3" or "0-3" up to a comma or the end. Return: where it ends, or NULL. */
static const char *parse_range(const char *text, unsigned *ret_first, unsigned *ret_last)
{
	const char *rest = text;
	unsigned *into = ret_first;
	char word[12];

	for (;;) {
		size_t len = strspn(rest, "0123456789");
		uint64_t value;

		if (len == 0 || len >= sizeof(word))
			return NULL;
		memcpy(word, rest, len);
		word[len] = '\0';
		if (ub_parse_u64(word, UINT32_MAX, &value) != 0)
			return NULL;
		*into = (unsigned)value;
		rest += len;
		if (into == ret_last || *rest != '-')
			break;
		into = ret_last;
		rest++;
	}
	if (into == ret_first)
		*ret_last = *ret_first;
	return *ret_first <= *ret_last ? rest : NULL;
}

int ub_parse_cpus(const char *text, unsigned max, unsigned *ret_cpus, unsigned room)
{
	unsigned count = 0, first, last;

	for (;; text++) {
		text = parse_range(text, &first, &last);
		if (!text || (*text && *text != ','))
			return -EINVAL;
		if (last > max || last - first >= room - count)
			return -ERANGE;
		for (unsigned cpu = first; cpu <= last; cpu++) {
			for (unsigned i = 0; i < count; i++)
				if (ret_cpus[i] == cpu)
					return -EINVAL;
			ret_cpus[count++] = cpu;
		}
		if (!*text)
			return (int)count;
	}
}
