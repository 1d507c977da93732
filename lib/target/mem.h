/* SPDX-License-Identifier: MIT */
/*
 * What the parts of the mem target share: mem.c serves, mem_file.c has the memory, which can go on to another
 * server and grow, mem_pages.c knows what was written of it.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "target/target.h"

/* What is mapped. The queues change data and bits; the rest only the main thread. */
struct ub_mem {
	char *data; /* NULL: not mapped; below it the bits of its pages, see mem_pages.c */
	size_t size;
	size_t bits; /* bytes of them, whole pages */
	uint64_t page;
	int fd;         /* locked while it is served; at least as long as the data */
	bool lock;      /* what is mapped later is to be locked, too */
	bool strict;    /* the kernel may have no page for a first write */
	size_t settled; /* up to there ub_mem_settle() has been */
};

/* Return: @size rounded up, bytes. */
uint64_t ub_mem_whole_pages(const struct ub_mem *m, uint64_t size);

/* Return: bytes of the bits of a device of @size bytes, whole pages. */
uint64_t ub_mem_bits_of(const struct ub_mem *m, uint64_t size);

/* Of the pages from @page up to @end, before something is written to them. From any thread, as all of these. */
void ub_mem_set_written(struct ub_mem *m, uint64_t page, uint64_t end);

/* Of the pages from @page up to @end, before they are given back: what is written meanwhile keeps its bit. */
void ub_mem_set_unwritten(struct ub_mem *m, uint64_t page, uint64_t end);

/* Return: has the page been written, so that what it holds is the device's? */
bool ub_mem_is_written(const struct ub_mem *m, uint64_t page);

/* Return: the end of the pages from @page on that have been @written or not, as that one, at most @end. */
uint64_t ub_mem_end_of_run(const struct ub_mem *m, uint64_t page, uint64_t end, bool written);

/* Zeroes from @offset up to @end, bytes of one page. Of what was never written nothing is there that could
 * be zeroed. */
void ub_mem_zero(struct ub_mem *m, uint64_t offset, uint64_t end);

/* Maps @size bytes, zeroes, or what the server before has handed over as soon as that one is gone.
 * Return: 0, or a negative errno with a message; ub_mem_unmap() undoes it, and what it has come to. */
int ub_mem_map(struct ub_mem *m, const struct ub_open_request *req, uint64_t size,
	       struct ub_error *err);
void ub_mem_unmap(struct ub_mem *m);

/* Tells @tgt where the memory is, or how much there will be. */
void ub_mem_tell(struct ub_tgt *tgt);

/* Of struct ub_target. */
int ub_mem_hand_over(struct ub_tgt *tgt);
bool ub_mem_settle(struct ub_tgt *tgt);
int ub_mem_make_room(struct ub_tgt *tgt, uint64_t size);

/* Gives back what lies beyond ub_tgt.size. */
void ub_mem_shrink(struct ub_tgt *tgt);
