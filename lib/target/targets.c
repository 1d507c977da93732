/* SPDX-License-Identifier: MIT */
/* The table of targets. */
#include "target/target.h"

#include <string.h>

/* The test builds' example: tests/example. */
#ifdef UB_EXAMPLE
#define EXAMPLE(X) X(mirror)
#else
#define EXAMPLE(X)
#endif

/* A new target is one more line here. */
#define TARGETS(X) \
	X(null)    \
	X(loop)    \
	X(mem)     \
	X(nbd)     \
	X(rbd)     \
	EXAMPLE(X)

#define DECLARE(name) extern const struct ub_target ub_target_##name;
#define ROW(name) &ub_target_##name,

TARGETS(DECLARE)

const struct ub_target *const ub_targets[] = {TARGETS(ROW) NULL};

const struct ub_target *ub_target_find(const char *name)
{
	for (const struct ub_target *const *t = ub_targets; *t; t++)
		if (strcmp((*t)->name, name) == 0)
			return *t;
	return NULL;
}
