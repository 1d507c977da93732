/* SPDX-License-Identifier: MIT */
#include "base/log.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <syslog.h>
#include <time.h>
#include <unistd.h>

#include "base/clean.h"
#include "base/escape.h"

#define LINE_SIZE 1024
#define JOURNAL "/dev/log"

const char *const ub_log_levels[] = {
	[UB_LOG_ERR] = "err",
	[UB_LOG_WARNING] = "warning",
	[UB_LOG_NOTICE] = "notice",
	[UB_LOG_INFO] = "info",
	NULL,
};

static int open_file(const char *path)
{
	int fd =
		open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOCTTY | O_NONBLOCK, 0640);

	return fd < 0 ? -errno : fd;
}

/* The datagram socket that syslog(3) would use; that one may block, which a server must not. */
static int connect_journal(void)
{
	struct sockaddr_un addr = {.sun_family = AF_UNIX, .sun_path = JOURNAL};
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	if (fd >= 0 && connect(fd, (struct sockaddr *)&addr, sizeof(addr)) != 0)
		ub_close(&fd);
	return fd;
}

void ub_log_init(struct ub_log *log, const char *program, bool foreground)
{
	log->program = program;
	log->level = UB_LOG_INFO;
	log->kind = foreground ? UB_LOG_STDERR : UB_LOG_JOURNAL;
	log->fd = foreground ? STDERR_FILENO : connect_journal();
}

int ub_log_open(struct ub_log *log, char *path)
{
	int fd = open_file(path);

	log->path = path;
	if (fd < 0)
		return fd;
	ub_log_close(log);
	log->kind = UB_LOG_FILE;
	log->fd = fd;
	return 0;
}

void ub_log_reopen(struct ub_log *log)
{
	int ret = log->path ? ub_log_open(log, log->path) : 0;

	if (ret)
		ub_log(log, LOG_WARNING, "cannot open the log file again: %s", strerror(-ret));
	else if (log->path)
		ub_log(log, LOG_INFO, "log file opened again");
}

static void set_path(struct ub_log *log, char *path)
{
	free(log->own);
	log->own = path;
	log->path = path;
}

char *ub_log_dir(struct ub_log *log)
{
	_cleanup_free_ char *path = NULL;
	char link[32], *slash;

	(void)snprintf(link, sizeof(link), "/proc/self/fd/%d", log->fd);
	/* A link may lead anywhere; a pipe has no path. */
	path = log->kind == UB_LOG_JOURNAL ? realpath(JOURNAL, NULL)
	       : log->kind == UB_LOG_FILE  ? realpath(link, NULL)
					   : NULL;
	slash = path ? strrchr(path, '/') : NULL;
	if (!slash || (log->kind == UB_LOG_JOURNAL && strncmp(path, "/dev/", 5) == 0))
		return NULL;
	if (log->kind == UB_LOG_FILE)
		set_path(log, strdup(path));
	slash[slash == path] = '\0';
	return UB_TAKE_PTR(path);
}

char *ub_log_journal_dir(void)
{
	_cleanup_free_ char *path = calloc(1, PATH_MAX);
	ssize_t len = path ? readlink(JOURNAL, path, PATH_MAX - 1) : -1;
	char *slash = len > 0 && path[0] == '/' ? strrchr(path, '/') : NULL;

	if (!slash || slash == path || strncmp(path, "/dev/", 5) == 0)
		return NULL;
	*slash = '\0';
	return UB_TAKE_PTR(path);
}

void ub_log_move(struct ub_log *log, const char *tail, const char *dir)
{
	char *moved;

	if (asprintf(&moved, "%s%s", dir, tail) >= 0)
		set_path(log, moved);
}

void ub_log_close(struct ub_log *log)
{
	if (log->kind != UB_LOG_STDERR)
		ub_close(&log->fd);
	log->fd = -1;
}

static void send_journal(struct ub_log *log, const char *line, size_t len)
{
	if (log->fd >= 0 && send(log->fd, line, len, MSG_DONTWAIT | MSG_NOSIGNAL) >= 0)
		return;
	if (log->fd >= 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
		return;
	/* The journal was restarted. */
	ub_close(&log->fd);
	log->fd = connect_journal();
	if (log->fd >= 0)
		(void)send(log->fd, line, len, MSG_DONTWAIT | MSG_NOSIGNAL);
}

void ub_log(struct ub_log *log, int priority, const char *fmt, ...)
{
	char raw[LINE_SIZE], text[LINE_SIZE], line[LINE_SIZE + 128], stamp[40];
	struct pollfd pfd = {.fd = log->fd, .events = POLLOUT};
	time_t now = time(NULL);
	struct tm tm;
	va_list ap;
	int n;

	if (priority > LOG_ERR + log->level)
		return;
	va_start(ap, fmt);
	(void)vsnprintf(raw, sizeof(raw), fmt, ap);
	va_end(ap);
	/* A path may hold what a terminal or a reader of the log would obey. */
	ub_escape(raw, text, sizeof(text));
	switch (log->kind) {
	case UB_LOG_JOURNAL:
		n = snprintf(line, sizeof(line), "<%d>%s[%d]: %s: %s", LOG_DAEMON | priority,
			     log->program, (int)getpid(), log->name, text);
		send_journal(log, line, (size_t)n);
		return;
	case UB_LOG_FILE:
		(void)gmtime_r(&now, &tm);
		(void)strftime(stamp, sizeof(stamp), "%Y-%m-%dT%H:%M:%SZ ", &tm);
		break;
	case UB_LOG_STDERR:
		stamp[0] = '\0';
		break;
	}
	n = snprintf(line, sizeof(line), "%s%s[%d]: %s%s%s\n", stamp, log->program, (int)getpid(),
		     log->name, log->name[0] ? ": " : "", text);
	/* A pipe that nobody reads and a full disk take no more lines: the device goes on. */
	if (log->fd >= 0 && poll(&pfd, 1, 0) > 0)
		(void)!write(log->fd, line, (size_t)n);
}
