/* SPDX-License-Identifier: MIT */
#include "nbd/names.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <netinet/in.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/caps.h"
#include "base/clean.h"
#include "base/parse.h"
#include "process/beside.h"
#include "process/forget.h"
#include "process/program.h"

#define NAME "ublk-names"

struct ub_nbd_names {
	struct ub_beside process;
};

/* What a name's addresses depend on, and is found by its path. */
static const char *const sources[] = {
	UB_NBD_GETENT,
	"/etc/nsswitch.conf",
	"/etc/hosts",
	"/etc/resolv.conf",
};

struct seen {
	bool is_there[UB_ARRAY_SIZE(sources)];
	struct stat st[UB_ARRAY_SIZE(sources)];
};

static void see(struct seen *ret_seen)
{
	for (size_t i = 0; i < UB_ARRAY_SIZE(sources); i++)
		ret_seen->is_there[i] = stat(sources[i], &ret_seen->st[i]) == 0;
}

static bool is_same(const struct seen *a, const struct seen *b)
{
	for (size_t i = 0; i < UB_ARRAY_SIZE(sources); i++)
		if (a->is_there[i] != b->is_there[i] ||
		    (a->is_there[i] &&
		     (a->st[i].st_dev != b->st[i].st_dev || a->st[i].st_ino != b->st[i].st_ino)))
			return false;
	return true;
}

/* @ret_space: where names are looked up, a mount namespace; -1: here. Return: 0, -EXDEV or another negative errno. */
static int settle(int *ret_space)
{
	struct seen before, after;
	int space;

	*ret_space = -1;
	if (!ub_has_cap(CAP_SYS_ADMIN))
		return chdir("/") == 0 ? 0 : -errno;
	see(&before);
	space = open("/proc/1/ns/mnt", O_RDONLY | O_CLOEXEC);
	if (space < 0 || setns(space, CLONE_NEWNS) != 0)
		return -errno;
	see(&after);
	*ret_space = space;
	return is_same(&before, &after) ? 0 : -EXDEV;
}

/* A stop of a whole unit is for the server first. */
static void set_signals(void (*handler)(int))
{
	static const int ignored[] = {SIGTERM, SIGINT, SIGHUP, SIGPIPE, SIGCHLD};

	for (size_t i = 0; i < UB_ARRAY_SIZE(ignored); i++)
		(void)signal(ignored[i], handler);
}

/* In a process of its own. */
static _Noreturn void look_up(const char *host, int space, int to)
{
	char *argv[] = {(char *)UB_NBD_GETENT, (char *)"ahosts", (char *)"--",
			(char *)(uintptr_t)host, NULL};
	/* A name server that is dead is not to take all of the time (resolv.conf(5); else it has five seconds). */
	char *environment[] = {(char *)"PATH=/usr/sbin:/usr/bin:/sbin:/bin", (char *)"LC_ALL=C",
			       (char *)"RES_OPTIONS=timeout:1 attempts:2", NULL};

	(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
	(void)close(UB_BESIDE_CHANNEL);
	set_signals(SIG_DFL);
	/* Whatever keeps it. */
	(void)alarm(UB_NBD_LOOK_UP_S);
	/* Process 1 may have another root by now: switch_root(8). */
	if ((space < 0 || setns(space, CLONE_NEWNS) == 0) && dup2(to, STDOUT_FILENO) >= 0)
		(void)execve(UB_NBD_GETENT, argv, environment);
	_exit(1);
}

int ub_nbd_names_main(const char *host, const char *parent)
{
	int fds[UB_BESIDE_FDS_MAX], space;
	int32_t answer;
	uint64_t pid;
	size_t count;
	char request;

	(void)prctl(PR_SET_NAME, NAME);
	(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (ub_parse_u64(parent, INT32_MAX, &pid) != 0 || (pid_t)pid != getppid())
		return 1;
	(void)close_range(UB_BESIDE_CHANNEL + 1, ~0U, 0);
	set_signals(SIG_IGN);
	answer = settle(&space);
	(void)!send(UB_BESIDE_CHANNEL, &answer, sizeof(answer), MSG_NOSIGNAL);
	while (!answer) {
		ub_process_forget();
		if (ub_beside_listen(&request, sizeof(request), fds, &count) != 0)
			break;
		if (count == 1 && fork() == 0)
			look_up(host, space, fds[0]);
		for (size_t i = 0; i < count; i++)
			(void)close(fds[i]);
	}
	return 0;
}

/* Return: what the process says, -ETIMEDOUT, or another negative errno. */
static int read_answer(int fd, const struct ub_patience *patience)
{
	int32_t answer;
	int ret = ub_patience_poll(patience, fd, POLLIN);

	if (ret)
		return ret;
	return recv(fd, &answer, sizeof(answer), MSG_DONTWAIT) == sizeof(answer) ? answer : -EPIPE;
}

int ub_nbd_names_start(const char *host, const struct ub_patience *patience,
		       struct ub_nbd_names **ret_names)
{
	struct ub_nbd_names *names = calloc(1, sizeof(*names));
	char parent[12];
	char *argv[] = {NULL, (char *)UB_NBD_LOOK_UP, (char *)(uintptr_t)host, parent, NULL};
	int ret;

	if (!names)
		return -ENOMEM;
	names->process = (struct ub_beside)UB_BESIDE_INIT;
	(void)snprintf(parent, sizeof(parent), "%d", getpid());
	ret = ub_beside_start(&names->process, ub_program_again(), NAME, argv);
	if (!ret)
		ret = read_answer(names->process.channel, patience);
	if (ret)
		ub_nbd_names_end(names);
	else
		*ret_names = names;
	return ret;
}

void ub_nbd_names_end(struct ub_nbd_names *names)
{
	if (names)
		ub_beside_end(&names->process);
	free(names);
}

int ub_nbd_names_ask(const struct ub_nbd_names *names)
{
	_cleanup_close_ int here = -1, there = -1;
	int pair[2], ret;

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) != 0)
		return -errno;
	here = pair[0];
	there = pair[1];
	ret = ub_beside_ask(&names->process, "", 1, &there, 1);
	if (ret == -EPIPE || ret == -ECONNRESET)
		return -UB_NBD_NAMES_GONE;
	return ret ? ret : UB_TAKE_FD(here);
}

socklen_t ub_nbd_read_address(const char *text, uint16_t port, struct sockaddr_storage *ret_addr)
{
	struct sockaddr_in in = {.sin_family = AF_INET, .sin_port = htons(port)};
	struct sockaddr_in6 in6 = {.sin6_family = AF_INET6, .sin6_port = htons(port)};

	if (inet_pton(AF_INET, text, &in.sin_addr) == 1) {
		memcpy(ret_addr, &in, sizeof(in));
		return sizeof(in);
	}
	if (inet_pton(AF_INET6, text, &in6.sin6_addr) == 1) {
		memcpy(ret_addr, &in6, sizeof(in6));
		return sizeof(in6);
	}
	return 0;
}

socklen_t ub_nbd_take_address(char **text, uint16_t port, struct sockaddr_storage *ret_addr)
{
	while (*text && strchr(*text, '\n')) {
		char *line = strsep(text, "\n"), *address = strsep(&line, " ");
		socklen_t len = line && strstr(line, "STREAM")
					? ub_nbd_read_address(address, port, ret_addr)
					: 0;

		if (len)
			return len;
	}
	return 0;
}
