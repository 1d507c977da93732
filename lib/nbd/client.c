/* SPDX-License-Identifier: MIT */
#include "nbd/client.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clean.h"
#include "base/clock.h"

static int wait_for(int fd, short events, int64_t deadline_ms)
{
	struct pollfd p = {.fd = fd, .events = events};
	int ret;

	do
		ret = poll(&p, 1, ub_left_ms(deadline_ms));
	while (ret < 0 && errno == EINTR);
	return ret < 0 ? -errno : ret ? 0 : -ETIMEDOUT;
}

/* Sends or receives all of it. Return: 0 or a negative errno; -ECONNRESET: the server has hung up. */
static int move_all(int fd, char *data, size_t len, bool out, int64_t deadline_ms)
{
	while (len > 0) {
		ssize_t n = out ? send(fd, data, len, MSG_NOSIGNAL) : recv(fd, data, len, 0);
		int ret;

		if (n > 0) {
			data += n;
			len -= (size_t)n;
			continue;
		}
		if (n == 0)
			return -ECONNRESET;
		if (errno != EAGAIN && errno != EINTR)
			return -errno;
		ret = wait_for(fd, out ? POLLOUT : POLLIN, deadline_ms);
		if (ret)
			return ret;
	}
	return 0;
}

/* To its end. Return: UB_NBD_DONE, or a negative errno with a message. */
static int run(int fd, struct ub_nbd_handshake *h, int64_t deadline_ms, struct ub_error *err)
{
	for (;;) {
		int step = ub_nbd_next(h, err), ret;

		if (step != UB_NBD_SEND && step != UB_NBD_RECEIVE)
			return step;
		ret = move_all(fd, h->data, h->len, step == UB_NBD_SEND, deadline_ms);
		if (ret == -ECONNRESET)
			return ub_fail_text(err, UB_STAGE_CONNECT, ret,
					    "it hangs up before it has answered");
		if (ret)
			return ub_fail(err, UB_STAGE_CONNECT, ret, "it does not answer");
	}
}

static const char *place(const struct ub_nbd_address *a)
{
	return a->socket ? a->socket : a->host;
}

/* TLS is the next step of this target: never in plain text what was asked for with it. */
static int refuse_tls(const struct ub_nbd_address *a, struct ub_error *err)
{
	return a->tls ? ub_fail_usage(err, "nbds: this version has no TLS") : 0;
}

int ub_nbd_ask(int fd, const char *name, int64_t deadline_ms, struct ub_nbd_export *ret_export,
	       struct ub_error *err)
{
	_cleanup_free_ struct ub_nbd_handshake *h = malloc(sizeof(*h));
	int ret = h ? ub_nbd_begin(h, name) : -ENOMEM;

	if (ret)
		return ub_fail(err, UB_STAGE_CONNECT, ret, "the export cannot be asked for");
	ret = run(fd, h, deadline_ms, err);
	if (ret < 0)
		return ret;
	*ret_export = h->export;
	return 0;
}

int ub_nbd_open(const struct ub_nbd_address *address, int64_t deadline_ms,
		struct ub_nbd_export *ret_export, struct ub_error *err)
{
	_cleanup_close_ int fd = -1;
	int ret = refuse_tls(address, err);

	if (ret)
		return ret;
	fd = ub_nbd_connect(address, deadline_ms, err);
	if (fd < 0)
		return fd;
	ret = ub_nbd_ask(fd, address->export, deadline_ms, ret_export, err);
	if (ret < 0)
		ub_error_prefix(err, "cannot use %s", place(address));
	return ret < 0 ? ret : UB_TAKE_FD(fd);
}
