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
 * Several threads, each with a connection of its own, would have to be stopped together for that, lest what one sends
 * again overwrites what another has written since: so one alone serves. Without memory for it (--replay-memory 0),
 * and of what another server of the device has written before this one, until a first flush is answered, it can't be
 * done. What may be lost then is told: every flush fails from then on, as after a write-back that has failed.
 *
 * What is kept ends with this process. One that lets go of its device has it flushed first; if that can't be done, or
 * if it dies while the server is away, the record has it that something may be lost.
 */
#include <errno.h>

#include "base/clock.h"
#include "target/nbd.h"

/* How long a server that ends waits for a last flush. */
#define LEAVE_MS 5000

/* Return: false: there is no room. */
static bool keep(struct ub_queue *q, struct ub_io *io)
{
	struct ub_nbd *n = ub_nbd_of(q);
	struct ub_nbd_link *l = ub_nbd_link_of(q);
	uint16_t command = ub_nbd_command_of(io);
	struct ub_nbd_change *change;

	if (ub_nbd_kept_used(&l->kept) > l->kept.size / 2 && !l->flushing)
		return false;
	change = ub_nbd_keep(&l->kept, command == NBD_CMD_WRITE ? ub_io_buffer(io) : NULL, io->len);
	if (!change)
		return false;
	change->number = atomic_load(&n->changed);
	change->offset = io->offset;
	change->command = command;
	change->flags = ub_nbd_flags_of(io);
	if (ub_nbd_is_durable(n, io))
		change->flags |= NBD_CMD_FLAG_FUA;
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
		if (durable && ub_nbd_kept_used(&l->kept) == 0)
			return true;
		over = keep(q, io);
		l->flushing |= !over;
	} else if (durable) {
		return true;
	}
	/* Of one that has not ended nothing is lost: it is asked for again. */
	if (over)
		atomic_fetch_add(&n->changed, 1);
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
	return n->asks_flush &&
	       (atomic_load(&n->inherits) || atomic_load(&n->changed) > atomic_load(&n->flushed));
}

bool ub_nbd_may_leave(struct ub_queue *q)
{
	struct ub_nbd_link *l = ub_nbd_link_of(q);

	if (!is_open(ub_nbd_of(q)) || atomic_load(&ub_queue_target(q)->write_error))
		return true;
	if (!l->leaving)
		l->leave_ms = ub_now_ms() + LEAVE_MS;
	l->leaving = true;
	if (l->state != LINK_UP || ub_left_ms(l->leave_ms) == 0) {
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
	else if (is_open(n))
		atomic_store(&ub_queue_target(q)->away.may_lose, true);
}

bool ub_nbd_replay_begin(struct ub_queue *q)
{
	struct ub_nbd_link *l = ub_nbd_link_of(q);
	struct ub_nbd_change *change;
	uint64_t place = 0;

	l->replay = l->replied = l->replays = 0;
	l->replay_ms = ub_now_ms();
	if (!l->kept.size)
		return false;
	ub_nbd_kept_drop(&l->kept, atomic_load(&ub_nbd_of(q)->flushed));
	while ((change = ub_nbd_kept_next(&l->kept, &place)))
		change->done = false;
	return place != 0;
}

static uint32_t cookie_of(const struct ub_nbd_change *change)
{
	return UB_NBD_COOKIE_REPLAY | (uint32_t)change->number;
}

/* A server carries out what it has been sent in any order: is one that has to come before it not answered yet? */
static bool has_to_wait(const struct ub_nbd_link *l, const struct ub_nbd_change *change)
{
	const struct ub_nbd_change *earlier;
	uint64_t place = l->replied;

	while ((earlier = ub_nbd_kept_next(&l->kept, &place)) && earlier != change)
		if (!earlier->done && earlier->offset < change->offset + change->len &&
		    change->offset < earlier->offset + earlier->len)
			return true;
	return false;
}

bool ub_nbd_replay_send(struct ub_queue *q)
{
	struct ub_nbd_link *l = ub_nbd_link_of(q);
	struct ub_nbd_change *change;
	uint64_t next = l->replay;
	unsigned count = 0;

	while (l->replays < UB_NBD_BATCH && (change = ub_nbd_kept_next(&l->kept, &next)) &&
	       !has_to_wait(l, change)) {
		l->replay = next;
		ub_nbd_make_head(l, change->head, change->command, change->flags, cookie_of(change),
				 change->offset, change->len);
		l->replays++;
		l->iov[count++] = (struct iovec){change->head, sizeof(change->head)};
		if (change->command == NBD_CMD_WRITE)
			l->iov[count++] = (struct iovec){ub_nbd_change_data(change), change->len};
	}
	ub_nbd_send_iov(q, count);
	return !count && !l->replays;
}

int ub_nbd_replay_answered(struct ub_queue *q, uint64_t cookie, int error)
{
	struct ub_nbd_link *l = ub_nbd_link_of(q);
	uint64_t place = l->replied, next = place;
	struct ub_nbd_change *change;

	if (l->state != LINK_REPLAYING)
		return -EPROTO;
	/* Of those that were sent. */
	do
		change = next < l->replay ? ub_nbd_kept_next(&l->kept, &next) : NULL;
	while (change && (ub_nbd_cookie(change->head) != cookie || change->done));
	if (!change)
		return -EPROTO;
	change->done = true;
	l->replays--;
	l->replay_ms = ub_now_ms();
	if (error)
		tell_loss(q);
	next = place;
	while ((change = ub_nbd_kept_next(&l->kept, &next)) && change->done)
		l->replied = next;
	return 0;
}
