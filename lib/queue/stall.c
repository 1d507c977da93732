/* SPDX-License-Identifier: MIT */
/*
 * I/Os that are in hand for too long. The thread looks at its own when its timer is over, so that what an I/O
 * costs does not change: each that is busy then has lived through one look more, and the first that has lived
 * through so many is told of. Whoever watches the threads (server/stall.c) sees those that do not come back
 * to look, and asks the block layer of what the kernel is to end by itself, which looks the same here in
 * hand and done.
 */
#include "queue/count.h"
#include "queue/internal.h"
#include "queue/state.h"

/* Most looks that an I/O can live through and still be counted: where more are needed only some are made. */
#define LOOKS_MAX 32U
#define NEVER UINT8_MAX

_Static_assert(LOOKS_MAX < UB_COUNT_AGE_MAX && UB_COUNT_AGE_MAX < NEVER,
	       "an I/O's looks have room");

void ub_stall_init(struct ub_queue *q, uint32_t stall_s)
{
	uint32_t looks = (stall_s + UB_TIMER_S - 1) / UB_TIMER_S;

	q->look_each = looks / LOOKS_MAX + 1;
	q->look_in = q->look_each;
	/* And one more, since nobody knows how long before the first one it came. */
	q->looks = (uint8_t)(stall_s ? (looks + q->look_each - 1) / q->look_each + 1 : NEVER);
}

void ub_stall_begins(struct ub_queue *q)
{
	if (atomic_exchange(&q->beats, true))
		return;
	atomic_store(&q->asks, false);
	ub_queue_tell(q);
}

/* Nothing is busy. */
static void rest(struct ub_queue *q, bool asks)
{
	bool news = atomic_load(&q->stalled) || asks;

	atomic_store(&q->stalled, 0);
	atomic_store(&q->asks, asks);
	atomic_store(&q->beats, false);
	if (news)
		ub_queue_tell(q);
}

void ub_stall_rests(struct ub_queue *q)
{
	rest(q, ub_queue_has_linked(q));
}

void ub_stall_ends(struct ub_queue *q)
{
	rest(q, false);
}

void ub_stall_look(struct ub_queue *q)
{
	uint32_t stalled = 0;
	uint8_t op = 0;

	atomic_fetch_add(&q->beat, 1);
	if (--q->look_in)
		return;
	q->look_in = q->look_each;
	for (unsigned i = 0; i < q->depth && ub_queue_is_busy(q); i++) {
		struct ub_io *io = &q->ios[i];

		if (!ub_io_is_busy(io) || ub_layers_keep(q, io) || ub_count_ages(io) < q->looks)
			continue;
		stalled++;
		op = io->op;
	}
	if (stalled == atomic_load(&q->stalled) && (!stalled || op == atomic_load(&q->stalled_op)))
		return;
	atomic_store(&q->stalled_op, op);
	atomic_store(&q->stalled, stalled);
	ub_queue_tell(q);
}

void ub_queue_get_pulse(struct ub_queue *q, struct ub_queue_pulse *ret_pulse)
{
	ret_pulse->beats = atomic_load(&q->beats);
	ret_pulse->beat = atomic_load(&q->beat);
	ret_pulse->asks = atomic_load(&q->asks);
	ret_pulse->stalled = atomic_load(&q->stalled);
	ret_pulse->op = atomic_load(&q->stalled_op);
}
