/* SPDX-License-Identifier: MIT */
/* Paths on which only an I/O under way has a buffer: it is given one, or waits until one is put
 * back. */
#include <sys/mman.h>

#include "base/fault.h"
#include "queue/internal.h"

void ub_pooled_init(struct ub_queue *q)
{
	ub_pool_init(&q->pool, q->buffers, q->max_io, (uint32_t)(q->buffers_size / q->max_io),
		     q->buffer_cap, (struct ub_pool_slot *)(q->ios + q->depth));
	q->last_waiting = &q->waiting;
}

/* In the order in which they came, so that none waits for ever: a small one does not overtake. */
static void wait_for_buffer(struct ub_queue *q, struct ub_io *io)
{
	io->next = NULL;
	*q->last_waiting = io;
	q->last_waiting = &io->next;
}

void ub_pooled_begin(struct ub_queue *q, struct ub_io *io)
{
	if (!q->waiting)
		io->data = ub_pool_take(&q->pool, io->len);
	if (__builtin_expect(!io->data, 0))
		wait_for_buffer(q, io);
	else
		q->path->has_buffer(q, io);
}

/* Those that waited for the buffer that was just put back; ending one of them may come here again,
 * which then finds that it is being done. */
static void serve_waiting(struct ub_queue *q)
{
	if (q->serving_waiting)
		return;
	q->serving_waiting = true;
	while (q->waiting) {
		struct ub_io *io = q->waiting;

		io->data = ub_pool_take(&q->pool, io->len);
		if (!io->data)
			break;
		q->waiting = io->next;
		if (!q->waiting)
			q->last_waiting = &q->waiting;
		q->path->has_buffer(q, io);
	}
	q->serving_waiting = false;
}

void ub_pooled_put(struct ub_queue *q, struct ub_io *io)
{
	if (io->data) {
		ub_pool_put(&q->pool, io->data);
		io->data = NULL;
	}
	if (__builtin_expect(q->waiting != NULL, 0))
		serve_waiting(q);
}

void ub_pooled_spend(struct ub_queue *q, struct ub_io *io)
{
	ub_pool_spend(&q->pool, io->data);
	io->data = NULL;
}

void ub_pooled_put_spent(struct ub_queue *q)
{
	ub_pool_put_spent(&q->pool);
	if (__builtin_expect(q->waiting != NULL, 0))
		serve_waiting(q);
}

/* The kernel knows of no buffer but those of operations under way, whose slots are not free. */
void ub_pooled_give_back(struct ub_queue *q)
{
	ub_pool_trim(&q->pool);
	/* The test build's mistake. */
	if (ub_fault_is_wanted("give-back-busy"))
		(void)madvise(q->buffers, q->buffers_size, MADV_DONTNEED);
}
