/* SPDX-License-Identifier: MIT */
#include "scalar.h"

#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clean.h"
#include "base/parse.h"
#include "guess.h"

static const char *const switch_words[] = {"on", "off", "auto", NULL};

static bool is_size(const struct ub_opt *opt)
{
	return opt->type == UB_OPT_SIZE || opt->type == UB_OPT_SIZE32;
}

/* What the field can hold and the table allows. */
static uint64_t largest(const struct ub_opt *opt)
{
	uint64_t max = opt->max ? opt->max : UINT64_MAX;
	uint64_t type_max = opt->type == UB_OPT_SIZE  ? INT64_MAX
			    : opt->type == UB_OPT_INT ? INT_MAX
						      : UINT32_MAX;

	return max < type_max ? max : type_max;
}

static const char *describe_limit(const struct ub_opt *opt, uint64_t limit, char *buf, size_t size)
{
	if (is_size(opt))
		return ub_format_size(limit, buf, size);
	(void)snprintf(buf, size, "%llu", (unsigned long long)limit);
	return buf;
}

static int out_of_range(const struct ub_opt *opt, const char *value, struct ub_error *err)
{
	char min[32], max[32];

	(void)describe_limit(opt, opt->min, min, sizeof(min));
	(void)describe_limit(opt, largest(opt), max, sizeof(max));
	return ub_fail_usage(err, "option '--%s': %s is out of range: %s to %s", opt->name, value,
			     min, max);
}

static int read_number(const struct ub_opt *opt, const char *value, uint64_t *ret_number,
		       struct ub_error *err)
{
	int ret;

	if (is_size(opt))
		ret = ub_parse_size(value, ret_number);
	else
		ret = ub_parse_u64(value, UINT64_MAX, ret_number);
	if (ret == -ERANGE || (ret == 0 && (*ret_number < opt->min || *ret_number > largest(opt))))
		return out_of_range(opt, value, err);
	if (ret && is_size(opt))
		return ub_fail_usage(err,
				     "option '--%s': '%s' is no size, such as 4096, 512K or 1.5G",
				     opt->name, value);
	if (ret)
		return ub_fail_usage(err, "option '--%s': '%s' is no number", opt->name, value);
	return 0;
}

static int find_word(const char *const *words, const char *word, size_t len)
{
	for (int i = 0; words[i]; i++) {
		if (strlen(words[i]) == len && memcmp(words[i], word, len) == 0)
			return i;
	}
	return -EINVAL;
}

static int no_such_word(const struct ub_opt *opt, const char *word, size_t len,
			const char *const *words, struct ub_error *err)
{
	_cleanup_free_ char *text = strndup(word, len);
	struct ub_guess guess;

	if (!text)
		return ub_fail(err, UB_STAGE_NONE, -ENOMEM, "cannot read option '--%s'", opt->name);
	(void)ub_fail_usage(err, "option '--%s': '%s' is not one of: ", opt->name, text);
	for (const char *const *known = words; *known; known++)
		ub_error_add(err, "%s%s", known == words ? "" : ", ", *known);
	ub_guess_init(&guess, text);
	ub_guess_offer_all(&guess, words);
	ub_guess_ask(&guess, "", err);
	return -EINVAL;
}

/* Return: the index of @value in @words, or -EINVAL with a message that lists them. */
static int read_word(const struct ub_opt *opt, const char *value, const char *const *words,
		     struct ub_error *err)
{
	int ret = find_word(words, value, strlen(value));

	return ret < 0 ? no_such_word(opt, value, strlen(value), words, err) : ret;
}

static int check_list(const struct ub_opt *opt, const char *list, struct ub_error *err)
{
	for (;; list++) {
		size_t len = strcspn(list, ",");

		if (find_word(opt->choices, list, len) < 0)
			return no_such_word(opt, list, len, opt->choices, err);
		list += len;
		if (!*list)
			return 0;
	}
}

uint32_t ub_opt_listed(const char *const *words, const char *list)
{
	uint32_t chosen = 0;

	while (list && *list) {
		size_t len = strcspn(list, ",");
		int word = find_word(words, list, len);

		if (word >= 0)
			chosen |= 1U << word;
		list += len;
		list += strspn(list, ",");
	}
	return chosen;
}

static int store_string(const struct ub_opt *opt, const char *value, char **field,
			struct ub_error *err)
{
	char *copy;

	if (!*value)
		return ub_fail_usage(err, "option '--%s' has an empty value", opt->name);
	copy = strdup(value);
	if (!copy)
		return ub_fail(err, UB_STAGE_NONE, -ENOMEM, "cannot keep option '--%s'", opt->name);
	free(*field);
	*field = copy;
	return 0;
}

