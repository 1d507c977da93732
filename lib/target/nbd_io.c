/* SPDX-License-Identifier: MIT */
/*
 * I/Os as requests, which go together, all that have come until the thread has nothing else to do. Whatever is not
 * answered when the connection is lost is sent again on the next one: a request of NBD can be done twice with the same
 * result.
 */
#include <errno.h>
#include <string.h>

#include "base/clock.h"
#include "kernel/uapi.h"
#include "target/nbd.h"

void ub_nbd_enqueue(struct ub_queue *q, struct ub_io *io)
{
	struct ub_nbd_link *l = ub_nbd_link_of(q);

	io->next = NULL;
	if (!l->waiting)
		l->last_waiting = &l->waiting;
	*l->last_waiting = io;
	l->last_waiting = &io->next;
}

void ub_nbd_end(struct ub_queue *q, struct ub_io *io, int error)
{
	*ub_nbd_io_of(q, io) = (struct ub_nbd_io){0};
	ub_io_end(q, io, error);
}

bool ub_nbd_is_over(const struct ub_nbd *n, const struct ub_nbd_link *l)
{
	return l->lost_ms && n->hold_ms >= 0 && ub_now_ms() - l->lost_ms >= n->hold_ms;
}

int ub_nbd_lost(struct ub_queue *q)
{
	return atomic_load_explicit(&ub_queue_target(q)->write_error, memory_order_relaxed);
}

void ub_nbd_submit(struct ub_queue *q, struct ub_io *io)
{
	struct ub_nbd_link *l = ub_nbd_link_of(q);

	*ub_nbd_io_of(q, io) = (struct ub_nbd_io){0};
	if (ub_nbd_is_over(ub_nbd_of(q), l)) {
		ub_nbd_end(q, io, -ENOLINK);
		return;
	}
	if (ub_nbd_lost(q) && (io->op == UBLK_IO_OP_FLUSH || ub_nbd_is_durable(ub_nbd_of(q), io))) {
		ub_nbd_end(q, io, ub_nbd_lost(q));
		return;
	}
	ub_nbd_enqueue(q, io);
}

static bool has_fua(const struct ub_nbd *n)
{
	return n->export.flags & NBD_EXPORT_FUA;
}

/* The request, in the I/O's own state. */
static void make_head(struct ub_queue *q, struct ub_io *io)
{
	const struct ub_nbd *n = ub_nbd_of(q);
	struct ub_nbd_io *i = ub_nbd_io_of(q, io);
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

	if (!data && io->len >= UB_NBD_DIRECT_MIN) {
		l->body = io;
		return 0;
	}
	if (!data) {
		int ret = ub_io_copy_from(q, io, 0, l->out + *out, io->len);

		if (ret)
			return ret;
		data = l->out + *out;
		*out += io->len;
	}
	l->iov[count] = (struct iovec){data, io->len};
	return 1;
}

/* Takes as much of what waits as goes at once. Return: pieces of it in ub_nbd_link.iov; 0: nothing waits. */
static unsigned gather(struct ub_queue *q, struct ub_nbd_link *l)
{
	int64_t now = l->waiting ? ub_now_ms() : 0;
	unsigned count = add_own_flush(q, l);
	uint32_t out = 0;

	while (l->waiting && !l->body && count + 2 <= 2 * UB_NBD_BATCH &&
	       out + UB_NBD_DIRECT_MIN <= UB_NBD_STAGE) {
		struct ub_io *io = l->waiting;
		struct ub_nbd_io *i = ub_nbd_io_of(q, io);
		bool has_data = io->op == UBLK_IO_OP_WRITE && !i->flushes;
		int ret = has_data ? add_data(q, l, io, count + 1, &out) : 0;

		l->waiting = io->next;
		if (ret < 0) {
			ub_nbd_end(q, io, ret);
			continue;
		}
		make_head(q, io);
		i->sent = true;
		i->sent_ms = now;
		l->last_large = ub_nbd_is_large(io);
		l->large += l->last_large;
		l->iov[count] = (struct iovec){i->head, sizeof(i->head)};
		count += 1 + (unsigned)ret;
	}
	return count;
}

void ub_nbd_send(struct ub_queue *q)
{
	struct ub_nbd_link *l = ub_nbd_link_of(q);
	unsigned count;

	while (l->state == LINK_UP && !l->sending && (count = gather(q, l)) > 0)
		ub_nbd_send_now(q, count);
}

void ub_nbd_up(struct ub_queue *q)
{
	struct ub_nbd_link *l = ub_nbd_link_of(q);

	l->state = LINK_UP;
	if (l->lost_ms)
		atomic_fetch_sub(&ub_nbd_of(q)->away, 1);
	l->lost_ms = 0;
	ub_nbd_tell_away(q, 0);
}

bool ub_nbd_leaves(struct ub_queue *q)
{
	if (ub_nbd_may_leave(q)) {
		ub_nbd_round_leave(q);
		return true;
	}
	/* So that it is asked again. */
	ub_nbd_look(q);
	return false;
}

int ub_nbd_sent(struct ub_queue *q, int res)
{
	struct ub_nbd_link *l = ub_nbd_link_of(q);

	if (res <= 0)
		return res ? res : -ECONNRESET;
	if (ub_nbd_is_left(l, (size_t)res))
		ub_nbd_send_rest(q);
	else if (l->state == LINK_REPLAYING)
		ub_nbd_replay_send(q);
	return 0;
}

void ub_nbd_take_back(struct ub_queue *q)
{
	struct ub_nbd_link *l = ub_nbd_link_of(q);
	struct ub_io *io;

	l->reading = l->body = NULL;
	l->from = l->to = l->body_sent = l->large = 0;
	l->own_flush = l->flushing = false;
	l->send_error = 0;
	for (uint32_t i = 0; (io = ub_queue_io(q, i)); i++) {
		if (!ub_nbd_io_of(q, io)->sent)
			continue;
		/* Also what is only to be flushed: it may be lost. */
		ub_nbd_io_of(q, io)->sent = false;
		ub_nbd_enqueue(q, io);
	}
	for (io = l->waiting; io; io = io->next)
		ub_nbd_io_of(q, io)->flushes = false;
}

void ub_nbd_give_up(struct ub_queue *q)
{
	struct ub_nbd_link *l = ub_nbd_link_of(q);

	while (l->waiting) {
		struct ub_io *io = l->waiting;

		l->waiting = io->next;
		ub_nbd_end(q, io, -ENOLINK);
	}
}
