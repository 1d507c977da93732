/* SPDX-License-Identifier: MIT */
/*
 * I/Os as calls of librbd, which never block: it works in threads of its own, and calls back from them. One handle of
 * the image is all queues': several would fight for its lock. A flush is the image's, too. The device has no cache that
 * could be lost: where librbd has one all the same, each change is flushed before it ends.
 */
#include <errno.h>

#include "base/clock.h"
#include "kernel/uapi.h"
#include "rbd/rbd.h"

static void ended(rbd_completion_t completion, void *arg)
{
	const struct ub_rbd_io *i = arg;
	ssize_t res = rbd_aio_get_return_value(completion);
	struct ub_queue *q = i->queue;
	struct ub_io *io = i->io;

	rbd_aio_release(completion);
	/* Of an image that has become smaller less comes: what the buffer has behind it is somebody else's. */
	if (res >= 0 && i->op == UBLK_IO_OP_READ && (uint64_t)res != io->len)
		res = -EIO;
	/* Nothing of the I/O is this thread's from here on. */
	ub_io_post(q, io, res < 0 ? (int)res : 0);
}

static int begin(const struct ub_rbd *r, struct ub_io *io, uint8_t op, rbd_completion_t c)
{
	int zero_flags = io->flags & UBLK_IO_F_NOUNMAP ? RBD_WRITE_ZEROES_FLAG_THICK_PROVISION : 0;

	switch (op) {
	case UBLK_IO_OP_READ:
		return rbd_aio_read(r->image, io->offset, io->len, ub_io_buffer(io), c);
	case UBLK_IO_OP_WRITE:
		return rbd_aio_write(r->image, io->offset, io->len, ub_io_buffer(io), c);
	case UBLK_IO_OP_FLUSH:
		return rbd_aio_flush(r->image, c);
	case UBLK_IO_OP_DISCARD:
		return rbd_aio_discard(r->image, io->offset, io->len, c);
	case UBLK_IO_OP_WRITE_ZEROES:
		return rbd_aio_write_zeroes(r->image, io->offset, io->len, c, zero_flags, 0);
	default:
		return -EOPNOTSUPP;
	}
}

/* What the client is told: errors that the block layer knows. */
static int told(struct ub_queue *q, int res)
{
	struct ub_tgt *tgt = ub_queue_target(q);
	struct ub_rbd *r = tgt->state;

	switch (res) {
	case -ESHUTDOWN:
	case -EROFS:
		/* The cluster takes nothing from this client any more, or it has its lock no longer: another one has
		 * broken that. */
		if (!atomic_exchange(&r->fenced, true)) {
			atomic_store(&tgt->away.error, res);
			atomic_store(&tgt->away.fenced, true);
			atomic_store(&tgt->away.since_ms, ub_now_ms());
			ub_queue_tell(q);
		}
		return -EIO;
	case -EDQUOT:
		return -ENOSPC;
	case -ENOSPC:
	case -EOPNOTSUPP:
		return res;
	default:
		return -EIO;
	}
}

/* @op: what the I/O asks for, or the flush that is to follow. Return: 0, or a negative errno: nothing was begun. */
static int call(struct ub_queue *q, struct ub_io *io, uint8_t op)
{
	const struct ub_rbd *r = ub_queue_target(q)->state;
	struct ub_rbd_io *i = ub_io_state(q, io);
	rbd_completion_t c;
	int ret;

	i->queue = q;
	i->io = io;
	i->op = op;
	ret = rbd_aio_create_completion(i, ended, &c);
	if (ret < 0)
		return ret;
	ret = begin(r, io, op, c);
	if (ret < 0)
		rbd_aio_release(c);
	return ret < 0 ? ret : 0;
}

void ub_rbd_submit(struct ub_queue *q, struct ub_io *io)
{
	const struct ub_rbd *r = ub_queue_target(q)->state;
	int ret = 0;

	/* One that is shut out stays so, though the cluster forgets it after a while; and librbd cuts off in
	 * silence what lies beyond an image that has become smaller. */
	if (atomic_load_explicit(&r->fenced, memory_order_relaxed) ||
	    io->offset + io->len > atomic_load_explicit(&r->size, memory_order_relaxed))
		ret = -EIO;
	if (!ret)
		ret = call(q, io, io->op);
	if (ret)
		ub_io_end(q, io, told(q, ret));
}

static bool is_change(uint8_t op)
{
	return op != UBLK_IO_OP_READ && op != UBLK_IO_OP_FLUSH;
}

void ub_rbd_complete(struct ub_queue *q, struct ub_io *io, unsigned id, int res)
{
	const struct ub_rbd *r = ub_queue_target(q)->state;
	const struct ub_rbd_io *i = ub_io_state(q, io);

	(void)id;
	if (res >= 0 && r->caches && is_change(i->op)) {
		res = call(q, io, UBLK_IO_OP_FLUSH);
		if (!res)
			return;
	}
	ub_io_end(q, io, res < 0 ? told(q, res) : 0);
}

int64_t ub_rbd_room(struct ub_tgt *tgt)
{
	struct ub_rbd *r = tgt->state;

	return (int64_t)atomic_load(&r->size);
}

int ub_rbd_make_room(struct ub_tgt *tgt, uint64_t size)
{
	return size > (uint64_t)ub_rbd_room(tgt) ? -EFBIG : 0;
}
