/* SPDX-License-Identifier: MIT */
#include "process/run.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/clean.h"
#include "process/process.h"

#define TEXT_MAX 4096
#define KILL_MS 1000

static int set_up(posix_spawn_file_actions_t *files, posix_spawnattr_t *attributes, int output)
{
	sigset_t none;
	int ret;

	(void)sigemptyset(&none);
	ret = posix_spawnattr_setsigmask(attributes, &none);
	if (!ret)
		ret = posix_spawnattr_setflags(attributes, POSIX_SPAWN_SETSIGMASK);
	if (!ret)
		ret = posix_spawn_file_actions_addopen(files, STDIN_FILENO, "/dev/null", O_RDONLY,
						       0);
	if (!ret)
		ret = posix_spawn_file_actions_adddup2(files, output, STDOUT_FILENO);
	if (!ret)
		ret = posix_spawn_file_actions_adddup2(files, output, STDERR_FILENO);
	return ret;
}

int ub_run_start(char *const argv[], char *const environment[], int output, pid_t *ret_pid)
{
	posix_spawn_file_actions_t files;
	posix_spawnattr_t attributes;
	int ret = posix_spawn_file_actions_init(&files);

	if (ret)
		return -ret;
	ret = posix_spawnattr_init(&attributes);
	if (!ret) {
		ret = set_up(&files, &attributes, output);
		if (!ret)
			ret = posix_spawn(ret_pid, argv[0], &files, &attributes, argv, environment);
		(void)posix_spawnattr_destroy(&attributes);
	}
	(void)posix_spawn_file_actions_destroy(&files);
	return -ret;
}

/* Return: the text, or NULL without memory. */
static char *read_text(int fd)
{
	char *text = calloc(1, TEXT_MAX + 1);

	if (text && pread(fd, text, TEXT_MAX, 0) < 0)
		text[0] = '\0';
	return text;
}

int ub_run_program(char *const argv[], int timeout_ms, char **ret_text)
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
	if (pidfd >= 0 && ub_process_wait(pidfd, timeout_ms) != 0)
		ret = -ETIMEDOUT;
	if (ret)
		(void)ub_process_end(pid, pidfd, 0, KILL_MS);
	else
		ret = ub_process_end(pid, pidfd, timeout_ms, KILL_MS);
	*ret_text = read_text(output);
	return *ret_text ? ret : -ENOMEM;
}
