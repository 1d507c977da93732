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

/* What is said: a request and what is behind it; or heard. */
struct packet {
	union {
		struct ub_control_request request;
		struct ub_control_answer answer;
	};
	char text[UB_CONTROL_TEXT_MAX];
};

_Static_assert(sizeof(struct ub_control_request) == sizeof(struct ub_control_answer),
	       "the text is where it is in both");

/* As recv(). @ret_fd: takes a descriptor that comes along, or -1; NULL: it is not taken. */
static ssize_t take_packet(int fd, struct packet *packet, int *ret_fd)
{
	union {
		struct cmsghdr head;
		char space[CMSG_SPACE(sizeof(int))];
	} control;
	struct iovec part = {.iov_base = packet, .iov_len = sizeof(*packet)};
	struct msghdr msg = {
		.msg_iov = &part,
		.msg_iovlen = 1,
		.msg_control = ret_fd ? &control : NULL,
		.msg_controllen = ret_fd ? sizeof(control) : 0,
	};
	ssize_t n = recvmsg(fd, &msg, MSG_DONTWAIT | MSG_TRUNC);
	const struct cmsghdr *head = n < 0 || !ret_fd ? NULL : CMSG_FIRSTHDR(&msg);

	if (head && head->cmsg_level == SOL_SOCKET && head->cmsg_type == SCM_RIGHTS &&
	    head->cmsg_len == CMSG_LEN(sizeof(int)))
		memcpy(ret_fd, CMSG_DATA(head), sizeof(int));
	return n;
}

/* Whoever hangs up without an answer does not want to speak with this process. Return: its bytes, or a
 * negative errno. */
static ssize_t receive(int fd, int64_t deadline, struct packet *packet, int *ret_fd)
{
	ssize_t n;

	for (;;) {
		n = take_packet(fd, packet, ret_fd);
		if (n >= 0 || (errno != EAGAIN && errno != EINTR))
			break;
		if (ub_left_ms(deadline) == 0)
			return -ETIMEDOUT;
		(void)poll(&(struct pollfd){.fd = fd, .events = POLLIN}, 1, ub_left_ms(deadline));
	}
	if (n <= 0)
		return n == 0 ? -ECONNRESET : -errno;
	if ((size_t)n < sizeof(packet->answer) || (size_t)n >= sizeof(*packet) ||
	    packet->answer.magic != UB_CONTROL_MAGIC || packet->answer.code > 0)
		return -EPROTO;
	return n;
}

/* @size: of what is said. Return: that of the answer, or a negative errno. */
static ssize_t ask_at(int dirfd, uint32_t id, struct packet *packet, size_t size, int64_t deadline,
		      int *ret_fd)
{
	_cleanup_close_ int fd = connect_at(dirfd, id, ub_left_ms(deadline));

	if (fd < 0)
		return fd;
	if (send(fd, packet, size, MSG_NOSIGNAL) != (ssize_t)size)
		return errno == EPIPE ? -ECONNRESET : errno == EAGAIN ? -ETIMEDOUT : -errno;
	return receive(fd, deadline, packet, ret_fd);
}

static ssize_t ask(uint32_t id, struct packet *packet, size_t size, int timeout_ms, int *ret_fd)
{
	int64_t deadline = ub_now_ms() + timeout_ms;
	ssize_t ret = -ENOENT;

	packet->request.magic = UB_CONTROL_MAGIC;
	packet->request.version = UB_CONTROL_VERSION;
	for (unsigned place = 0; place < UB_RECORD_PLACES && ret == -ENOENT; place++) {
		_cleanup_close_ int dirfd = ub_record_dir_open_place(place, NULL);

		ret = dirfd < 0 ? dirfd : ask_at(dirfd, id, packet, size, deadline, ret_fd);
	}
	return ret;
}

int ub_control_ask_text(uint32_t id, uint64_t token, const struct ub_control_request *request,
			const char *text, size_t len, int timeout_ms,
			struct ub_control_answer *ret_answer,
			char ret_text[static UB_CONTROL_TEXT_MAX])
{
	struct packet packet = {.request = *request};
	ssize_t size;

	*ret_answer = (struct ub_control_answer){0};
	*ret_text = '\0';
	if (len > sizeof(packet.text))
		return -EMSGSIZE;
	packet.request.token = token;
	memcpy(packet.text, text, len);
	size = ask(id, &packet, sizeof(packet.request) + len, timeout_ms, NULL);
	if (size < 0)
		return (int)size;
	*ret_answer = packet.answer;
	len = (size_t)size - sizeof(packet.answer);
	memcpy(ret_text, packet.text, len);
	ret_text[len] = '\0';
	return packet.answer.code;
}

int ub_control_ask(uint32_t id, uint64_t token, const struct ub_control_request *request,
		   int timeout_ms, struct ub_control_answer *ret_answer)
{
	char text[UB_CONTROL_TEXT_MAX];

	return ub_control_ask_text(id, token, request, "", 0, timeout_ms, ret_answer, text);
}

int ub_control_ask_hand_over(uint32_t id, uint64_t token, int timeout_ms)
{
	struct packet packet = {.request = {.op = UB_CONTROL_HAND_OVER, .token = token}};
	_cleanup_close_ int fd = -1;
	ssize_t size = ask(id, &packet, sizeof(packet.request), timeout_ms, &fd);

	if (size < 0)
		return (int)size;
	if (packet.answer.code)
		return packet.answer.code;
	return fd < 0 ? -EPROTO : UB_TAKE_FD(fd);
}
