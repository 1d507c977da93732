/* SPDX-License-Identifier: MIT */
/* The value of an option that is one word, number or flag: from text into the struct that its table fills, and
 * back. For options of any kind, layers too: value.h. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "base/opt.h"

/*
 * Reads an option's value into @values; @value is ignored for a flag, and may be NULL where the option
 * has an optional one.
 * Return: 0, -EINVAL with a message of stage UB_STAGE_USAGE, -ENOMEM.
 */
int ub_scalar_store(const struct ub_opt *opt, const char *value, void *values,
		    struct ub_error *err);

/* Which of an option's words a list of them names, as bits; 0 for NULL. The list has been read. */
uint32_t ub_opt_listed(const char *const *words, const char *list);

/* Has it a value: a string, a word or a number that it may be given? */
bool ub_scalar_is_given(const struct ub_opt *opt, const void *values);

/* A value for people, not escaped. Return: text to be freed, or NULL if there is none. */
char *ub_scalar_text(const struct ub_opt *opt, const void *values);

/* An option's value as a file has it, exact and not quoted. Return: text to be freed, or NULL if there
 * is none, or no memory. */
char *ub_scalar_exact(const struct ub_opt *opt, const void *values);

/* The words that a value may be, NULL-terminated, or NULL. */
const char *const *ub_opt_words(const struct ub_opt *opt);

/* "--queues N", "--read-only", "--direct on|off|auto": as the help and errors write an option. */
void ub_opt_usage(const struct ub_opt *opt, char *buf, size_t size);
