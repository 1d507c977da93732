/* SPDX-License-Identifier: MIT */
/*
 * Directories of a caller's that a server is given for its log, once it lives in its own mount namespace
 * (namespace.c). By processes of their own: one with threads can't change its namespace, and what lies
 * there may be slow, or the very device that is served.
 */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/clean.h"
#include "base/fault.h"
#include "process/process.h"
#include "process/program.h"
#include "process/spawn.h"
#include "server/server.h"

/* How long it may take to reach one, to kill who does, and what that process finds open. */
#define LOG_MS 5000
#define KILL_MS 1000
/* How long it may take to let one go, which goes on by itself when it was begun. Together less than who asks
 * for another log waits by default. */
#define AWAY_MS 3000
enum { CALLER_NS = 100, CALLER_ROOT };
#ifndef SO_PEERPIDFD /* Linux 6.5 */
#define SO_PEERPIDFD 77
#endif

static int attach_dir(const char *dir, const char *at)
{
	_cleanup_close_ int home = open("/proc/self/ns/mnt", O_RDONLY | O_CLOEXEC), tree = -1;
	int ret;

	if (home < 0 || setns(CALLER_NS, CLONE_NEWNS) != 0 || fchdir(CALLER_ROOT) != 0 ||
	    chroot(".") != 0)
		return -errno;
	tree = open_tree(AT_FDCWD, dir, OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC);
	if (tree < 0 || setns(home, CLONE_NEWNS) != 0)
		return -errno;
	ret = server_make_path(at);
	if (!ret)
		ret = ub_fault("log-dir");
	if (ret)
		return ret;
	if (move_mount(tree, "", AT_FDCWD, at, MOVE_MOUNT_F_EMPTY_PATH) != 0 ||
	    mount(NULL, at, NULL, MS_PRIVATE, NULL) != 0)
		return -errno;
	return 0;
}

int server_log_dir_main(const char *dir, const char *at)
{
	return -attach_dir(dir, at);
}

/* If nobody else has it mounted any more, its file system is written back: not by the server, which may be
 * the one who serves it. */
int server_log_away_main(const char *at)
{
	if (umount2(at, MNT_DETACH) != 0)
		return errno;
	return rmdir(at) == 0 ? 0 : errno;
}

/* Each of the two may be -1. */
static int start(char *const argv[], int namespace, int root, pid_t *ret_pid)
{
	struct ub_spawn what = {.path = ub_program_again(), .argv = argv, .environment = environ};

	if (namespace >= 0)
		what.fds[what.nr_fds++] = (struct ub_spawn_fd){namespace, CALLER_NS};
	if (root >= 0)
		what.fds[what.nr_fds++] = (struct ub_spawn_fd){root, CALLER_ROOT};
	return ub_spawn(&what, ret_pid);
}

/* Return: 0 or a negative errno. */
static int run(char *const argv[], int namespace, int root, int patience_ms)
{
	/* Neither is to lie where the other one is to be. */
	_cleanup_close_ int ns =
		namespace < 0 ? -1 : fcntl(namespace, F_DUPFD_CLOEXEC, CALLER_ROOT + 1);
	_cleanup_close_ int top = root < 0 ? -1 : fcntl(root, F_DUPFD_CLOEXEC, CALLER_ROOT + 1);
	_cleanup_close_ int pidfd = -1;
	pid_t pid;
	int ret;

	if ((ns < 0) != (namespace < 0) || (top < 0) != (root < 0))
		return -errno;
	ret = start(argv, ns, top, &pid);
	if (ret)
		return ret;
	pidfd = ub_process_open(pid, 0);
	ret = ub_process_end(pid, pidfd, patience_ms, KILL_MS);
	return ret > 0 ? -ret : ret;
}

static int run_log_dir(const char *dir, const char *at, int namespace, int root)
{
	char *argv[] = {(char *)UB_SERVER_NAME, (char *)"log-dir", (char *)dir, (char *)at, NULL};

	return run(argv, namespace, root, LOG_MS);
}

void server_detach_dir(const char *at)
{
	char *argv[] = {(char *)UB_SERVER_NAME, (char *)"log-away", (char *)at, NULL};

	(void)run(argv, -1, -1, AWAY_MS);
}

static int open_of(int32_t pid, const char *what, int flags)
{
	char path[48];
	int fd;

	(void)snprintf(path, sizeof(path), "/proc/%d/%s", pid, what);
	fd = open(path, flags | O_CLOEXEC);
	return fd < 0 ? -errno : fd;
}

/* A process that is still there is the one that has its number. */
static int open_caller(int peer, int *ret_namespace, int *ret_root)
{
	_cleanup_close_ int pidfd = -1, namespace = -1, root = -1;
	socklen_t len = sizeof(pidfd), cred_len = sizeof(struct ucred);
	struct ucred cred;

	if (getsockopt(peer, SOL_SOCKET, SO_PEERPIDFD, &pidfd, &len) != 0 ||
	    getsockopt(peer, SOL_SOCKET, SO_PEERCRED, &cred, &cred_len) != 0)
		return -errno;
	namespace = open_of(cred.pid, "ns/mnt", O_RDONLY);
	root = open_of(cred.pid, "root", O_PATH | O_DIRECTORY);
	if (ub_process_wait(pidfd, 0) != -ETIMEDOUT)
		return -ESRCH;
	if (namespace < 0 || root < 0)
		return namespace < 0 ? namespace : root;
	*ret_namespace = UB_TAKE_FD(namespace);
	*ret_root = UB_TAKE_FD(root);
	return 0;
}

int server_attach_dir(int peer, const char *dir, const char *at)
{
	_cleanup_close_ int namespace = -1, root = -1;
	int ret = open_caller(peer, &namespace, &root);

	if (!ret)
		ret = run_log_dir(dir, at, namespace, root);
	/* What it had begun to make. */
	if (ret)
		(void)rmdir(at);
	return ret;
}

int server_reach_dir(struct server *s, const char *dir, const char *at)
{
	return run_log_dir(dir, at, s->caller_ns, s->caller_root);
}

/* Makes the path of a directory that of the one above. */
static void go_up(char *dir)
{
	char *slash = strrchr(dir, '/');

	slash[slash == dir] = '\0';
}

int server_reach_log(struct server *s, char **ret_path)
{
	char *path = s->record.spec.log_file;
	_cleanup_free_ char *dir = s->caller_ns >= 0 ? strdup(path) : NULL;
	int ret = 0;

	*ret_path = path;
	if (!dir)
		return 0;
	/* The next one that is there: the others may be again when the log is opened anew. */
	do {
		go_up(dir);
		ret = run_log_dir(dir, SERVER_LOG_DIR, s->caller_ns, s->caller_root);
	} while (ret == -ENOENT && dir[1]);
	ub_log_move(&s->log, path + (dir[1] ? strlen(dir) : 0), SERVER_LOG_DIR);
	*ret_path = s->log.path;
	/* A file made there now would be seen by nobody. */
	if (ret) {
		(void)rmdir(SERVER_LOG_DIR);
	} else {
		free(s->log_at);
		s->log_at = strdup(SERVER_LOG_DIR);
	}
	return ret;
}
