/* SPDX-License-Identifier: MIT */
/* ublk-tls: started by ublk and ublk-server (tls/client.c), never by people. */
#include <errno.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clean.h"
#include "base/clock.h"
#include "process/beside.h"
#include "process/forget.h"
#include "tls/helper/helper.h"

int helper_fail(struct ub_tls_answer *answer, int code, const char *fmt, ...)
{
	va_list args;

	answer->error = code;
	va_start(args, fmt);
	(void)vsnprintf(answer->text, sizeof(answer->text), fmt, args);
	va_end(args);
	return code;
}

/* What it ends by is the end of its channel alone: a stop of a whole unit is for the server first. */
static void set_signals(void)
{
	static const int ignored[] = {SIGTERM, SIGINT, SIGHUP, SIGPIPE, SIGCHLD};

	for (size_t i = 0; i < UB_ARRAY_SIZE(ignored); i++)
		(void)signal(ignored[i], SIG_IGN);
}

static void tell(int fd, const struct ub_tls_answer *answer)
{
	(void)!send(fd, answer, sizeof(*answer), MSG_NOSIGNAL);
}

/* In a process of its own. */
static _Noreturn void shake(const struct credentials *credentials, struct attempt *attempt)
{
	const struct rlimit any = {RLIM_INFINITY, RLIM_INFINITY};
	struct ub_tls_answer answer = {0};

	(void)close(UB_BESIDE_CHANNEL);
	/* Whatever keeps it. */
	(void)signal(SIGALRM, SIG_DFL);
	(void)alarm((unsigned)(ub_left_ms(attempt->deadline_ms) / 1000) + 2);
	/* It could wait for the very device that waits for it. But rather that than no connection. */
	if (credentials->locks) {
		(void)setrlimit(RLIMIT_MEMLOCK, &any);
		(void)mlockall(MCL_CURRENT | MCL_FUTURE);
	}
	if (helper_prepare(attempt->fd, &answer) == 0) {
		helper_confine();
		(void)helper_shake(credentials, attempt, &answer);
	}
	tell(attempt->reply, &answer);
	_exit(0);
}

static void serve(const struct credentials *credentials, const struct ub_tls_request *request,
		  const int fds[static UB_BESIDE_FDS_MAX], size_t count)
{
	struct attempt attempt = {
		.fd = fds[0], .reply = fds[1], .deadline_ms = ub_now_ms() + request->timeout_ms};

	if (request->kind == UB_TLS_MOVE && count == 1)
		helper_move(fds[0]);
	/* Where none can be made, the end of the socket says so. */
	else if (request->kind == UB_TLS_SHAKE && count == 2 && fork() == 0)
		shake(credentials, &attempt);
	for (size_t i = 0; i < count; i++)
		(void)close(fds[i]);
}

static void listen_for_requests(const struct credentials *credentials)
{
	struct ub_tls_request request;
	int fds[UB_BESIDE_FDS_MAX], ret;
	size_t count;

	do {
		/* Between two of them it has nothing to do for as long as the connections hold. */
		ub_process_forget();
		ret = ub_beside_listen(&request, sizeof(request), fds, &count);
		if (!ret)
			serve(credentials, &request, fds, count);
	} while (!ret);
}

/* Return: 0, or a negative errno with a text. */
static int settle(const struct ub_tls_task *task, struct ub_tls_answer *answer)
{
	(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != task->parent)
		_exit(0);
	if (chdir("/") != 0)
		return helper_fail(answer, -errno, "cannot go to /: %s", strerror(errno));
	if (task->lock && mlockall(MCL_CURRENT | MCL_FUTURE) != 0)
		return helper_fail(answer, -errno, "cannot lock the helper's memory: %s",
				   strerror(errno));
	return 0;
}

int main(void)
{
	struct credentials credentials = {0};
	struct ub_tls_answer answer = {0};
	struct ub_tls_task *task = calloc(1, sizeof(*task));
	const struct rlimit none = {0};
	ssize_t n;

	/* Neither a core nor a debugger of the same user gets at the keys. */
	(void)prctl(PR_SET_DUMPABLE, 0);
	(void)setrlimit(RLIMIT_CORE, &none);
	/* As long as it is. */
	n = task ? recv(UB_BESIDE_CHANNEL, task, sizeof(*task), MSG_TRUNC) : -1;
	if (n < (ssize_t)sizeof(task->version)) {
		free(task);
		(void)fprintf(stderr, "ublk-tls: error: not for people: use ublk add -t nbd\n");
		return 2;
	}
	(void)close_range(UB_BESIDE_CHANNEL + 1, ~0U, 0);
	set_signals();
	/* Paths are as the caller meant them: absolute ones, but for a short-lived starter's. */
	if (n != sizeof(*task) || task->version != UB_TLS_VERSION)
		(void)helper_fail(&answer, -EPROTONOSUPPORT,
				  "the installed " UB_TLS_NAME
				  " is of another version than this program");
	else if (helper_load(task, &credentials, &answer) == 0)
		(void)settle(task, &answer);
	tell(UB_BESIDE_CHANNEL, &answer);
	free(task);
	if (!answer.error)
		listen_for_requests(&credentials);
	/* As it is: there is nothing that another process would find. */
	_exit(answer.error ? 1 : 0);
}
