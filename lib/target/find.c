/* SPDX-License-Identifier: MIT */
#include "target/find.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clean.h"
#include "target/path.h"

#define DESCRIPTION_SIZE 100

static void done(struct ub_backing *b)
{
	ub_backing_done(b);
}

/* Return: whether @fd is the one that is looked for; @ret_there: what it is. */
static bool is_it(int fd, const struct ub_backing *was, struct ub_backing *ret_there)
{
	return ub_backing_identify(fd, ret_there) == 0 && ub_backing_is_same(ret_there, was);
}

static int try_path(const char *path, const struct ub_backing *was, struct ub_backing *ret_there)
{
	_cleanup_close_ int fd = path ? ub_path_open(path, O_PATH, 0) : -ENOENT;

	if (fd < 0)
		return fd;
	return is_it(fd, was, ret_there) ? UB_TAKE_FD(fd) : -ESTALE;
}

/* "TYPE:HEX". Return: whether it is one. */
static bool parse_handle(const char *text, struct file_handle *ret_handle)
{
	const char *hex = strchr(text, ':');
	size_t len = hex ? strlen(hex + 1) : 0;

	if (!len || len % 2 || len / 2 > MAX_HANDLE_SZ ||
	    sscanf(text, "%d:", &ret_handle->handle_type) != 1)
		return false;
	ret_handle->handle_bytes = (unsigned)(len / 2);
	for (size_t i = 0; i < len / 2; i++)
		if (sscanf(hex + 1 + 2 * i, "%2hhx", &ret_handle->f_handle[i]) != 1)
			return false;
	return true;
}

/* Wherever it has gone on the file system that @path's folder lies on. */
static int try_handle(const char *path, const struct ub_backing *was, struct ub_backing *ret_there)
{
	union {
		struct file_handle h;
		char room[sizeof(struct file_handle) + MAX_HANDLE_SZ];
	} u;
	_cleanup_close_ int mount = -1, fd = -1;
	const char *name;

	if (!path || !was->handle_opens || was->unsteady || !parse_handle(was->handle, &u.h))
		return -ENOENT;
	mount = ub_path_open_parent(path, O_RDONLY, &name);
	fd = mount < 0 ? -1 : open_by_handle_at(mount, &u.h, O_PATH | O_CLOEXEC);
	return fd >= 0 && is_it(fd, was, ret_there) ? UB_TAKE_FD(fd) : -ENOENT;
}

/* @code: of opening @path, or -ESTALE: @there lies there. */
static int not_found(const char *path, int code, const struct ub_backing *there,
		     const struct ub_backing *was, struct ub_error *err)
{
	char is[DESCRIPTION_SIZE], expected[DESCRIPTION_SIZE];

	if (code != -ESTALE)
		return ub_fail(err, UB_STAGE_BACKING, code, "cannot open %s", path);
	return ub_fail_text(
		err, UB_STAGE_BACKING, code,
		"cannot serve %s: it is not the %s that the device was made of, another "
		"one has taken its place: %s, not %s",
		path, was->rdev ? "block device" : "file",
		ub_backing_describe(there, is, sizeof(is)),
		ub_backing_describe(was, expected, sizeof(expected)));
}

int ub_backing_find(const char *path, const struct ub_backing *was, struct ub_notes *notes,
		    struct ub_error *err)
{
	_cleanup_(done)
	struct ub_backing there = {0}, elsewhere = {0};
	_cleanup_close_ int fd = -1;
	int ret;

	if (!was) {
		fd = ub_path_open(path, O_PATH, 0);
		return fd < 0 ? ub_fail(err, UB_STAGE_BACKING, fd, "cannot open %s", path)
			      : UB_TAKE_FD(fd);
	}
	ret = try_path(path, was, &there);
	if (ret >= 0)
		return ret;
	fd = try_path(was->real, was, &elsewhere);
	if (fd < 0)
		fd = try_handle(path, was, &elsewhere);
	if (fd < 0)
		fd = try_handle(was->real, was, &elsewhere);
	if (fd < 0)
		return not_found(path, ret, &there, was, err);
	ub_note(notes, "%s is %s: what the device was made of is served, %s", path,
		ret == -ESTALE ? "another file now" : "not there any more",
		elsewhere.real ? elsewhere.real : "wherever it is now");
	return UB_TAKE_FD(fd);
}
