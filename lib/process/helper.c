/* SPDX-License-Identifier: MIT */
#include "process/helper.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/clean.h"
#include "base/clock.h"
#include "process/process.h"

#define CHANNEL_FD 3
#define END_MS 2000

/* A message of this size is a question; a result is longer. */
static const char question = '?';

/* Holds nothing of the parent's: neither a pipe that somebody reads, nor a directory. */
static int detach(int channel)
{
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);

	if (null < 0)
		return -errno;
	for (int fd = 0; fd < 3; fd++)
		if (fd != channel && dup2(null, fd) < 0)
			return -errno;
	if (channel != CHANNEL_FD && dup3(channel, CHANNEL_FD, O_CLOEXEC) < 0)
		return -errno;
	(void)close_range(CHANNEL_FD + 1, ~0U, 0);
	(void)setsid();
	return chdir("/") == 0 ? 0 : -errno;
}

static _Noreturn void child(pid_t parent, int channel, int (*fn)(const void *arg), const void *arg)
{
	sigset_t none;
	char byte;
	int result;

	/* What nobody waits for any more is not to be done later. */
	(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != parent)
		_exit(0);
	(void)sigemptyset(&none);
	(void)sigprocmask(SIG_SETMASK, &none, NULL);
	result = detach(channel);
	if (!result)
		result = fn(arg);
	if (send(CHANNEL_FD, &result, sizeof(result), MSG_NOSIGNAL) == sizeof(result))
		(void)!recv(CHANNEL_FD, &byte, 1, 0);
	_exit(0);
}

int ub_helper_start(struct ub_helper *helper, int (*fn)(const void *arg), const void *arg)
{
	pid_t parent = getpid();
	int pair[2];

	*helper = (struct ub_helper)UB_HELPER_INIT;
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) != 0)
		return -errno;
	helper->pid = fork();
	if (helper->pid == 0)
		child(parent, pair[1], fn, arg);
	ub_close(&pair[1]);
	helper->fd = pair[0];
	if (helper->pid < 0) {
		int ret = -errno;

		ub_close(&helper->fd);
		return ret;
	}
	helper->pidfd = (int)syscall(SYS_pidfd_open, helper->pid, 0);
	return 0;
}

int ub_helper_wait(struct ub_helper *helper, int timeout_ms, int *ret_result)
{
	struct pollfd pfd = {.fd = helper->fd, .events = POLLIN};
	int64_t deadline = ub_now_ms() + timeout_ms;
	int ret, result;
	ssize_t size;

	do
		ret = poll(&pfd, 1, ub_left_ms(deadline));
	while (ret < 0 && errno == EINTR);
	if (ret < 0)
		return -errno;
	if (ret == 0)
		return -ETIMEDOUT;
	size = recv(helper->fd, &result, sizeof(result), MSG_DONTWAIT);
	if (size == sizeof(question))
		return UB_HELPER_ASKS;
	if (size != sizeof(result))
		return -EPIPE;
	helper->answered = true;
	*ret_result = result;
	return 0;
}

int ub_helper_ask(int timeout_ms, void *ret_answer, size_t size)
{
	struct pollfd pfd = {.fd = CHANNEL_FD, .events = POLLIN};

	if (send(CHANNEL_FD, &question, sizeof(question), MSG_NOSIGNAL) == sizeof(question) &&
	    poll(&pfd, 1, timeout_ms) == 1 &&
	    recv(CHANNEL_FD, ret_answer, size, MSG_DONTWAIT) == (ssize_t)size)
		return 0;
	/* One that is late would be taken for the next one's; it may be there by now. */
	(void)shutdown(CHANNEL_FD, SHUT_RD);
	while (recv(CHANNEL_FD, ret_answer, size, MSG_DONTWAIT) > 0)
		;
	return -EPIPE;
}

int ub_helper_tell(const struct ub_helper *helper, const void *answer, size_t size)
{
	return send(helper->fd, answer, size, MSG_NOSIGNAL) == (ssize_t)size ? 0 : -EPIPE;
}

void ub_helper_end(struct ub_helper *helper)
{
	if (helper->fd < 0)
		return;
	ub_close(&helper->fd);
	/* Without an answer it hangs; with one it only has to close what it has open. */
	(void)ub_process_end(helper->pid, helper->pidfd, helper->answered ? END_MS : 0, 0);
	ub_close(&helper->pidfd);
}
