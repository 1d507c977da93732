/* SPDX-License-Identifier: MIT */
/* What targets do with an I/O, target/io.h: moving data, and ending it. */
#include <errno.h>
#include <string.h>
#include <sys/mman.h>

#include "queue/count.h"
#include "queue/internal.h"
#include "queue/state.h"

/* Never written, and not const only to lie in .bss: reading it maps the kernel's page of zeroes,
 * and it takes no room in the program's file. */
static char zeroes[UB_ZEROES_MAX] __attribute__((aligned(4096)));

/*
 * A piece of the I/O's data, in its buffer or, with slots, in the ring's table under the I/O's index,
 * where addresses count from 0.
 *
 * One that came alone and is done with its last operation needs this thread no more when that is
 * linked to its commit: that saves a system call of the two that it takes. Among others it would cost more
 * than a commit together with theirs. A result that is not whole breaks the link. One whose time is taken
 * has to be seen at its end.
 */
static inline struct io_uring_sqe *move(struct ub_queue *q, struct ub_io *io, uint8_t opcode,
					unsigned op, uint32_t data, uint32_t len, uint64_t offset)
{
	bool link = io->alone && q->links && op & UB_OP_LAST &&
		    !(io->flags & UBLK_IO_F_NEED_REG_BUF) && !ub_count_timed(io);
	struct io_uring_sqe *sqe;

	if (link)
		ub_queue_make_room(q, 2);
	sqe = ub_queue_sqe(q);
	sqe->opcode = opcode;
	sqe->off = offset;
	sqe->addr = (uintptr_t)io->data + data;
	sqe->len = len;
	if (q->path->slots)
		sqe->buf_index = (uint16_t)(io - q->ios);
	if (link) {
		ub_queue_link(q, io, sqe, op);
	} else {
		io->pending++;
		ub_op_finish(q, sqe, io, DATA_TARGET, op);
	}
	return sqe;
}

void ub_io_read(struct ub_queue *q, struct ub_io *io, unsigned op, uint32_t data, uint32_t len,
		uint64_t offset)
{
	uint8_t opcode = q->path->slots ? IORING_OP_READ_FIXED : IORING_OP_READ;

	(void)move(q, io, opcode, op, data, len, offset);
}

void ub_io_write(struct ub_queue *q, struct ub_io *io, unsigned op, uint32_t data, uint32_t len,
		 uint64_t offset)
{
	uint8_t opcode = q->path->slots ? IORING_OP_WRITE_FIXED : IORING_OP_WRITE;

	move(q, io, opcode, op, data, len, offset)->rw_flags = op & UB_OP_DURABLE ? RWF_DSYNC : 0;
}

void ub_io_write_zeroes(struct ub_queue *q, struct ub_io *io, unsigned op, uint32_t len,
			uint64_t offset)
{
	struct io_uring_sqe *sqe = ub_op_sqe(q, io);

	io_uring_prep_write(sqe, -1, zeroes, len, offset);
	ub_op_finish(q, sqe, io, DATA_TARGET, op);
}

int ub_io_copy_zeroes_to(struct ub_queue *q, struct ub_io *io, uint32_t data, uint32_t len)
{
	int ret = 0;

	for (uint32_t done = 0, n; done < len && !ret; done += n) {
		n = len - done < sizeof(zeroes) ? len - done : (uint32_t)sizeof(zeroes);
		ret = ub_io_copy_to(q, io, data + done, zeroes, n);
	}
	return ret;
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

/* Whole or not at all: from Linux 7.3 on a short write counts as success, and a short read gives stale
 * bytes. */
void ub_io_end(struct ub_queue *q, struct ub_io *io, int error)
{
	if (__builtin_expect(!ub_io_is_busy(io) || io->pending, 0)) {
		ub_queue_fail(q, -EPROTO, "tag %u was ended out of turn, with %u operations left",
			      io->tag, io->pending);
		return;
	}
	q->end(q, io, ub_io_result(io, error));
}

void ub_queue_end(struct ub_queue *q, struct ub_io *io, int error)
{
	q->path->end(q, io, ub_io_result(io, error));
}

void *ub_io_state(struct ub_queue *q, const struct ub_io *io)
{
	return q->io_state + (size_t)(io - q->ios) * q->io_stride;
}
