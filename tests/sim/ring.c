/* SPDX-License-Identifier: MIT */
/* A ring itself: how it is made, the pages and buffers registered with it, its end. */
#include <errno.h>
#include <stdlib.h>

#include "sim.h"

struct node *node_get(struct ring *r, unsigned slot)
{
	struct node *node = slot < r->nr_slots ? r->slots[slot] : NULL;

	if (node)
		node->references++;
	return node;
}

void node_put(struct node *node)
{
	struct request *req = node->request;

	if (--node->references)
		return;
	free(node);
	req->references--;
	driver_put_reference(req);
}

int slot_register(struct ring *r, unsigned slot, struct request *req)
{
	struct node *node;

	if (slot >= r->nr_slots)
		object("slot %u, which the ring does not have", slot);
	if (r->slots[slot])
		return -EBUSY;
	node = calloc(1, sizeof(*node));
	*node = (struct node){.request = req, .references = 1};
	req->references++;
	r->slots[slot] = node;
	return 0;
}

int slot_unregister(struct ring *r, unsigned slot)
{
	struct node *node = slot < r->nr_slots ? r->slots[slot] : NULL;

	if (!node)
		return -EINVAL;
	r->slots[slot] = NULL;
	node_put(node);
	return 0;
}

void *buffer_select(struct ring *r, unsigned *ret_len, unsigned *ret_id)
{
	const struct io_uring_buf *buf;

	if (r->buffers->tail == r->buffers_head || chance(sim.config.no_buffers))
		return NULL;
	buf = &r->buffers->bufs[r->buffers_head++ & r->buffers_mask];
	*ret_len = buf->len;
	*ret_id = buf->bid;
	return (void *)(uintptr_t)buf->addr;
}

void timer_expire(struct ring *r)
{
	struct op *op = r->timers;

	r->timers = op->next;
	op_complete(op, -ETIME, 0);
}

static void drop_ops(struct op *list)
{
	while (list) {
		struct op *op = list;

		list = op->next;
		op_free(op);
	}
}

/* What was with a thread that is no more: done without it, or not at all. */
void ring_kill(struct ring *r)
{
	if (r->gone)
		return;
	r->gone = true;
	driver_cancel_ring(r);
	ring_drop_work(r);
	drop_ops(r->complete);
	drop_ops(r->timers);
	r->complete = r->timers = NULL;
	r->last_complete = &r->complete;
	for (unsigned i = 0; i < r->nr_slots; i++)
		(void)slot_unregister(r, i);
}

/* Of the server that is being made; the queue's own order is its number. */
int ring_make(struct io_uring *uring, unsigned entries, struct io_uring_params *params)
{
	struct ring *r = sim.server->rings;
	unsigned completions = params->cq_entries;

	while (r->used)
		r++;
	params->sq_entries = params->cq_entries = 1;
	while (params->sq_entries < entries)
		params->sq_entries *= 2;
	while (params->cq_entries < completions)
		params->cq_entries *= 2;
	params->features = 0;
	*r = (struct ring){.used = true,
			   .server = sim.server,
			   .uring = uring,
			   .sq_entries = params->sq_entries,
			   .cq_entries = params->cq_entries};
	r->last_work = &r->work;
	r->last_complete = &r->complete;
	r->array = calloc(r->sq_entries, sizeof(*r->array));
	r->sqes = calloc(r->sq_entries, sizeof(*r->sqes));
	r->cqes = calloc(r->cq_entries, sizeof(*r->cqes));
	*uring = (struct io_uring){
		.sq = {.khead = &r->sq_head,
		       .ktail = &r->sq_tail,
		       .kflags = &r->sq_flags,
		       .array = r->array,
		       .sqes = r->sqes,
		       .ring_mask = r->sq_entries - 1,
		       .ring_entries = r->sq_entries},
		.cq = {.khead = &r->cq_head,
		       .ktail = &r->cq_tail,
		       .koverflow = &r->overflow,
		       .cqes = r->cqes,
		       .ring_mask = r->cq_entries - 1,
		       .ring_entries = r->cq_entries},
		.flags = params->flags,
	};
	return 0;
}

struct ring *ring_of(const struct io_uring *uring)
{
	struct server *servers[] = {sim.server, sim.dying};

	for (unsigned s = 0; s < 2; s++)
		for (unsigned i = 0; servers[s] && i < RINGS_MAX; i++)
			if (servers[s]->rings[i].used && servers[s]->rings[i].uring == uring)
				return &servers[s]->rings[i];
	object("a ring that was never made");
}

void ring_free(struct ring *r)
{
	ring_kill(r);
	free(r->array);
	free(r->sqes);
	free(r->cqes);
	r->used = false;
}
