/* SPDX-License-Identifier: MIT */
/*
 * Replies as the ends of I/Os. They are received many at a time into a stage, and the data of a large read where it
 * belongs.
 */
#include <errno.h>
#include <string.h>

#include "kernel/uapi.h"
#include "target/nbd.h"

/* Those that stand for something on every system, as the protocol numbers them. */
static int read_error(uint32_t error)
{
	switch (error) {
	case 0:
		return 0;
	case 28:
		return -ENOSPC;
	case 95:
		return -EOPNOTSUPP;
	default:
		return -EIO;
	}
}

static void answered(struct ub_queue *q, struct ub_io *io, int error)
{
	struct ub_nbd *n = ub_nbd_of(q);
	struct ub_nbd_io *i = ub_nbd_io_of(q, io);
	bool is_flush = io->op == UBLK_IO_OP_FLUSH || i->flushes;

	if (!error && is_flush)
		ub_nbd_flushed(q, i->changed);
	/* One that was sent again: what it is to make durable may be lost by now. */
	if (!error && (io->op == UBLK_IO_OP_FLUSH || ub_nbd_is_durable(n, io)))
		error = ub_nbd_lost(q);
	if (i->flushes)
		ub_nbd_link_of(q)->flushing = false;
	if (error || is_flush || !ub_nbd_is_change(io) || ub_nbd_is_over_with(q, io)) {
		ub_nbd_end(q, io, error);
		return;
	}
	i->sent = false;
	i->flushes = true;
	ub_nbd_enqueue(q, io);
}

/* Return: the I/O whose request, as it was sent last, a reply is of, or NULL: there is none. */
static struct ub_io *find_io(struct ub_queue *q, uint64_t cookie)
{
	struct ub_io *io = ub_queue_io(q, (uint32_t)cookie);
	const struct ub_nbd_io *i = io ? ub_nbd_io_of(q, io) : NULL;

	return i && i->sent && nbd_cookie(i->head) == cookie ? io : NULL;
}

/* Takes one reply's head off the stage. Return: 0, or a negative errno: the connection is of no use any more. */
static int take_reply(struct ub_queue *q, struct ub_nbd_link *l)
{
	const char *head = l->stage + l->from;
	uint32_t error = nbd_get32(head + 4);
	uint64_t cookie = nbd_get64(head + 8);
	struct ub_io *io = find_io(q, cookie);

	/* It goes, and says so: another one will come. */
	if (error == 108)
		return -ESHUTDOWN;
	if (nbd_get32(head) != NBD_REPLY_MAGIC)
		return -EPROTO;
	l->from += NBD_REPLY_SIZE;
	if (l->own_flush && cookie == nbd_cookie(l->flush_head)) {
		l->own_flush = false;
		ub_nbd_own_flushed(q, read_error(error));
		return 0;
	}
	if (cookie & UB_NBD_COOKIE_REPLAY)
		return ub_nbd_replay_answered(q, cookie, read_error(error));
	/* Not even of one whose data it does not have yet. */
	if (!io || io == l->body)
		return -EPROTO;
	l->large -= ub_nbd_is_large(io);
	if (io->op == UBLK_IO_OP_READ && !error) {
		l->reading = io;
		l->read = 0;
		l->read_error = 0;
	} else {
		answered(q, io, read_error(error));
	}
	return 0;
}

/* So much more of the data is there. */
static void took_data(struct ub_queue *q, struct ub_nbd_link *l, uint32_t n)
{
	struct ub_io *io = l->reading;

	l->read += n;
	if (l->read < io->len)
		return;
	l->reading = NULL;
	answered(q, io, l->read_error);
}

/* Takes what is there of the data. */
static void take_data(struct ub_queue *q, struct ub_nbd_link *l)
{
	struct ub_io *io = l->reading;
	uint32_t n = io->len - l->read;
	char *buffer = ub_io_buffer(io);

	if (n > l->to - l->from)
		n = l->to - l->from;
	if (buffer)
		memcpy(buffer + l->read, l->stage + l->from, n);
	else if (!l->read_error)
		l->read_error = ub_io_copy_to(q, io, l->read, l->stage + l->from, n);
	l->from += n;
	took_data(q, l, n);
}

/* Return: as take_reply(). */
static int take_stage(struct ub_queue *q, struct ub_nbd_link *l)
{
	int ret = 0;

	while (!ret && (l->reading ? l->from < l->to : l->to - l->from >= NBD_REPLY_SIZE)) {
		if (l->reading)
			take_data(q, l);
		else
			ret = take_reply(q, l);
	}
	return ret;
}

static bool is_direct(const struct ub_nbd_link *l)
{
	return l->reading && l->reading->len - l->read >= UB_NBD_DIRECT_MIN && l->from == l->to;
}

static void receive_direct(struct ub_queue *q, struct ub_nbd_link *l)
{
	uint32_t missing = l->reading->len - l->read;
	char *buffer = ub_io_buffer(l->reading);

	if (buffer)
		ub_own_receive(q, OWN_RECEIVE, l->fd, buffer + l->read, missing,
			       ub_nbd_receive_how(q, true));
	else
		ub_own_receive_data(q, OWN_RECEIVE, l->fd, l->reading, l->read, missing);
}

void ub_nbd_receive(struct ub_queue *q)
{
	struct ub_nbd_link *l = ub_nbd_link_of(q);
	uint32_t left = l->to - l->from, room = UB_NBD_STAGE - left;

	l->receiving = true;
	if (is_direct(l)) {
		receive_direct(q, l);
		return;
	}
	memmove(l->stage, l->stage + l->from, left);
	l->from = 0;
	l->to = left;
	/* No more than up to where such data may begin: it would be copied once more. What comes next is likely to be as
	 * what came last. */
	if (l->large || l->last_large)
		room = (l->reading ? l->reading->len - l->read : 0) + NBD_REPLY_SIZE - left;
	ub_own_receive(q, OWN_RECEIVE, l->fd, l->stage + left, room, ub_nbd_receive_how(q, false));
}

int ub_nbd_received(struct ub_queue *q, int res)
{
	struct ub_nbd_link *l = ub_nbd_link_of(q);

	if (res <= 0)
		return res ? res : -ECONNRESET;
	if (is_direct(l)) {
		took_data(q, l, (uint32_t)res);
	} else {
		l->to += (uint32_t)res;
		res = take_stage(q, l);
		if (res < 0)
			return res;
	}
	ub_nbd_receive(q);
	return 0;
}
