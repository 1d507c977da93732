/* SPDX-License-Identifier: MIT */
/*
 * A thread's connection: it is watched and given up, and when there is a new one (nbd_dial.c) used again; requests wait
 * meanwhile.
 *
 * What was answered and not flushed may be gone with a server that has died: it goes again first (nbd_replay.c), and
 * other threads of the device wait for that with their connections (nbd_round.c).
 */
#include <errno.h>
#include <sys/socket.h>

#include "base/clean.h"
#include "base/clock.h"
#include "target/nbd.h"

/* When no operation on it is left. */
static void end_if_idle(struct ub_queue *q, struct ub_nbd_link *l)
{
	if (l->sending || l->receiving)
		return;
	ub_close(&l->fd);
	ub_nbd_take_back(q);
	if (ub_nbd_is_over(ub_nbd_of(q), l))
		ub_nbd_give_up(q);
	ub_nbd_dial_later(q);
}

/* Nothing goes by it from now on. */
static void go_away(struct ub_queue *q, struct ub_nbd_link *l)
{
	/* What is lost before all is as it was is one more try of the same. */
	l->tries++;
	if (l->lost_ms)
		return;
	l->lost_ms = ub_now_ms();
	l->tries = 0;
	atomic_fetch_add(&ub_nbd_of(q)->away, 1);
}

static void give_connection_up(struct ub_queue *q, struct ub_nbd_link *l)
{
	l->state = LINK_ENDING;
	ub_nbd_where_leave(ub_nbd_of(q));
	/* Operations on it end at once. */
	(void)shutdown(l->fd, SHUT_RDWR);
	end_if_idle(q, l);
}

/* It is of no use any more. */
static void lose(struct ub_queue *q, struct ub_nbd_link *l, int error)
{
	go_away(q, l);
	ub_nbd_note_loss(q);
	ub_nbd_tell_away(q, error);
	if (ub_nbd_of(q)->gathers)
		ub_nbd_round_begin(q);
	give_connection_up(q, l);
}

/* Nothing goes to the server any more, and the connection ends when all has been answered. */
static void drain(struct ub_queue *q, struct ub_nbd_link *l)
{
	go_away(q, l);
	l->state = LINK_DRAINING;
	ub_nbd_look(q);
}

/* There is a connection, and the export is at its other end. */
static void shaken_hands(struct ub_queue *q, struct ub_nbd_link *l)
{
	l->from = l->to = 0;
	ub_nbd_receive(q);
	if (!ub_nbd_of(q)->gathers) {
		ub_nbd_up(q);
		return;
	}
	l->state = LINK_GATHERING;
	ub_nbd_round_come(q);
}

/* This server of the device has begun while the NBD server is away: as if it had lost it just now. */
static void begin_away(struct ub_queue *q, struct ub_nbd_link *l)
{
	l->lost_ms = ub_now_ms();
	atomic_fetch_add(&ub_nbd_of(q)->away, 1);
	ub_nbd_note_loss(q);
	ub_nbd_dial_failed(q, ub_nbd_of(q)->unreached);
}

static void begin(struct ub_queue *q, struct ub_nbd_link *l)
{
	if (ub_queue_target(q)->flushed)
		atomic_store(&ub_nbd_of(q)->inherits, false);
	if (l->fd >= 0)
		l->state = LINK_SHAKEN;
	else
		begin_away(q, l);
}

/* Return: whether anything is awaited; @ret_late: for too long. */
static bool is_awaited(struct ub_queue *q, int64_t now, bool *ret_late)
{
	const struct ub_nbd *n = ub_nbd_of(q);
	const struct ub_nbd_link *l = ub_nbd_link_of(q);
	bool any;
	struct ub_io *io;

	any = l->own_flush;
	*ret_late = any && now - l->own_flush_ms >= (int64_t)n->request_s * 1000;
	for (uint32_t i = 0; (io = ub_queue_io(q, i)); i++) {
		const struct ub_nbd_io *state = ub_io_state(q, io);

		any |= state->sent;
		*ret_late |= state->sent && now - state->sent_ms >= (int64_t)n->request_s * 1000;
	}
	return any;
}

