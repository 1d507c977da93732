/* SPDX-License-Identifier: MIT */
/* What is to be changed of a device that is there (live.h), as it is said to its server: JSON. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "spec/spec.h"

/* The values that @spec has of the options in @set. Return: text to be freed, or NULL without memory. */
char *ub_live_to_json(const struct ub_spec *spec, uint64_t set);

/*
 * Changes @spec, a ub_live_copy(), to what the text says; other options, and what is no option, are
 * refused. @ret_set: which it named.
 * Return: 0, -EBADMSG with a message, -ENOMEM; after an error @spec may be half changed.
 */
int ub_live_from_json(const char *text, size_t len, struct ub_spec *spec, uint64_t *ret_set,
		      struct ub_error *err);
