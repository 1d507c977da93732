/* SPDX-License-Identifier: MIT */
/*
 * Where each tag is, and how many are busy or idle: nothing else may change it. Every step of an I/O
 * is one of these, and counts the I/Os that it makes busy or idle.
 */
#pragma once

#include "queue/internal.h"

enum {
	IO_IDLE,   /* not fetched yet, or given back for good */
	IO_PARKED, /* in the kernel: its buffer is the kernel's */
	IO_LINKED, /* in the kernel, which commits it when its operation has succeeded */
	IO_BUSY    /* with us: it has to be ended exactly once */
};

static inline bool ub_io_is_busy(const struct ub_io *io)
{
	return io->state == IO_BUSY;
}

/* Can the next that comes of it be an I/O? */
static inline bool ub_io_is_away(const struct ub_io *io)
{
	return io->state == IO_PARKED || io->state == IO_LINKED;
}

static inline bool ub_io_is_linked(const struct ub_io *io)
{
	return io->state == IO_LINKED;
}

static inline bool ub_queue_is_busy(const struct ub_queue *q)
{
	return q->busy != 0;
}

/* Is this I/O, which is busy, the only one that is? */
static inline bool ub_io_is_only(const struct ub_queue *q, const struct ub_io *io)
{
	return io->alone && q->busy == 1;
}

/* Can an operation that was linked to its commit be under way? One that has ended counts until its tag's
 * next request comes. */
static inline bool ub_queue_has_linked(const struct ub_queue *q)
{
	return q->linked != 0;
}

/* Has the driver given back every tag? */
static inline bool ub_queue_is_idle(const struct ub_queue *q)
{
	return q->idle == q->depth;
}

/* The kernel gets the tag, for its next I/O. */
static inline void ub_io_fetches(struct ub_queue *q, struct ub_io *io)
{
	(void)q;
	io->state = IO_PARKED;
}

/* An I/O has come in it. */
static inline void ub_io_arrives(struct ub_queue *q, struct ub_io *io)
{
	q->linked -= io->state == IO_LINKED;
	io->state = IO_BUSY;
	q->busy++;
}

/* The I/O is over, or the kernel has taken it back; it gets the tag for the next one. */
static inline void ub_io_goes(struct ub_queue *q, struct ub_io *io)
{
	io->state = IO_PARKED;
	q->busy--;
}

/* The kernel is to end the I/O. */
static inline void ub_io_leaves(struct ub_queue *q, struct ub_io *io)
{
	io->state = IO_LINKED;
	q->busy--;
	q->linked++;
}

/* It has done all but the commit, which is ours again. */
static inline void ub_io_unlinks(struct ub_queue *q, struct ub_io *io)
{
	q->linked--;
	io->state = IO_PARKED;
}

/* It could not; meanwhile the tag may have been given back. */
static inline void ub_io_returns(struct ub_queue *q, struct ub_io *io)
{
	q->idle -= io->state == IO_IDLE;
	q->linked -= io->state == IO_LINKED;
	io->state = IO_BUSY;
	q->busy++;
}

/* No I/O comes in it any more. */
static inline void ub_io_drops(struct ub_queue *q, struct ub_io *io)
{
	q->busy -= io->state == IO_BUSY;
	q->linked -= io->state == IO_LINKED;
	q->idle += io->state != IO_IDLE;
	io->state = IO_IDLE;
}
