/* SPDX-License-Identifier: MIT */
/* The control socket: who may speak with the server, and what it answers. */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/clean.h"
#include "base/clock.h"
#include "base/fault.h"
#include "device/control.h"
#include "record/dir.h"
#include "server/server.h"

/* Those that want to speak while as many as may are being heard. */
#define WAITING_MAX 16
/* How long nobody is let in when there was no descriptor for somebody. */
#define DEAF_MS 1000
#ifndef SO_PASSRIGHTS /* Linux 6.16 */
#define SO_PASSRIGHTS 83
#endif

static void hang_up(struct server_client *client)
{
	ub_close(&client->fd);
}

void server_init_control(struct server_control *control)
{
	control->fd = -1;
	for (size_t i = 0; i < SERVER_CLIENTS_MAX; i++)
		control->clients[i].fd = -1;
}

static int bind_at(int fd, int dirfd, uint32_t id)
{
	struct sockaddr_un addr = {.sun_family = AF_UNIX};
	char name[UB_RECORD_NAME_SIZE];

	(void)snprintf(addr.sun_path, sizeof(addr.sun_path), "/proc/self/fd/%d/%s", dirfd,
		       ub_record_socket_name(id, name));
	/* Its node gets what the socket has: from its first moment on nobody else can connect. */
	if (fchmod(fd, 0600) != 0)
		return -errno;
	if (bind(fd, (const struct sockaddr *)&addr, sizeof(addr)) == 0)
		return 0;
	/* A dead server's, whose device, or number, this one has got: nobody else has it now. */
	if (errno != EADDRINUSE || unlinkat(dirfd, name, 0) != 0 ||
	    bind(fd, (const struct sockaddr *)&addr, sizeof(addr)) != 0)
		return -errno;
	return 0;
}

static int open_socket(uint32_t id)
{
	_cleanup_close_ int dirfd = ub_record_dir_open(true, NULL);
	_cleanup_close_ int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	int ret = ub_fault("control"), no = 0;

	if (fd < 0)
		return -errno;
	/* Nobody's files are closed by this process, which might have to wait for that: older kernels do not
	 * know it. */
	(void)setsockopt(fd, SOL_SOCKET, SO_PASSRIGHTS, &no, sizeof(no));
	if (!ret)
		ret = dirfd < 0 ? dirfd : bind_at(fd, dirfd, id);
	/* The node goes with the record. */
	if (!ret && listen(fd, WAITING_MAX) != 0)
		ret = -errno;
	return ret ? ret : UB_TAKE_FD(fd);
}

void server_name_control(struct server *s)
{
	free(s->record.socket);
	s->record.socket = ub_record_socket_path(s->record.id);
}

void server_open_control(struct server *s)
{
	struct ub_record *record = &s->record;

	s->control.fd = open_socket(record->id);
	if (s->control.fd >= 0)
		return;
	ub_note(&record->notes, "it has no control socket, and cannot be spoken with: %s",
		strerror(-s->control.fd));
	free(record->socket);
	record->socket = NULL;
}

void server_remove_control(const struct server *s)
{
	_cleanup_close_ int dirfd = s->record.socket ? ub_record_dir_open(false, NULL) : -1;
	char name[UB_RECORD_NAME_SIZE];

	if (dirfd >= 0)
		(void)unlinkat(dirfd, ub_record_socket_name(s->record.id, name), 0);
}

void server_close_control(struct server_control *control)
{
	ub_close(&control->fd);
	for (size_t i = 0; i < SERVER_CLIENTS_MAX; i++)
		hang_up(&control->clients[i]);
}

/* Root may, and who has the rights of this process. */
static bool may_speak(int fd)
{
	struct ucred peer;
	socklen_t len = sizeof(peer);

	return getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &len) == 0 &&
	       (peer.uid == 0 || peer.uid == geteuid());
}

/* A free place, or that of the one who has been silent for the longest: whoever says nothing keeps nobody
 * out. */
static struct server_client *find_place(struct server_control *control)
{
	struct server_client *found = &control->clients[0];

	for (size_t i = 0; i < SERVER_CLIENTS_MAX && found->fd >= 0; i++)
		if (control->clients[i].fd < 0 || control->clients[i].heard_ms < found->heard_ms)
			found = &control->clients[i];
	return found;
}

