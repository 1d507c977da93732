/* SPDX-License-Identifier: MIT */
#include "process/beside.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "base/clean.h"
#include "process/inherit.h"
#include "process/process.h"
#include "process/program.h"
#include "process/spawn.h"

/* How long one that is told to end may take, and one that is killed. */
#define END_MS 2000
#define KILL_MS 1000
#define NAME_SIZE 32

/* Return: 0 or a negative errno. */
static int start(const char *path, int channel, char *argv[], pid_t *ret_pid)
{
	char *environment[UB_ENVIRONMENT_MAX + 1];
	struct ub_spawn what = {.path = path,
				.argv = argv,
				.environment = environment,
				.fds = {{channel, UB_BESIDE_CHANNEL},
					{-1, STDIN_FILENO},
					{-1, STDOUT_FILENO},
					{-1, STDERR_FILENO}},
				.nr_fds = 4,
				.group = true};
	sigset_t none;

	(void)sigemptyset(&none);
	what.held = &none;
	ub_inherit_environment(environment);
	return ub_spawn(&what, ret_pid);
}

int ub_beside_start(struct ub_beside *b, const char *path, const char *name, char *argv[])
{
	bool spared = *ub_program_server_name() == '@';
	char full[NAME_SIZE];
	int pair[2], ret;

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) != 0)
		return -errno;
	b->channel = pair[0];
	(void)snprintf(full, sizeof(full), "%s%s", spared ? "@" : "", name);
	argv[0] = full;
	ret = start(path, pair[1], argv, &b->pid);
	argv[0] = NULL;
	ub_close(&pair[1]);
	if (ret) {
		b->pid = 0;
		ub_close(&b->channel);
		return ret;
	}
	b->pidfd = ub_process_open(b->pid, 0);
	return 0;
}

int ub_beside_ask(const struct ub_beside *b, const void *message, size_t size, const int *fds,
		  size_t count)
{
	char control[CMSG_SPACE(UB_BESIDE_FDS_MAX * sizeof(int))] = {0};
	struct iovec iov = {(void *)(uintptr_t)message, size};
	struct msghdr msg = {.msg_iov = &iov,
			     .msg_iovlen = 1,
			     .msg_control = control,
			     .msg_controllen = count ? CMSG_SPACE(count * sizeof(int)) : 0};
	struct cmsghdr *head = CMSG_FIRSTHDR(&msg);

	if (head) {
		head->cmsg_level = SOL_SOCKET;
		head->cmsg_type = SCM_RIGHTS;
		head->cmsg_len = CMSG_LEN(count * sizeof(int));
		memcpy(CMSG_DATA(head), fds, count * sizeof(int));
	}
	if (sendmsg(b->channel, &msg, MSG_DONTWAIT | MSG_NOSIGNAL) == (ssize_t)size)
		return 0;
	return errno == ECONNRESET ? -EPIPE : -errno;
}

void ub_beside_end(struct ub_beside *b)
{
	ub_close(&b->channel);
	if (b->pid)
		(void)ub_process_end(b->pid, b->pidfd, END_MS, KILL_MS);
	b->pid = 0;
	ub_close(&b->pidfd);
}

/* Return: how many descriptors came; they are in @fds. */
static size_t take_descriptors(struct msghdr *msg, int fds[static UB_BESIDE_FDS_MAX])
{
	const struct cmsghdr *head = CMSG_FIRSTHDR(msg);
	size_t count;

	if (!head || head->cmsg_level != SOL_SOCKET || head->cmsg_type != SCM_RIGHTS)
		return 0;
	count = (head->cmsg_len - CMSG_LEN(0)) / sizeof(int);
	memcpy(fds, CMSG_DATA(head), count * sizeof(int));
	return count;
}

int ub_beside_listen(void *message, size_t size, int fds[static UB_BESIDE_FDS_MAX],
		     size_t *ret_count)
{
	char control[CMSG_SPACE(UB_BESIDE_FDS_MAX * sizeof(int))];
	struct iovec iov = {message, size};
	struct msghdr msg;
	ssize_t n;

	do {
		msg = (struct msghdr){.msg_iov = &iov,
				      .msg_iovlen = 1,
				      .msg_control = control,
				      .msg_controllen = sizeof(control)};
		n = recvmsg(UB_BESIDE_CHANNEL, &msg, MSG_CMSG_CLOEXEC);
	} while (n < 0 && errno == EINTR);
	if (n != (ssize_t)size)
		return n < 0 ? -errno : -EPIPE;
	*ret_count = take_descriptors(&msg, fds);
	return 0;
}
