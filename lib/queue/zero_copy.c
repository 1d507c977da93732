/* SPDX-License-Identifier: MIT */
/*
 * The data path `zero-copy`: nobody copies, but for what a target wants copied (ub_target.copies), and there are no
 * buffers. The driver registers the request's own pages in the ring's table of buffers, in the slot that the fetch names,
 * before the fetch completes (ublk_do_auto_buf_reg(), Linux 6.16), and takes them out again when the tag is
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

/* The driver registers a request by itself, and says so if it can't. The test build can name slots
 * that are not there. */
static void init(struct ub_queue *q)
{
	unsigned first = ub_fault_is_wanted("auto-buffer") ? q->depth : 0;

	/* ublk_sqe_addr_to_auto_buf_reg() */
	for (unsigned i = 0; i < q->depth; i++)
		q->ios[i].where = (first + i) | (uint64_t)UBLK_AUTO_BUF_REG_FALLBACK << 16;
}

static uint64_t slot(const struct ub_queue *q, const struct ub_io *io)
{
	return (uint64_t)(io - q->ios);
}

static void begin(struct ub_queue *q, struct ub_io *io)
{
	if (__builtin_expect(io->flags & UBLK_IO_F_NEED_REG_BUF, 0))
		ub_queue_data_command(q, io, UBLK_U_IO_REGISTER_IO_BUF, slot(q, io));
	else
		ub_queue_submit(q, io);
}

/* Our own registration has ended; @res as the driver gave it. */
static void prepared(struct ub_queue *q, struct ub_io *io, int res)
{
	if (res == 0) {
		ub_queue_submit(q, io);
	} else if (ub_io_again(io, res)) {
		begin(q, io);
	} else {
		io->flags &= ~UBLK_IO_F_NEED_REG_BUF;
		ub_queue_end(q, io, res < 0 ? res : -EIO);
	}
}

/* The order of the two is the driver's to care for: it completes the request after both. */
static void end(struct ub_queue *q, struct ub_io *io, int result)
{
	if (__builtin_expect(io->flags & UBLK_IO_F_NEED_REG_BUF, 0))
		ub_queue_data_command(q, io, UBLK_U_IO_UNREGISTER_IO_BUF, slot(q, io));
	ub_queue_commit(q, io, result);
}

const struct ub_path ub_path_zero_copy = {
	.name = "zero-copy",
	.slots = true,
	.links = true,
	.init = init,
	.begin = begin,
	.prepared = prepared,
	.end = end,
	.copy_to = ub_user_copy_to,
	.copy_from = ub_user_copy_from,
};
