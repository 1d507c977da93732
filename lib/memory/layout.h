/* SPDX-License-Identifier: MIT */
/*
 * How the memory of a device's queues lies: one stretch of addresses for each thread that serves them
 * (a queue has one thread, or several that share its requests, or a thread has several queues), all
 * alike, and in it one part after the other with a page between that nobody may touch. Arithmetic
 * alone, from numbers to numbers: what is planned, what is mapped and what is found in a running server
 * come from here.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

enum ub_part {
	UB_PART_STATE, /* queue, its target's part, I/Os, a cache line each, their pool's slots, and
			  * what the target has of each */
	UB_PART_STATS, /* what is counted of them; a file's pages, where there is one */
	UB_PART_BATCH, /* tags that come and results that go many at a time */
	UB_PART_STACK, /* of the thread that serves it */
	UB_PART_BUFFERS, /* for I/O data */
	UB_PART_COUNT
};

extern const char *const ub_part_names[UB_PART_COUNT];

/* Bytes. What the queue itself and an I/O take (queue/internal.h and target/io.h hold to it), and
 * the stack that serving needs, generously. */
#define UB_QUEUE_STATE_SIZE 1024U
#define UB_IO_STATE_SIZE 64U
#define UB_POOL_SLOT_SIZE 8U
#define UB_STATS_SIZE 8192U
#define UB_BATCH_SIZE 2304U
#define UB_BATCH_ELEMENT_SIZE 16U /* with the address of a buffer */
#define UB_BATCH_HEAD_SIZE 8U     /* without */
#ifdef __SANITIZE_THREAD__        /* which keeps its own there */
#define UB_STACK_SIZE (2U * 1024 * 1024)
#else
#define UB_STACK_SIZE (128U * 1024)
#endif

struct ub_layout {
	uint32_t queues, threads; /* and threads of each queue */
	uint32_t share;           /* queues of a thread: 1 where a queue has several threads */
	uint64_t stride;          /* from one stretch to the next one, bytes */
	uint64_t offset[UB_PART_COUNT]; /* of a part in the stretch */
	uint64_t size[UB_PART_COUNT];   /* whole pages; 0: the queue has no such part */
	uint64_t buffer_page;           /* bytes; larger than the others in huge pages */
};

struct ub_layout_facts {
	uint32_t queues, threads; /* and threads of each queue */
	uint32_t share;           /* queues of a thread */
	uint32_t depth;           /* I/Os of a thread, of all its queues */
	uint32_t target, io; /* bytes that the target and its layers keep of a thread, of an I/O */
	uint32_t batch_element;     /* bytes of each in batches; 0: they come and go one by one */
	uint64_t buffers;           /* bytes that a thread has of them; rounded up to pages */
	uint64_t page, buffer_page; /* bytes, powers of two; the latter not the smaller one */
};

/* Return: 0, or -EOVERFLOW when 64 bits are not enough. */
int ub_layout_make(struct ub_layout *ret_layout, const struct ub_layout_facts *facts);

static inline uint64_t ub_layout_stretches(const struct ub_layout *layout)
{
	return ((uint64_t)layout->queues + layout->share - 1) / layout->share * layout->threads;
}

/* The queue that a stretch is for; where that is several, the first of them. */
static inline uint32_t ub_layout_queue(const struct ub_layout *layout, uint64_t stretch)
{
	return (uint32_t)(stretch / layout->threads * layout->share);
}

/* Bytes of addresses that all of it takes, from an address that @buffer_page divides on, the
 * untouchable pages included. */
static inline uint64_t ub_layout_total(const struct ub_layout *layout, uint64_t page)
{
	return ub_layout_stretches(layout) * layout->stride + page;
}

/* @bytes rounded up to whole pages. */
static inline uint64_t ub_round_page(uint64_t bytes, uint64_t page)
{
	return (bytes + page - 1) & ~(page - 1);
}

/* What lies before a thread's I/Os: the queue, and @target bytes of its target's. */
static inline uint64_t ub_layout_before_ios(uint32_t target)
{
	return UB_QUEUE_STATE_SIZE + ub_round_page(target, UB_IO_STATE_SIZE);
}
