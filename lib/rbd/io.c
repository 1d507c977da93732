/* SPDX-License-Identifier: MIT */
/*
 * I/Os as calls of librbd, which never block: it works in threads of its own, and calls back from them. One handle of
 * the image is all queues': several would fight for its lock. A flush is the image's, too.
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
	/* Nothing of the I/O is this thread's from here on. */
	ub_io_post(q, io, res < 0 ? (int)res : 0);
}

/* That is durable when it ends, where there is a cache. */
static int write_flags(const struct ub_tgt *tgt, const struct ub_io *io)
{
	return io->flags & UBLK_IO_F_FUA || tgt->durable_writes ? LIBRADOS_OP_FLAG_FADVISE_FUA : 0;
}

static int begin(struct ub_tgt *tgt, struct ub_io *io, rbd_completion_t c)
{
	const struct ub_rbd *r = tgt->state;
	int zero_flags = io->flags & UBLK_IO_F_NOUNMAP ? RBD_WRITE_ZEROES_FLAG_THICK_PROVISION : 0;

	switch (io->op) {
	case UBLK_IO_OP_READ:
		return rbd_aio_read(r->image, io->offset, io->len, ub_io_buffer(io), c);
	case UBLK_IO_OP_WRITE:
		return rbd_aio_write2(r->image, io->offset, io->len, ub_io_buffer(io), c,
				      write_flags(tgt, io));
	case UBLK_IO_OP_FLUSH:
		return rbd_aio_flush(r->image, c);
	case UBLK_IO_OP_DISCARD:
		return rbd_aio_discard(r->image, io->offset, io->len, c);
	case UBLK_IO_OP_WRITE_ZEROES:
		return rbd_aio_write_zeroes(r->image, io->offset, io->len, c, zero_flags,
					    write_flags(tgt, io));
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
		/* The cluster takes nothing from this client any more: another one has broken its lock. */
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

void ub_rbd_submit(struct ub_queue *q, struct ub_io *io)
{
	struct ub_tgt *tgt = ub_queue_target(q);
	struct ub_rbd_io *i = ub_io_state(q, io);
	rbd_completion_t c;
	int ret;

	i->queue = q;
	i->io = io;
	ret = rbd_aio_create_completion(i, ended, &c);
	if (ret < 0) {
		ub_io_end(q, io, -EIO);
		return;
	}
	ret = begin(tgt, io, c);
	if (ret >= 0)
		return;
	rbd_aio_release(c);
	ub_io_end(q, io, told(q, ret));
}

void ub_rbd_complete(struct ub_queue *q, struct ub_io *io, unsigned id, int res)
{
	(void)id;
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
