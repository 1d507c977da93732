/* SPDX-License-Identifier: MIT */
/* What both the I/Os' requests and those that are sent again are made of, and how they go. */
#include <errno.h>

#include "base/clock.h"
#include "kernel/uapi.h"
#include "target/nbd.h"

bool ub_nbd_is_change(const struct ub_io *io)
{
	return io->op != UBLK_IO_OP_READ && io->op != UBLK_IO_OP_FLUSH;
}

bool ub_nbd_is_durable(const struct ub_nbd *n, const struct ub_io *io)
{
	return ub_nbd_is_change(io) && n->asks_flush &&
	       (io->flags & UBLK_IO_F_FUA || n->write_through);
}

uint16_t ub_nbd_command_of(const struct ub_io *io)
{
	switch (io->op) {
	case UBLK_IO_OP_READ:
		return NBD_CMD_READ;
	case UBLK_IO_OP_WRITE:
		return NBD_CMD_WRITE;
	case UBLK_IO_OP_DISCARD:
		return NBD_CMD_TRIM;
	case UBLK_IO_OP_WRITE_ZEROES:
		return NBD_CMD_WRITE_ZEROES;
	default:
		return NBD_CMD_FLUSH;
	}
}

uint16_t ub_nbd_flags_of(const struct ub_io *io)
{
	return io->op == UBLK_IO_OP_WRITE_ZEROES && io->flags & UBLK_IO_F_NOUNMAP
		       ? NBD_CMD_FLAG_NO_HOLE
		       : 0;
}

void ub_nbd_make_head(struct ub_nbd_link *l, char *head, uint16_t command, uint16_t flags,
		      uint32_t cookie, uint64_t offset, uint32_t len)
{
	nbd_put32(head, NBD_REQUEST_MAGIC);
	nbd_put16(head + 4, flags);
	nbd_put16(head + 6, command);
	nbd_put64(head + 8, (uint64_t)++l->serial << 32 | cookie);
	nbd_put64(head + 16, offset);
	nbd_put32(head + 24, len);
}

/* Once a second, while something is awaited: an idle connection wakes nobody. */
void ub_nbd_look(struct ub_queue *q)
{
	static const struct ub_own_time second = {.sec = 1};
	struct ub_nbd_link *l = ub_nbd_link_of(q);

	if (l->looking)
		return;
	l->looking = true;
	ub_own_wait(q, OWN_LOOK, &second);
}

bool ub_nbd_is_left(struct ub_nbd_link *l, size_t n)
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

static void begin(struct ub_queue *q, struct ub_nbd_link *l, unsigned count)
{
	l->iov_at = 0;
	l->iov_count = count;
	if (ub_nbd_of(q)->request_s)
		ub_nbd_look(q);
}

void ub_nbd_send_rest(struct ub_queue *q)
{
	struct ub_nbd_link *l = ub_nbd_link_of(q);

	l->sending = true;
	if (l->iov_at == l->iov_count) {
		ub_own_send_data(q, OWN_SEND, l->fd, l->body, l->body_sent,
				 l->body->len - l->body_sent);
		return;
	}
	l->msg = (struct msghdr){.msg_iov = l->iov + l->iov_at,
				 .msg_iovlen = l->iov_count - l->iov_at};
	ub_own_send(q, OWN_SEND, l->fd, &l->msg,
		    ub_nbd_of(q)->tls ? UB_SEND_SOME
		    : l->body         ? UB_SEND_BEFORE_MORE
				      : UB_SEND_WHOLE);
}

void ub_nbd_send_iov(struct ub_queue *q, unsigned count)
{
	struct ub_nbd_link *l = ub_nbd_link_of(q);

	if (!count)
		return;
	begin(q, l, count);
	ub_nbd_send_rest(q);
}

void ub_nbd_send_now(struct ub_queue *q, unsigned count)
{
	struct ub_nbd_link *l = ub_nbd_link_of(q);
	const struct msghdr msg = {.msg_iov = l->iov, .msg_iovlen = count};
	ssize_t sent;

	begin(q, l, count);
	sent = sendmsg(l->fd, &msg, MSG_DONTWAIT | MSG_NOSIGNAL | (l->body ? MSG_MORE : 0));
	/* The operation fails, too, but not with the connection's own error. */
	if (sent < 0 && errno != EAGAIN)
		l->send_error = -errno;
	if (ub_nbd_is_left(l, sent > 0 ? (size_t)sent : 0))
		ub_nbd_send_rest(q);
}
