/* SPDX-License-Identifier: MIT */
/*
 * When what was written is durable, and what is told when it is lost.
 *
 * The kernel tells a failed write-back once per open file description, to the sync that asks next
 * (file_check_and_advance_wb_err()): of two syncs at a time through one description, one learns
 * nothing of it. So each thread syncs through a description of its own, and one at a time; what comes
 * meanwhile joins the next one, since the one under way may have begun before its data was there.
 *
 * A durable write (FUA) is a plain write and then the sync of its range: with RWF_DSYNC it would be
 * synced through the description of all threads' I/O, beside others. So it is for files with direct
 * I/O too, since there are file systems that take that for a hint. Only with direct I/O on a block
 * device the write itself is durable: it is a bio with REQ_FUA, which ends with its own error, and no
 * page cache has part in it.
 */
#include "kernel/uapi.h"
#include "target/loop.h"

static struct ub_loop_syncs *syncs_of(struct ub_queue *q)
{
	return ub_queue_state(q);
}

int ub_loop_write_error(struct ub_queue *q)
{
	return atomic_load_explicit(&ub_queue_target(q)->write_error, memory_order_relaxed);
}

void ub_loop_keep_write_error(struct ub_queue *q, int error)
{
	int none = 0;

	/* The first one stays. */
	(void)atomic_compare_exchange_strong(&ub_queue_target(q)->write_error, &none, error);
}

/* Puts the sync on the ring: of the range that all want who wait for it. */
static void issue(struct ub_queue *q, struct ub_io *io)
{
	unsigned file = io->step == STEP_PUSH ? UB_LOOP_BACKING : UB_LOOP_SYNC;
	const struct ub_loop *loop = ub_queue_target(q)->state;
	uint64_t from = UINT64_MAX, to = 0;
	bool all = false;

	for (const struct ub_io *i = syncs_of(q)->running; i; i = i->next) {
		all |= i->op == UBLK_IO_OP_FLUSH;
		from = i->offset < from ? i->offset : from;
		to = i->offset + i->len > to ? i->offset + i->len : to;
	}
	/* With direct I/O there is nothing to be written back, of whatever range: the rest is the same. */
	if (all || loop->direct || to - from > UINT32_MAX)
		ub_io_fsync(q, io, file, 0, 0);
	else
		ub_io_fsync(q, io, file, loop->offset + from, (uint32_t)(to - from));
}

static void go(struct ub_queue *q, struct ub_io *io, enum ub_loop_step step)
{
	io->step = (uint8_t)step;
	io->tries = 0;
	issue(q, io);
}

static void start(struct ub_queue *q, struct ub_loop_syncs *syncs)
{
	const struct ub_loop *loop = ub_queue_target(q)->state;

	syncs->running = syncs->waiting;
	syncs->waiting = NULL;
	go(q, syncs->running, loop->pushes ? STEP_PUSH : STEP_SYNC);
}

void ub_loop_sync(struct ub_queue *q, struct ub_io *io)
{
	struct ub_loop_syncs *syncs = syncs_of(q);

	io->next = syncs->waiting;
	syncs->waiting = io;
	if (!syncs->running)
		start(q, syncs);
}

/*
 * Is it the error of a write-back? Of those that say that nothing was tried it is not; any other one
 * of a sync may stand for data of earlier writes that are gone, a lack of room too: with delayed
 * allocation that is found by the write-back.
 */
static bool is_loss(int error)
{
	return error != -EAGAIN && error != -EINTR && error != -ECANCELED;
}

void ub_loop_synced(struct ub_queue *q, struct ub_io *io, int res)
{
	struct ub_loop_syncs *syncs = syncs_of(q);
	struct ub_io *next;

	if (ub_loop_again(io, res)) {
		issue(q, io);
		return;
	}
	if (res >= 0 && io->step == STEP_PUSH) {
		go(q, io, STEP_SYNC);
		return;
	}
	if (res < 0 && is_loss(res))
		ub_loop_keep_write_error(q, res);
	/* Another thread may have been told of what this one wants to know. */
	if (res >= 0)
		res = ub_loop_write_error(q);
	io = syncs->running;
	syncs->running = NULL;
	if (syncs->waiting)
		start(q, syncs);
	for (; io; io = next) {
		next = io->next;
		ub_io_end(q, io, ub_loop_told(res));
	}
}
