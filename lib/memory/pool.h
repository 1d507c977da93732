/* SPDX-License-Identifier: MIT */
/*
 * A queue's buffers on data paths where only an I/O that is under way needs one. A slot is as large
 * as the largest request, but addresses cost nothing: what is counted, and capped, is the pages that
 * its users have touched. The slot used last is given out first, since its pages are there and in
 * the cache; those that lie idle longest are returned first when the cap is reached. One thread's,
 * but for the cap; takes no memory of its own and knows nobody.
 */
#pragma once

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

#include "memory/layout.h"

struct ub_pool_slot {
	uint32_t free; /* the stack of free slots: entry n is the nth one's number; spent ones from
			   * the end on, downwards */
	uint32_t touched; /* bytes from its start on that may be in memory */
};

_Static_assert(sizeof(struct ub_pool_slot) == UB_POOL_SLOT_SIZE, "the layout leaves it this room");

struct ub_pool {
	char *base;
	size_t slot_size;           /* bytes, whole pages */
	size_t page;                /* bytes, a power of two */
	_Atomic uint64_t cap;       /* bytes in all slots, at the most; others may change it */
	uint64_t touched;           /* bytes in all slots */
	struct ub_pool_slot *slots; /* borrowed */
	uint32_t count, free;       /* slots, and how many of them are free */
	uint32_t spent;             /* and how many are not in use, but not yet to be given out */
};

/*
 * @base: @count slots of @slot_size bytes, untouched
 * @cap: bytes that may be in memory at once; at least one slot's
 */
void ub_pool_init(struct ub_pool *pool, char *base, size_t slot_size, uint32_t count, uint64_t cap,
		  struct ub_pool_slot *slots);

/* From any thread: another cap, at least one slot's. What is over it goes as buffers are taken. */
void ub_pool_set_cap(struct ub_pool *pool, uint64_t cap);

/* A buffer of @len bytes, at most a slot's. Return: NULL if that would be over the cap: try again
 * when one has been put back. */
void *ub_pool_take(struct ub_pool *pool, size_t len);
void ub_pool_put(struct ub_pool *pool, void *buffer);

/* The buffer is to be put back later: when ub_pool_put_spent() puts back all of these. */
void ub_pool_spend(struct ub_pool *pool, void *buffer);
void ub_pool_put_spent(struct ub_pool *pool);

/* Returns the memory of all free slots to the system. */
void ub_pool_trim(struct ub_pool *pool);
