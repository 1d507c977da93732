/* SPDX-License-Identifier: MIT */
/*
 * What a server that dies may lose. A write that a server with a cache has answered is durable when a flush has been
 * answered that was sent after it; until then a server that dies, or its machine, may lose it, and nobody who
 * connects again can tell. So what has ended and is not durable is kept, in its order, and is asked for again on a
 * new connection before anything else: whether it was lost or not, it is there then. What was under way when the
 * connection was lost comes after it: none of that had been answered, so nobody counts on an order among those.
 *
 * A change that is durable by itself is kept too if an older one is, which would be written over it.
 *
 * Where a change is not kept, since there is no room, it ends when a flush has been answered. That makes room, too;
 * so one change flushes as soon as half of it is taken.
 *
 * Of several threads each has a connection and keeps what it has had answered itself. So what has to hold for all of
 * them:
 *
 * - Each change has a number of its own, which it gets when its answer is read, before its end is told. So what was
 *   asked for after the end of another has the higher number, whichever threads they came to; of two that were under
 *   way at once either may be the later, as before. By these numbers all that is kept goes again: by one thread, on
 *   its connection, when no other has anything with the server (nbd_round.c).
 * - A change that is durable by itself is not kept if nothing at all is open, of whatever thread.
 * - A flush makes durable what had a number when it was sent: the server has had answered that on any connection
 *   (it promises so: NBD_FLAG_CAN_MULTI_CONN), or has been sent it again. A server that has come in the place of a dead
 *   one is not sent a flush before: no thread is up then. And an answer that the dead one has left behind in a
 *   connection is read, and its change numbered, before anything is sent again.
 * - A change that waits for a flush, since it was not kept, is asked for once more after that: what is sent again may
 *   have been written over it.
 *
 * Without memory for it (--replay-memory 0), and of what another server of the device has written before this one,
 * until a first flush is answered, it can't be done. What may be lost then is told: every flush fails from then on, as
 * after a write-back that has failed.
 *
 * What is kept ends with this process. One that lets go of its device has it flushed first; if that can't be done, or
 * if it dies while the server is away, the record has it that something may be lost.
 */
#include <errno.h>
#include <string.h>

#include "base/clock.h"
#include "target/nbd.h"

/* How long a server that ends waits for a last flush. */
#define LEAVE_MS 5000

/* Has any change ended that is not known to be durable? */
static bool is_ahead(struct ub_nbd *n)
{
	return atomic_load(&n->changed) > atomic_load(&n->flushed);
}

/* With its number. Return: false: there is no room. */
static bool keep(struct ub_queue *q, struct ub_io *io)
{
	struct ub_nbd *n = ub_nbd_of(q);
	struct ub_nbd_link *l = ub_nbd_link_of(q);
	uint16_t command = ub_nbd_command_of(io);
	bool is_write = command == NBD_CMD_WRITE;
	const char *buffer = ub_io_buffer(io);
	struct ub_nbd_change *change;

	if (ub_nbd_kept_used(&l->kept) > l->kept.size / 2 && !l->flushing)
		return false;
	change = ub_nbd_kept_room(&l->kept, is_write ? io->len : 0);
	if (!change)
		return false;
	if (is_write && buffer)
		memcpy(ub_nbd_change_data(change), buffer, io->len);
	else if (is_write && ub_io_copy_from(q, io, 0, ub_nbd_change_data(change), io->len) != 0)
		return false;
	change->len = io->len;
	change->number = atomic_fetch_add(&n->changed, 1);
	change->offset = io->offset;
	change->command = command;
	change->flags = ub_nbd_flags_of(io);
	if (ub_nbd_is_durable(n, io))
		change->flags |= NBD_CMD_FLAG_FUA;
	ub_nbd_keep(&l->kept, change);
	return true;
}

bool ub_nbd_is_over_with(struct ub_queue *q, struct ub_io *io)
{
	struct ub_nbd *n = ub_nbd_of(q);
	struct ub_nbd_link *l = ub_nbd_link_of(q);
	bool durable = ub_nbd_is_durable(n, io), over = true;

	if (!n->asks_flush)
		return true;
	if (durable && !(n->export.flags & NBD_EXPORT_FUA)) {
		over = false;
	} else if (l->kept.size) {
		ub_nbd_kept_drop(&l->kept, atomic_load(&n->flushed));
		if (durable && !is_ahead(n))
			return true;
		/* Of one that has not ended nothing is lost: it is asked for again. */
		over = keep(q, io);
		l->flushing |= !over;
	} else if (!durable) {
		atomic_fetch_add(&n->changed, 1);
	}
	return over;
}

