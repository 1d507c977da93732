/* SPDX-License-Identifier: MIT */
/*
 * Where librbd is not: programs that know of the target rbd, and do not serve it. The linker takes this file from
 * the library only if nobody has the functions already, as ublk-server-rbd has.
 */
#include <errno.h>

#include "target/rbd.h"

/* To tell of its memory nobody needs the cluster. */
int ub_rbd_open(struct ub_tgt *tgt, void *args, const struct ub_open_request *req,
		struct ub_notes *notes, struct ub_error *err)
{
	const struct ub_rbd_args *a = args;

	if (!req->probe)
		return ub_fail_text(err, UB_STAGE_BACKING, -EOPNOTSUPP,
				    "cannot serve %s: this program has no librbd", a->image);
	(void)notes;
	tgt->logical_block_size = req->logical_block_size ? req->logical_block_size : 512;
	tgt->physical_block_size = tgt->logical_block_size;
	tgt->own_ops = 1;
	tgt->event_fd = -1;
	return 0;
}

int ub_rbd_connect(struct ub_tgt *tgt, void *args, const struct ub_open_request *req,
		   struct ub_notes *notes, struct ub_error *err)
{
	(void)tgt;
	(void)args;
	(void)req;
	(void)notes;
	return ub_fail_text(err, UB_STAGE_CONNECT, -EOPNOTSUPP, "this program has no librbd");
}

void ub_rbd_submit(struct ub_queue *q, struct ub_io *io)
{
	ub_io_end(q, io, -EOPNOTSUPP);
}

void ub_rbd_complete(struct ub_queue *q, struct ub_io *io, unsigned id, int res)
{
	(void)id;
	ub_io_end(q, io, res);
}

void ub_rbd_rest(struct ub_queue *q)
{
	(void)q;
}

int64_t ub_rbd_room(struct ub_tgt *tgt)
{
	(void)tgt;
	return -EOPNOTSUPP;
}

int ub_rbd_make_room(struct ub_tgt *tgt, uint64_t size)
{
	(void)tgt;
	(void)size;
	return -EOPNOTSUPP;
}

void ub_rbd_let_go(struct ub_tgt *tgt)
{
	(void)tgt;
}

void ub_rbd_close(struct ub_tgt *tgt)
{
	(void)tgt;
}
