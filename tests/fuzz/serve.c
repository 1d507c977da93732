/* SPDX-License-Identifier: MIT */
/* Connections of the server: what comes, and how bytes go. */
#include "fuzz.h"

#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define MUTE_MS 20000

static bool is_changing(const struct request *r)
{
	return r->command == NBD_CMD_WRITE || r->command == NBD_CMD_TRIM ||
	       r->command == NBD_CMD_WRITE_ZEROES;
}

static bool has_hung_up(const struct connection *c)
{
	struct pollfd p = {.fd = c->fd, .events = POLLRDHUP};

	return poll(&p, 1, 0) > 0;
}

/*
 * Under the slot's lock. What a client has sent on a connection that it has given up must not be carried out after what
 * it sends on another one: no client could prevent that.
 */
static bool is_valid(const struct connection *c)
{
	return c->epoch == c->slot->epoch && (c->slot->several || c->slot->owner == c->number);
}

static void carry_out(struct slot *slot, const struct request *r)
{
	if (r->command == NBD_CMD_FLUSH)
		image_flush(slot, r->before);
	else if (is_changing(r))
		image_change(slot, r->offset, r->data, r->len, r->flags & NBD_CMD_FLAG_FUA);
}

bool execute(struct connection *c, const struct request *r, bool does, char *data)
{
	bool valid;

	pthread_mutex_lock(&c->slot->lock);
	valid = is_valid(c) && !has_hung_up(c);
	if (valid && does)
		carry_out(c->slot, r);
	if (valid && data && r->command == NBD_CMD_READ)
		memcpy(data, c->slot->disk + r->offset, r->len);
	pthread_mutex_unlock(&c->slot->lock);
	return valid;
}

void send_later(struct connection *c, const void *data, size_t len)
{
	c->pending = realloc(c->pending, c->pending_len + len);
	memcpy(c->pending + c->pending_len, data, len);
	c->pending_len += len;
}

static bool push(struct connection *c, const char *data, size_t len)
{
	while (len) {
		ssize_t n = send(c->fd, data, len, MSG_NOSIGNAL);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return false;
		data += n;
		len -= (size_t)n;
	}
	return true;
}

bool send_all(struct connection *c, const void *data, size_t len)
{
	bool ret;

	if (!c->pending_len)
		return push(c, data, len);
	if (len)
		send_later(c, data, len);
	ret = push(c, c->pending, c->pending_len);
	c->pending_len = 0;
	return ret;
}

bool mute(struct connection *c)
{
	bool reads = one_in(&c->rnd, 2);
	char sink[4096];
	int64_t until = now_ms() + MUTE_MS;

	(void)send_all(c, NULL, 0);
	while (!has_hung_up(c) && now_ms() < until) {
		struct pollfd p = {.fd = c->fd,
				   .events = (short)(reads ? POLLIN | POLLRDHUP : POLLRDHUP)};

		if (poll(&p, 1, 500) > 0 && p.revents & POLLIN &&
		    recv(c->fd, sink, sizeof(sink), MSG_DONTWAIT) <= 0)
			break;
	}
	return false;
}

static bool trickle(struct connection *c, const char *data, size_t len)
{
	bool whole = send_all(c, NULL, 0);

	for (size_t at = 0; at < len && whole;) {
		size_t n = 1 + below(&c->rnd, len > 64 ? (uint32_t)len / 8 : 1);

		n = n < len - at ? n : len - at;
		whole = push(c, data + at, n);
		at += n;
		if (one_in(&c->rnd, 4))
			pause_ms(below(&c->rnd, 3));
	}
	return whole;
}

/* What begins as no reply does. */
static size_t make_garbage(struct connection *c, char *to, size_t most)
{
	size_t len = 1 + below(&c->rnd, (uint32_t)most);

	rnd_bytes(&c->rnd, to, len);
	to[0] = (char)(below(&c->rnd, 0x60));
	return len;
}

