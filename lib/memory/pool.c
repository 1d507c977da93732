/* SPDX-License-Identifier: MIT */
#include "memory/pool.h"

#include <stdbool.h>
#include <sys/mman.h>
#include <unistd.h>

void ub_pool_init(struct ub_pool *pool, char *base, size_t slot_size, uint32_t count, uint64_t cap,
		  struct ub_pool_slot *slots)
{
	*pool = (struct ub_pool){
		.base = base,
		.slot_size = slot_size,
		.page = (size_t)sysconf(_SC_PAGESIZE),
		.cap = cap,
		.slots = slots,
		.count = count,
		.free = count,
	};
	/* The first one on top. */
	for (uint32_t i = 0; i < count; i++)
		slots[i] = (struct ub_pool_slot){.free = count - 1 - i};
}

void ub_pool_set_cap(struct ub_pool *pool, uint64_t cap)
{
	atomic_store_explicit(&pool->cap, cap, memory_order_relaxed);
}

static bool is_over(struct ub_pool *pool, uint64_t more)
{
	return pool->touched + more > atomic_load_explicit(&pool->cap, memory_order_relaxed);
}

static void return_slot(struct ub_pool *pool, uint32_t slot)
{
	uint32_t touched = pool->slots[slot].touched;

	if (!touched)
		return;
	(void)madvise(pool->base + slot * pool->slot_size, touched, MADV_DONTNEED);
	pool->touched -= touched;
	pool->slots[slot].touched = 0;
}

/* From the bottom of the stack, where those lie that were used longest ago. */
static void make_room(struct ub_pool *pool, uint64_t want)
{
	for (uint32_t i = 0; i + 1 < pool->free && is_over(pool, want); i++)
		return_slot(pool, pool->slots[i].free);
}

void *ub_pool_take(struct ub_pool *pool, size_t len)
{
	uint32_t slot, size = (uint32_t)ub_round_page(len, pool->page), more;

	if (__builtin_expect(pool->free == 0, 0))
		return NULL;
	slot = pool->slots[pool->free - 1].free;
	more = size > pool->slots[slot].touched ? size - pool->slots[slot].touched : 0;
	if (__builtin_expect(is_over(pool, more), 0)) {
		make_room(pool, more);
		if (is_over(pool, more))
			return NULL;
	}
	pool->slots[slot].touched += more;
	pool->touched += more;
	pool->free--;
	return pool->base + slot * pool->slot_size;
}

static uint32_t slot_of(const struct ub_pool *pool, const void *buffer)
{
	return (uint32_t)((size_t)((const char *)buffer - pool->base) / pool->slot_size);
}

void ub_pool_put(struct ub_pool *pool, void *buffer)
{
	pool->slots[pool->free++].free = slot_of(pool, buffer);
}

void ub_pool_spend(struct ub_pool *pool, void *buffer)
{
	pool->slots[pool->count - ++pool->spent].free = slot_of(pool, buffer);
}

/* The two stacks may touch: what was spent last lies lowest, and moves first. */
void ub_pool_put_spent(struct ub_pool *pool)
{
	for (; pool->spent > 0; pool->spent--)
		pool->slots[pool->free++].free = pool->slots[pool->count - pool->spent].free;
}

void ub_pool_trim(struct ub_pool *pool)
{
	for (uint32_t i = 0; i < pool->free; i++)
		return_slot(pool, pool->slots[i].free);
}
