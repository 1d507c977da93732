/* SPDX-License-Identifier: MIT */
/*
 * The way of an I/O through the layers (layer/layer.h): down to the target, and up to its end. A device
 * without layers does not come here: its queue calls the target and its path themselves.
 */
#include "layer/layer.h"
#include "queue/internal.h"

/* What the queue keeps of an I/O for all layers, before what they have of it. */
struct wait {
	struct __kernel_timespec time; /* of its timer; the kernel reads it when it is submitted */
	uint8_t kept;                  /* one more than who keeps it; 0: nobody */
	uint8_t passed;                /* a bit for each layer that was off when it came there */
};

_Static_assert(sizeof(struct wait) == UB_LAYER_WAIT_SIZE, "layer/layer.h counts on it");
_Static_assert(UB_LAYERS_MAX <= 8, "a byte has a bit for each");

static struct wait *wait_of(struct ub_queue *q, const struct ub_io *io)
{
	return (void *)((char *)ub_io_state(q, io) + q->target->layers->wait_at);
}

static void go_down(struct ub_queue *q, struct ub_io *io, unsigned at)
{
	const struct ub_layers *layers = q->target->layers;

	for (; at < layers->count; at++) {
		if (!atomic_load_explicit(&layers->on[at].off, memory_order_acquire)) {
			layers->on[at].type->submit(q, io, at);
			return;
		}
		wait_of(q, io)->passed |= (uint8_t)(1U << at);
	}
	q->target->type->submit(q, io);
}

static void go_up(struct ub_queue *q, struct ub_io *io, unsigned at, int error)
{
	const struct ub_layers *layers = q->target->layers;

	while (at > 0) {
		at--;
		if (layers->on[at].type->ended && !(wait_of(q, io)->passed >> at & 1)) {
			layers->on[at].type->ended(q, io, at, error);
			return;
		}
	}
	ub_queue_end(q, io, error);
}

static void submit(struct ub_queue *q, struct ub_io *io)
{
	wait_of(q, io)->passed = 0;
	go_down(q, io, 0);
}

static void end(struct ub_queue *q, struct ub_io *io, int result)
{
	go_up(q, io, q->target->layers->count, result < 0 ? result : 0);
}

void ub_layers_init(struct ub_queue *q)
{
	const struct ub_tgt *tgt = q->target;

	q->io_stride = ub_layers_io_bytes(tgt->type, tgt->layers ? tgt->layers->list : NULL);
	q->io_state = (char *)(q->ios + q->depth) + (size_t)q->depth * UB_POOL_SLOT_SIZE;
	q->submit = tgt->layers ? submit : tgt->type->submit;
	q->end = tgt->layers ? end : q->path->end;
	/* Whoever has passed an I/O on wants to see it end. */
	q->links = q->path->links && !tgt->layers;
}

void ub_layers_done(struct ub_queue *q)
{
	const struct ub_layers *layers = q->target->layers;

	for (unsigned i = 0; layers && i < layers->count; i++)
		if (layers->on[i].type->queue_close && !layers->on[i].off)
			layers->on[i].type->queue_close(&layers->on[i], ub_layer_queue_state(q, i));
}

void ub_layer_pass(struct ub_queue *q, struct ub_io *io, unsigned at)
{
	go_down(q, io, at + 1);
}

void ub_layer_end(struct ub_queue *q, struct ub_io *io, unsigned at, int error)
{
	go_up(q, io, at, error);
}

void ub_layer_wait(struct ub_queue *q, struct ub_io *io, unsigned at, uint64_t ns)
{
	struct wait *wait = wait_of(q, io);
	struct io_uring_sqe *sqe = ub_queue_sqe(q);

	wait->time = (struct __kernel_timespec){.tv_sec = (int64_t)(ns / 1000000000),
						.tv_nsec = (int64_t)(ns % 1000000000)};
	wait->kept = (uint8_t)(at + 1);
	io_uring_prep_timeout(sqe, &wait->time, 0, 0);
	sqe->user_data = ub_io_data(q, io, DATA_WAIT);
	io->pending++;
}

void ub_layers_waited(struct ub_queue *q, struct ub_io *io)
{
	struct wait *wait = wait_of(q, io);
	unsigned at = wait->kept - 1U;

	wait->kept = 0;
	q->target->layers->on[at].type->waited(q, io, at);
}

void ub_layer_write(struct ub_queue *q, unsigned at, int fd, const void *mem, uint32_t len,
		    uint64_t offset)
{
	struct io_uring_sqe *sqe = ub_queue_sqe(q);

	io_uring_prep_write(sqe, fd, mem, len, offset);
	sqe->user_data = DATA(DATA_WRITE, 0) | DATA_OP(UB_OP_ID(at));
}

void ub_layers_written(struct ub_queue *q, unsigned at, int res)
{
	q->target->layers->on[at].type->written(q, at, res);
}

const struct ub_layer_on *ub_layer_on(const struct ub_queue *q, unsigned at)
{
	return &q->target->layers->on[at];
}

void *ub_layer_queue_state(struct ub_queue *q, unsigned at)
{
	return (char *)q->own.state + q->target->layers->on[at].queue_at;
}

void *ub_layer_io_state(struct ub_queue *q, const struct ub_io *io, unsigned at)
{
	return (char *)ub_io_state(q, io) + q->target->layers->on[at].io_at;
}

unsigned ub_layer_io_queue(const struct ub_queue *q, const struct ub_io *io)
{
	return ub_io_queue(q, io);
}

bool ub_layers_keep(struct ub_queue *q, const struct ub_io *io)
{
	return q->target->layers && wait_of(q, io)->kept;
}

void ub_layer_fault(struct ub_queue *q, unsigned at, int error)
{
	int none = 0;

	if (atomic_compare_exchange_strong(&q->target->layers->on[at].error, &none, error))
		ub_queue_tell(q);
}
