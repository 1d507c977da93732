/* SPDX-License-Identifier: MIT */
/*
 * One queue's I/O buffers: one mapping, cut into slots of equal size, page aligned, with a guard
 * page at each end. Nothing of it is touched before a slot is used for the first time. Owns the
 * mapping; knows nobody.
 */
#pragma once

#include <stddef.h>

#include "base/error.h"

struct ub_arena {
	char *base;       /* of the first slot */
	size_t slot_size; /* bytes; a multiple of the page */
	size_t slots;
};

/*
 * Maps @slots slots of at least @slot_size bytes each. Small pages are insisted on, since with
 * transparent huge pages a few small requests would touch 2 MiB. @name shows in /proc/PID/smaps
 * where the kernel can name mappings.
 * Return: 0, -EOVERFLOW, or mmap's errno.
 */
int ub_arena_init(struct ub_arena *arena, size_t slots, size_t slot_size, const char *name,
		  struct ub_error *err);
void ub_arena_done(struct ub_arena *arena);

static inline void *ub_arena_slot(const struct ub_arena *arena, size_t slot)
{
	return arena->base + slot * arena->slot_size;
}
