/* SPDX-License-Identifier: MIT */
/*
 * The data path `user-copy`: the server itself reads and writes the request, through the char
 * device, so that only an I/O under way has a buffer, and a target in memory needs none.
 *
 * By pread() and pwrite(), which copy at once and never wait. The ring would be no better: the char
 * device can't tell io_uring that it does not block (ublk_ch_open() sets no FMODE_NOWAIT, Linux 6.12
 * to 7.3), so that each such operation would go through a worker thread.
 */
#include <errno.h>
#include <unistd.h>

#include "queue/internal.h"

/* Where a request's data begins (ublk_pos_to_hwq(), ublk_pos_to_tag()). Added, not or-ed: the queue
 * has bits above the tag's, and the sum carries into them. */
static off_t position(const struct ub_queue *q, const struct ub_io *io, uint32_t data)
{
	return (off_t)(UBLKSRV_IO_BUF_OFFSET + ((uint64_t)ub_io_queue(q, io) << UBLK_QID_OFF) +
		       ((uint64_t)io->tag << UBLK_TAG_OFF) + data);
}

/* A part of it is no success: the pages that were to take the rest could not be had. */
static int whole(ssize_t n, uint32_t len)
{
	if (n < 0)
		return -errno;
	return (uint32_t)n == len ? 0 : -EIO;
}

int ub_user_copy_to(struct ub_queue *q, struct ub_io *io, uint32_t data, const void *from,
		    uint32_t len)
{
	return whole(pwrite(q->char_fd, from, len, position(q, io, data)), len);
}

int ub_user_copy_from(struct ub_queue *q, struct ub_io *io, uint32_t data, void *to, uint32_t len)
{
	return whole(pread(q->char_fd, to, len, position(q, io, data)), len);
}

static bool has_data(const struct ub_io *io)
{
	return io->op == UBLK_IO_OP_READ || io->op == UBLK_IO_OP_WRITE;
}

static void has_buffer(struct ub_queue *q, struct ub_io *io)
{
	int ret = io->op == UBLK_IO_OP_WRITE ? ub_user_copy_from(q, io, 0, io->data, io->len) : 0;

	if (__builtin_expect(ret != 0, 0))
		ub_queue_end(q, io, ret);
	else
		ub_queue_submit(q, io);
}

static void begin(struct ub_queue *q, struct ub_io *io)
{
	if (!has_data(io) || q->target->type->in_memory) {
		ub_queue_submit(q, io);
		return;
	}
	ub_pooled_begin(q, io);
}

static void end(struct ub_queue *q, struct ub_io *io, int result)
{
	if (io->data && io->op == UBLK_IO_OP_READ && result > 0) {
		int ret = ub_user_copy_to(q, io, 0, io->data, io->len);

		if (__builtin_expect(ret != 0, 0))
			result = ub_io_result(io, ret);
	}
	ub_queue_commit(q, io, result);
	ub_pooled_put(q, io);
}

const struct ub_path ub_path_user_copy = {
	.name = "user-copy",
	.init = ub_pooled_init,
	.begin = begin,
	.has_buffer = has_buffer,
	.end = end,
	.copy_to = ub_user_copy_to,
	.copy_from = ub_user_copy_from,
	.give_back = ub_pooled_give_back,
};
