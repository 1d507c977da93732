/* SPDX-License-Identifier: MIT */
/*
 * I/Os as requests, and replies as their ends. Requests go together, as many as wait while the ones before are
 * being sent; replies are received many at a time into a stage, and the data of a large read where it belongs.
 * Whatever is not answered when the connection is lost is sent again on the next one: a request of NBD can be done
 * twice with the same result.
 */
#include <errno.h>
#include <string.h>

#include "base/clock.h"
#include "kernel/uapi.h"
#include "target/nbd.h"

/* Is it a read of so much that its data is received where it belongs? */
static bool is_large(const struct ub_io *io)
{
	return io->op == UBLK_IO_OP_READ && io->len >= UB_NBD_DIRECT_MIN;
}

static struct ub_nbd_io *nbd_io(struct ub_queue *q, const struct ub_io *io)
{
	return ub_io_state(q, io);
}

static void enqueue(struct ub_queue *q, struct ub_io *io)
{
	struct ub_nbd_link *l = ub_nbd_link_of(q);

	io->next = NULL;
	if (!l->waiting)
		l->last_waiting = &l->waiting;
	*l->last_waiting = io;
	l->last_waiting = &io->next;
}

static void end(struct ub_queue *q, struct ub_io *io, int error)
{
	*nbd_io(q, io) = (struct ub_nbd_io){0};
	ub_io_end(q, io, error);
}

bool ub_nbd_is_over(const struct ub_nbd *n, const struct ub_nbd_link *l)
{
	return l->lost_ms && n->hold_ms >= 0 && ub_now_ms() - l->lost_ms >= n->hold_ms;
}

/* Return: a negative errno if something that was acknowledged may be lost: every flush tells it from then on. */
static int lost(struct ub_queue *q)
{
	return atomic_load_explicit(&ub_queue_target(q)->write_error, memory_order_relaxed);
}

void ub_nbd_submit(struct ub_queue *q, struct ub_io *io)
{
	struct ub_nbd_link *l = ub_nbd_link_of(q);

	*nbd_io(q, io) = (struct ub_nbd_io){0};
	if (ub_nbd_is_over(ub_nbd_of(q), l)) {
		end(q, io, -ENOLINK);
		return;
	}
	if (lost(q) && (io->op == UBLK_IO_OP_FLUSH || ub_nbd_is_durable(ub_nbd_of(q), io))) {
		end(q, io, lost(q));
		return;
	}
	enqueue(q, io);
	if (l->state == LINK_UP && !l->sending)
		ub_nbd_send(q);
}

static bool has_fua(const struct ub_nbd *n)
{
	return n->export.flags & NBD_EXPORT_FUA;
}

/* The request, in the I/O's own state. */
static void make_head(struct ub_queue *q, struct ub_io *io)
{
	const struct ub_nbd *n = ub_nbd_of(q);
	struct ub_nbd_io *i = nbd_io(q, io);
	uint16_t command = i->flushes ? NBD_CMD_FLUSH : ub_nbd_command_of(io), flags = 0;
	bool is_flush = command == NBD_CMD_FLUSH;

	if (is_flush)
		i->changed = atomic_load(&n->changed);
	else
		flags = ub_nbd_flags_of(io);
	if (!is_flush && ub_nbd_is_durable(n, io) && has_fua(n))
		flags |= NBD_CMD_FLAG_FUA;
	ub_nbd_make_head(ub_nbd_link_of(q), i->head, command, flags, ub_io_number(q, io),
			 is_flush ? 0 : io->offset, is_flush ? 0 : io->len);
}

/* What was written before this server has served the device is to be durable soon, so that nothing of it can be
 * lost without a word. Return: how many pieces of a message that is. */
static unsigned add_own_flush(struct ub_queue *q, struct ub_nbd_link *l)
{
	struct ub_nbd *n = ub_nbd_of(q);

	if (l->own_flush || (!l->leaving && !atomic_load(&n->inherits)))
		return 0;
	l->own_flush = true;
	l->own_flush_ms = ub_now_ms();
	l->own_changed = atomic_load(&n->changed);
	ub_nbd_make_head(l, l->flush_head, NBD_CMD_FLUSH, 0, UB_NBD_COOKIE_FLUSH, 0, 0);
	l->iov[0] = (struct iovec){l->flush_head, sizeof(l->flush_head)};
	return 1;
}

/* Puts a write's data behind its head, or has it follow as it lies. Return: 1: it is in ub_nbd_link.iov, 0: it is not,
 * or a negative errno. */
static int add_data(struct ub_queue *q, struct ub_nbd_link *l, struct ub_io *io, unsigned count,
		    uint32_t *out)
{
	char *data = ub_io_buffer(io);
	int ret = 0;

	if (!data && (io->len >= UB_NBD_DIRECT_MIN || !l->out)) {
		l->body = io;
		return 0;
	}
	if (!data) {
		data = l->out + *out;
		*out += io->len;
		ret = ub_io_copy_from(q, io, 0, data, io->len);
	}
	l->iov[count] = (struct iovec){data, io->len};
	return ret ? ret : 1;
}

