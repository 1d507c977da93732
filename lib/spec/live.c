/* SPDX-License-Identifier: MIT */
#include "spec/live.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

uint64_t ub_live_bit(const struct ub_opt *opt)
{
	return 1ULL << (opt - ub_spec_options);
}

bool ub_live_has(uint64_t set, size_t offset)
{
	const struct ub_opt *opt = ub_spec_options;

	while (opt->offset != offset)
		opt++;
	return set & ub_live_bit(opt);
}

static char **string_of(struct ub_spec *spec, const struct ub_opt *opt)
{
	return (void *)((char *)spec + opt->offset);
}

static bool is_string(const struct ub_opt *opt)
{
	return opt->live && opt->type == UB_OPT_STRING;
}

int ub_live_copy(const struct ub_spec *from, struct ub_spec *ret_spec)
{
	struct ub_spec copy = *from;
	int ret = 0;

	for (const struct ub_opt *opt = ub_spec_options; opt->name; opt++) {
		char **text = string_of(&copy, opt);

		if (!is_string(opt) || !*text)
			continue;
		*text = ret ? NULL : strdup(*text);
		if (!*text)
			ret = -ENOMEM;
	}
	if (ret)
		ub_live_done(&copy);
	else
		*ret_spec = copy;
	return ret;
}

void ub_live_done(struct ub_spec *spec)
{
	for (const struct ub_opt *opt = ub_spec_options; opt->name; opt++) {
		if (!is_string(opt))
			continue;
		free(*string_of(spec, opt));
		*string_of(spec, opt) = NULL;
	}
}

static size_t size_of(const struct ub_opt *opt)
{
	switch (opt->type) {
	case UB_OPT_FLAG:
		return sizeof(bool);
	case UB_OPT_SIZE:
	case UB_OPT_HEX:
		return sizeof(uint64_t);
	case UB_OPT_STRING:
		return sizeof(char *);
	default:
		return sizeof(uint32_t);
	}
}

void ub_live_swap(struct ub_spec *a, struct ub_spec *b, uint64_t set)
{
	char was[sizeof(uint64_t)];

	for (const struct ub_opt *opt = ub_spec_options; opt->name; opt++) {
		char *x = (char *)a + opt->offset, *y = (char *)b + opt->offset;

		if (!opt->live || !(set & ub_live_bit(opt)))
			continue;
		memcpy(was, x, size_of(opt));
		memcpy(x, y, size_of(opt));
		memcpy(y, was, size_of(opt));
	}
}

void ub_live_reset(struct ub_spec *spec, uint64_t set)
{
	struct ub_spec defaults;

	ub_spec_init(&defaults);
	for (const struct ub_opt *opt = ub_spec_options; opt->name; opt++) {
		if (!opt->live || !(set & ub_live_bit(opt)))
			continue;
		if (is_string(opt))
			free(*string_of(spec, opt));
		memcpy((char *)spec + opt->offset, (char *)&defaults + opt->offset, size_of(opt));
	}
}

const char *ub_live_names(uint64_t set, char *buf, size_t size)
{
	size_t len = 0;

	buf[0] = '\0';
	for (const struct ub_opt *opt = ub_spec_options; opt->name && len < size; opt++)
		if (set & ub_live_bit(opt))
			len += (size_t)snprintf(buf + len, size - len, "%s%s", len ? ", " : "",
						opt->name);
	return buf;
}
