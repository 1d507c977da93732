/* SPDX-License-Identifier: MIT */
/* What targets do with an I/O: queue/io.h, on the ring. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>

#include "queue/internal.h"

/* From Linux 6.12's block device interface, newer than the headers that we build with: the range
 * is in addr and addr3 (blkdev_uring_cmd()). */
#define BLOCK_URING_CMD_DISCARD _IO(0x12, 0)

/* Never written, and not const only to lie in .bss: reading it maps the kernel's page of zeroes,
 * and it takes no room in the program's file. */
static char zeroes[UB_ZEROES_MAX] __attribute__((aligned(4096)));

static struct io_uring_sqe *op_sqe(struct ub_queue *q, struct ub_io *io)
{
	io->pending++;
	return ub_queue_sqe(q);
}

static void finish_sqe(struct io_uring_sqe *sqe, const struct ub_io *io)
{
	sqe->flags |= IOSQE_FIXED_FILE;
	sqe->user_data = DATA(DATA_TARGET, io->tag);
}

void ub_io_read(struct ub_queue *q, struct ub_io *io, unsigned file, uint32_t data, uint32_t len,
		uint64_t offset)
{
	struct io_uring_sqe *sqe = op_sqe(q, io);

	q->path->prep_read(q, io, sqe, (int)(FILE_TARGET + file), data, len, offset);
	finish_sqe(sqe, io);
}

void ub_io_write(struct ub_queue *q, struct ub_io *io, unsigned file, uint32_t data, uint32_t len,
		 uint64_t offset, int rw_flags)
{
	struct io_uring_sqe *sqe = op_sqe(q, io);

	q->path->prep_write(q, io, sqe, (int)(FILE_TARGET + file), data, len, offset);
	sqe->rw_flags = rw_flags;
	finish_sqe(sqe, io);
}

void ub_io_write_zeroes(struct ub_queue *q, struct ub_io *io, unsigned file, uint32_t len,
			uint64_t offset, int rw_flags)
{
	struct io_uring_sqe *sqe = op_sqe(q, io);

	io_uring_prep_write(sqe, (int)(FILE_TARGET + file), zeroes, len, offset);
	sqe->rw_flags = rw_flags;
	finish_sqe(sqe, io);
}

void ub_io_fsync(struct ub_queue *q, struct ub_io *io, unsigned file)
{
	struct io_uring_sqe *sqe = op_sqe(q, io);

	io_uring_prep_fsync(sqe, (int)(FILE_TARGET + file), IORING_FSYNC_DATASYNC);
	finish_sqe(sqe, io);
}

void ub_io_fallocate(struct ub_queue *q, struct ub_io *io, unsigned file, int mode, uint64_t offset,
		     uint64_t len)
{
	struct io_uring_sqe *sqe = op_sqe(q, io);

	io_uring_prep_fallocate(sqe, (int)(FILE_TARGET + file), mode, (off_t)offset, (off_t)len);
	finish_sqe(sqe, io);
}

void ub_io_discard(struct ub_queue *q, struct ub_io *io, unsigned file, uint64_t offset,
		   uint64_t len)
{
	struct io_uring_sqe *sqe = op_sqe(q, io);

	sqe->opcode = IORING_OP_URING_CMD;
	sqe->fd = (int)(FILE_TARGET + file);
	sqe->cmd_op = BLOCK_URING_CMD_DISCARD;
	sqe->addr = offset;
	sqe->addr3 = len;
	/* A worker submits it, so that it may block: without blocking, a stacked device that does
	 * not offer that fails it with EOPNOTSUPP (submit_bio_noacct()), and nobody tries again. */
	sqe->flags |= IOSQE_ASYNC;
	finish_sqe(sqe, io);
}

int ub_io_copy_to(struct ub_queue *q, struct ub_io *io, uint32_t data, const void *from,
		  uint32_t len)
{
	return q->path->copy_to(q, io, data, from, len);
}

int ub_io_copy_from(struct ub_queue *q, struct ub_io *io, uint32_t data, void *to, uint32_t len)
{
	return q->path->copy_from(q, io, data, to, len);
}

void ub_io_end(struct ub_queue *q, struct ub_io *io, int error)
{
	bool has_data = io->op == UBLK_IO_OP_READ || io->op == UBLK_IO_OP_WRITE;

	if (__builtin_expect(io->state != IO_BUSY || io->pending, 0)) {
		ub_queue_fault(q, "tag %u was ended in state %u with %u operations left", io->tag,
			       io->state, io->pending);
		return;
	}
	/* Whole or not at all: from Linux 7.3 on a short write counts as success, and a short read
	 * gives stale bytes. */
	q->path->end(q, io, error < 0 ? error : has_data ? (int)io->len : 0);
}
