/* SPDX-License-Identifier: MIT */
#include "queue/count.h"

#define UNITS_IN_S (1000000000U / UB_STATS_UNIT_NS)

static unsigned kind_of(const struct ub_io *io)
{
	return io->op < UB_STATS_OPS ? io->op : UB_STATS_UNKNOWN;
}

static struct ub_stats_op *op_of(const struct ub_queue *q, const struct ub_io *io)
{
	return ub_count_op(q, kind_of(io));
}

/* What it has taken at the least, by its looks. */
static uint64_t least_units(const struct ub_queue *q, const struct ub_io *io)
{
	unsigned ages = io->timed >> UB_COUNT_AGE_SHIFT;

	return ages > 1 ? (uint64_t)(ages - 1) * q->look_each * UB_TIMER_S * UNITS_IN_S : 0;
}

void ub_count_init(struct ub_queue *q)
{
	for (unsigned kind = 0; kind < UB_STATS_OPS; kind++)
		q->places[kind] =
			(uint16_t)((char *)ub_stats_op(q->stats, kind) - (char *)q->stats);
	q->quick = q->ticks.counter ? UB_STATS_OPS : 0;
}

void ub_count_begins_slowly(struct ub_queue *q, struct ub_io *io)
{
	struct ub_stats_op *op = op_of(q, io);

	ub_stats_add(&op->begun, 1);
	io->timed = !q->ticks.counter && ub_count_skips(q, op, kind_of(io)) ? UB_COUNT_UNTIMED
									    : UB_COUNT_SAMPLE;
	if (ub_count_timed(io))
		io->began = ub_ticks_now(&q->ticks);
}

static void set_longest(struct ub_queue *q, unsigned kind, uint64_t units)
{
	struct ub_stats_op *op = ub_count_op(q, kind);

	if (units > op->most)
		ub_stats_set(&op->most, units);
	if (units > UB_STATS_UNITS_MAX)
		units = UB_STATS_UNITS_MAX;
	if (units > q->longest[kind])
		q->longest[kind] = (uint32_t)units;
}

void ub_count_ends_slowly(struct ub_queue *q, const struct ub_io *io, int result)
{
	unsigned kind = kind_of(io), bucket;
	uint64_t units, weight = 1;

	ub_count_result(ub_count_op(q, kind), io, result);
	if (!ub_count_timed(io))
		return;
	if (ub_count_timed(io) == UB_COUNT_SAMPLE) {
		weight += q->skipped[kind];
		q->skipped[kind] = 0;
	}
	units = ub_ticks_units(&q->ticks, io->began, ub_ticks_now(&q->ticks));
	/* The clock goes round. */
	if (units < least_units(q, io))
		units = least_units(q, io);
	bucket = ub_stats_bucket(units);
	if (kind <= UB_STATS_WRITE)
		ub_stats_add(&ub_stats_times(ub_count_op(q, kind))[bucket], weight);
	else
		ub_stats_add_small(&q->stats->other_times[bucket], weight);
	set_longest(q, kind, units);
}

void ub_count_returns(struct ub_queue *q, struct ub_io *io)
{
	struct ub_stats_op *op = op_of(q, io);

	ub_stats_add(&op->ended, -UINT64_C(1));
	ub_stats_add(&op->bytes, -(uint64_t)io->len);
	io->timed = UB_COUNT_UNTIMED;
}

void ub_count_goes_back(struct ub_queue *q, const struct ub_io *io)
{
	ub_stats_add(&op_of(q, io)->begun, -UINT64_C(1));
}
