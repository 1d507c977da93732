/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/clean.h"
#include "base/parse.h"
#include "nbd/address.h"
#include "nbd/names.h"
#include "nbd/wire.h"
#include "process/run.h"

/* A peer that is gone without a word is noticed after about half a minute. */
#define KEEPALIVE_IDLE_S 15
#define KEEPALIVE_EACH_S 5
#define KEEPALIVE_COUNT 3

/* Return: 0 or a negative errno. */
static int finish_connect(int fd, const struct ub_patience *patience)
{
	socklen_t len = sizeof(int);
	int error = 0, ret = ub_patience_poll(patience, fd, POLLOUT);

	if (ret)
		return ret;
	if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &len) != 0)
		return -errno;
	return -error;
}

static void set(int fd, int level, int option, int value)
{
	(void)setsockopt(fd, level, option, &value, sizeof(value));
}

void ub_nbd_tune(int fd)
{
	set(fd, IPPROTO_TCP, TCP_NODELAY, 1);
	set(fd, SOL_SOCKET, SO_KEEPALIVE, 1);
	set(fd, IPPROTO_TCP, TCP_KEEPIDLE, KEEPALIVE_IDLE_S);
	set(fd, IPPROTO_TCP, TCP_KEEPINTVL, KEEPALIVE_EACH_S);
	set(fd, IPPROTO_TCP, TCP_KEEPCNT, KEEPALIVE_COUNT);
}

int ub_nbd_connect_to(const struct sockaddr *addr, socklen_t len,
		      const struct ub_patience *patience)
{
	_cleanup_close_ int fd =
		socket(addr->sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	int ret = 0;

	if (fd < 0)
		return -errno;
	if (connect(fd, addr, len) != 0)
		ret = errno == EINPROGRESS ? finish_connect(fd, patience) : -errno;
	if (!ret && addr->sa_family != AF_UNIX)
		ub_nbd_tune(fd);
	return ret ? ret : UB_TAKE_FD(fd);
}

/* Return: getent's lines, to be freed; NULL with a message. */
static char *look_up(const char *host, const struct ub_patience *patience, struct ub_error *err)
{
	char *argv[] = {(char *)UB_NBD_GETENT, (char *)"ahosts", (char *)"--", (char *)host, NULL};
	char *text = NULL;
	int ret = ub_run_program(argv, patience, &text);

	if (ret == 0 && text)
		return text;
	free(text);
	if (ret < 0)
		(void)ub_fail(err, UB_STAGE_CONNECT, ret, "cannot look up %s", host);
	else
		(void)ub_fail_text(err, UB_STAGE_CONNECT, -ENOENT,
				   "cannot look up %s: there is no such host", host);
	return NULL;
}

static int connect_name(const char *host, uint16_t port, const struct ub_patience *patience,
			struct ub_error *err)
{
	_cleanup_free_ char *text = look_up(host, patience, err);
	struct sockaddr_storage addr;
	char *rest = text;
	socklen_t len;
	int fd = -ENOENT;

	if (!text)
		return err ? err->code : -ENOENT;
	while (fd < 0 && (len = ub_nbd_take_address(&rest, port, &addr)) > 0)
		fd = ub_nbd_connect_to((const struct sockaddr *)&addr, len, patience);
	return fd < 0 ? ub_fail(err, UB_STAGE_CONNECT, fd, "cannot connect to %s port %u", host,
				port)
		      : fd;
}

int ub_nbd_port(const struct ub_nbd_address *a, uint16_t *ret_port, struct ub_error *err)
{
	uint64_t port = NBD_PORT;

	if (a->port && (ub_parse_u64(a->port, UINT16_MAX, &port) != 0 || port == 0))
		return ub_fail_usage(err, "port %s is no number from 1 to 65535", a->port);
	*ret_port = (uint16_t)port;
	return 0;
}

static int connect_tcp(const struct ub_nbd_address *a, const struct ub_patience *patience,
		       struct ub_error *err)
{
	struct sockaddr_storage addr;
	uint16_t port = 0;
	socklen_t len;
	int fd = ub_nbd_port(a, &port, err);

	if (fd)
		return fd;
	len = ub_nbd_read_address(a->host, port, &addr);
	if (!len)
		return connect_name(a->host, port, patience, err);
	fd = ub_nbd_connect_to((const struct sockaddr *)&addr, len, patience);
	return fd < 0 ? ub_fail(err, UB_STAGE_CONNECT, fd, "cannot connect to %s port %u", a->host,
				port)
		      : fd;
}

int ub_nbd_connect(const struct ub_nbd_address *address, const struct ub_patience *patience,
		   struct ub_error *err)
{
	struct sockaddr_un un = {.sun_family = AF_UNIX};
	int fd;

	if (!address->socket)
		return connect_tcp(address, patience, err);
	if (strlen(address->socket) >= sizeof(un.sun_path))
		return ub_fail(err, UB_STAGE_CONNECT, -ENAMETOOLONG, "cannot connect to %s",
			       address->socket);
	(void)snprintf(un.sun_path, sizeof(un.sun_path), "%s", address->socket);
	fd = ub_nbd_connect_to((const struct sockaddr *)&un, sizeof(un), patience);
	return fd < 0 ? ub_fail(err, UB_STAGE_CONNECT, fd, "cannot connect to %s", address->socket)
		      : fd;
}
