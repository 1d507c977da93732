/* SPDX-License-Identifier: MIT */
/*
 * A thread's way to the server when its connection is lost, on the ring: a pause that grows, where the server is
 * (nbd_where.c), a connection to one of its places after the other, TLS where it is wanted, and the same handshake as
 * at the start. TLS comes before all else on every connection, by the helper that the device's server has started; the
 * queue waits for its answer as for anything else. The export has to be the same: as large at the least, and with all
 * that the device was told of it. At the end of the way is LINK_SHAKEN; what comes then is nbd_link.c's.
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

void ub_nbd_dial_later(struct ub_queue *q)
{
	struct ub_nbd_link *l = ub_nbd_link_of(q);
	uint32_t ms = pause_ms(l);

	l->state = LINK_WAITING;
	l->pause = (struct ub_own_time){.sec = ms / 1000, .nsec = ms % 1000 * 1000000LL};
	ub_own_wait(q, OWN_TRY, &l->pause);
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
		return -EDESTADDRREQ;
	l->fd = socket(place->addr.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (l->fd < 0)
		return -errno;
	begin_step(q, l, LINK_CONNECTING);
	ub_own_connect(q, OWN_CONNECT, l->fd, (const struct sockaddr *)&place->addr, place->len);
	return 0;
}

static void tell(struct ub_queue *q, const struct ub_nbd_link *l, int error)
{
	ub_nbd_tell_away(q, l->nameless ? -UB_NBD_NAMES_GONE : error);
}

void ub_nbd_dial_failed(struct ub_queue *q, int error)
{
	struct ub_nbd_link *l = ub_nbd_link_of(q);

	ub_close(&l->fd);
	while (error && ++l->place < l->nr_places) {
		tell(q, l, error);
		error = begin_connect(q, l);
	}
	if (!error)
		return;
	l->tries++;
	tell(q, l, error);
	if (ub_nbd_is_over(ub_nbd_of(q), l))
		ub_nbd_give_up(q);
	ub_nbd_dial_later(q);
}

static void begin_first(struct ub_queue *q, struct ub_nbd_link *l)
{
	int error = begin_connect(q, l);

	if (error)
		ub_nbd_dial_failed(q, error);
}

static void receive_names(struct ub_queue *q, struct ub_nbd_link *l)
{
	l->receiving = true;
	ub_own_receive(q, OWN_RECEIVE, l->asked, l->stage + l->to, UB_NBD_STAGE - 1 - l->to,
		       UB_RECEIVE_SOME);
}

void ub_nbd_dial(struct ub_queue *q)
{
	struct ub_nbd_link *l = ub_nbd_link_of(q);

	l->asked = ub_nbd_where_ask(q);
	l->nameless = l->asked == -UB_NBD_NAMES_GONE;
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
		ub_nbd_dial_failed(q, l->asked);
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
		ub_nbd_dial_failed(q, -ESTALE);
	} else if (!ub_nbd_where_settle(n, &l->places[l->place])) {
		/* Another thread was faster, elsewhere: there the next try goes. */
		l->nr_places = 0;
		ub_nbd_dial_failed(q, -ENOTUNIQ);
	} else {
		l->state = LINK_SHAKEN;
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
		ub_nbd_dial_failed(q, step);
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
		ub_nbd_dial_failed(q, error);
		return;
	}
	l->state = LINK_SHAKING;
	shake(q, l);
}

/* A step's message was moved in part, or all of it. */
static void shaken(struct ub_queue *q, struct ub_nbd_link *l, bool out, int res)
{
	if (res <= 0) {
		ub_nbd_dial_failed(q, res ? res : -ECONNRESET);
		return;
	}
	l->shaken += (size_t)res;
	if (l->shaken == l->shake.len)
		shake(q, l);
	else
		move_step(q, l, out);
}

void ub_nbd_dial_connected(struct ub_queue *q, int res)
{
	const struct ub_nbd *n = ub_nbd_of(q);
	struct ub_nbd_link *l = ub_nbd_link_of(q);

	/* It was cut off: ub_nbd_dial_limit(). */
	if (res == -ECONNRESET && ub_now_ms() - l->began_ms >= CONNECT_MS)
		res = -ETIMEDOUT;
	if (res < 0) {
		ub_nbd_dial_failed(q, res);
		return;
	}
	if (n->dir < 0)
		ub_nbd_tune(l->fd);
	l->state = LINK_SHAKING;
	(void)ub_nbd_begin(&l->shake, UB_NBD_GO, n->name, n->tls ? UB_NBD_ANEW_TLS : UB_NBD_ANEW);
	shake(q, l);
}

bool ub_nbd_dial_is_record(struct ub_queue *q, int *res)
{
	if (*res != -EIO || !ub_nbd_of(q)->tls)
		return false;
	*res = ub_tls_take_record(ub_nbd_link_of(q)->fd, NULL);
	return *res == 0;
}

void ub_nbd_dial_moved(struct ub_queue *q, bool out, int res)
{
	struct ub_nbd_link *l = ub_nbd_link_of(q);

	if (l->state == LINK_LOOKING)
		looked_up(q, l, res);
	else if (l->state == LINK_SECURING)
		secured(q, l, res);
	else if (!out && ub_nbd_dial_is_record(q, &res))
		move_step(q, l, false);
	else
		shaken(q, l, out, res);
}

void ub_nbd_dial_limit(struct ub_queue *q, int64_t now)
{
	const struct ub_nbd_link *l = ub_nbd_link_of(q);
	int64_t ms = now - l->began_ms;

	/* The process that was asked is stopped, or waits for a disk: what runs getent for it ends by itself. */
	if (l->state == LINK_LOOKING && ms >= UB_NBD_LOOK_UP_S * 1000)
		(void)shutdown(l->asked, SHUT_RDWR);
	/* A host that drops packets: inet_shutdown() ends TCP_SYN_SENT, too. */
	if (l->state == LINK_CONNECTING && ms >= CONNECT_MS)
		(void)shutdown(l->fd, SHUT_RDWR);
	/* A server that takes connections and says nothing. */
	if (l->state == LINK_SHAKING && ms >= SHAKE_MS)
		(void)shutdown(l->fd, SHUT_RDWR);
	/* The helper tells of that, if it is not stopped itself. */
	if (l->state == LINK_SECURING && ms >= SHAKE_MS + ANSWER_MS)
		(void)shutdown(l->asked, SHUT_RDWR);
}
