/* SPDX-License-Identifier: MIT */
/*
 * What is counted of each I/O (stats/stats.h), and its time: from the completion that brings it to its
 * commit. Where the clock is the processor's counter, that is every one's, but for those whose commit the
 * kernel carries out (link.c): nobody sees their end. Of these, and where the clock costs more, one of many
 * is timed, and counts for those that came before it and were not.
 *
 * What is here is the way of most I/Os, without a call; count.c has the others'.
 */
#pragma once

#include "queue/internal.h"

/* Is an I/O's time taken, the quick way, or the slow one, where it may stand for several? Above that is how many
 * looks it has lived through (stall.c); so the few that have are not ended the quick way. */
enum { UB_COUNT_UNTIMED, UB_COUNT_TIMED, UB_COUNT_SAMPLE, UB_COUNT_MASK };
#define UB_COUNT_AGE_SHIFT 2
#define UB_COUNT_AGE_MAX 63U

static inline unsigned ub_count_timed(const struct ub_io *io)
{
	return io->timed & UB_COUNT_MASK;
}

/* It has lived through another look. Return: how many by now, at most UB_COUNT_AGE_MAX */
static inline unsigned ub_count_ages(struct ub_io *io)
{
	if (io->timed >> UB_COUNT_AGE_SHIFT < UB_COUNT_AGE_MAX)
		io->timed = (uint8_t)(io->timed + (1U << UB_COUNT_AGE_SHIFT));
	return io->timed >> UB_COUNT_AGE_SHIFT;
}

/* With the queue's place for numbers, and its clock. */
void ub_count_init(struct ub_queue *q);

void ub_count_begins_slowly(struct ub_queue *q, struct ub_io *io);
void ub_count_ends_slowly(struct ub_queue *q, const struct ub_io *io, int result);

static inline struct ub_stats_op *ub_count_op(const struct ub_queue *q, size_t kind)
{
	return (void *)((char *)q->stats + q->places[kind]);
}

/* Of so many one is timed where not all are: few, since it is not linked for that. Of each kind the first
 * one is timed in any case. */
#define UB_COUNT_EVERY 128U
static inline bool ub_count_skips(struct ub_queue *q, const struct ub_stats_op *op, unsigned kind)
{
	if (q->skipped[kind] == UB_COUNT_EVERY - 1 || !op->most)
		return false;
	q->skipped[kind]++;
	return true;
}

/* It has come. */
static inline void ub_count_begins(struct ub_queue *q, struct ub_io *io)
{
	struct ub_stats_op *op;

	if (__builtin_expect(io->op >= q->quick, 0)) {
		ub_count_begins_slowly(q, io);
		return;
	}
	op = ub_count_op(q, io->op);
	ub_stats_add(&op->begun, 1);
	io->timed = UB_COUNT_TIMED;
	if (io->alone && q->links && io->op <= UB_STATS_WRITE) {
		io->timed = UB_COUNT_SAMPLE;
		if (__builtin_expect(ub_count_skips(q, op, io->op), 1)) {
			io->timed = UB_COUNT_UNTIMED;
			return;
		}
	}
	io->began = ub_ticks_counter();
}

static inline void ub_count_result(struct ub_stats_op *op, const struct ub_io *io, int result)
{
	ub_stats_add(&op->ended, 1);
	if (__builtin_expect(result < 0, 0))
		ub_stats_add(&op->errors, 1);
	else
		ub_stats_add(&op->bytes, io->len);
}

/* Its commit is given to the kernel. Return: false: not counted yet, but for ub_count_ends_slowly(). */
static inline bool ub_count_ends(struct ub_queue *q, const struct ub_io *io, int result)
{
	size_t kind = io->op;
	struct ub_stats_op *op;
	uint64_t units;
	unsigned bucket;

	if (__builtin_expect(io->timed != UB_COUNT_TIMED, 0))
		return false;
	units = ub_ticks_units(&q->ticks, io->began, ub_ticks_counter());
	if (__builtin_expect(units > q->longest[kind], 0))
		return false;
	op = ub_count_op(q, kind);
	ub_count_result(op, io, result);
	bucket = ub_stats_bucket_below((uint32_t)units);
	if (__builtin_expect(kind <= UB_STATS_WRITE, 1))
		ub_stats_add(&ub_stats_times(op)[bucket], 1);
	else
		ub_stats_add_small(&q->stats->other_times[bucket], 1);
	return true;
}

/* The kernel is to end it, and tells only if it could not. */
static inline void ub_count_leaves(struct ub_queue *q, const struct ub_io *io)
{
	ub_count_result(ub_count_op(q, io->op), io, 0);
}

/* It was counted as done, and is not. */
void ub_count_returns(struct ub_queue *q, struct ub_io *io);
/* The kernel has taken it back: it will come again. */
void ub_count_goes_back(struct ub_queue *q, const struct ub_io *io);