bool send_spoiled(struct connection *c, const char *data, size_t len, enum lie which)
{
	char garbage[600], *copy;
	bool whole;
	size_t n;

	switch (which) {
	case LIE_TRICKLE:
		return trickle(c, data, len);
	case LIE_LATE:
		pause_ms(below(&c->rnd, one_in(&c->rnd, 50) ? 1500 : 20));
		return send_all(c, data, len);
	case LIE_FLIP:
		copy = malloc(len);
		memcpy(copy, data, len);
		for (n = 1 + below(&c->rnd, 3); n > 0; n--)
			copy[below(&c->rnd, (uint32_t)len)] ^= (char)(1 << below(&c->rnd, 8));
		whole = send_all(c, copy, len);
		free(copy);
		return whole;
	case LIE_CUT_CLOSE:
	case LIE_CUT_MUTE:
		n = below(&c->rnd, (uint32_t)(one_in(&c->rnd, 2) && len > 40 ? 40 : len));
		return send_all(c, data, n) && which == LIE_CUT_MUTE && mute(c);
	case LIE_CLOSE_BEHIND:
		(void)send_all(c, data, len);
		return false;
	case LIE_GARBAGE_BEFORE:
		send_later(c, garbage, make_garbage(c, garbage, sizeof(garbage)));
		return send_all(c, data, len);
	default:
		send_later(c, data, len);
		return send_all(c, garbage, make_garbage(c, garbage, sizeof(garbage)));
	}
}

static bool overlap(const struct request *a, const struct request *b)
{
	return a->offset < b->offset + b->len && b->offset < a->offset + a->len;
}

/* Of what we never ask for, and what a server need not bear. */
static void check_request(const struct connection *c, const struct request *r)
{
	const struct slot *slot = c->slot;
	uint16_t needed = r->command == NBD_CMD_FLUSH          ? NBD_EXPORT_FLUSH
			  : r->command == NBD_CMD_TRIM         ? NBD_EXPORT_TRIM
			  : r->command == NBD_CMD_WRITE_ZEROES ? NBD_EXPORT_WRITE_ZEROES
							       : 0;
	uint16_t flags = is_changing(r) && slot->flags & NBD_EXPORT_FUA ? NBD_CMD_FLAG_FUA : 0;

	if (r->command == NBD_CMD_WRITE_ZEROES)
		flags |= NBD_CMD_FLAG_NO_HOLE;
	if (r->command > NBD_CMD_WRITE_ZEROES || r->command == 5 || r->flags & ~flags ||
	    (slot->flags & needed) != needed)
		fail(slot, "command %u with flags %u is not the server's", r->command, r->flags);
	if (r->command == NBD_CMD_FLUSH
		    ? r->offset || r->len
		    : !r->len || r->offset > SIZE || r->len > SIZE - r->offset ||
			      (r->offset | r->len) % slot->block_min ||
			      (r->command <= NBD_CMD_WRITE && r->len > slot->block_max))
		fail(slot, "command %u at %llu of %u bytes", r->command,
		     (unsigned long long)r->offset, r->len);
	for (unsigned i = 0; i < c->count; i++) {
		if (c->requests[i].cookie == r->cookie)
			fail(slot, "a cookie is used twice");
		/* Clients write one after the other. */
		if (is_changing(r) && is_changing(&c->requests[i]) && overlap(r, &c->requests[i]))
			fail(slot, "a change is sent before one that it is written over");
	}
}

static bool take_request(struct connection *c)
{
	struct request *r = &c->requests[c->count];
	char head[NBD_REQUEST_SIZE];

	if (recv(c->fd, head, sizeof(head), MSG_WAITALL) != sizeof(head))
		return false;
	*r = (struct request){.flags = nbd_get16(head + 4),
			      .command = nbd_get16(head + 6),
			      .cookie = nbd_get64(head + 8),
			      .offset = nbd_get64(head + 16),
			      .len = nbd_get32(head + 24)};
	if (nbd_get32(head) != NBD_REQUEST_MAGIC || r->len > SIZE) {
		fail(c->slot, "a request that is none of the protocol's");
		return false;
	}
	if (r->command == NBD_CMD_DISC)
		return false;
	if (r->command == NBD_CMD_WRITE) {
		r->data = malloc(r->len);
		if (recv(c->fd, r->data, r->len, MSG_WAITALL) != (ssize_t)r->len) {
			free(r->data);
			return false;
		}
	}
	check_request(c, r);
	pthread_mutex_lock(&c->slot->lock);
	r->before = c->slot->changes;
	pthread_mutex_unlock(&c->slot->lock);
	c->count++;
	return true;
}

/* Any of those that wait: a server answers in the order that it likes. */
static bool answer_one(struct connection *c)
{
	unsigned number = below(&c->rnd, c->count);
	struct request r = c->requests[number];
	bool ret;

	c->requests[number] = c->requests[--c->count];
	ret = answer(c, &r);
	free(r.data);
	return ret;
}

