/* SPDX-License-Identifier: MIT */
#include "target/caller.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/clean.h"
#include "base/parse.h"
#include "target/backing.h"
#include "target/path.h"

#define OWN "/proc/self/fd/"
#define LINKS_MAX 40

/* Is @folder, without links, where the kernel shows this process's (or thread's) descriptors? */
static bool is_own(const char *folder)
{
	static const char *const names[] = {"/proc/self/fd", "/proc/thread-self/fd"};

	for (size_t i = 0; i < UB_ARRAY_SIZE(names); i++) {
		_cleanup_free_ char *real = realpath(names[i], NULL);

		if (real && strcmp(real, folder) == 0)
			return true;
	}
	return false;
}

/* "FOLDER/NAME" without links but for the last component. Return: to be freed, or NULL. */
static char *resolve_folder(const char *path, size_t *ret_folder_len)
{
	const char *last = strrchr(path, '/');
	_cleanup_free_ char *folder =
		last ? strndup(path, last == path ? 1 : (size_t)(last - path)) : strdup(".");
	_cleanup_free_ char *real = folder ? realpath(folder, NULL) : NULL;
	char *joined;

	if (!real || asprintf(&joined, "%s/%s", real, last ? last + 1 : path) < 0)
		return NULL;
	*ret_folder_len = strlen(real);
	return joined;
}

/* Where the link at @path leads. Return: to be freed, or NULL if it is none. */
static char *follow(const char *path, size_t folder_len)
{
	char to[PATH_MAX], *joined;
	ssize_t n = readlink(path, to, sizeof(to) - 1);

	if (n <= 0)
		return NULL;
	to[n] = '\0';
	if (to[0] == '/')
		return strdup(to);
	return asprintf(&joined, "%.*s/%s", (int)folder_len, path, to) < 0 ? NULL : joined;
}

/* Return: the number of the descriptor of ours that @path leads to, or -1. */
static int find_descriptor(const char *path)
{
	_cleanup_free_ char *at = strdup(path);

	for (int i = 0; at && i < LINKS_MAX; i++) {
		_cleanup_free_ char *real = NULL;
		uint64_t number;
		size_t len;

		real = resolve_folder(at, &len);
		if (!real)
			return -1;
		real[len] = '\0';
		if (is_own(real))
			return ub_parse_u64(real + len + 1, INT_MAX, &number) ? -1 : (int)number;
		real[len] = '/';
		free(at);
		at = follow(real, len);
	}
	return -1;
}

static int make_absolute(char **path, struct ub_error *err)
{
	char *absolute = ub_path_absolute(*path);

	if (!absolute)
		return ub_fail(err, UB_STAGE_BACKING, -errno, "cannot find %s", *path);
	free(*path);
	*path = absolute;
	return 0;
}

int ub_caller_file(char **path, struct ub_caller *ret_caller, struct ub_error *err)
{
	int fd = find_descriptor(*path), flags, ret;
	_cleanup_close_ int own = -1;
	struct stat st;
	char *name;

	*ret_caller = (struct ub_caller){.fd = -1};
	if (fd < 0) {
		own = ub_path_open(*path, O_PATH, 0);
		ret_caller->nameless = own >= 0 && fstat(own, &st) == 0 && st.st_nlink == 0;
		return make_absolute(path, err);
	}
	flags = fcntl(fd, F_GETFD);
	/* What closes over exec() was not given to us, but is ours. */
	if (flags < 0 || flags & FD_CLOEXEC)
		return ub_fail_text(err, UB_STAGE_BACKING, -EBADF,
				    "cannot open %s: there is no such descriptor", *path);
	own = fcntl(fd, F_DUPFD, 3); /* kept over exec() */
	if (own < 0 || fstat(own, &st) < 0)
		return ub_fail(err, UB_STAGE_BACKING, -errno, "cannot open %s", *path);
	ret = ub_backing_check_kind(*path, st.st_mode, err);
	if (ret)
		return ret;
	if (asprintf(&name, OWN "%d", own) < 0)
		return ub_fail(err, UB_STAGE_BACKING, -ENOMEM, "cannot open %s", *path);
	free(*path);
	*path = name;
	ret_caller->fd = UB_TAKE_FD(own);
	ret_caller->nameless = st.st_nlink == 0;
	return 0;
}

bool ub_caller_is_descriptor(const char *path)
{
	return strncmp(path, OWN, strlen(OWN)) == 0;
}

char *ub_caller_name(const char *path)
{
	_cleanup_close_ int fd = ub_path_open(path, O_PATH, 0);

	return fd < 0 ? NULL : ub_path_of(fd);
}
