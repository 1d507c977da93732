/* SPDX-License-Identifier: MIT */
#include "device/control.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/clean.h"
#include "base/clock.h"
#include "record/dir.h"

/* However long the folder's path is. */
static int connect_at(int dirfd, uint32_t id, int timeout_ms)
{
	_cleanup_close_ int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	struct sockaddr_un addr = {.sun_family = AF_UNIX};
	/* While its queue of those who want to speak is full, connect() waits. */
	struct timeval limit = {.tv_sec = timeout_ms / 1000,
				.tv_usec = timeout_ms % 1000 * 1000 + 1};
	char name[UB_RECORD_NAME_SIZE];

	if (fd < 0)
		return -errno;
	(void)snprintf(addr.sun_path, sizeof(addr.sun_path), "/proc/self/fd/%d/%s", dirfd,
		       ub_record_socket_name(id, name));
	if (setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit)) != 0)
		return -errno;
	if (connect(fd, (const struct sockaddr *)&addr, sizeof(addr)) != 0)
		return errno == EAGAIN ? -ETIMEDOUT : -errno;
	return UB_TAKE_FD(fd);
}

/* Whoever hangs up without an answer does not want to speak with this process. */
static int receive(int fd, int64_t deadline, struct ub_control_answer *answer)
{
	ssize_t n;

	for (;;) {
		n = recv(fd, answer, sizeof(*answer), MSG_DONTWAIT);
		if (n >= 0 || (errno != EAGAIN && errno != EINTR))
			break;
		if (ub_left_ms(deadline) == 0)
			return -ETIMEDOUT;
		(void)poll(&(struct pollfd){.fd = fd, .events = POLLIN}, 1, ub_left_ms(deadline));
	}
	if (n <= 0)
		return n == 0 ? -ECONNRESET : -errno;
	if (n != sizeof(*answer) || answer->magic != UB_CONTROL_MAGIC || answer->code > 0)
		return -EPROTO;
	return answer->code;
}

static int ask_at(int dirfd, uint32_t id, const struct ub_control_request *request,
		  int64_t deadline, struct ub_control_answer *ret_answer)
{
	_cleanup_close_ int fd = connect_at(dirfd, id, ub_left_ms(deadline));

	if (fd < 0)
		return fd;
	if (send(fd, request, sizeof(*request), MSG_NOSIGNAL) != sizeof(*request))
		return errno == EPIPE ? -ECONNRESET : errno == EAGAIN ? -ETIMEDOUT : -errno;
	return receive(fd, deadline, ret_answer);
}

int ub_control_ask(uint32_t id, uint64_t token, const struct ub_control_request *request,
		   int timeout_ms, struct ub_control_answer *ret_answer)
{
	struct ub_control_request packet = *request;
	int64_t deadline = ub_now_ms() + timeout_ms;
	int ret = -ENOENT;

	packet.magic = UB_CONTROL_MAGIC;
	packet.version = UB_CONTROL_VERSION;
	packet.token = token;
	*ret_answer = (struct ub_control_answer){0};
	for (unsigned place = 0; place < UB_RECORD_PLACES && ret == -ENOENT; place++) {
		_cleanup_close_ int dirfd = ub_record_dir_open_place(place, NULL);

		ret = dirfd < 0 ? dirfd : ask_at(dirfd, id, &packet, deadline, ret_answer);
	}
	return ret;
}
