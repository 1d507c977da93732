/* SPDX-License-Identifier: MIT */
/*
 * The data path `get-data`: as with `copy` the kernel copies, but it is told where only when there is
 * an I/O. A write arrives without its data, and a command names the buffer that it is to be copied
 * to; a read's commit names the buffer that it is to be copied from. So buffers come from a pool,
 * also for an ordinary user, to whom the driver refuses user copy.
 *
 * A buffer that a commit names is put back when that commit is with the kernel, not before: another
 * I/O might write into it until then. The driver remembers the last address that a tag named, and
 * never uses it again without being told anew (ublk_dispatch_req() and ublk_get_data() of Linux 6.12
 * and 7.3), so that what lies in the pool may be given back.
 */
#include <errno.h>

#include "base/fault.h"
#include "queue/internal.h"

/* The first fetch has to name an address, which nothing is copied to. */
static void init(struct ub_queue *q)
{
	ub_pooled_init(q);
	for (unsigned i = 0; i < q->depth; i++)
		q->ios[i].where = (uintptr_t)q->buffers;
}

static void begin(struct ub_queue *q, struct ub_io *io)
{
	io->data = NULL;
	if (io->op == UBLK_IO_OP_READ || io->op == UBLK_IO_OP_WRITE)
		ub_pooled_begin(q, io);
	else
		ub_queue_submit(q, io);
}

/* The test build can ask for what the driver refuses. */
static void has_buffer(struct ub_queue *q, struct ub_io *io)
{
	uint32_t op = ub_fault_is_wanted("get-data") ? UBLK_U_IO_REGISTER_IO_BUF
						     : UBLK_U_IO_NEED_GET_DATA;

	if (io->op == UBLK_IO_OP_WRITE)
		ub_queue_data_command(q, io, op, (uintptr_t)io->data);
	else
		ub_queue_submit(q, io);
}

/* Has all of it been copied? A kernel short of memory may have copied less, and says so by a shorter
 * request. */
static bool is_whole(const struct ub_queue *q, const struct ub_io *io)
{
	struct ublksrv_io_desc desc = {0};

	return ub_desc_get(&q->desc, io->tag, &desc) && (uint64_t)desc.nr_sectors << 9 == io->len;
}

static void prepared(struct ub_queue *q, struct ub_io *io, int res)
{
	switch (res) {
	case UBLK_IO_RES_OK:
		if (is_whole(q, io))
			ub_queue_submit(q, io);
		else
			ub_io_end(q, io, -EIO);
		break;
	case UBLK_IO_RES_NEED_GET_DATA:
		/* Nothing could be copied, and the driver has sent the request again. */
		has_buffer(q, io);
		break;
	default:
		ub_queue_lose(q, io, res);
		ub_pooled_put(q, io);
	}
}

/* The driver takes no read's commit without an address, though it copies nothing for one that
 * failed before it had a buffer. */
static void end(struct ub_queue *q, struct ub_io *io, int result)
{
	io->where = 0;
	if (io->op == UBLK_IO_OP_READ)
		io->where = (uintptr_t)(io->data ? io->data : q->buffers);
	ub_queue_commit(q, io, result);
	if (!io->data)
		return;
	io->next = q->spent;
	q->spent = io;
}

static void submitted(struct ub_queue *q)
{
	struct ub_io *io = q->spent, *next;

	/* Who gets such a buffer may be done with it at once, and its commit is not there yet. */
	q->spent = NULL;
	for (; io; io = next) {
		next = io->next;
		ub_pooled_put(q, io);
	}
}

const struct ub_path ub_path_get_data = {
	.name = "get-data",
	.asks = true,
	.addresses = true,
	.init = init,
	.begin = begin,
	.has_buffer = has_buffer,
	.prepared = prepared,
	.submitted = submitted,
	.end = end,
	.copy_to = ub_buffer_copy_to,
	.copy_from = ub_buffer_copy_from,
	.give_back = ub_pooled_give_back,
};
