/* SPDX-License-Identifier: MIT */
/* A command for each tag: it fetches the tag's I/O, and commits the one before. */
#include <string.h>

#include "base/fault.h"
#include "queue/internal.h"
#include "queue/state.h"

/* Fetches the tag: alone, or with @op together with the commit of @result. */
static void command(struct ub_queue *q, const struct ub_io *io, uint32_t op, int result)
{
	struct io_uring_sqe *sqe = ub_queue_sqe(q);
	struct ublksrv_io_cmd cmd = {
		.q_id = q->id,
		.tag = io->tag,
		.result = result,
	};

	sqe->opcode = IORING_OP_URING_CMD;
	sqe->flags = IOSQE_FIXED_FILE;
	sqe->fd = FILE_CHAR;
	sqe->cmd_op = op;
	sqe->user_data = ub_io_data(q, io, DATA_FETCH);
	if (q->path->slots)
		sqe->addr = io->where;
	else
		cmd.addr = io->where;
	memcpy(sqe->cmd, &cmd, sizeof(cmd));
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
		command(q, &q->ios[i], UBLK_U_IO_FETCH_REQ, 0);
		ub_io_fetches(q, &q->ios[i]);
		/* The worst moment to die: the driver has half of the last queue's tags. */
		if (i == q->depth / 2 && q->id + 1 == q->info.nr_hw_queues &&
		    ub_fault_is_wanted("fetch-half")) {
			(void)ub_queue_enter(q, 0);
			ret = ub_fault("fetch-half");
			if (ret)
				return ret;
		}
	}
	return ub_queue_enter_all(q);
}

static void commit(struct ub_queue *q, struct ub_io *io, int result)
{
	command(q, io, UBLK_U_IO_COMMIT_AND_FETCH_REQ, result);
}

static void commit_linked(struct ub_queue *q, struct ub_io *io)
{
	command(q, io, UBLK_U_IO_COMMIT_AND_FETCH_REQ, (int)io->len);
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

static void completed(struct ub_queue *q, struct ub_io *io, const struct io_uring_cqe *cqe,
		      bool alone)
{
	int res = cqe->res;

	ub_eager_note(q, alone);
	if (__builtin_expect(!ub_io_is_away(io) || DATA_KIND(cqe->user_data) != DATA_FETCH, 0))
		ub_queue_fail(q, -EPROTO, "tag %u completed while it was not fetched (%d)", io->tag,
			      res);
	else if (__builtin_expect(res == UBLK_IO_RES_OK, 1) ||
		 (res == UBLK_IO_RES_NEED_GET_DATA && q->path->asks))
		ub_queue_take(q, io, alone);
	else
		ub_queue_lose(q, io, res);
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
