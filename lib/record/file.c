/* SPDX-License-Identifier: MIT */
#include "record/file.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clean.h"
#include "record/dir.h"

#define TEMP_TRIES 8
/* A spare's size: the text as it is, and what notes may come to it, in whole pages. */
#define SPARE_MORE 2048U
#define SPARE_UNIT 4096U

static int write_all(int fd, const char *text, size_t len)
{
	while (len) {
		ssize_t n = write(fd, text, len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		text += n;
		len -= (size_t)n;
	}
	return 0;
}

/* A new file of a name that nobody can have put there before. */
static int make_temp(int dirfd, uint32_t id, char name[static UB_RECORD_NAME_SIZE])
{
	for (int i = 0; i < TEMP_TRIES; i++) {
		uint32_t random;
		int fd;

		if (getrandom(&random, sizeof(random), 0) != sizeof(random))
			return -EIO;
		(void)snprintf(name, UB_RECORD_NAME_SIZE, ".%u.%08x.new", id, random);
		fd = openat(dirfd, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC,
			    0644);
		if (fd >= 0 || errno != EEXIST)
			return fd >= 0 ? fd : -errno;
	}
	return -EEXIST;
}

static const char *spare_name(uint32_t id, char buf[static UB_RECORD_NAME_SIZE])
{
	(void)snprintf(buf, UB_RECORD_NAME_SIZE, ".%u.spare", id);
	return buf;
}

/* Room for a text somewhat longer than @len. */
static int make_spare(int dirfd, uint32_t id, size_t len)
{
	size_t size = (len + SPARE_MORE + SPARE_UNIT - 1) / SPARE_UNIT * SPARE_UNIT;
	char name[UB_RECORD_NAME_SIZE], temp[UB_RECORD_NAME_SIZE];
	_cleanup_close_ int fd = make_temp(dirfd, id, temp);
	int ret;

	if (fd < 0)
		return fd;
	ret = -posix_fallocate(fd, 0, (off_t)size);
	if (!ret && renameat(dirfd, temp, dirfd, spare_name(id, name)) != 0)
		ret = -errno;
	if (ret)
		(void)unlinkat(dirfd, temp, 0);
	return ret;
}

static int fill(int fd, const char *text)
{
	size_t len = strlen(text);
	int ret = write_all(fd, text, len);

	/* A spare is longer. And whatever the umask is. */
	if (!ret && (ftruncate(fd, (off_t)len) != 0 || fchmod(fd, 0644) != 0))
		ret = -errno;
	return ret;
}

/* Return: 0 with the file's name, or a negative errno when there is no spare, or none large
 * enough. */
static int fill_spare(int dirfd, uint32_t id, const char *text,
		      char name[static UB_RECORD_NAME_SIZE])
{
	_cleanup_close_ int fd = openat(dirfd, spare_name(id, name),
					O_WRONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	struct stat st;

	if (fd < 0 || fstat(fd, &st) != 0)
		return -errno;
	/* Nobody else may have it open under another name. */
	return S_ISREG(st.st_mode) && st.st_nlink == 1 ? fill(fd, text) : -EPERM;
}

static int fill_temp(int dirfd, uint32_t id, const char *text,
		     char name[static UB_RECORD_NAME_SIZE])
{
	_cleanup_close_ int fd = make_temp(dirfd, id, name);
	int ret = fd < 0 ? fd : fill(fd, text);

	if (ret && fd >= 0)
		(void)unlinkat(dirfd, name, 0);
	return ret;
}

int ub_record_file_write(int dirfd, uint32_t id, const char *text, bool alone)
{
	char from[UB_RECORD_NAME_SIZE], name[UB_RECORD_NAME_SIZE];
	bool first = !ub_record_file_is_there(dirfd, id);
	int ret = alone ? fill_spare(dirfd, id, text, from) : -EAGAIN;

	if (ret)
		ret = fill_temp(dirfd, id, text, from);
	if (ret)
		return ret;
	if (renameat(dirfd, from, dirfd, ub_record_name(id, name)) != 0) {
		ret = -errno;
		(void)unlinkat(dirfd, from, 0);
		return ret;
	}
	ret = alone ? make_spare(dirfd, id, strlen(text)) : 0;
	if (!ret || !first)
		return 0;
	(void)ub_record_file_remove(dirfd, id);
	return ret;
}

/* Opens the file if it is one that may be believed. Return: a descriptor, -ENOENT, -EPERM, ... */
static int open_trusted(int dirfd, uint32_t id, struct ub_error *err)
{
	_cleanup_close_ int fd = -1;
	char name[UB_RECORD_NAME_SIZE];
	struct stat st;

	/* Non-blocking: a pipe in its place must not hold us up. */
	fd = openat(dirfd, ub_record_name(id, name),
		    O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	if (fd < 0 && (errno == ELOOP || errno == ENXIO || errno == ENODEV))
		return ub_fail_text(err, UB_STAGE_RECORD, -EPERM,
				    "cannot use the record %s: it is no regular file", name);
	if (fd < 0 || fstat(fd, &st) != 0)
		return ub_fail(err, UB_STAGE_RECORD, -errno, "cannot open the record %s", name);
	if (!S_ISREG(st.st_mode))
		return ub_fail_text(err, UB_STAGE_RECORD, -EPERM,
				    "cannot use the record %s: it is no regular file", name);
	if (st.st_uid != geteuid() && st.st_uid != 0)
		return ub_fail_text(err, UB_STAGE_RECORD, -EPERM,
				    "cannot use the record %s: it belongs to user %u", name,
				    st.st_uid);
	if (st.st_mode & (S_IWGRP | S_IWOTH))
		return ub_fail_text(err, UB_STAGE_RECORD, -EPERM,
				    "cannot use the record %s: others than its owner may write it",
				    name);
	if (st.st_size > (off_t)UB_RECORD_TEXT_MAX)
		return ub_fail_text(err, UB_STAGE_RECORD, -EBADMSG,
				    "cannot use the record %s: it is too large", name);
	return UB_TAKE_FD(fd);
}

/* Return: how much was read, at most @size, or a negative errno. */
static ssize_t read_all(int fd, char *buf, size_t size)
{
	size_t len = 0;

	while (len < size) {
		ssize_t n = read(fd, buf + len, size - len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		if (n == 0)
			break;
		len += (size_t)n;
	}
	return (ssize_t)len;
}

ssize_t ub_record_file_read(int dirfd, uint32_t id, char **ret_text, struct ub_error *err)
{
	_cleanup_close_ int fd = open_trusted(dirfd, id, err);
	_cleanup_free_ char *text = NULL;
	ssize_t len;

	if (fd < 0)
		return fd;
	text = malloc(UB_RECORD_TEXT_MAX);
	if (!text)
		return ub_fail(err, UB_STAGE_RECORD, -ENOMEM, "cannot read a record");
	len = read_all(fd, text, UB_RECORD_TEXT_MAX);
	if (len < 0)
		return ub_fail(err, UB_STAGE_RECORD, (int)len, "cannot read the record of ublkb%u",
			       id);
	*ret_text = UB_TAKE_PTR(text);
	return len;
}

/* Its spare, and what those left who were killed while they wrote. */
static void remove_hidden(int dirfd, uint32_t id)
{
	_cleanup_close_ int fd = openat(dirfd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *dir = fd < 0 ? NULL : fdopendir(fd);
	char prefix[UB_RECORD_NAME_SIZE];
	struct dirent *entry;

	if (!dir)
		return;
	UB_TAKE_FD(fd);
	(void)snprintf(prefix, sizeof(prefix), ".%u.", id);
	while ((entry = readdir(dir)))
		if (strncmp(entry->d_name, prefix, strlen(prefix)) == 0)
			(void)unlinkat(dirfd, entry->d_name, 0);
	(void)closedir(dir);
}

int ub_record_file_remove(int dirfd, uint32_t id)
{
	char name[UB_RECORD_NAME_SIZE];
	int ret = 0;

	if (unlinkat(dirfd, ub_record_name(id, name), 0) != 0 && errno != ENOENT)
		ret = -errno;
	(void)unlinkat(dirfd, ub_record_socket_name(id, name), 0);
	(void)unlinkat(dirfd, ub_record_stats_name(id, name), 0);
	remove_hidden(dirfd, id);
	return ret;
}

bool ub_record_file_is_there(int dirfd, uint32_t id)
{
	char name[UB_RECORD_NAME_SIZE];

	return faccessat(dirfd, ub_record_name(id, name), F_OK, AT_SYMLINK_NOFOLLOW) == 0;
}
