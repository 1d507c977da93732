/* SPDX-License-Identifier: MIT */
#include "record/dir.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clean.h"
#include "base/retry.h"

#define OVERRIDE "UBLK_RUNTIME_DIR"
#define LOGGED_OUT "/tmp/ublk-%u"
#define LOCK_NAME ".lock"
#define LOCK_WAIT_MS 2000

static const char *absolute_env(const char *name)
{
	/* NULL in a program that runs with more rights than its caller. */
	const char *value = secure_getenv(name);

	return value && value[0] == '/' ? value : NULL;
}

/* A cron job's or a service's user need not be logged in: then there is no folder of his. */
static int user_dir(char *buf, size_t size)
{
	uid_t uid = geteuid();

	(void)snprintf(buf, size, "/run/user/%u", uid);
	return snprintf(buf, size, access(buf, X_OK) == 0 ? "/run/user/%u/ublk" : LOGGED_OUT, uid);
}

const char *ub_record_dir(char *buf, size_t size)
{
	const char *override = absolute_env(OVERRIDE);
	const char *runtime = absolute_env("XDG_RUNTIME_DIR");
	size_t len;
	int n;

	if (override)
		n = snprintf(buf, size, "%s", override);
	else if (geteuid() == 0)
		n = snprintf(buf, size, "/run/ublk");
	else if (runtime)
		n = snprintf(buf, size, "%s/ublk", runtime);
	else
		n = user_dir(buf, size);
	if (n < 0 || (size_t)n >= size)
		return NULL;
	/* With a slash at its end a link would be followed. */
	for (len = (size_t)n; len > 1 && buf[len - 1] == '/'; len--)
		buf[len - 1] = '\0';
	return buf;
}

int ub_record_dir_settle(void)
{
	char path[PATH_MAX];

	if (!ub_record_dir(path, sizeof(path)))
		return -ENAMETOOLONG;
	return setenv(OVERRIDE, path, 1) == 0 ? 0 : -errno;
}

/* The directory may lie where others have a say: its parent's path is followed, itself not. */
static int make_dir(const char *path)
{
	_cleanup_close_ int fd = -1;

	if (mkdir(path, 0755) != 0)
		return errno == EEXIST ? 0 : -errno;
	fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	/* Whatever the umask is: others may read what devices there are. */
	if (fd < 0 || fchmod(fd, 0755) != 0)
		return -errno;
	return 0;
}

/* @path: for people. */
static int open_dir(int at, const char *name, const char *path, struct ub_error *err)
{
	_cleanup_close_ int fd = openat(at, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	struct stat st;

	if (fd < 0 && (errno == ELOOP || errno == ENOTDIR))
		return ub_fail_text(err, UB_STAGE_RECORD, -EPERM,
				    "cannot use %s: it is a link or no directory", path);
	if (fd < 0 || fstat(fd, &st) != 0)
		return ub_fail(err, UB_STAGE_RECORD, -errno, "cannot open %s", path);
	if (st.st_uid != geteuid() && st.st_uid != 0)
		return ub_fail_text(err, UB_STAGE_RECORD, -EPERM,
				    "cannot use %s: it belongs to user %u", path, st.st_uid);
	if (st.st_mode & (S_IWGRP | S_IWOTH))
		return ub_fail_text(err, UB_STAGE_RECORD, -EPERM,
				    "cannot use %s: others than its owner may write there", path);
	return UB_TAKE_FD(fd);
}

int ub_record_dir_open(bool make, struct ub_error *err)
{
	char path[PATH_MAX];
	int ret;

	if (!ub_record_dir(path, sizeof(path)))
		return ub_fail(err, UB_STAGE_RECORD, -ENAMETOOLONG, "cannot find the records");
	if (make) {
		ret = make_dir(path);
		if (ret)
			return ub_fail(err, UB_STAGE_RECORD, ret, "cannot make %s", path);
	}
	return open_dir(AT_FDCWD, path, path, err);
}

/* Where anybody may have put anything, only what is his own is told of. */
static int open_logged_out(void)
{
	char path[32], first[PATH_MAX];
	int fd;

	(void)snprintf(path, sizeof(path), LOGGED_OUT, geteuid());
	if (geteuid() == 0 || absolute_env(OVERRIDE) ||
	    (ub_record_dir(first, sizeof(first)) && strcmp(first, path) == 0))
		return -ENOENT;
	fd = open_dir(AT_FDCWD, path, path, NULL);
	return fd < 0 ? -ENOENT : fd;
}

int ub_record_dir_open_place(unsigned place, struct ub_error *err)
{
	return place == 0 ? ub_record_dir_open(false, err) : open_logged_out();
}

int ub_record_dir_open_at(int dirfd, const char *name, struct ub_error *err)
{
	char link[40], path[PATH_MAX];
	ssize_t len;
	size_t left;

	(void)snprintf(link, sizeof(link), "/proc/self/fd/%d", dirfd);
	len = readlink(link, path, sizeof(path));
	len = len < 0 ? 0 : len;
	left = sizeof(path) - (size_t)len;
	if ((size_t)snprintf(path + len, left, "%s%s", len ? "/" : "", name) >= left)
		return ub_fail(err, UB_STAGE_RECORD, -ENAMETOOLONG, "cannot open %s", name);
	return open_dir(dirfd, name, path, err);
}

int ub_record_dir_lock(int dirfd)
{
	/* Not the directory itself: whoever may read that could hold it for ever. */
	_cleanup_close_ int fd = openat(
		dirfd, LOCK_NAME, O_RDWR | O_CREAT | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC, 0600);
	struct ub_retry retry;
	int ret;

	if (fd < 0)
		return -1;
	ub_retry_init(&retry, LOCK_WAIT_MS);
	do
		ret = flock(fd, LOCK_EX | LOCK_NB);
	while (ret != 0 && errno == EWOULDBLOCK && ub_retry_wait(&retry));
	return ret == 0 ? UB_TAKE_FD(fd) : -1;
}

const char *ub_record_name(uint32_t id, char buf[static UB_RECORD_NAME_SIZE])
{
	(void)snprintf(buf, UB_RECORD_NAME_SIZE, "%u.json", id);
	return buf;
}

const char *ub_record_socket_name(uint32_t id, char buf[static UB_RECORD_NAME_SIZE])
{
	(void)snprintf(buf, UB_RECORD_NAME_SIZE, "%u.sock", id);
	return buf;
}

const char *ub_record_stats_name(uint32_t id, char buf[static UB_RECORD_NAME_SIZE])
{
	(void)snprintf(buf, UB_RECORD_NAME_SIZE, "%u.stats", id);
	return buf;
}

char *ub_record_socket_path(uint32_t id)
{
	char dir[PATH_MAX], name[UB_RECORD_NAME_SIZE], *path;

	if (!ub_record_dir(dir, sizeof(dir)) ||
	    asprintf(&path, "%s/%s", dir, ub_record_socket_name(id, name)) < 0)
		return NULL;
	return path;
}
