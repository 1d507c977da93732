/* SPDX-License-Identifier: MIT */
#include "process/run.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/clean.h"
#include "base/clock.h"
#include "process/process.h"
#include "process/spawn.h"

#define TEXT_MAX 4096
#define KILL_MS 1000

int ub_run_start(char *const argv[], char *const environment[], int output, pid_t *ret_pid)
{
	struct ub_spawn what = {
		.path = argv[0],
		.argv = argv,
		.environment = environment,
		.fds = {{-1, STDIN_FILENO}, {output, STDOUT_FILENO}, {output, STDERR_FILENO}},
		.nr_fds = 3};
	sigset_t none;

	(void)sigemptyset(&none);
	what.held = &none;
	return ub_spawn(&what, ret_pid);
}

/* Return: the text, or NULL without memory. */
static char *read_text(int fd)
{
	char *text = calloc(1, TEXT_MAX + 1);

	if (text && pread(fd, text, TEXT_MAX, 0) < 0)
		text[0] = '\0';
	return text;
}

int ub_run_program(char *const argv[], const struct ub_patience *patience, char **ret_text)
{
	/* What a program is told by its caller's environment is not ours to know. */
	char *environment[] = {(char *)"PATH=/usr/sbin:/usr/bin:/sbin:/bin", (char *)"LC_ALL=C",
			       NULL};
	_cleanup_close_ int output = memfd_create("ublk-output", MFD_CLOEXEC), pidfd = -1;
	pid_t pid;
	int ret;

	*ret_text = NULL;
	if (output < 0)
		return -errno;
	ret = ub_run_start(argv, environment, output, &pid);
	if (ret)
		return ret;
	pidfd = ub_process_open(pid, 0);
	/* One that was killed because its time was over has ended by a signal too. */
	if (pidfd >= 0)
		ret = ub_patience_poll(patience, pidfd, POLLIN);
	if (ret)
		(void)ub_process_end(pid, pidfd, 0, KILL_MS);
	else
		ret = ub_process_end(pid, pidfd, ub_left_ms(patience->deadline_ms), KILL_MS);
	*ret_text = read_text(output);
	return *ret_text ? ret : -ENOMEM;
}
