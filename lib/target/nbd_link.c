/* SPDX-License-Identifier: MIT */
/*
 * A thread's connection: it is watched, given up, and made anew, with pauses that grow; requests wait meanwhile. The
 * handshake is the same as at the start, on the ring. The export has to be the same: as large at the least, and with
 * all that the device was told of it.
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
	l->generation++;
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

static void shake(struct ub_queue *q, struct ub_nbd_link *l)
{
	struct ub_error ignored = {0};
	int step = ub_nbd_next(&l->shake, &ignored);

	l->shaken = 0;
	switch (step) {
	case UB_NBD_SEND:
		l->iov[0] = (struct iovec){l->shake.data, l->shake.len};
		l->msg = (struct msghdr){.msg_iov = l->iov, .msg_iovlen = 1};
		l->sending = true;
		ub_own_send(q, OWN_SEND, l->fd, &l->msg);
		break;
	case UB_NBD_RECEIVE:
		/* Of nothing nothing comes. */
		if (!l->shake.len) {
			shake(q, l);
			break;
		}
		l->receiving = true;
		ub_own_receive(q, OWN_RECEIVE, l->fd, l->shake.data, (uint32_t)l->shake.len, true);
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

/* A step's message was moved in part, or all of it. */
static void shaken(struct ub_queue *q, struct ub_nbd_link *l, bool out, int res)
{
	if (res <= 0) {
		failed(q, l, res ? res : -ECONNRESET);
		return;
	}
	l->shaken += (size_t)res;
	if (l->shaken == l->shake.len) {
		shake(q, l);
		return;
	}
	if (out) {
		l->iov[0] =
			(struct iovec){(char *)l->shake.data + l->shaken, l->shake.len - l->shaken};
		l->sending = true;
		ub_own_send(q, OWN_SEND, l->fd, &l->msg);
	} else {
		l->receiving = true;
		ub_own_receive(q, OWN_RECEIVE, l->fd, (char *)l->shake.data + l->shaken,
			       (uint32_t)(l->shake.len - l->shaken), true);
	}
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
	(void)ub_nbd_begin(&l->shake, UB_NBD_GO, n->name, false);
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
	default:
		return;
	}
	ub_nbd_look(q);
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
	} else if (l->state == LINK_SHAKING) {
		shaken(q, l, id == OWN_SEND, res);
	} else {
		res = id == OWN_SEND ? ub_nbd_sent(q, res) : ub_nbd_received(q, res);
		if (res < 0)
			lose(q, l, res);
	}
}
