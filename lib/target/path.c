/* SPDX-License-Identifier: MIT */
#include "target/path.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/clean.h"

char *ub_path_absolute(const char *path)
{
	_cleanup_free_ char *cwd = NULL;
	char *joined;

	if (path[0] == '/')
		return strdup(path);
	/* Not getcwd(): $PWD, if it is right, has the links that the user came by. (A server has
	 * none: paths are made absolute in the command line's process.) */
	cwd = get_current_dir_name();
	if (!cwd)
		return NULL;
	if (asprintf(&joined, "%s%s%s", cwd, strcmp(cwd, "/") == 0 ? "" : "/", path) < 0)
		return NULL;
	return joined;
}

/* Walks until what is left is short enough. @ret_dir is AT_FDCWD, or to be closed. */
static int walk(const char *path, int *ret_dir, const char **ret_rest)
{
	_cleanup_close_ int dir = AT_FDCWD;

	while (strlen(path) >= PATH_MAX) {
		char piece[PATH_MAX];
		const char *cut = memrchr(path, '/', PATH_MAX - 1);
		int next;

		if (!cut || cut == path)
			return -ENAMETOOLONG;
		(void)snprintf(piece, sizeof(piece), "%.*s", (int)(cut - path), path);
		next = openat(dir, piece, O_PATH | O_DIRECTORY | O_CLOEXEC);
		if (next < 0)
			return -errno;
		ub_close(&dir);
		dir = next;
		path = cut + strspn(cut, "/");
	}
	*ret_dir = dir;
	dir = -1;
	*ret_rest = path;
	return 0;
}

int ub_path_open(const char *path, int flags, mode_t mode)
{
	_cleanup_close_ int dir = -1;
	const char *rest;
	int fd, ret = walk(path, &dir, &rest);

	if (ret < 0)
		return ret;
	fd = openat(dir, rest, flags | O_CLOEXEC, mode);
	return fd < 0 ? -errno : fd;
}

char *ub_path_of(int fd)
{
	char link[40], path[PATH_MAX];
	ssize_t n;

	(void)snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	n = readlink(link, path, sizeof(path) - 1);
	if (n < 0)
		return NULL;
	path[n] = '\0';
	if (path[0] == '/' && n < (ssize_t)sizeof(path) - 1)
		return strdup(path);
	errno = ENAMETOOLONG;
	return NULL;
}

int ub_path_open_parent(const char *path, int access, const char **ret_name)
{
	_cleanup_free_ char *dir = NULL;
	const char *last = strrchr(path, '/');
	int fd;

	if (last)
		dir = strndup(path, last == path ? 1 : (size_t)(last - path));
	else
		dir = strdup(".");
	if (!dir)
		return -ENOMEM;
	fd = ub_path_open(dir, access | O_DIRECTORY, 0);
	if (fd >= 0)
		*ret_name = last ? last + 1 : path;
	return fd;
}

void ub_path_remove(int dir, const char *name, uint64_t dev, uint64_t ino)
{
	struct stat st;

	if (fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) == 0 && st.st_dev == dev &&
	    st.st_ino == ino)
		(void)unlinkat(dir, name, 0);
}
