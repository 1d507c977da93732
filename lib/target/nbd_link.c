/* SPDX-License-Identifier: MIT */
/*
 * A thread's connection: it is watched, given up, and made anew, with pauses that grow; requests wait meanwhile. The
 * handshake is the same as at the start, on the ring. The export has to be the same: as large at the least, and with
 * all that the device was told of it. Where TLS is wanted it comes before all that on every connection, by the helper
 * that the server has started; the queue waits for its answer as for anything else.
 *
 * What was answered and not flushed may be gone with a server that has died: it goes again first (nbd_replay.c).
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
/* How long a handshake may take. */
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

/* It is of no use any more. */
static void lose(struct ub_queue *q, struct ub_nbd_link *l, int error)
{
	l->state = LINK_ENDING;
	/* What is lost before all is as it was is one more try of the same. */
	l->tries++;
	if (!l->lost_ms) {
		l->lost_ms = ub_now_ms();
		l->tries = 0;
		atomic_fetch_add(&ub_nbd_of(q)->away, 1);
	}
	ub_nbd_note_loss(q);
	ub_nbd_tell_away(q, error);
	/* Operations on it end at once. */
	(void)shutdown(l->fd, SHUT_RDWR);
	end_if_idle(q, l);
}

/* A try has come to nothing. */
static void failed(struct ub_queue *q, struct ub_nbd_link *l, int error)
{
	ub_close(&l->fd);
	l->tries++;
	ub_nbd_tell_away(q, error);
	if (ub_nbd_is_over(ub_nbd_of(q), l))
		ub_nbd_give_up(q);
	try_later(q, l);
}

static void begin_connect(struct ub_queue *q, struct ub_nbd_link *l)
{
	const struct ub_nbd *n = ub_nbd_of(q);

	l->began_ms = ub_now_ms();
	ub_nbd_look(q);
	l->fd = socket(n->addr.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (l->fd < 0) {
		failed(q, l, -errno);
		return;
	}
	l->state = LINK_CONNECTING;
	ub_own_connect(q, OWN_CONNECT, l->fd, (const struct sockaddr *)&n->addr, n->addr_len);
}

/* There is a connection, and the export is at its other end. */
static void shaken_hands(struct ub_queue *q, struct ub_nbd_link *l)
{
	l->from = l->to = 0;
	ub_nbd_receive(q);
	if (!ub_nbd_replay_begin(q)) {
		ub_nbd_up(q);
		return;
	}
	l->state = LINK_REPLAYING;
	if (ub_nbd_replay_send(q))
		ub_nbd_up(q);
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
		ub_own_send(q, OWN_SEND, l->fd, &l->msg, !ub_nbd_of(q)->tls);
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
		if (is_same(ub_nbd_of(q), &l->shake.export))
			shaken_hands(q, l);
		else
			failed(q, l, -ESTALE);
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
	switch (l->state) {
	case LINK_UP:
		if (!is_awaited(q, now, &late))
			return;
		if (late && ub_nbd_of(q)->request_s)
			lose(q, l, -ETIMEDOUT);
		break;
	case LINK_REPLAYING:
		if (ub_nbd_is_over(ub_nbd_of(q), l))
			ub_nbd_give_up(q);
		if (ub_nbd_of(q)->request_s &&
		    now - l->replay_ms >= (int64_t)ub_nbd_of(q)->request_s * 1000)
			lose(q, l, -ETIMEDOUT);
		break;
	case LINK_CONNECTING:
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

void ub_nbd_event(struct ub_queue *q, unsigned id, int res)
{
	struct ub_nbd_link *l = ub_nbd_link_of(q);

	switch (id) {
	case UB_EVENT_BEGIN:
		l->fd >= 0 ? shaken_hands(q, l) : failed(q, l, -ENOTCONN);
		return;
	case OWN_SEND:
		l->sending = false;
		break;
	case OWN_RECEIVE:
		l->receiving = false;
		break;
	case OWN_TRY:
		begin_connect(q, l);
		return;
	case OWN_LOOK:
		looked(q, l);
		return;
	case OWN_CONNECT:
		connected(q, l, res);
		return;
	default:
		return;
	}
	if (l->state == LINK_ENDING) {
		end_if_idle(q, l);
	} else if (id == OWN_RECEIVE && pass_record(q, l, &res)) {
		return;
	} else if (l->state == LINK_SECURING) {
		secured(q, l, res);
	} else if (l->state == LINK_SHAKING) {
		shaken(q, l, id == OWN_SEND, res);
	} else {
		res = id == OWN_SEND ? ub_nbd_sent(q, res) : ub_nbd_received(q, res);
		if (res < 0)
			lose(q, l, res);
	}
}