static void take_client(struct server_control *control)
{
	_cleanup_close_ int fd = accept4(control->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
	struct server_client *client;

	/* He would be seen again at once, and again. */
	if (fd < 0 && errno != EAGAIN && errno != ECONNABORTED)
		control->deaf_ms = ub_now_ms() + DEAF_MS;
	if (fd < 0 || !may_speak(fd))
		return;
	client = find_place(control);
	hang_up(client);
	*client = (struct server_client){.fd = UB_TAKE_FD(fd), .heard_ms = ub_now_ms()};
}

/* Return: 0: it will be done. */
static int ask_park(struct server *s, uint64_t pid, bool meant)
{
	int ret;

	if (pid && pid != (uint64_t)getpid())
		return -ESTALE;
	if (!s->live || s->terms || s->unbound || s->queues_ended)
		return -ESHUTDOWN;
	if (!(s->info->flags & UBLK_F_QUIESCE))
		return -EOPNOTSUPP;
	s->record.parked = meant;
	ret = meant ? server_write_record(s, NULL) : 0;
	if (ret && s->record.spec.restart) {
		s->record.parked = false;
		return ret;
	}
	s->park = true;
	return 0;
}

static uint64_t describe(const struct server *s)
{
	return (s->park ? UB_CONTROL_PARKS : 0) | (s->foreground ? UB_CONTROL_FOREGROUND : 0) |
	       (s->record.spec.bound && s->channel >= 0 ? UB_CONTROL_BOUND : 0) |
	       (*program_invocation_name == '@' ? UB_CONTROL_SPARED : 0);
}

static void tell_status(const struct server *s, struct ub_control_answer *ret_answer)
{
	unsigned queue = 0;
	uint8_t op = 0;

	ret_answer->value[0] = (uint64_t)(s->served_ms ? ub_now_ms() - s->served_ms : 0);
	ret_answer->value[1] = describe(s);
	ret_answer->value[2] = server_longest_stall(s, &queue, &op);
	ret_answer->value[3] = queue | (uint64_t)op << UB_CONTROL_OP_SHIFT;
}

static void tell_away(struct server *s, struct ub_control_answer *ret_answer)
{
	const struct ub_tgt_away *away = &s->target.away;
	int64_t since = atomic_load(&away->since_ms);

	ret_answer->value[0] = (uint64_t)(since ? ub_now_ms() - since : 0);
	ret_answer->value[1] = since ? atomic_load(&away->tries) : 0;
	ret_answer->value[2] = since ? (uint64_t)-atomic_load(&away->error) : 0;
	ret_answer->value[3] = since && atomic_load(&away->fenced);
}

/* Return: a descriptor that is the caller's, or a negative errno. */
static int hand_over(struct server *s)
{
	if (!s->target.type->hand_over)
		return -ENODATA;
	return s->live && !s->terms && !s->unbound ? s->target.type->hand_over(&s->target)
						   : -ESHUTDOWN;
}

/* @ret_fd: what goes along, or -1. */
static void answer(struct server *s, const struct ub_control_request *request,
		   struct ub_control_answer *ret_answer, int *ret_fd)
{
	bool is_record;
	int64_t number;

	if (request->version != UB_CONTROL_VERSION) {
		ret_answer->code = -EOPNOTSUPP;
		return;
	}
	if (request->token != s->record.token) {
		ret_answer->code = -ENODEV;
		return;
	}
	switch (request->op) {
	case UB_CONTROL_STATUS:
		tell_status(s, ret_answer);
		break;
	case UB_CONTROL_AWAY:
		tell_away(s, ret_answer);
		break;
	case UB_CONTROL_ROOM:
		number = server_room(s);
		ret_answer->code = number < 0 ? (int32_t)number : 0;
		ret_answer->value[0] = number < 0 ? 0 : (uint64_t)number;
		break;
	case UB_CONTROL_BEGIN_RESIZE:
		ret_answer->code = server_begin_resize(s, request->value[0], &is_record);
		ret_answer->value[0] = is_record;
		break;
	case UB_CONTROL_END_RESIZE:
		ret_answer->code = server_end_resize(s, request->value[0], request->value[1] == 1);
		break;
	case UB_CONTROL_PARK:
		ret_answer->code = ask_park(s, request->value[0], request->value[1] == 1);
		break;
	case UB_CONTROL_HAND_OVER:
		*ret_fd = hand_over(s);
		ret_answer->code = *ret_fd < 0 ? *ret_fd : 0;
		break;
	case UB_CONTROL_SET: /* for this device, and the rest is in its text */
		break;
	default:
		ret_answer->code = -EOPNOTSUPP;
	}
}

struct packet {
	struct ub_control_request request;
	char text[UB_CONTROL_TEXT_MAX];
};

struct reply {
	struct ub_control_answer answer;
	char text[sizeof(((struct ub_error *)0)->msg)];
};

/* Return: bytes of text in the reply. */
static size_t answer_set(struct server *s, int peer, const struct packet *packet, size_t len,
			 struct reply *reply)
{
	struct ub_error err = {0};

	reply->answer.code =
		server_set(s, peer, packet->text, len, packet->request.value[0] == 1, &err);
	reply->answer.value[0] = err.stage == UB_STAGE_USAGE;
	if (!reply->answer.code)
		return 0;
	memcpy(reply->text, err.msg, strlen(err.msg));
	return strlen(err.msg);
}

/* Who does not read his answers is not waited for. @fd: goes along, or -1. */
static bool send_reply(int client, struct reply *reply, size_t size, int fd)
{
	union {
		struct cmsghdr head;
		char space[CMSG_SPACE(sizeof(int))];
	} control = {.head = {.cmsg_level = SOL_SOCKET,
			      .cmsg_type = SCM_RIGHTS,
			      .cmsg_len = CMSG_LEN(sizeof(int))}};
	struct iovec part = {.iov_base = reply, .iov_len = size};
	struct msghdr msg = {.msg_iov = &part, .msg_iovlen = 1};

	if (fd >= 0) {
		memcpy(CMSG_DATA(&control.head), &fd, sizeof(fd));
		msg.msg_control = &control;
		msg.msg_controllen = sizeof(control);
	}
	return sendmsg(client, &msg, MSG_DONTWAIT | MSG_NOSIGNAL) == (ssize_t)size;
}

/* One request, and no more: others wait, too. Descriptors that come with it are not taken. Return: false
 * when there is nothing to be made of it. */
static bool take_request(struct server *s, struct server_client *client)
{
	struct packet packet;
	struct reply reply = {.answer = {.magic = UB_CONTROL_MAGIC,
					 .version = UB_CONTROL_VERSION,
					 .pid = getpid()}};
	_cleanup_close_ int fd = -1;
	ssize_t n = recv(client->fd, &packet, sizeof(packet), MSG_DONTWAIT | MSG_TRUNC);
	size_t len = (size_t)n - sizeof(packet.request), size = sizeof(reply.answer);

	if (n < 0)
		return errno == EAGAIN || errno == EINTR;
	if ((size_t)n < sizeof(packet.request) || (size_t)n > sizeof(packet) ||
	    packet.request.magic != UB_CONTROL_MAGIC ||
	    (len != 0) != (packet.request.op == UB_CONTROL_SET))
		return false;
	client->heard_ms = ub_now_ms();
	reply.answer.op = packet.request.op;
	if (packet.request.op == UB_CONTROL_SET && server_has_hung_up(client->fd))
		return false;
	answer(s, &packet.request, &reply.answer, &fd);
	if (packet.request.op == UB_CONTROL_SET && !reply.answer.code)
		size += answer_set(s, client->fd, &packet, len, &reply);
	return send_reply(client->fd, &reply, size, fd);
}

int server_poll_control(const struct server_control *control,
			struct pollfd fds[static SERVER_CONTROL_FDS])
{
	int left = ub_left_ms(control->deaf_ms);

	fds[0] = (struct pollfd){.fd = left ? -1 : control->fd, .events = POLLIN};
	for (size_t i = 0; i < SERVER_CLIENTS_MAX; i++)
		fds[1 + i] = (struct pollfd){.fd = control->clients[i].fd, .events = POLLIN};
	return left ? left : -1;
}

void server_take_control(struct server *s, const struct pollfd fds[static SERVER_CONTROL_FDS])
{
	/* Before a new one gets somebody's place. */
	for (size_t i = 0; i < SERVER_CLIENTS_MAX; i++)
		if (fds[1 + i].revents && !take_request(s, &s->control.clients[i]))
			hang_up(&s->control.clients[i]);
	if (fds[0].revents)
		take_client(&s->control);
}