int ub_scalar_store(const struct ub_opt *opt, const char *value, void *values, struct ub_error *err)
{
	void *field = (char *)values + opt->offset;
	uint64_t number;
	int ret;

	switch (opt->type) {
	case UB_OPT_FLAG:
		*(bool *)field = true;
		return 0;
	case UB_OPT_STRING:
		ret = opt->choices && *value ? check_list(opt, value, err) : 0;
		return ret ? ret : store_string(opt, value, field, err);
	case UB_OPT_CHOICE:
		if (!value) {
			*(int *)field = 0;
			return 0;
		}
		ret = read_word(opt, value, opt->choices, err);
		if (ret >= 0)
			*(int *)field = ret;
		return ret < 0 ? ret : 0;
	case UB_OPT_SWITCH:
		ret = read_word(opt, value, switch_words, err);
		if (ret >= 0)
			*(int *)field = ret == 0 ? 1 : ret == 1 ? 0 : -1;
		return ret < 0 ? ret : 0;
	default:
		ret = read_number(opt, value, &number, err);
	}
	if (ret)
		return ret;
	if (opt->type == UB_OPT_SIZE)
		*(uint64_t *)field = number;
	else if (opt->type == UB_OPT_INT)
		*(int *)field = (int)number;
	else
		*(uint32_t *)field = (uint32_t)number;
	return 0;
}

bool ub_scalar_is_given(const struct ub_opt *opt, const void *values)
{
	const void *field = (const char *)values + opt->offset;

	switch (opt->type) {
	case UB_OPT_STRING:
		return *(char *const *)field;
	case UB_OPT_CHOICE:
		return opt->choices[*(const int *)field];
	case UB_OPT_INT:
	case UB_OPT_SWITCH:
		return *(const int *)field >= 0;
	case UB_OPT_U32:
	case UB_OPT_SIZE32:
		return *(const uint32_t *)field >= opt->min;
	case UB_OPT_SIZE:
		return *(const uint64_t *)field >= opt->min;
	case UB_OPT_LAYERS: /* no scalar */
	case UB_OPT_FLAG:
	case UB_OPT_HEX:
		break;
	}
	return true;
}

char *ub_scalar_text(const struct ub_opt *opt, const void *values)
{
	const void *field = (const char *)values + opt->offset;
	const char *word = NULL;
	char buf[32];

	if (!ub_scalar_is_given(opt, values) && opt->type != UB_OPT_SWITCH)
		return NULL;
	switch (opt->type) {
	case UB_OPT_FLAG:
		word = *(const bool *)field ? "yes" : "no";
		break;
	case UB_OPT_STRING:
		word = *(char *const *)field;
		break;
	case UB_OPT_CHOICE:
		word = opt->choices[*(const int *)field];
		break;
	case UB_OPT_SWITCH:
		word = *(const int *)field < 0 ? "auto" : *(const int *)field ? "on" : "off";
		break;
	case UB_OPT_SIZE:
		word = ub_format_size(*(const uint64_t *)field, buf, sizeof(buf));
		break;
	case UB_OPT_SIZE32:
		word = ub_format_size(*(const uint32_t *)field, buf, sizeof(buf));
		break;
	case UB_OPT_LAYERS: /* no scalar */
		return NULL;
	case UB_OPT_HEX:
		(void)snprintf(buf, sizeof(buf), "0x%" PRIx64, *(const uint64_t *)field);
		word = buf;
		break;
	case UB_OPT_U32:
	case UB_OPT_INT:
		(void)snprintf(buf, sizeof(buf), "%u", *(const uint32_t *)field);
		word = buf;
		break;
	}
	return strdup(word);
}

const char *const *ub_opt_words(const struct ub_opt *opt)
{
	return opt->type == UB_OPT_SWITCH ? switch_words : opt->choices;
}

/* Never rounded, other than for people. */
static char *exact_size(uint64_t bytes)
{
	static const char units[] = "KMGTPE";
	char *text;
	int unit = -1;

	while (bytes && bytes % 1024 == 0 && unit + 1 < (int)strlen(units)) {
		bytes /= 1024;
		unit++;
	}
	return asprintf(&text, "%llu%.*s", (unsigned long long)bytes, unit >= 0,
			unit >= 0 ? units + unit : "") < 0
		       ? NULL
		       : text;
}

char *ub_scalar_exact(const struct ub_opt *opt, const void *values)
{
	const void *field = (const char *)values + opt->offset;

	if (!ub_scalar_is_given(opt, values))
		return ub_scalar_text(opt, values);
	if (opt->type == UB_OPT_SIZE)
		return exact_size(*(const uint64_t *)field);
	if (opt->type == UB_OPT_SIZE32)
		return exact_size(*(const uint32_t *)field);
	return ub_scalar_text(opt, values);
}

void ub_opt_usage(const struct ub_opt *opt, char *buf, size_t size)
{
	const char *const *words = ub_opt_words(opt);
	size_t len = (size_t)snprintf(buf, size, "--%s", opt->name);

	if (opt->type == UB_OPT_FLAG)
		return;
	if (opt->metavar) {
		(void)snprintf(buf + len, size - len, " %s", opt->metavar);
		return;
	}
	for (size_t i = 0; words && words[i] && len < size; i++)
		len += (size_t)snprintf(buf + len, size - len, "%s%s",
					i               ? "|"
					: opt->optional ? "[="
							: " ",
					words[i]);
	if (opt->optional && len < size)
		(void)snprintf(buf + len, size - len, "]");
}
