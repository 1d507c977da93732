/* SPDX-License-Identifier: MIT */
/*
 * Which pages of the mem target were written: a bit for each. They lie below the data, the first ones next to
 * it, and grow downwards as that grows upwards.
 */
#include "target/mem.h"

#include <stdatomic.h>
#include <string.h>

#define WORD_BITS 64U

uint64_t ub_mem_whole_pages(const struct ub_mem *m, uint64_t size)
{
	return (size + m->page - 1) / m->page * m->page;
}

uint64_t ub_mem_bits_of(const struct ub_mem *m, uint64_t size)
{
	uint64_t words = (ub_mem_whole_pages(m, size) / m->page + WORD_BITS - 1) / WORD_BITS;

	return ub_mem_whole_pages(m, words * sizeof(uint64_t));
}

static _Atomic uint64_t *word_of(const struct ub_mem *m, uint64_t page)
{
	return (_Atomic uint64_t *)(void *)m->data - 1 - page / WORD_BITS;
}

/* The bits of one word, of the pages from @page up to @end. */
static uint64_t mask_of(uint64_t page, uint64_t end)
{
	uint64_t first = page % WORD_BITS, count = end - page;

	return count >= WORD_BITS - first ? ~0ULL << first : ((1ULL << count) - 1) << first;
}

static uint64_t next_word(uint64_t page, uint64_t end)
{
	uint64_t next = (page / WORD_BITS + 1) * WORD_BITS;

	return next < end ? next : end;
}

void ub_mem_set_written(struct ub_mem *m, uint64_t page, uint64_t end)
{
	for (; page < end; page = next_word(page, end)) {
		uint64_t mask = mask_of(page, end);

		if (mask & ~atomic_load_explicit(word_of(m, page), memory_order_relaxed))
			atomic_fetch_or_explicit(word_of(m, page), mask, memory_order_relaxed);
	}
}

void ub_mem_set_unwritten(struct ub_mem *m, uint64_t page, uint64_t end)
{
	for (; page < end; page = next_word(page, end))
		atomic_fetch_and_explicit(word_of(m, page), ~mask_of(page, end),
					  memory_order_relaxed);
}

bool ub_mem_is_written(const struct ub_mem *m, uint64_t page)
{
	return atomic_load_explicit(word_of(m, page), memory_order_relaxed) >> page % WORD_BITS & 1;
}

uint64_t ub_mem_end_of_run(const struct ub_mem *m, uint64_t page, uint64_t end, bool written)
{
	/* That one may be another's by now. */
	for (page++; page < end; page = next_word(page, end)) {
		uint64_t word = atomic_load_explicit(word_of(m, page), memory_order_relaxed);
		uint64_t others = (written ? ~word : word) & mask_of(page, end);

		if (others)
			return page / WORD_BITS * WORD_BITS + (uint64_t)__builtin_ctzll(others);
	}
	return end;
}

void ub_mem_zero(struct ub_mem *m, uint64_t offset, uint64_t end)
{
	if (offset < end && ub_mem_is_written(m, offset / m->page))
		memset(m->data + offset, 0, end - offset);
}
