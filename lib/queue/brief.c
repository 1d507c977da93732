/* SPDX-License-Identifier: MIT */
/*
 * Whether an operation that blocks (a sync, a hole) will be over soon and keep nobody waiting, as far
 * as can be told. It is guessed by a moving average, which must not be old: a disk goes to sleep, a
 * journal fills. The first one after a pause is a worker's, whose time is taken like that of the
 * others. A wrong guess is one call; the average is then above the limit for as long as it was wrong.
 */
#include "base/fault.h"
#include "queue/internal.h"
#include "queue/state.h"

#define LIMIT_NS 200000U
#define RECENT_NS 1000000000U
#define WEIGHT 8 /* of the average against the last one */

/* The only I/O, and nothing that is queued or ready waits for this thread, either. */
bool ub_brief_is_only(struct ub_queue *q, const struct ub_io *io)
{
	return q->target->brief && ub_io_is_only(q, io) && ub_ring_queued(&q->ring) == 0 &&
	       !q->commands->has_more(q) && io_uring_cq_ready(&q->ring.uring) <= q->commits &&
	       !ub_ring_has_more(&q->ring);
}

bool ub_brief_is_short(const struct ub_queue *q, enum ub_brief_kind kind, uint64_t now)
{
	const struct ub_brief *b = &q->brief[kind];

	/* An emulated machine of the tests may be slow. */
	if (ub_fault_is_wanted("brief"))
		return true;
	return b->ended_ns && now - b->ended_ns < RECENT_NS && b->average_ns < LIMIT_NS;
}

void ub_brief_note(struct ub_queue *q, enum ub_brief_kind kind, uint64_t began)
{
	struct ub_brief *b = &q->brief[kind];
	uint64_t now = ub_now_ns(), took = now - began;

	if (!b->ended_ns || began - b->ended_ns >= RECENT_NS)
		b->average_ns = took;
	else
		b->average_ns = (b->average_ns * (WEIGHT - 1) + took) / WEIGHT;
	b->ended_ns = now;
}

bool ub_brief_time(struct ub_queue *q, const struct ub_io *io, enum ub_brief_kind kind)
{
	if (q->began_ns || !ub_brief_is_only(q, io))
		return false;
	q->began_ns = ub_now_ns();
	q->began_kind = (uint8_t)kind;
	return true;
}

void ub_brief_timed(struct ub_queue *q)
{
	ub_brief_note(q, (enum ub_brief_kind)q->began_kind, q->began_ns);
	q->began_ns = 0;
}
