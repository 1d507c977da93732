/* SPDX-License-Identifier: MIT */
/*
 * What to do about a failure: one table, keyed by the step and the errno, and by what is seen on
 * the machine. Each hint is something to type. Prints nothing.
 */
#pragma once

#include <stdint.h>

#include "base/error.h"
#include "device/users.h"

#define UB_HINTS_MAX 2
#define UB_HINT_SIZE 1200 /* holds a mount point with every byte of it quoted */

/* What a command knows about its failure. */
struct ub_facts {
	const char *verb;             /* NULL: none was given */
	const char *device;           /* as the user typed it, or its number; NULL: none */
	const struct ub_users *users; /* who is in the way; NULL: not known */
};

struct ub_hints {
	unsigned count;
	char text[UB_HINTS_MAX][UB_HINT_SIZE];
};

void ub_hints_find(const struct ub_error *err, const struct ub_facts *facts,
		   struct ub_hints *ret_hints);
