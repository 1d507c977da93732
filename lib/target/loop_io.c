/* SPDX-License-Identifier: MIT */
/*
 * The way of one I/O through the loop target. Each has one operation on the ring at a time; its
 * step says which. It knows neither how the backing was opened nor where the data lies in memory.
 *
 * What is promised to the client:
 * - a result is whole or an error: what the kernel did in part is taken up again;
 * - a flush is an fdatasync, and FUA is durable when it ends;
 * - after a write-back that failed, every later flush and FUA fails too: the page cache has dropped
 *   the data by then, but the client may ask again, or by another queue;
 * - a write that was refused is this write's error, and no loss of what was written before;
 * - write-zeroes always works, by the cheapest way that the backing has;
 * - what makes no progress ends, with an error.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/falloc.h>

#include "kernel/uapi.h"
#include "target/loop.h"

static bool has(_Atomic bool *can)
{
	return atomic_load_explicit(can, memory_order_relaxed);
}

static struct ub_loop *loop_of(struct ub_queue *q)
{
	return ub_queue_target(q)->state;
}

/* A durable write, where the write itself can't be. */
static bool wants_sync(const struct ub_loop *loop, const struct ub_io *io)
{
	return io->flags & UBLK_IO_F_FUA && !(loop->durable && io->step == STEP_WRITE);
}

static unsigned how_to_write(const struct ub_loop *loop, const struct ub_io *io)
{
	if (!(io->flags & UBLK_IO_F_FUA))
		return UB_OP_LAST;
	return loop->durable ? UB_OP_LAST | UB_OP_DURABLE : 0;
}

/* Puts what io->step says on the ring; again, after a part of it or none of it was done. */
static void issue(struct ub_queue *q, struct ub_io *io)
{
	const struct ub_loop *loop = loop_of(q);
	uint64_t start = loop->offset + io->offset;
	uint32_t left = io->len - io->done;

	switch ((enum ub_loop_step)io->step) {
	case STEP_READ:
		ub_io_read(q, io, UB_LOOP_BACKING | UB_OP_LAST, io->done, left, start + io->done);
		break;
	case STEP_WRITE:
		ub_io_write(q, io, UB_LOOP_BACKING | how_to_write(loop, io), io->done, left,
			    start + io->done);
		break;
	case STEP_PUNCH:
		ub_io_fallocate(q, io, UB_LOOP_BACKING, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
				start, io->len);
		break;
	case STEP_ZERO_RANGE:
		ub_io_fallocate(q, io, UB_LOOP_BACKING, FALLOC_FL_ZERO_RANGE | FALLOC_FL_KEEP_SIZE,
				start, io->len);
		break;
	case STEP_ZEROES:
		ub_io_write_zeroes(q, io, UB_LOOP_BACKING,
				   left < UB_ZEROES_MAX ? left : UB_ZEROES_MAX, start + io->done);
		break;
	case STEP_DISCARD:
		ub_io_discard(q, io, UB_LOOP_BACKING, start, io->len);
		break;
	case STEP_PUSH:
	case STEP_SYNC:
		break;
	}
}

static void go(struct ub_queue *q, struct ub_io *io, enum ub_loop_step step)
{
	io->step = (uint8_t)step;
	io->tries = 0;
	issue(q, io);
}

/* The first way to zeroes that may work, from @step on. */
static enum ub_loop_step zeroing_step(struct ub_loop *loop, const struct ub_io *io,
				      enum ub_loop_step step)
{
	bool keep = io->flags & UBLK_IO_F_NOUNMAP;

	if (step <= STEP_PUNCH && !keep && has(&loop->can_punch))
		return STEP_PUNCH;
	if (step <= STEP_ZERO_RANGE && has(&loop->can_zero_range))
		return STEP_ZERO_RANGE;
	return STEP_ZEROES;
}

void ub_loop_submit(struct ub_queue *q, struct ub_io *io)
{
	struct ub_tgt *tgt = ub_queue_target(q);
	struct ub_loop *loop = tgt->state;
	bool durable;

	if (io->op == UBLK_IO_OP_READ) {
		go(q, io, STEP_READ);
		return;
	}
	if (tgt->durable_writes)
		io->flags |= UBLK_IO_F_FUA;
	durable = io->op == UBLK_IO_OP_FLUSH || io->flags & UBLK_IO_F_FUA;
	if (durable && ub_loop_write_error(q)) {
		ub_io_end(q, io, ub_loop_write_error(q));
		return;
	}
	switch (io->op) {
	case UBLK_IO_OP_WRITE:
		go(q, io, STEP_WRITE);
		break;
	case UBLK_IO_OP_FLUSH:
		ub_loop_sync(q, io);
		break;
	case UBLK_IO_OP_WRITE_ZEROES:
		go(q, io, zeroing_step(loop, io, STEP_PUNCH));
		break;
	case UBLK_IO_OP_DISCARD:
		if (tgt->discard_granularity && has(&loop->can_discard))
			go(q, io, STEP_DISCARD);
		else if (tgt->discard_granularity && has(&loop->can_punch))
			go(q, io, STEP_PUNCH);
		else
			ub_io_end(q, io, -EOPNOTSUPP);
		break;
	default:
		ub_io_end(q, io, -EOPNOTSUPP);
	}
}