static void transmit(struct connection *c)
{
	unsigned window = below(&c->rnd, 3), eager = 1 + below(&c->rnd, 4);
	bool goes_on = true;

	while (goes_on && !atomic_load(&failed)) {
		struct pollfd p = {.fd = c->fd, .events = POLLIN | POLLRDHUP};

		if (!c->count)
			goes_on = send_all(c, NULL, 0);
		if (!goes_on || poll(&p, 1, (int)(c->count ? window : 200)) < 0 ||
		    p.revents & (POLLRDHUP | POLLHUP | POLLERR))
			break;
		if (p.revents & POLLIN && c->count < OUTSTANDING &&
		    (!c->count || !one_in(&c->rnd, eager + 1)))
			goes_on = take_request(c);
		else if (c->count)
			goes_on = answer_one(c);
		else
			goes_on = say_unasked(c);
	}
}

/* What was not answered may have been done, and a server that dies loses what is not flushed. */
static void finish(struct connection *c)
{
	struct slot *slot = c->slot;
	bool valid;

	pthread_mutex_lock(&slot->lock);
	valid = is_valid(c);
	if (valid && !has_hung_up(c))
		for (unsigned i = 0; i < c->count; i++)
			if (one_in(&c->rnd, 2))
				carry_out(slot, &c->requests[i]);
	if (valid && slot->profile != PROFILE_ERRORS && atomic_load(&slot->reply_lies) &&
	    one_in(&c->rnd, 2) && lie(LIE_CRASH)) {
		slot->epoch++;
		image_crash(slot, &c->rnd);
	}
	pthread_mutex_unlock(&slot->lock);
}

static void hang_up(struct connection *c)
{
	struct linger reset = {.l_onoff = 1};

	switch (below(&c->rnd, 3)) {
	case 0:
		(void)setsockopt(c->fd, SOL_SOCKET, SO_LINGER, &reset, sizeof(reset));
		break;
	case 1:
		/* And takes what comes. */
		(void)shutdown(c->fd, SHUT_WR);
		(void)mute(c);
		break;
	default:
		break;
	}
	(void)close(c->fd);
}

static void *serve(void *arg)
{
	struct connection *c = arg;

	if (shake(c)) {
		transmit(c);
		finish(c);
	}
	hang_up(c);
	for (unsigned i = 0; i < c->count; i++)
		free(c->requests[i].data);
	free(c->pending);
	free(c);
	return NULL;
}

struct listener {
	int fd;
	struct slot *slot;
};

static void *accept_all(void *arg)
{
	struct listener l = *(struct listener *)arg;

	free(arg);
	for (;;) {
		struct connection *c = calloc(1, sizeof(*c));
		pthread_t thread;

		c->fd = accept(l.fd, NULL, NULL);
		if (c->fd < 0) {
			fail(l.slot, "accept: %s", strerror(errno));
			free(c);
			return NULL;
		}
		c->slot = l.slot;
		c->number = atomic_fetch_add(&l.slot->connections, 1) + 1;
		c->rnd.state = seed ^ c->number << 8 ^ l.slot->number;
		if (pthread_create(&thread, NULL, serve, c) != 0)
			abort();
		(void)pthread_detach(thread);
	}
}

void serve_begin(struct slot *slot, char *ret_uri, size_t size)
{
	struct listener *l = malloc(sizeof(*l));
	struct sockaddr_in in = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
	struct sockaddr_un un = {.sun_family = AF_UNIX};
	socklen_t len = sizeof(in);
	char folder[100];
	pthread_t thread;

	(void)snprintf(un.sun_path, sizeof(un.sun_path), "fuzz.%u", slot->number);
	(void)unlink(un.sun_path);
	*l = (struct listener){socket(slot->tcp ? AF_INET : AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0),
			       slot};
	if ((slot->tcp ? bind(l->fd, (struct sockaddr *)&in, sizeof(in))
		       : bind(l->fd, (struct sockaddr *)&un, sizeof(un))) != 0 ||
	    listen(l->fd, 64) != 0 ||
	    (slot->tcp && getsockname(l->fd, (struct sockaddr *)&in, &len) != 0)) {
		perror("cannot listen");
		exit(125);
	}
	if (slot->tcp)
		(void)snprintf(ret_uri, size, "nbd://127.0.0.1:%u/disk", ntohs(in.sin_port));
	else
		(void)snprintf(ret_uri, size, "nbd+unix:///disk?socket=%s/%s",
			       getcwd(folder, sizeof(folder)) ? folder : "", un.sun_path);
	if (pthread_create(&thread, NULL, accept_all, l) != 0)
		abort();
}
