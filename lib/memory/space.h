/* SPDX-License-Identifier: MIT */
/*
 * All memory that a server makes for its queues, as a struct ub_layout says: one mapping, made at
 * once and undone at once. Every page is touched on first use only, and every part ends at pages
 * that can't be touched, so that an overrun is a fault and not a neighbour's data. Owns the
 * mapping; knows nobody. Huge pages are reserved with the mapping, or refused: later none can be
 * missing.
 */
#pragma once

#include <stddef.h>

#include "base/error.h"
#include "memory/layout.h"

struct ub_space {
	struct ub_layout layout;
	char *base; /* of the first stretch; NULL: not mapped */
	size_t total;
};

/* Return: 0, -EOVERFLOW, or the errno of mmap or mprotect (-ENOMEM: too few huge pages are free). */
int ub_space_init(struct ub_space *space, const struct ub_layout *layout, struct ub_error *err);
void ub_space_done(struct ub_space *space);

static inline void *ub_space_part(const struct ub_space *space, unsigned stretch, enum ub_part part)
{
	return space->base + stretch * space->layout.stride + space->layout.offset[part];
}

/*
 * Has a stretch's memory come from NUMA node @node as long as that has any; before it is touched.
 * Return: 0 or a negative errno (-EINVAL: there is no such node).
 */
int ub_space_bind(struct ub_space *space, unsigned stretch, unsigned node);

/*
 * Has what the kernel allocates for this thread from now on, such as a ring, come from NUMA node
 * @node as long as that has any; -1: from anywhere, as before. Where that can't be had, it comes from
 * anywhere.
 */
void ub_memory_prefer(int node);

/*
 * Touches a stretch's huge pages: reserved, they are nobody else's in any case; and what a control
 * group refuses is refused now, not with SIGBUS at some request. After ub_space_bind().
 * Return: 0, or the errno of madvise (-EFAULT, -ENOMEM: refused).
 */
int ub_space_touch_huge(struct ub_space *space, unsigned stretch);

/*
 * Hints for anonymous memory whose use is known: small pages (with transparent huge ones a few
 * small requests would touch 2 MiB), not in core dumps, and @name in /proc/PID/smaps. A kernel that
 * can't follow them works as well.
 */
void ub_memory_hint(void *base, size_t size, const char *name);
