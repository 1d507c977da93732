/* SPDX-License-Identifier: MIT */
/*
 * A thread's connection: it is watched, given up, and made anew, with pauses that grow; requests wait meanwhile. Each
 * try begins with finding out where the server is, and goes through all places (nbd_where.c). The
 * handshake is the same as at the start, on the ring. The export has to be the same: as large at the least, and with
 * all that the device was told of it. Where TLS is wanted it comes before all that on every connection, by the helper
 * that the server has started; the queue waits for its answer as for anything else.
 *
 * What was answered and not flushed may be gone with a server that has died: it goes again first (nbd_replay.c), and
 * other threads of the device wait for that with their connections (nbd_round.c).
 */
#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clean.h"
#include "base/clock.h"
#include "target/nbd.h"

/* Between tries: from the first one on doubled, and a part by chance, so that many do not come at once. */
#define FIRST_MS 50U
#define LONGEST_MS 5000U
/* How long a connection to one place may take (three SYNs of TCP), */
#define CONNECT_MS 5000
/* and a handshake. */
#define SHAKE_MS 10000
/* And its helper longer than that to say so. */
#define ANSWER_MS 2000

static uint32_t pause_ms(const struct ub_nbd_link *l)
{
	uint32_t ms = FIRST_MS << (l->tries < 8 ? l->tries : 8);

	if (ms > LONGEST_MS)
		ms = LONGEST_MS;
	return ms / 2 + (uint32_t)(ub_now_ns() / 1000 % (ms / 2 + 1));
}

static void try_later(struct ub_queue *q, struct ub_nbd_link *l)
{
	uint32_t ms = pause_ms(l);

	l->state = LINK_WAITING;
	l->pause = (struct ub_own_time){.sec = ms / 1000, .nsec = ms % 1000 * 1000000LL};
	ub_own_wait(q, OWN_TRY, &l->pause);
}