void ub_nbd_flushed(struct ub_queue *q, uint64_t changed)
{
	struct ub_nbd *n = ub_nbd_of(q);
	uint64_t was = atomic_load(&n->flushed);

	while (was < changed && !atomic_compare_exchange_weak(&n->flushed, &was, changed))
		;
}

static void tell_loss(struct ub_queue *q)
{
	int none = 0;

	(void)atomic_compare_exchange_strong(&ub_queue_target(q)->write_error, &none, -EIO);
}

void ub_nbd_own_flushed(struct ub_queue *q, int error)
{
	if (error)
		tell_loss(q);
	else
		ub_nbd_flushed(q, ub_nbd_link_of(q)->own_changed);
	atomic_store(&ub_nbd_of(q)->inherits, false);
}

/* Is anything that has ended not known to be durable? */
static bool is_open(struct ub_nbd *n)
{
	return n->asks_flush && (atomic_load(&n->inherits) || is_ahead(n));
}

/* What is being sent again is not left to be done late. */
static bool is_away(const struct ub_nbd_link *l)
{
	return l->state != LINK_UP && l->state != LINK_REPLAYING;
}

bool ub_nbd_may_leave(struct ub_queue *q)
{
	struct ub_nbd *n = ub_nbd_of(q);
	struct ub_nbd_link *l = ub_nbd_link_of(q);
	bool replays = l->state == LINK_REPLAYING;

	if (!replays && (!is_open(n) || atomic_load(&ub_queue_target(q)->write_error)))
		return true;
	if (!l->leaving)
		l->leave_ms = ub_now_ms() + LEAVE_MS;
	l->leaving = true;
	/* A server that is too slow for what is sent again loses its connection before. */
	if (is_away(l) || (ub_left_ms(l->leave_ms) == 0 && !(replays && n->request_s))) {
		atomic_store(&ub_queue_target(q)->away.may_lose, true);
		ub_queue_tell(q);
		return true;
	}
	return false;
}

void ub_nbd_note_loss(struct ub_queue *q)
{
	struct ub_nbd *n = ub_nbd_of(q);

	if (is_open(n) && (atomic_load(&n->inherits) || !n->keep))
		tell_loss(q);
	else if (is_open(n) && !atomic_exchange(&ub_queue_target(q)->away.may_lose, true))
		ub_queue_tell(q);
}

void ub_nbd_replay(struct ub_queue *q)
{
	const struct ub_nbd *n = ub_nbd_of(q);
	struct ub_nbd_link *l = ub_nbd_link_of(q);

	l->state = LINK_REPLAYING;
	l->replay_ms = ub_now_ms();
	ub_nbd_resend_begin(&l->resend, &n->links->kept, atomic_load(&n->flushed));
	ub_nbd_replay_send(q);
}

void ub_nbd_replay_send(struct ub_queue *q)
{
	struct ub_nbd_link *l = ub_nbd_link_of(q);
	struct ub_nbd_change *change;
	unsigned count = 0;

	while ((change = ub_nbd_resend_next(&l->resend))) {
		ub_nbd_make_head(l, change->head, change->command, change->flags,
				 UB_NBD_COOKIE_REPLAY, change->offset, change->len);
		l->iov[count++] = (struct iovec){change->head, sizeof(change->head)};
		if (change->command == NBD_CMD_WRITE)
			l->iov[count++] = (struct iovec){ub_nbd_change_data(change), change->len};
	}
	ub_nbd_send_iov(q, count);
}

bool ub_nbd_replay_is_over(const struct ub_nbd_link *l)
{
	return !l->sending && ub_nbd_resend_is_over(&l->resend);
}

int ub_nbd_replay_answered(struct ub_queue *q, uint64_t cookie, int error)
{
	struct ub_nbd_link *l = ub_nbd_link_of(q);

	if (l->state != LINK_REPLAYING || !ub_nbd_resend_answered(&l->resend, cookie))
		return -EPROTO;
	l->replay_ms = ub_now_ms();
	if (error)
		tell_loss(q);
	if (!l->sending)
		ub_nbd_replay_send(q);
	return 0;
}
