/* SPDX-License-Identifier: MIT */
/*
 * The way of one I/O through the loop target. Each has one operation on the ring at a time; its
 * step says which. It knows neither how the backing was opened nor where the data lies in memory.
 *
 * What is promised to the client:
 * - a result is whole or an error: what the kernel did in part is taken up again;
 * - a flush is an fdatasync, and FUA is durable when it ends;
 * - after a write-back that failed, every later flush and FUA fails too: the page cache has dropped
 *   the data by then and the kernel tells it once (file_check_and_advance_wb_err()), but the client
 *   may ask again, or by another queue;
 * - write-zeroes always works, by the cheapest way that the backing has.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/falloc.h>
#include <sys/uio.h>

#include "kernel/uapi.h"
#include "target/loop.h"

#define BACKING 0 /* index into struct ub_tgt.files */

/* The three ways to zeroes stand in the order in which they are tried. */
enum step {
	STEP_READ,
	STEP_WRITE,
	STEP_PUNCH,
	STEP_ZERO_RANGE,
	STEP_ZEROES,
	STEP_DISCARD,
	STEP_SYNC
};

static bool has(_Atomic bool *can)
{
	return atomic_load_explicit(can, memory_order_relaxed);
}

static struct ub_loop *loop_of(struct ub_queue *q)
{
	return ub_queue_target(q)->state;
}

static int write_error(struct ub_queue *q)
{
	return atomic_load_explicit(&ub_queue_target(q)->write_error, memory_order_relaxed);
}

static void keep_write_error(struct ub_queue *q, int error)
{
	int none = 0;

	/* The first one stays. */
	(void)atomic_compare_exchange_strong(&ub_queue_target(q)->write_error, &none, error);
}

/* Puts what io->step says on the ring; again, after a part of it or none of it was done. */
static void issue(struct ub_queue *q, struct ub_io *io)
{
	uint64_t start = loop_of(q)->offset + io->offset;
	uint32_t left = io->len - io->done;

	switch ((enum step)io->step) {
	case STEP_READ:
		ub_io_read(q, io, BACKING, io->done, left, start + io->done);
		break;
	case STEP_WRITE:
		ub_io_write(q, io, BACKING, io->done, left, start + io->done,
			    io->flags & UBLK_IO_F_FUA ? RWF_DSYNC : 0);
		break;
	case STEP_PUNCH:
		ub_io_fallocate(q, io, BACKING, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, start,
				io->len);
		break;
	case STEP_ZERO_RANGE:
		ub_io_fallocate(q, io, BACKING, FALLOC_FL_ZERO_RANGE | FALLOC_FL_KEEP_SIZE, start,
				io->len);
		break;
	case STEP_ZEROES:
		/* With FUA one sync follows, not one in each piece. */
		ub_io_write_zeroes(q, io, BACKING, left < UB_ZEROES_MAX ? left : UB_ZEROES_MAX,
				   start + io->done, 0);
		break;
	case STEP_DISCARD:
		ub_io_discard(q, io, BACKING, start, io->len);
		break;
	case STEP_SYNC:
		ub_io_fsync(q, io, BACKING);
		break;
	}
}

static void go(struct ub_queue *q, struct ub_io *io, enum step step)
{
	io->step = (uint8_t)step;
	issue(q, io);
}

/* The first way to zeroes that may work, from @step on. */
static enum step zeroing_step(struct ub_loop *loop, const struct ub_io *io, enum step step)
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
	bool durable = io->op == UBLK_IO_OP_FLUSH || io->flags & UBLK_IO_F_FUA;

	if (io->op == UBLK_IO_OP_READ) {
		go(q, io, STEP_READ);
		return;
	}
	if (durable && write_error(q)) {
		ub_io_end(q, io, write_error(q));
		return;
	}
	switch (io->op) {
	case UBLK_IO_OP_WRITE:
		go(q, io, STEP_WRITE);
		break;
	case UBLK_IO_OP_FLUSH:
		go(q, io, STEP_SYNC);
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
 * Can a durable write's error come from the write-back part of it, so that data of other, earlier
 * writes may be lost with it? Not if the write was refused as such. A lack of room is found before
 * the write-back, but with delayed allocation also in it: there is none with direct I/O.
 */
static bool is_write_back_error(const struct ub_loop *loop, int error)
{
	switch (error) {
	case -EINVAL:
	case -EFAULT:
	case -EBADF:
	case -EFBIG:
	case -EPERM:
	case -EOPNOTSUPP:
		return false;
	case -ENOSPC:
	case -EDQUOT:
		return !loop->direct;
	default:
		return true;
	}
}

/* A read, a write, or a piece of zeroes; @res bytes of it were moved. */
static void moved(struct ub_queue *q, struct ub_io *io, int res)
{
	const struct ub_loop *loop = loop_of(q);
	uint32_t before = io->done;

	if (res < 0) {
		if (io->step == STEP_WRITE && io->flags & UBLK_IO_F_FUA &&
		    is_write_back_error(loop, res))
			keep_write_error(q, res);
		ub_io_end(q, io, res);
		return;
	}
	if ((uint32_t)res > io->len - before) {
		ub_io_end(q, io, -EIO);
		return;
	}
	io->done += (uint32_t)res;
	if (io->done == io->len) {
		if (io->step == STEP_ZEROES && io->flags & UBLK_IO_F_FUA)
			go(q, io, STEP_SYNC);
		else
			ub_io_end(q, io, 0);
		return;
	}
	/* Direct I/O goes on where it may. No progress is the end of a file that was cut short. */
	io->done -= io->done % loop->resume;
	if (io->done == before)
		ub_io_end(q, io, -EIO);
	else
		issue(q, io);
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
	go(q, io, zeroing_step(loop_of(q), io, (enum step)(io->step + 1)));
	return true;
}

/* A hole, a zeroed range or a discard. */
static void ranged(struct ub_queue *q, struct ub_io *io, int res)
{
	struct ub_loop *loop = loop_of(q);
	bool can_no_more = res == -EOPNOTSUPP || res == -ENOSYS;

	if (res >= 0) {
		if (io->flags & UBLK_IO_F_FUA)
			go(q, io, STEP_SYNC);
		else
			ub_io_end(q, io, 0);
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
		ub_io_end(q, io, res);
}

/*
 * @res of fdatasync(). One that succeeds beside one that fails may have begun before it: the kernel
 * gives the error to only one of them, so the flag is looked at again.
 */
static void synced(struct ub_queue *q, struct ub_io *io, int res)
{
	if (res < 0)
		keep_write_error(q, res);
	ub_io_end(q, io, res < 0 ? res : write_error(q));
}

void ub_loop_complete(struct ub_queue *q, struct ub_io *io, int res)
{
	if (res == -EAGAIN || res == -EINTR) {
		issue(q, io);
		return;
	}
	switch ((enum step)io->step) {
	case STEP_READ:
	case STEP_WRITE:
	case STEP_ZEROES:
		moved(q, io, res);
		break;
	case STEP_PUNCH:
	case STEP_ZERO_RANGE:
	case STEP_DISCARD:
		ranged(q, io, res);
		break;
	case STEP_SYNC:
		synced(q, io, res);
		break;
	}
}