void ub_nbd_send(struct ub_queue *q)
{
	struct ub_nbd_link *l = ub_nbd_link_of(q);
	int64_t now = l->waiting ? ub_now_ms() : 0;
	unsigned count = add_own_flush(q, l);
	uint32_t out = 0;

	while (l->waiting && !l->body && count + 2 <= 2 * UB_NBD_BATCH &&
	       out + UB_NBD_DIRECT_MIN <= UB_NBD_STAGE) {
		struct ub_io *io = l->waiting;
		struct ub_nbd_io *i = nbd_io(q, io);
		bool has_data = io->op == UBLK_IO_OP_WRITE && !i->flushes;
		int ret = has_data ? add_data(q, l, io, count + 1, &out) : 0;

		l->waiting = io->next;
		if (ret < 0) {
			end(q, io, ret);
			continue;
		}
		make_head(q, io);
		i->sent = true;
		i->sent_ms = now;
		l->last_large = is_large(io);
		l->large += l->last_large;
		l->iov[count] = (struct iovec){i->head, sizeof(i->head)};
		count += 1 + (unsigned)ret;
	}
	ub_nbd_send_iov(q, count);
}

void ub_nbd_up(struct ub_queue *q)
{
	struct ub_nbd_link *l = ub_nbd_link_of(q);

	l->state = LINK_UP;
	if (l->lost_ms)
		atomic_fetch_sub(&ub_nbd_of(q)->away, 1);
	l->lost_ms = 0;
	ub_nbd_tell_away(q, 0);
	ub_nbd_send(q);
}

bool ub_nbd_leaves(struct ub_queue *q)
{
	struct ub_nbd_link *l = ub_nbd_link_of(q);

	if (ub_nbd_may_leave(q)) {
		ub_nbd_round_leave(q);
		return true;
	}
	/* So that it is asked again. */
	ub_nbd_look(q);
	if (l->state == LINK_UP && !l->sending)
		ub_nbd_send(q);
	return false;
}

/* @n bytes more are gone. Return: whether anything is left. */
static bool is_left(struct ub_nbd_link *l, size_t n)
{
	if (l->iov_at == l->iov_count)
		l->body_sent += (uint32_t)n;
	while (l->iov_at < l->iov_count && n >= l->iov[l->iov_at].iov_len)
		n -= l->iov[l->iov_at++].iov_len;
	if (l->iov_at < l->iov_count) {
		l->iov[l->iov_at].iov_base = (char *)l->iov[l->iov_at].iov_base + n;
		l->iov[l->iov_at].iov_len -= n;
		return true;
	}
	if (l->body && l->body_sent < l->body->len)
		return true;
	l->body = NULL;
	l->body_sent = 0;
	return false;
}

int ub_nbd_sent(struct ub_queue *q, int res)
{
	struct ub_nbd_link *l = ub_nbd_link_of(q);

	if (res <= 0)
		return res ? res : -ECONNRESET;
	if (is_left(l, (size_t)res)) {
		ub_nbd_send_rest(q);
		return 0;
	}
	if (l->state == LINK_REPLAYING)
		ub_nbd_replay_send(q);
	else if (l->state == LINK_UP)
		ub_nbd_send(q);
	return 0;
}

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
	struct ub_nbd_io *i = nbd_io(q, io);
	bool is_flush = io->op == UBLK_IO_OP_FLUSH || i->flushes;

	if (!error && is_flush)
		ub_nbd_flushed(q, i->changed);
	/* One that was sent again: what it is to make durable may be lost by now. */
	if (!error && (io->op == UBLK_IO_OP_FLUSH || ub_nbd_is_durable(n, io)))
		error = lost(q);
	if (i->flushes)
		ub_nbd_link_of(q)->flushing = false;
	if (error || is_flush || !ub_nbd_is_change(io) || ub_nbd_is_over_with(q, io)) {
		end(q, io, error);
		return;
	}
	i->sent = false;
	i->flushes = true;
	enqueue(q, io);
}

/* Return: the I/O whose request, as it was sent last, a reply is of, or NULL: there is none. */
static struct ub_io *find_io(struct ub_queue *q, uint64_t cookie)
{
	struct ub_io *io = ub_queue_io(q, (uint32_t)cookie);
	const struct ub_nbd_io *i = io ? nbd_io(q, io) : NULL;

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
	l->large -= is_large(io);
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
	if (l->state == LINK_UP && !l->sending && l->waiting)
		ub_nbd_send(q);
	return 0;
}

void ub_nbd_take_back(struct ub_queue *q)
{
	struct ub_nbd_link *l = ub_nbd_link_of(q);
	struct ub_io *io;

	l->reading = l->body = NULL;
	l->from = l->to = l->body_sent = l->large = 0;
	l->own_flush = l->flushing = false;
	for (uint32_t i = 0; (io = ub_queue_io(q, i)); i++) {
		if (!nbd_io(q, io)->sent)
			continue;
		/* Also what is only to be flushed: it may be lost. */
		nbd_io(q, io)->sent = false;
		enqueue(q, io);
	}
	for (io = l->waiting; io; io = io->next)
		nbd_io(q, io)->flushes = false;
}

void ub_nbd_give_up(struct ub_queue *q)
{
	struct ub_nbd_link *l = ub_nbd_link_of(q);

	while (l->waiting) {
		struct ub_io *io = l->waiting;

		l->waiting = io->next;
		end(q, io, -ENOLINK);
	}
}