static void looked(struct ub_queue *q, struct ub_nbd_link *l)
{
	int64_t now = ub_now_ms();
	bool late;

	l->looking = false;
	if (l->state != LINK_UP && ub_nbd_is_over(ub_nbd_of(q), l))
		ub_nbd_give_up(q);
	switch (l->state) {
	case LINK_UP:
	case LINK_DRAINING:
		if (!is_awaited(q, now, &late))
			return;
		if (late && ub_nbd_of(q)->request_s)
			lose(q, l, -ETIMEDOUT);
		break;
	case LINK_GATHERING:
		break;
	case LINK_REPLAYING:
		if (ub_nbd_of(q)->request_s &&
		    now - l->replay_ms >= (int64_t)ub_nbd_of(q)->request_s * 1000)
			lose(q, l, -ETIMEDOUT);
		break;
	case LINK_ENDING:
	case LINK_WAITING:
		return;
	default:
		ub_nbd_dial_limit(q, now);
	}
	ub_nbd_look(q);
}

/* An operation on the connection has ended. */
static void moved(struct ub_queue *q, struct ub_nbd_link *l, bool out, int res)
{
	if (l->state == LINK_ENDING) {
		end_if_idle(q, l);
	} else if (l->state == LINK_LOOKING || l->state == LINK_SECURING ||
		   l->state == LINK_SHAKING) {
		ub_nbd_dial_moved(q, out, res);
	} else if (!out && ub_nbd_dial_is_record(q, &res)) {
		ub_nbd_receive(q);
	} else {
		res = out ? ub_nbd_sent(q, res) : ub_nbd_received(q, res);
		if (res < 0)
			lose(q, l, l->send_error ? l->send_error : res);
	}
}

static void wait_for_others(struct ub_queue *q, struct ub_nbd_link *l)
{
	/* One that has just begun is as far from the server as they are. */
	if (!l->lost_ms)
		go_away(q, l);
	ub_nbd_look(q);
}

/* It is connected, and others may be. */
static void gather(struct ub_queue *q, struct ub_nbd_link *l)
{
	if (ub_nbd_round_is_overtaken(q))
		drain(q, l);
	else if (ub_nbd_round_is_over(q))
		ub_nbd_up(q);
	else if (ub_nbd_round_claim(q))
		ub_nbd_replay(q);
	else
		wait_for_others(q, l);
}

static void replayed(struct ub_queue *q, struct ub_nbd_link *l)
{
	if (ub_nbd_round_is_overtaken(q)) {
		drain(q, l);
		return;
	}
	ub_nbd_round_end(q);
	ub_nbd_up(q);
}

/* From one state to the next that has nothing left to be done, or has what it waits for. */
static void go_on(struct ub_queue *q, struct ub_nbd_link *l)
{
	bool late;

	if (l->state == LINK_SHAKEN)
		shaken_hands(q, l);
	if (l->state == LINK_GATHERING)
		gather(q, l);
	if (l->state == LINK_REPLAYING && ub_nbd_replay_is_over(l))
		replayed(q, l);
	if (l->state == LINK_DRAINING && !is_awaited(q, 0, &late)) {
		ub_nbd_note_loss(q);
		give_connection_up(q, l);
	}
}

void ub_nbd_event(struct ub_queue *q, unsigned id, int res)
{
	struct ub_nbd_link *l = ub_nbd_link_of(q);

	switch (id) {
	case UB_EVENT_BEGIN:
		ub_nbd_round_hear(q);
		begin(q, l);
		break;
	case OWN_SEND:
		l->sending = false;
		moved(q, l, true, res);
		break;
	case OWN_RECEIVE:
		l->receiving = false;
		moved(q, l, false, res);
		break;
	case OWN_TRY:
		ub_nbd_dial(q);
		break;
	case OWN_LOOK:
		looked(q, l);
		break;
	case OWN_CONNECT:
		ub_nbd_dial_connected(q, res);
		break;
	case OWN_CALL:
		ub_nbd_round_hear(q);
		if (l->state == LINK_UP && ub_nbd_round_is_overtaken(q))
			drain(q, l);
		break;
	default:
		break;
	}
	if (l->state != LINK_UP)
		go_on(q, l);
}
