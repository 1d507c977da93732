/* SPDX-License-Identifier: MIT */
#include "record/store.h"

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
#include "record/index.h"
#include "record/json.h"

#define TEMP_TRIES 8

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

/* The file, whole or not at all. */
static int put_file(int dirfd, uint32_t id, const char *text)
{
	char temp[UB_RECORD_NAME_SIZE], name[UB_RECORD_NAME_SIZE];
	_cleanup_close_ int fd = make_temp(dirfd, id, temp);
	int ret;

	if (fd < 0)
		return fd;
	ret = write_all(fd, text, strlen(text));
	/* Whatever the umask is. */
	if (!ret && fchmod(fd, 0644) != 0)
		ret = -errno;
	if (!ret && renameat(dirfd, temp, dirfd, ub_record_name(id, name)) != 0)
		ret = -errno;
	if (ret)
		(void)unlinkat(dirfd, temp, 0);
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

/* The text of the file. Return: its length, or a negative errno with a message. */
static ssize_t read_text(int dirfd, uint32_t id, char **ret_text, struct ub_error *err)
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

static int read_record(int dirfd, uint32_t id, struct ub_record *ret_record, struct ub_error *err)
{
	_cleanup_free_ char *text = NULL;
	ssize_t len = read_text(dirfd, id, &text, err);
	int ret;

	if (len < 0)
		return (int)len;
	ret = ub_record_from_json(text, (size_t)len, ret_record, err);
	if (ret)
		ub_error_prefix(err, "cannot use the record of ublkb%u", id);
	return ret;
}

static int replace(int dirfd, const struct ub_record *record, const char *text)
{
	_cleanup_close_ int lock = ub_record_dir_lock(dirfd);
	char name[UB_RECORD_NAME_SIZE];
	int ret = ub_index_add(dirfd, record);

	(void)lock;
	if (!ret)
		ret = put_file(dirfd, record->id, text);
	/* What was there before keeps its entries. */
	if (ret && faccessat(dirfd, ub_record_name(record->id, name), F_OK, 0) != 0)
		ub_index_remove(dirfd, record);
	return ret;
}

int ub_record_write(const struct ub_record *record, struct ub_error *err)
{
	_cleanup_free_ char *text = ub_record_to_json(record, false);
	_cleanup_close_ int dirfd = -1;
	int ret;

	if (!text)
		return ub_fail(err, UB_STAGE_RECORD, -ENOMEM, "cannot write a record");
	if (strlen(text) > UB_RECORD_TEXT_MAX)
		return ub_fail(err, UB_STAGE_RECORD, -EFBIG, "cannot write a record");
	dirfd = ub_record_dir_open(true, err);
	if (dirfd < 0)
		return dirfd;
	ret = replace(dirfd, record, text);
	return ret ? ub_fail(err, UB_STAGE_RECORD, ret, "cannot write the record of ublkb%u",
			     record->id)
		   : 0;
}

int ub_record_read(uint32_t id, struct ub_record *ret_record, struct ub_error *err)
{
	_cleanup_close_ int dirfd = ub_record_dir_open(false, err);

	return dirfd < 0 ? dirfd : read_record(dirfd, id, ret_record, err);
}

/* Is it that device's record, although it can't be used? */
static bool has_token(int dirfd, uint32_t id, uint64_t token)
{
	_cleanup_free_ char *text = NULL;
	ssize_t len = read_text(dirfd, id, &text, NULL);
	uint64_t its_token;
	uint32_t its_id;

	return len >= 0 && ub_record_token_from_json(text, (size_t)len, &its_id, &its_token) == 0 &&
	       its_id == id && its_token == token;
}

int ub_record_remove(uint32_t id, uint64_t token)
{
	_cleanup_close_ int dirfd = ub_record_dir_open(false, NULL);
	_cleanup_close_ int lock = -1;
	char name[UB_RECORD_NAME_SIZE];
	struct ub_record record = {0};
	int ret;

	if (dirfd < 0)
		return dirfd == -ENOENT ? 0 : dirfd;
	/* A new device may have got the number, and its record, since the caller looked. */
	lock = ub_record_dir_lock(dirfd);
	ret = read_record(dirfd, id, &record, NULL);
	if (ret == -EBADMSG && has_token(dirfd, id, token)) {
		record.id = id;
		record.token = token;
		ret = 0;
	}
	if (ret)
		return ret == -ENOENT ? 0 : ret;
	if (token && record.id == id && record.token == token) {
		if (unlinkat(dirfd, ub_record_name(id, name), 0) != 0 && errno != ENOENT)
			ret = -errno;
		else
			ub_index_remove(dirfd, &record);
	}
	ub_record_done(&record);
	return ret;
}

static bool claims(const void *arg, const struct ub_record *record)
{
	const struct ub_backing *backing = arg, *other = &record->backing;

	return backing->path && other->path && ub_backing_is_same(backing, other) &&
	       ub_backing_overlaps(backing, other) && (backing->writable || other->writable);
}

static bool has_name(const void *arg, const struct ub_record *record)
{
	return record->spec.name && strcmp(record->spec.name, arg) == 0;
}

struct query {
	int dirfd;
	bool (*matches)(const void *arg, const struct ub_record *record);
	const void *arg;
	const struct ub_record_alive *alive;
	uint32_t id; /* of the device that was found */
};

static int is_match(void *arg, uint32_t id)
{
	struct query *q = arg;
	struct ub_record record;
	bool match;

	if (read_record(q->dirfd, id, &record, NULL) != 0)
		return 0;
	match = record.id == id && record.token && q->matches(q->arg, &record) &&
		q->alive->is_there(q->alive->arg, id, record.token);
	ub_record_done(&record);
	q->id = id;
	return match;
}

static int find(const char *key, struct query *q, uint32_t *ret_id)
{
	_cleanup_close_ int dirfd = -1;
	int ret;

	if (!key)
		return 0;
	dirfd = ub_record_dir_open(false, NULL);
	if (dirfd < 0)
		return dirfd == -ENOENT ? 0 : dirfd;
	q->dirfd = dirfd;
	ret = ub_index_visit(dirfd, key, is_match, q);
	if (ret == 1)
		*ret_id = q->id;
	return ret;
}

int ub_record_find_claim(const struct ub_backing *backing, const struct ub_record_alive *alive,
			 uint32_t *ret_id)
{
	struct query q = {.matches = claims, .arg = backing, .alive = alive};
	char key[UB_INDEX_KEY_SIZE];

	return find(ub_index_backing_key(backing, key), &q, ret_id);
}

int ub_record_find_name(const char *name, const struct ub_record_alive *alive, uint32_t *ret_id)
{
	struct query q = {.matches = has_name, .arg = name, .alive = alive};
	char key[UB_INDEX_KEY_SIZE];

	return find(ub_index_name_key(name, key), &q, ret_id);
}
