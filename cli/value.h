/* SPDX-License-Identifier: MIT */
/* One option's value: from text into the struct that its table fills, and back. */
#pragma once

#include <stddef.h>

#include "base/error.h"
#include "base/opt.h"

/*
 * Reads an option's value into @values; @value is ignored for a flag.
 * Return: 0, -EINVAL with a message of stage UB_STAGE_USAGE, -ENOMEM.
 */
int ub_opt_store(const struct ub_opt *opt, const char *value, void *values, struct ub_error *err);

/* A value for people, not escaped. Return: text to be freed, or NULL if there is none. */
char *ub_opt_text(const struct ub_opt *opt, const void *values);

/* "--queues N", "--read-only", "--direct on|off|auto": as the help and errors write an option. */
void ub_opt_usage(const struct ub_opt *opt, char *buf, size_t size);
