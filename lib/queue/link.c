/* SPDX-License-Identifier: MIT */
/*
 * A request that comes alone: its commit is linked to its one operation, and the kernel carries out
 * both with one system call. What has to be done where it does not.
 */
#include <limits.h>

#include "queue/internal.h"

/* If the operation fails or does less, its completion comes (IOSQE_CQE_SKIP_SUCCESS), the commit is
 * not carried out, and no completion comes of that (io_fail_links(), Linux 5.17 on). */
void ub_queue_link(struct ub_queue *q, struct ub_io *io, struct io_uring_sqe *sqe)
{
	sqe->flags |= IOSQE_FIXED_FILE | IOSQE_IO_LINK | IOSQE_CQE_SKIP_SUCCESS;
	sqe->user_data = ub_io_data(q, io, DATA_LINKED);
	if (q->batch)
		ub_batch_commit_linked(q, io);
	else
		ub_queue_command(q, io, UBLK_U_IO_COMMIT_AND_FETCH_REQ, (int)io->len);
	io->state = IO_LINKED;
	q->busy--;
}

/*
 * The kernel, short of memory, may have taken an operation and not the commit that is linked to it: a
 * link ends with what is taken at once, and the commit would come before its time. In its place the
 * operation is queued once more, on its own. The first one may go on beside it: both move the same
 * data, and neither the request nor its pages can go before both are over.
 */
void ub_link_mend(struct ub_queue *q)
{
	struct io_uring_sqe *sqe = ub_ring_at(&q->ring, 0);
	uint64_t kind = DATA_KIND(sqe->user_data);
	struct ub_io *io;

	if (kind != DATA_FETCH && kind != DATA_BATCH_LINKED)
		return;
	io = &q->ios[DATA_INDEX(sqe->user_data)];
	if (io->state != IO_LINKED)
		return;
	*sqe = *ub_ring_at(&q->ring, UINT_MAX);
	sqe->flags &= ~(unsigned)(IOSQE_IO_LINK | IOSQE_CQE_SKIP_SUCCESS);
	sqe->user_data = ub_io_data(q, io, DATA_TARGET);
	io->state = IO_BUSY;
	io->pending++;
	q->busy++;
}

void ub_link_broken(struct ub_queue *q, struct ub_io *io, int res)
{
	/* The first of two: ub_link_mend(). */
	if (io->state != IO_LINKED)
		return;
	io->state = IO_BUSY;
	q->busy++;
	q->alone = false;
	q->target->type->complete(q, io, res);
}

unsigned ub_link_last(struct ub_queue *q)
{
	unsigned queued = ub_ring_queued(&q->ring);

	return queued > 1 && ub_ring_at(&q->ring, queued - 2)->flags & IOSQE_IO_LINK;
}
