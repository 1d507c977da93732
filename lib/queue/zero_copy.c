/* SPDX-License-Identifier: MIT */
/*
 * The data path `zero-copy`: nobody copies, and there are no buffers. The driver registers the
 * request's own pages in the ring's table of buffers, in the slot that the fetch names, before the
 * fetch completes (ublk_do_auto_buf_reg(), Linux 6.16), and takes them out again when the tag is
 * committed. Operations on files name the slot; addresses in it count from 0.
 *
 * Where the driver could not register (it is short of memory), it says so in the descriptor, and the
 * I/O is registered and unregistered by two commands of ours.
 *
 * A request's pages are freed no earlier than the last operation on them has ended, also when this
 * process dies: the ring's table holds the request.
 */
#include <errno.h>

#include "base/fault.h"
#include "queue/internal.h"

/* The test build can name a slot that is not there, so that the driver can't register. */
static uint64_t where(const struct ub_queue *q, const struct ub_io *io)
{
	return ub_fault_is_wanted("auto-buffer") ? q->depth + io->tag : io->tag;
}

static void init(struct ub_queue *q)
{
	(void)q;
}

static void begin(struct ub_queue *q, struct ub_io *io)
{
	if (__builtin_expect(io->flags & UBLK_IO_F_NEED_REG_BUF, 0))
		ub_queue_data_command(q, io, UBLK_U_IO_REGISTER_IO_BUF, io->tag);
	else
		ub_queue_submit(q, io);
}

/* Our own registration has ended; @res as the driver gave it. */
static void prepared(struct ub_queue *q, struct ub_io *io, int res)
{
	if (res == 0) {
		ub_queue_submit(q, io);
		return;
	}
	io->flags &= ~UBLK_IO_F_NEED_REG_BUF;
	ub_io_end(q, io, res < 0 ? res : -EIO);
}

/* The order of the two is the driver's to care for: it completes the request after both. */
static void end(struct ub_queue *q, struct ub_io *io, int result)
{
	if (__builtin_expect(io->flags & UBLK_IO_F_NEED_REG_BUF, 0))
		ub_queue_data_command(q, io, UBLK_U_IO_UNREGISTER_IO_BUF, io->tag);
	ub_queue_commit(q, io, result);
}

static void prep(const struct ub_io *io, struct io_uring_sqe *sqe, uint8_t opcode, int file,
		 uint32_t data, uint32_t len, uint64_t offset)
{
	sqe->opcode = opcode;
	sqe->fd = file;
	sqe->addr = data;
	sqe->len = len;
	sqe->off = offset;
	sqe->buf_index = io->tag;
}

static void prep_read(struct ub_queue *q, struct ub_io *io, struct io_uring_sqe *sqe, int file,
		      uint32_t data, uint32_t len, uint64_t offset)
{
	(void)q;
	prep(io, sqe, IORING_OP_READ_FIXED, file, data, len, offset);
}

static void prep_write(struct ub_queue *q, struct ub_io *io, struct io_uring_sqe *sqe, int file,
		       uint32_t data, uint32_t len, uint64_t offset)
{
	(void)q;
	prep(io, sqe, IORING_OP_WRITE_FIXED, file, data, len, offset);
}

const struct ub_path ub_path_zero_copy = {
	.name = "zero-copy",
	.slots = true,
	.init = init,
	.where = where,
	.begin = begin,
	.prepared = prepared,
	.end = end,
	.prep_read = prep_read,
	.prep_write = prep_write,
};
