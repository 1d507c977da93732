/* SPDX-License-Identifier: MIT */
/*
 * A queue's ring, and its hot half: taking an SQE, and the one system call that submits and waits.
 * liburing makes and ends the ring; these two stand here because they are entered for every I/O, and
 * liburing 2.3 knows no way to wait without counting as I/O wait. Knows nothing of queues.
 */
#pragma once

#include <liburing.h>
#include <stdbool.h>

struct ub_ring {
	struct io_uring uring;
	unsigned entries, mask; /* of submissions */
	unsigned enter_flags;   /* of every io_uring_enter() */
	bool made;
};

/*
 * Makes a ring, still disabled, for one thread that enables it.
 * Return: 0, or a negative errno (-E2BIG: it has fewer entries than are wanted); then nothing is
 * left.
 */
int ub_ring_init(struct ub_ring *ring, unsigned submissions, unsigned completions);

/* Makes the ring the calling thread's. Return: 0 or a negative errno. */
int ub_ring_enable(struct ub_ring *ring);

/* Takes a ring that was never made, too. */
void ub_ring_done(struct ub_ring *ring);

/* SQEs that the kernel has not taken. */
static inline unsigned ub_ring_queued(const struct ub_ring *ring)
{
	return ring->uring.sq.sqe_tail - io_uring_smp_load_acquire(ring->uring.sq.khead);
}

/* Completions that io_uring_enter() would find at once, beside those that are there. */
static inline bool ub_ring_has_more(const struct ub_ring *ring)
{
	return *(volatile unsigned *)ring->uring.sq.kflags & IORING_SQ_TASKRUN;
}

/* The SQE that is queued at position @n from the first that the kernel has not taken. */
static inline struct io_uring_sqe *ub_ring_at(struct ub_ring *ring, unsigned n)
{
	return &ring->uring.sq.sqes[(*ring->uring.sq.khead + n) & ring->mask];
}

/* SQEs that can be taken before the kernel has to take some. */
static inline unsigned ub_ring_room(const struct ub_ring *ring)
{
	return ring->entries - ub_ring_queued(ring);
}

/* What is queued is never to reach the kernel. */
static inline void ub_ring_drop(struct ub_ring *ring)
{
	ring->uring.sq.sqe_tail -= ub_ring_queued(ring);
}

/* There is to be room. Return: a new SQE, as whoever had it left it. */
static inline struct io_uring_sqe *ub_ring_get(struct ub_ring *ring)
{
	struct io_uring_sq *sq = &ring->uring.sq;

	return &sq->sqes[sq->sqe_tail++ & ring->mask];
}

/*
 * Gives all that is queued to the kernel, but for the last @hold, lets it post what has completed, and
 * waits until there are @wait completions.
 * The kernel may take less: ub_ring_queued() tells.
 * Return: 0 or a negative errno.
 */
int ub_ring_enter(struct ub_ring *ring, unsigned wait, unsigned hold);