/*
 * A durable write to a block device has failed. Is more lost than this write? The disk may have been
 * told to empty its cache after it (blk_insert_flush()), and then it may be what earlier writes left
 * there; not if the write was refused before it came to that.
 */
static bool is_more_lost(int error)
{
	switch (error) {
	case -EINVAL:
	case -EFAULT:
	case -EBADF:
	case -EFBIG:
	case -EPERM:
	case -EOPNOTSUPP:
	case -ENOSPC:
	case -EDQUOT:
	case -ENOMEM:
	case -EAGAIN:
	case -EINTR:
	case -ECANCELED:
		return false;
	default:
		return true;
	}
}

/* All that the I/O changes is changed. */
static void changed(struct ub_queue *q, struct ub_io *io)
{
	if (wants_sync(loop_of(q), io))
		ub_loop_sync(q, io);
	else
		ub_io_end(q, io, 0);
}

/* A read, a write, or a piece of zeroes; @res bytes of it were moved. */
static void moved(struct ub_queue *q, struct ub_io *io, int res)
{
	const struct ub_loop *loop = loop_of(q);
	uint32_t before = io->done;

	if (res < 0) {
		if (io->step == STEP_WRITE && io->flags & UBLK_IO_F_FUA && loop->durable &&
		    is_more_lost(res))
			ub_loop_keep_write_error(q, res);
		ub_io_end(q, io, ub_loop_told(res));
		return;
	}
	if ((uint32_t)res > io->len - before) {
		ub_io_end(q, io, -EIO);
		return;
	}
	io->done += (uint32_t)res;
	if (io->done == io->len) {
		changed(q, io);
		return;
	}
	/* Direct I/O goes on where it may. No progress is the end of a file that was cut short. */
	io->done -= io->done % loop->resume;
	if (io->done == before)
		ub_io_end(q, io, -EIO);
	else
		go(q, io, (enum ub_loop_step)io->step);
}

static void forget(_Atomic bool *can)
{
	atomic_store_explicit(can, false, memory_order_relaxed);
}

/*
 * One way to zeroes failed: is there another? @can_no_more: not for this backing. Else it may be
 * this range only: a block device's fallocate() takes no part of a block (blkdev_fallocate()), nor
 * a range that others have in use.
 */
static bool zero_otherwise(struct ub_queue *q, struct ub_io *io, int error, bool can_no_more)
{
	if (!can_no_more && error != -EINVAL && error != -EBUSY && error != -EPERM)
		return false;
	go(q, io, zeroing_step(loop_of(q), io, (enum ub_loop_step)(io->step + 1)));
	return true;
}

/* A hole, a zeroed range or a discard. */
static void ranged(struct ub_queue *q, struct ub_io *io, int res)
{
	struct ub_loop *loop = loop_of(q);
	bool can_no_more = res == -EOPNOTSUPP || res == -ENOSYS;

	if (res >= 0) {
		changed(q, io);
		return;
	}
	if (can_no_more)
		forget(io->step == STEP_PUNCH     ? &loop->can_punch
		       : io->step == STEP_DISCARD ? &loop->can_discard
						  : &loop->can_zero_range);
	if (io->op == UBLK_IO_OP_WRITE_ZEROES && zero_otherwise(q, io, res, can_no_more))
		return;
	/* Before Linux 6.12 a block device has no discard on a ring: a hole is the next best. */
	if (io->step == STEP_DISCARD && can_no_more && has(&loop->can_punch))
		go(q, io, STEP_PUNCH);
	else
		ub_io_end(q, io, ub_loop_told(res));
}

void ub_loop_complete(struct ub_queue *q, struct ub_io *io, unsigned id, int res)
{
	(void)id;
	if (io->step >= STEP_PUSH) {
		ub_loop_synced(q, io, res);
		return;
	}
	if (ub_loop_again(io, res)) {
		issue(q, io);
		return;
	}
	switch ((enum ub_loop_step)io->step) {
	case STEP_PUNCH:
	case STEP_ZERO_RANGE:
	case STEP_DISCARD:
		ranged(q, io, res);
		break;
	default:
		moved(q, io, res);
	}
}
