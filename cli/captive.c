/* SPDX-License-Identifier: MIT */
#include "captive.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clean.h"
#include "status.h"

/* In the child. Return: why it could not be executed. */
static int execute(const char *const argv[], char *const variables[], pid_t parent,
		   const sigset_t *mask)
{
	/* Nobody would remove its device at its end. */
	if (prctl(PR_SET_PDEATHSIG, SIGKILL) != 0)
		return errno;
	if (getppid() != parent)
		_exit(UB_EXIT_FAILED);
	for (; *variables; variables++)
		if (putenv(*variables) != 0)
			return errno;
	(void)sigprocmask(SIG_SETMASK, mask, NULL);
	(void)execvp(argv[0], (char *const *)argv);
	return errno;
}

/* Return: 0, or a negative errno: why it could not be executed. */
static int fork_and_execute(struct ub_captive *captive, const char *const argv[],
			    char *const variables[], const sigset_t *mask)
{
	_cleanup_close_ int from = -1;
	pid_t parent = getpid();
	int ends[2], code = 0;

	if (pipe2(ends, O_CLOEXEC) != 0)
		return -errno;
	from = ends[0];
	captive->pid = fork();
	if (captive->pid == 0) {
		code = execute(argv, variables, parent, mask);
		(void)!write(ends[1], &code, sizeof(code));
		_exit(UB_EXIT_FAILED);
	}
	code = captive->pid < 0 ? errno : 0;
	ub_close(&ends[1]);
	/* The end of file: it is executed, which has closed the pipe. */
	if (captive->pid < 0 || read(from, &code, sizeof(code)) != sizeof(code))
		return -code;
	(void)waitpid(captive->pid, NULL, 0);
	return -code;
}

int ub_captive_start(struct ub_captive *captive, const char *const argv[], char *const variables[],
		     const sigset_t *mask, struct ub_error *err)
{
	static const int signals[] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGUSR1, SIGUSR2, SIGCHLD};
	int ret = ub_interrupt_hold(signals, UB_ARRAY_SIZE(signals), &captive->held);

	if (ret)
		return ub_fail(err, UB_STAGE_NONE, ret, "cannot watch for signals");
	ret = fork_and_execute(captive, argv, variables, mask);
	if (!ret)
		return 0;
	ub_interrupt_close(&captive->held);
	return ub_fail(err, UB_STAGE_NONE, ret, "cannot run %s", argv[0]);
}

static void pass_on(const struct ub_captive *captive, const struct signalfd_siginfo *info)
{
	bool is_from_terminal = info->ssi_code == SI_KERNEL;

	if (!is_from_terminal || getpgid(captive->pid) != getpgrp())
		(void)kill(captive->pid, (int)info->ssi_signo);
}

/* Return: whether it has ended, and so cannot be sent anything any more. */
static bool has_ended(const struct ub_captive *captive, int *ret_status)
{
	return waitpid(captive->pid, ret_status, WNOHANG) == captive->pid;
}

int ub_captive_wait(struct ub_captive *captive)
{
	struct pollfd pfd = {.fd = captive->held.fd, .events = POLLIN};
	struct signalfd_siginfo info;
	int status;

	while (!has_ended(captive, &status)) {
		(void)poll(&pfd, 1, -1);
		while (ub_interrupt_take(&captive->held, &info))
			if (info.ssi_signo != SIGCHLD)
				pass_on(captive, &info);
	}
	/* One for the whole process group has come to this process before any of them can end. */
	while (ub_interrupt_take(&captive->held, &info))
		;
	ub_interrupt_close(&captive->held);
	return WIFSIGNALED(status) ? UB_EXIT_SIGNAL + WTERMSIG(status) : WEXITSTATUS(status);
}

void ub_captive_kill(struct ub_captive *captive)
{
	(void)kill(captive->pid, SIGKILL);
	(void)waitpid(captive->pid, NULL, 0);
	ub_interrupt_close(&captive->held);
}