/* When no operation on it is left. */
static void end_if_idle(struct ub_queue *q, struct ub_nbd_link *l)
{
	if (l->sending || l->receiving)
		return;
	ub_close(&l->fd);
	ub_nbd_take_back(q);
	if (ub_nbd_is_over(ub_nbd_of(q), l))
		ub_nbd_give_up(q);
	try_later(q, l);
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

static void begin_step(struct ub_queue *q, struct ub_nbd_link *l, enum ub_nbd_state state)
{
	l->state = state;
	l->began_ms = ub_now_ms();
	ub_nbd_look(q);
}

/* Return: 0, or a negative errno: it has come to nothing at once. */
static int begin_connect(struct ub_queue *q, struct ub_nbd_link *l)
{
	const struct ub_nbd_place *place = &l->places[l->place];

	if (l->place >= l->nr_places)
		return -EHOSTUNREACH;
	l->fd = socket(place->addr.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (l->fd < 0)
		return -errno;
	begin_step(q, l, LINK_CONNECTING);
	ub_own_connect(q, OWN_CONNECT, l->fd, (const struct sockaddr *)&place->addr, place->len);
	return 0;
}

/* A try has come to nothing: the next place, or all of them once more. */
static void failed(struct ub_queue *q, struct ub_nbd_link *l, int error)
{
	ub_close(&l->fd);
	while (error && ++l->place < l->nr_places) {
		ub_nbd_tell_away(q, error);
		error = begin_connect(q, l);
	}
	if (!error)
		return;
	l->tries++;
	ub_nbd_tell_away(q, error);
	if (ub_nbd_is_over(ub_nbd_of(q), l))
		ub_nbd_give_up(q);
	try_later(q, l);
}

static void begin_first(struct ub_queue *q, struct ub_nbd_link *l)
{
	int error = begin_connect(q, l);

	if (error)
		failed(q, l, error);
}

static void receive_names(struct ub_queue *q, struct ub_nbd_link *l)
{
	l->receiving = true;
	ub_own_receive(q, OWN_RECEIVE, l->asked, l->stage + l->to, UB_NBD_STAGE - 1 - l->to,
		       UB_RECEIVE_SOME);
}

static void begin_try(struct ub_queue *q, struct ub_nbd_link *l)
{
	l->asked = ub_nbd_where_ask(q);
	if (l->asked < 0) {
		begin_first(q, l);
		return;
	}
	begin_step(q, l, LINK_LOOKING);
	l->to = 0;
	receive_names(q, l);
}

/* Some of what getent says has come, or its end. */
static void looked_up(struct ub_queue *q, struct ub_nbd_link *l, int res)
{
	uint32_t len;

	l->to += res > 0 ? (uint32_t)res : 0;
	if (res > 0 && l->to < UB_NBD_STAGE - 1) {
		receive_names(q, l);
		return;
	}
	ub_close(&l->asked);
	len = l->to;
	l->to = 0;
	ub_nbd_where_answered(q, len);
	begin_first(q, l);
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
	failed(q, l, ub_nbd_of(q)->unreached);
}

static void begin(struct ub_queue *q, struct ub_nbd_link *l)
{
	if (ub_queue_target(q)->flushed)
		atomic_store(&ub_nbd_of(q)->inherits, false);
	if (l->fd >= 0)
		shaken_hands(q, l);
	else
		begin_away(q, l);
}

/* Is it what the device was made of? */
static bool is_same(const struct ub_nbd *n, const struct ub_nbd_export *now)
{
	return now->size >= n->export.size && now->block_min <= n->export.block_min &&
	       now->block_max >= n->export.block_max &&
	       (now->flags & n->export.flags) == n->export.flags &&
	       !(now->flags & NBD_EXPORT_READ_ONLY & ~n->export.flags);
}

/* What is left of a step's message. */
static void move_step(struct ub_queue *q, struct ub_nbd_link *l, bool out)
{
	char *data = (char *)l->shake.data + l->shaken;
	size_t len = l->shake.len - l->shaken;

	if (out) {
		l->iov[0] = (struct iovec){data, len};
		l->msg = (struct msghdr){.msg_iov = l->iov, .msg_iovlen = 1};
		l->sending = true;
		ub_own_send(q, OWN_SEND, l->fd, &l->msg,
			    ub_nbd_of(q)->tls ? UB_SEND_SOME : UB_SEND_WHOLE);
	} else {
		l->receiving = true;
		ub_own_receive(q, OWN_RECEIVE, l->fd, data, (uint32_t)len,
			       ub_nbd_receive_how(q, true));
	}
}

/* The helper is asked to begin TLS. */
static void begin_tls(struct ub_queue *q, struct ub_nbd_link *l)
{
	int64_t left = l->began_ms + SHAKE_MS - ub_now_ms();

	l->asked = ub_tls_ask(ub_nbd_of(q)->tls, l->fd, left < 0 ? 0 : (uint32_t)left);
	if (l->asked < 0) {
		failed(q, l, l->asked);
		return;
	}
	l->state = LINK_SECURING;
	l->receiving = true;
	ub_own_receive(q, OWN_RECEIVE, l->asked, &l->answer, sizeof(l->answer), UB_RECEIVE_SOME);
}

static void end_handshake(struct ub_queue *q, struct ub_nbd_link *l)
{
	struct ub_nbd *n = ub_nbd_of(q);

	if (!is_same(n, &l->shake.export)) {
		failed(q, l, -ESTALE);
	} else if (!ub_nbd_where_settle(n, &l->places[l->place])) {
		/* Another thread was faster, elsewhere: there the next try goes. */
		l->nr_places = 0;
		failed(q, l, -EAGAIN);
	} else {
		shaken_hands(q, l);
	}
}

static void shake(struct ub_queue *q, struct ub_nbd_link *l)
{
	struct ub_error ignored = {0};
	int step = ub_nbd_next(&l->shake, &ignored);

	l->shaken = 0;
	switch (step) {
	case UB_NBD_SEND:
		move_step(q, l, true);
		break;
	case UB_NBD_RECEIVE:
		/* Of nothing nothing comes. */
		if (l->shake.len)
			move_step(q, l, false);
		else
			shake(q, l);
		break;
	case UB_NBD_SECURE:
		begin_tls(q, l);
		break;
	case UB_NBD_DONE:
		end_handshake(q, l);
		break;
	default:
		failed(q, l, step);
	}
}

/* The helper has answered, or is no more. Nothing goes on that is not encrypted, whatever it says. */
static void secured(struct ub_queue *q, struct ub_nbd_link *l, int res)
{
	int error = res == sizeof(l->answer) ? l->answer : res < 0 ? res : -ENOKEY;

	ub_close(&l->asked);
	if (!error && !ub_tls_is_on(l->fd))
		error = -ENOKEY;
	if (error) {
		failed(q, l, error);
		return;
	}
	l->state = LINK_SHAKING;
	shake(q, l);
}

/* A step's message was moved in part, or all of it. */
static void shaken(struct ub_queue *q, struct ub_nbd_link *l, bool out, int res)
{
	if (res <= 0) {
		failed(q, l, res ? res : -ECONNRESET);
		return;
	}
	l->shaken += (size_t)res;
	if (l->shaken == l->shake.len)
		shake(q, l);
	else
		move_step(q, l, out);
}

static void connected(struct ub_queue *q, struct ub_nbd_link *l, int res)
{
	const struct ub_nbd *n = ub_nbd_of(q);

	/* It was cut off: looked(). */
	if (res == -ECONNRESET && ub_now_ms() - l->began_ms >= CONNECT_MS)
		res = -ETIMEDOUT;
	if (res < 0) {
		failed(q, l, res);
		return;
	}
	if (n->dir < 0)
		ub_nbd_tune(l->fd);
	l->state = LINK_SHAKING;
	(void)ub_nbd_begin(&l->shake, UB_NBD_GO, n->name, n->tls ? UB_NBD_ANEW_TLS : UB_NBD_ANEW);
	shake(q, l);
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
	case LINK_LOOKING:
		/* The process that was asked is stopped, or waits for a disk: what runs getent for it ends by itself. */
		if (now - l->began_ms >= UB_NBD_LOOK_UP_S * 1000)
			(void)shutdown(l->asked, SHUT_RDWR);
		break;
	case LINK_CONNECTING:
		/* A host that drops packets: inet_shutdown() ends TCP_SYN_SENT, too. */
		if (now - l->began_ms >= CONNECT_MS)
			(void)shutdown(l->fd, SHUT_RDWR);
		break;
	case LINK_SHAKING:
		/* A server that takes connections and says nothing. */
		if (now - l->began_ms >= SHAKE_MS)
			(void)shutdown(l->fd, SHUT_RDWR);
		break;
	case LINK_SECURING:
		/* The helper tells of that, if it is not stopped itself. */
		if (now - l->began_ms >= SHAKE_MS + ANSWER_MS)
			(void)shutdown(l->asked, SHUT_RDWR);
		break;
	default:
		return;
	}
	ub_nbd_look(q);
}

/* Is it a record of TLS that is no data? Return: whether it was taken away, and what is behind it is awaited as before;
 * else @res says what it means. */
static bool pass_record(struct ub_queue *q, struct ub_nbd_link *l, int *res)
{
	if (*res != -EIO || !ub_nbd_of(q)->tls || l->state == LINK_SECURING)
		return false;
	*res = ub_tls_take_record(l->fd, NULL);
	if (*res)
		return false;
	if (l->state == LINK_SHAKING)
		move_step(q, l, false);
	else
		ub_nbd_receive(q);
	return true;
}

/* An operation on the connection has ended. */
static void moved(struct ub_queue *q, struct ub_nbd_link *l, bool out, int res)
{
	if (l->state == LINK_ENDING) {
		end_if_idle(q, l);
	} else if (l->state == LINK_LOOKING) {
		looked_up(q, l, res);
	} else if (!out && pass_record(q, l, &res)) {
		return;
	} else if (l->state == LINK_SECURING) {
		secured(q, l, res);
	} else if (l->state == LINK_SHAKING) {
		shaken(q, l, out, res);
	} else {
		res = out ? ub_nbd_sent(q, res) : ub_nbd_received(q, res);
		if (res < 0)
			lose(q, l, res);
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
		begin_try(q, l);
		break;
	case OWN_LOOK:
		looked(q, l);
		break;
	case OWN_CONNECT:
		connected(q, l, res);
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
