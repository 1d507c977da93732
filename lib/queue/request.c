/* SPDX-License-Identifier: MIT */
/* A request's way through the queue, whatever it is fetched with and however its data moves: its
 * descriptor is read once and checked, the target gets it, it is committed or lost. */
#include <errno.h>
#include <string.h>

#include "base/fault.h"
#include "queue/count.h"
#include "queue/internal.h"
#include "queue/state.h"

#define SECTOR_SHIFT 9

void ub_queue_submit(struct ub_queue *q, struct ub_io *io)
{
	/* The test build's overrun, by one byte. */
	if (ub_fault_is_wanted("overrun") && io->op == UBLK_IO_OP_WRITE && io->data)
		((volatile char *)io->data)[q->max_io] = 1;
	q->submit(q, io);
}

/* Does the request make sense? The kernel can be wrong too, and the target believes what it gets.
 * Return: 0, or the negative errno that the client gets. */
static int check(struct ub_queue *q, const struct ub_io *io, uint64_t sectors)
{
	uint64_t size = q->target->limit, bytes = sectors << SECTOR_SHIFT;
	uint64_t max = UB_DISCARD_MAX;

	switch (io->op) {
	case UBLK_IO_OP_FLUSH:
		return 0;
	case UBLK_IO_OP_READ:
		max = q->max_io;
		break;
	case UBLK_IO_OP_WRITE:
		max = q->max_io;
		/* fall through */
	case UBLK_IO_OP_DISCARD:
	case UBLK_IO_OP_WRITE_ZEROES:
		if (q->target->read_only)
			return -EROFS;
		break;
	default:
		return -EOPNOTSUPP;
	}
	if (bytes == 0 || bytes > max || io->offset > size || bytes > size - io->offset)
		return -EIO;
	return 0;
}

/* Out of the way of those that are served. */
__attribute__((noinline, cold)) static void refuse(struct ub_queue *q, struct ub_io *io,
						   uint64_t sectors, uint64_t start, int error)
{
	const char *name = ub_desc_op_name(io->op);

	ub_queue_fault(q, "refused %s of %llu sectors at %llu: %s",
		       name ? name : "an unknown operation", (unsigned long long)sectors,
		       (unsigned long long)start, strerror(-error));
	/* Nothing was begun with: there is no data to be taken out of a slot again. */
	io->flags &= ~UBLK_IO_F_NEED_REG_BUF;
	ub_queue_end(q, io, error);
}

void ub_queue_take(struct ub_queue *q, struct ub_io *io, bool alone)
{
	struct ublksrv_io_desc desc = {0};
	uint64_t sectors, start;
	int ret;

	if (!ub_desc_get(&q->desc, io->queue, io->tag, &desc)) {
		ub_queue_fail(q, -EPROTO, "tag %u has no descriptor", io->tag);
		return;
	}
	io->op = ub_desc_op(&desc);
	io->flags = ub_desc_flags(&desc);
	/* A flush is of everything; its start is -1. */
	sectors = io->op == UBLK_IO_OP_FLUSH ? 0 : desc.nr_sectors;
	start = io->op == UBLK_IO_OP_FLUSH ? 0 : desc.start_sector;
	io->offset = start << SECTOR_SHIFT;
	io->len = (uint32_t)(sectors << SECTOR_SHIFT);
	io->step = 0;
	io->done = 0;
	io->pending = 0;
	io->alone = alone;
	ub_io_arrives(q, io);
	ub_count_begins(q, io);
	q->active = true;
	if (__builtin_expect(!q->has_timer, 0))
		ub_timer_set(q);
	ret = start > UINT64_MAX >> SECTOR_SHIFT ? -EIO : check(q, io, sectors);
	if (__builtin_expect(ret == 0, 1))
		q->path->begin(q, io);
	else
		refuse(q, io, sectors, start, ret);
}

void ub_queue_redo(struct ub_queue *q, struct ub_io *io)
{
	ub_io_returns(q, io);
	ub_count_returns(q, io);
	io->step = 0;
	io->done = 0;
	io->alone = false;
	q->path->begin(q, io);
}

/* Apart, so that the other way is one without a call. */
__attribute__((noinline)) static void commit_slowly(struct ub_queue *q, struct ub_io *io,
						    int result)
{
	ub_count_ends_slowly(q, io, result);
	q->commands->commit(q, io, result);
}

void ub_queue_commit(struct ub_queue *q, struct ub_io *io, int result)
{
	ub_io_goes(q, io);
	if (__builtin_expect(ub_count_ends(q, io, result), 1))
		q->commands->commit(q, io, result);
	else
		commit_slowly(q, io, result);
}

void ub_queue_lose(struct ub_queue *q, struct ub_io *io, int res)
{
	ub_io_drops(q, io);
	if (res == UBLK_IO_RES_ABORT)
		return;
	/* What was to be committed never reaches its client: a queue like that can't go on. */
	res = res < 0 ? res : -EPROTO;
	ub_queue_fail(q, res, "the driver refused tag %u: %s", io->tag, strerror(-res));
}

void ub_queue_data_command(struct ub_queue *q, struct ub_io *io, uint32_t op, uint64_t addr)
{
	struct io_uring_sqe *sqe = ub_queue_sqe(q);
	const struct ublksrv_io_cmd cmd = {
		.q_id = ub_io_queue(q, io), .tag = io->tag, .addr = addr};
	bool out = op == UBLK_U_IO_UNREGISTER_IO_BUF;

	sqe->opcode = IORING_OP_URING_CMD;
	sqe->flags = IOSQE_FIXED_FILE | (out ? IOSQE_CQE_SKIP_SUCCESS : 0);
	sqe->fd = FILE_CHAR;
	sqe->cmd_op = op;
	sqe->user_data = ub_io_data(q, io, out ? DATA_UNREGISTER : DATA_PREPARE);
	memcpy(sqe->cmd, &cmd, sizeof(cmd));
	io->pending += !out;
}
