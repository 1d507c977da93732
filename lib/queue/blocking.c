/* SPDX-License-Identifier: MIT */
/*
 * Operations that block: a sync, a hole, a discard. io_uring gives them to a worker always, and to wake
 * that and to be woken by it costs more than a short one does. So the thread calls it itself where it
 * will be over soon and nobody waits meanwhile (brief.c), but:
 *
 * - A file system that is frozen (fsfreeze(8), a snapshot) keeps who would change it waiting, without an
 *   end and out of reach of a signal. A sync has nothing to change then. Before a range is changed a write
 *   of nothing is tried, which io_uring does without waiting, or has a worker wait (io_write()).
 * - A change of a range waits for direct I/O on the file that is under way (inode_dio_wait()), and such a
 *   write may need the thread that has given it to io_uring (IOCB_DIO_CALLER_COMP), so that there must be
 *   none of its own.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "queue/internal.h"
#include "queue/state.h"

/* From Linux 6.12's block device interface, newer than the headers that we build with: the range
 * is in addr and addr3 (blkdev_uring_cmd()). */
#define BLOCK_URING_CMD_DISCARD _IO(0x12, 0)

static int file_of(const struct ub_queue *q, unsigned op)
{
	unsigned file = UB_OP_FILE(op);

	return file < q->target->nr_files ? q->target->files[file]
					  : q->own.files[file - q->target->nr_files];
}

static unsigned id_of(unsigned op)
{
	return DATA_ID(DATA_OP(op));
}

static struct io_uring_sqe *blocking_sqe(struct ub_queue *q, struct ub_io *io,
					 enum ub_brief_kind kind, int *ret_kind)
{
	*ret_kind = ub_brief_time(q, io, kind) ? DATA_TIMED : DATA_TARGET;
	return ub_op_sqe(q, io);
}

static void queue_sync(struct ub_queue *q, struct ub_io *io, unsigned op, uint64_t offset,
		       uint32_t len)
{
	int kind;
	struct io_uring_sqe *sqe = blocking_sqe(q, io, UB_BRIEF_SYNC, &kind);

	io_uring_prep_fsync(sqe, -1, IORING_FSYNC_DATASYNC);
	sqe->off = len ? offset : 0;
	sqe->len = len;
	ub_op_finish(q, sqe, io, kind, op);
}

void ub_io_fsync(struct ub_queue *q, struct ub_io *io, unsigned op, uint64_t offset, uint32_t len)
{
	uint64_t now = 0;
	int res;

	/* There is no call for a part of a file. */
	if (len == 0 && ub_brief_is_only(q, io))
		now = ub_now_ns();
	if (!now || !ub_brief_is_short(q, UB_BRIEF_SYNC, now)) {
		queue_sync(q, io, op, offset, len);
		return;
	}
	res = fdatasync(file_of(q, op)) == 0 ? 0 : -errno;
	ub_brief_note(q, UB_BRIEF_SYNC, now);
	q->target->type->complete(q, io, id_of(op), res);
}

static void prep_discard(struct io_uring_sqe *sqe, const struct ub_range *range)
{
	sqe->opcode = IORING_OP_URING_CMD;
	sqe->cmd_op = BLOCK_URING_CMD_DISCARD;
	sqe->addr = range->offset;
	sqe->addr3 = range->len;
	/* A worker submits it, so that it may block: without blocking, a stacked device that does
	 * not offer that fails it with EOPNOTSUPP (submit_bio_noacct()), and nobody tries again. */
	sqe->flags |= IOSQE_ASYNC;
}

static void queue_change(struct ub_queue *q, struct ub_io *io, const struct ub_range *range)
{
	int kind;
	struct io_uring_sqe *sqe = blocking_sqe(q, io, UB_BRIEF_RANGE, &kind);

	if (range->mode == UB_RANGE_DISCARD)
		prep_discard(sqe, range);
	else
		io_uring_prep_fallocate(sqe, -1, range->mode, (off_t)range->offset,
					(off_t)range->len);
	ub_op_finish(q, sqe, io, kind, range->op);
}

static void call_change(struct ub_queue *q, struct ub_io *io, const struct ub_range *r,
			uint64_t now)
{
	uint64_t bytes[2] = {r->offset, r->len};
	int fd = file_of(q, r->op), res;

	if (r->mode == UB_RANGE_DISCARD)
		res = ioctl(fd, BLKDISCARD, bytes);
	else
		res = fallocate(fd, r->mode, (off_t)r->offset, (off_t)r->len);
	res = res == 0 ? 0 : -errno;
	ub_brief_note(q, UB_BRIEF_RANGE, now);
	q->target->type->complete(q, io, id_of(r->op), res);
}

static bool may_call_change(struct ub_queue *q, const struct ub_io *io)
{
	return ub_brief_is_only(q, io) && !ub_queue_has_linked(q);
}

static void probe(struct ub_queue *q, struct ub_io *io, unsigned op)
{
	struct io_uring_sqe *sqe = ub_op_sqe(q, io);

	io_uring_prep_write(sqe, -1, q, 0, 0);
	ub_op_finish(q, sqe, io, DATA_PROBE, op);
}

static void change(struct ub_queue *q, struct ub_io *io, const struct ub_range *range)
{
	uint64_t now = may_call_change(q, io) ? ub_now_ns() : 0;

	if (!now || !ub_brief_is_short(q, UB_BRIEF_RANGE, now)) {
		queue_change(q, io, range);
	} else if (q->target->freezable) {
		q->range = *range;
		probe(q, io, range->op);
	} else {
		call_change(q, io, range, now);
	}
}

void ub_blocking_probed(struct ub_queue *q, struct ub_io *io, int res)
{
	/* While it waited, others may have come. */
	if (res == 0 && may_call_change(q, io))
		call_change(q, io, &q->range, ub_now_ns());
	else
		queue_change(q, io, &q->range);
}

void ub_io_fallocate(struct ub_queue *q, struct ub_io *io, unsigned op, int mode, uint64_t offset,
		     uint64_t len)
{
	change(q, io, &(struct ub_range){.offset = offset, .len = len, .mode = mode, .op = op});
}

void ub_io_discard(struct ub_queue *q, struct ub_io *io, unsigned op, uint64_t offset, uint64_t len)
{
	change(q, io,
	       &(struct ub_range){
		       .offset = offset, .len = len, .mode = UB_RANGE_DISCARD, .op = op});
}
