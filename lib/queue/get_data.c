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
#include "queue/count.h"
#include "queue/internal.h"
#include "queue/state.h"

/* The first fetch has to name an address, which nothing is copied to. */
static void init(struct ub_queue *q)
{
	ub_pooled_init(q);
	for (unsigned i = 0; i < q->depth; i++)
		q->ios[i].where = (uintptr_t)q->buffers;
}

static void begin(struct ub_queue *q, struct ub_io *io)
{
	if (io->op == UBLK_IO_OP_READ || io->op == UBLK_IO_OP_WRITE)
		ub_pooled_begin(q, io);
	else
		ub_queue_submit(q, io);
}

/* The test build can ask for what the driver refuses. */
static void ask(struct ub_queue *q, struct ub_io *io)
{
	uint32_t op = ub_fault_is_wanted("get-data") ? UBLK_U_IO_REGISTER_IO_BUF
						     : UBLK_U_IO_NEED_GET_DATA;

	ub_queue_data_command(q, io, op, (uintptr_t)io->data);
}

static void has_buffer(struct ub_queue *q, struct ub_io *io)
{
	if (io->op != UBLK_IO_OP_WRITE) {
		ub_queue_submit(q, io);
		return;
	}
	io->asked = true;
	q->asked++;
	ask(q, io);
}

/*
 * A kernel short of memory may have copied less than the whole, and says so by a shorter request; or
 * nothing: then it has given the request back to the block layer, and the command has become the tag's
 * fetch, of which it says nothing (ublk_get_data()). What comes in it may be the same request again,
 * or, where there is an I/O scheduler, any other one; and the same request may come in another tag.
 */
static bool is_same(const struct ub_io *io, const struct ublksrv_io_desc *desc)
{
	return ub_desc_op(desc) == UBLK_IO_OP_WRITE && desc->start_sector << 9 == io->offset;
}

static void forget(struct ub_queue *q, struct ub_io *io)
{
	q->asked--;
	io->asked = false;
	io->refused = 0;
}

/* The command was the tag's fetch. */
static void fetched(struct ub_queue *q, struct ub_io *io, int res)
{
	if (ub_queue_brings(q, res))
		ub_queue_take(q, io, false);
	else
		ub_queue_lose(q, io, res);
}

/* What was asked for is not there. A write comes without its data first. */
__attribute__((noinline, cold)) static void not_brought(struct ub_queue *q, struct ub_io *io,
							int res)
{
	if (ub_io_again(io, res)) {
		q->rounds = 0;
		ask(q, io);
		return;
	}
	forget(q, io);
	ub_io_goes(q, io);
	ub_count_goes_back(q, io);
	ub_pooled_put(q, io);
	fetched(q, io, res);
}

static void prepared(struct ub_queue *q, struct ub_io *io, int res)
{
	struct ublksrv_io_desc desc = {0};
	int error = io->refused;

	if (__builtin_expect(!io->asked, 0)) {
		fetched(q, io, res);
		return;
	}
	if (__builtin_expect(res != UBLK_IO_RES_OK ||
				     !ub_desc_get(&q->desc, io->queue, io->tag, &desc) ||
				     !is_same(io, &desc),
			     0)) {
		not_brought(q, io, res);
		return;
	}
	forget(q, io);
	if (!error && (uint64_t)desc.nr_sectors << 9 != io->len)
		error = -EIO;
	if (__builtin_expect(error, 0))
		ub_queue_end(q, io, error);
	else
		ub_queue_submit(q, io);
}

/* After so many times in the kernel, each of which does 20 things at the least that wait to be done in
 * this thread (IO_LOCAL_TW_DEFAULT_MAX, Linux 6.13), as many as there can be tags have been done. */
#define ROUNDS (UBLK_MAX_QUEUE_DEPTH / 20 + 1)

/* What was asked for and has not come is a tag's fetch by now. */
__attribute__((noinline, cold)) static void give_up(struct ub_queue *q)
{
	if (io_uring_cq_ready(&q->ring.uring) > 0 || ++q->rounds < ROUNDS)
		return;
	for (unsigned i = 0; i < q->depth; i++) {
		struct ub_io *io = &q->ios[i];

		if (!io->asked)
			continue;
		forget(q, io);
		ub_io_goes(q, io);
		ub_count_goes_back(q, io);
		ub_pooled_spend(q, io);
	}
}

static void submitted(struct ub_queue *q)
{
	if (__builtin_expect(ub_pooled_is_stuck(q), 0))
		give_up(q);
	else
		q->rounds = 0;
	ub_pooled_put_spent(q);
}

/* The driver takes no commit of a write before it was asked for the data. */
static void end_without_data(struct ub_queue *q, struct ub_io *io, int error)
{
	if (io->len > q->max_io) {
		ub_queue_fail(q, -EPROTO, "a write of %u bytes cannot be ended", io->len);
		return;
	}
	io->refused = (int16_t)error;
	ub_pooled_begin(q, io);
}

/* The driver takes no read's commit without an address, though it copies nothing for one that
 * failed before it had a buffer. */
static void end(struct ub_queue *q, struct ub_io *io, int result)
{
	if (__builtin_expect(io->op == UBLK_IO_OP_WRITE && !io->data && io->len, 0)) {
		end_without_data(q, io, result);
		return;
	}
	io->where = 0;
	if (io->op == UBLK_IO_OP_READ)
		io->where = (uintptr_t)(io->data ? io->data : q->buffers);
	ub_queue_commit(q, io, result);
	/* Who gets such a buffer may be done with it at once, and the commit is not there yet. */
	if (io->data)
		ub_pooled_spend(q, io);
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
