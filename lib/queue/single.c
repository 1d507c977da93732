/* SPDX-License-Identifier: MIT */
/* A command for each tag: it fetches the tag's I/O, and commits the one before. */
#include <errno.h>
#include <string.h>

#include "base/fault.h"
#include "queue/internal.h"
#include "queue/state.h"

#define MAX_ERRNO 4095

/* Fetches the tag: alone, or with @op together with the commit of @result. */
__attribute__((always_inline)) static inline void
command(struct ub_queue *q, const struct ub_io *io, int kind, uint32_t op, int result)
{
	struct io_uring_sqe *sqe = ub_queue_sqe(q);
	struct ublksrv_io_cmd cmd = {
		.q_id = ub_io_queue(q, io),
		.tag = io->tag,
		.result = result,
	};

	sqe->opcode = IORING_OP_URING_CMD;
	sqe->flags = IOSQE_FIXED_FILE;
	sqe->fd = FILE_CHAR;
	sqe->cmd_op = op;
	sqe->user_data = ub_io_data(q, io, kind);
	if (q->path->slots)
		sqe->addr = io->where;
	else
		cmd.addr = io->where;
	memcpy(sqe->cmd, &cmd, sizeof(cmd));
}

static void fetch(struct ub_queue *q, const struct ub_io *io)
{
	command(q, io, DATA_FETCH, UBLK_U_IO_FETCH_REQ, 0);
}

static void commit(struct ub_queue *q, struct ub_io *io, int result)
{
	command(q, io, DATA_COMMIT, UBLK_U_IO_COMMIT_AND_FETCH_REQ, result);
}

static int attach(struct ub_queue *q)
{
	(void)q;
	return 0;
}

static int fetch_all(struct ub_queue *q)
{
	int ret;

	for (unsigned i = 0; i < q->depth; i++) {
		fetch(q, &q->ios[i]);
		ub_io_fetches(q, &q->ios[i]);
		/* The worst moment to die: the driver has half of the last queue's tags. */
		if (i == q->depth / 2 && q->id + q->queues == q->info.nr_hw_queues &&
		    ub_fault_is_wanted("fetch-half")) {
			(void)ub_queue_enter(q, 0);
			ret = ub_fault("fetch-half");
			if (ret)
				return ret;
		}
	}
	return ub_queue_enter_all(q);
}

static void commit_linked(struct ub_queue *q, struct ub_io *io)
{
	commit(q, io, (int)io->len);
}

static unsigned flush(struct ub_queue *q)
{
	(void)q;
	return 1;
}

static bool has_more(const struct ub_queue *q)
{
	(void)q;
	return false;
}

/* What the I/O was committed with. */
static int result_of(const struct ub_io *io)
{
	bool has_data = io->op == UBLK_IO_OP_READ || io->op == UBLK_IO_OP_WRITE;

	if (io->done >= (uint32_t)-MAX_ERRNO)
		return (int)io->done;
	return has_data ? (int)io->len : 0;
}

/*
 * A command brought no I/O. One that is linked has had its memory before the operation began. A read's
 * data that a pool's buffer held is gone by now: the buffer went back when all was submitted.
 */
__attribute__((noinline, cold)) static void failed(struct ub_queue *q, struct ub_io *io,
						   const struct io_uring_cqe *cqe)
{
	if (ub_io_is_linked(io) || !ub_io_again(io, cqe->res))
		ub_queue_lose(q, io, cqe->res);
	else if (DATA_KIND(cqe->user_data) == DATA_FETCH)
		fetch(q, io);
	else if (q->path->submitted && io->op == UBLK_IO_OP_READ && result_of(io) > 0)
		ub_queue_redo(q, io);
	else
		commit(q, io, result_of(io));
}

static void completed(struct ub_queue *q, struct ub_io *io, const struct io_uring_cqe *cqe,
		      bool alone)
{
	int res = cqe->res;

	ub_eager_note(q, alone);
	if (__builtin_expect(!ub_io_is_away(io) || DATA_KIND(cqe->user_data) > DATA_COMMIT, 0))
		ub_queue_fail(q, -EPROTO, "tag %u completed while it was not fetched (%d)", io->tag,
			      res);
	else if (ub_queue_brings(q, res))
		ub_queue_take(q, io, alone);
	else
		failed(q, io, cqe);
}

const struct ub_commands ub_commands_single = {
	.attach = attach,
	.fetch_all = fetch_all,
	.commit = commit,
	.commit_linked = commit_linked,
	.flush = flush,
	.has_more = has_more,
	.completed = completed,
};
