/* SPDX-License-Identifier: MIT */
/*
 * A request that comes alone: its commit is linked to its one operation, and the kernel carries out
 * both with one system call. What has to be done where it does not.
 */
#include <errno.h>

#include "base/fault.h"
#include "queue/count.h"
#include "queue/internal.h"
#include "queue/state.h"

/* If the operation fails or does less, its completion comes (IOSQE_CQE_SKIP_SUCCESS), the commit is
 * not carried out, and no completion comes of that (io_fail_links(), Linux 5.17 on). */
void ub_queue_link(struct ub_queue *q, struct ub_io *io, struct io_uring_sqe *sqe, unsigned op)
{
	ub_op_finish(q, sqe, io, DATA_LINKED, op);
	sqe->flags |= IOSQE_IO_LINK | IOSQE_CQE_SKIP_SUCCESS;
	q->commands->commit_linked(q, io);
	/* The test build can have the kernel take no commit like that: by a field that has to be 0. */
	if (ub_fault_is_wanted("link-refused"))
		ub_ring_at(&q->ring, ub_ring_queued(&q->ring) - 1)->off |= 1ULL << 32;
	ub_io_leaves(q, io);
	ub_count_leaves(q, io);
}

/*
 * The kernel, short of memory, may have taken an operation and not the commit that is linked to it: a
 * link ends with what is taken at once, and the commit would come before its time. The operation is with
 * a worker then (io_queue_sqe_fallback()), which looks up the request's pages whenever it comes to it,
 * and its success is not told. Nor can it be asked for: once a worker has issued a direct operation,
 * io_uring finds it no more to cancel, though the disk is still at it. So nothing can be done with the
 * tag any more: the commit is dropped, and the queue ends before it does harm. The request stays the
 * driver's, for the next server. Read in Linux 7.3 (io_read(), io_wq_cancel_cb()).
 */
void ub_link_cut(struct ub_queue *q)
{
	struct io_uring_sqe *sqe = ub_ring_at(&q->ring, 0);
	uint64_t kind = DATA_KIND(sqe->user_data);

	if ((kind != DATA_COMMIT && kind != DATA_BATCH_LINKED) ||
	    !ub_io_is_linked(&q->ios[DATA_INDEX(sqe->user_data)]))
		return;
	*sqe = (struct io_uring_sqe){.opcode = IORING_OP_NOP, .flags = IOSQE_CQE_SKIP_SUCCESS};
	ub_queue_fail(q, -ENOMEM, "the kernel took an operation without its commit");
}

void ub_link_broken(struct ub_queue *q, struct ub_io *io, unsigned id, int res)
{
	if (__builtin_expect(ub_io_is_busy(io), 0)) {
		ub_queue_fail(q, -EPROTO, "tag %u's link broke twice (%d)", io->tag, res);
		return;
	}
	ub_io_returns(q, io);
	ub_count_returns(q, io);
	io->alone = false;
	/* The kernel had no memory for the commit, and did not begin with the operation
	 * (io_submit_fail_init()): that is no error of it. Once more, without a link. */
	if (__builtin_expect(res == -ECANCELED, 0))
		q->submit(q, io);
	else
		q->target->type->complete(q, io, id, res);
}

unsigned ub_link_last(struct ub_queue *q)
{
	unsigned queued = ub_ring_queued(&q->ring);

	return queued > 1 && ub_ring_at(&q->ring, queued - 2)->flags & IOSQE_IO_LINK;
}
