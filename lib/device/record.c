/* SPDX-License-Identifier: MIT */
/* A record as a file: written beside and renamed, read with suspicion, removed by its token. */
#include "device/record.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clean.h"
#include "device/record_dir.h"
#include "device/record_json.h"

#define TEMP_TRIES 8

void ub_record_done(struct ub_record *record)
{
	ub_spec_done(&record->spec);
	free(record->backing.path);
	*record = (struct ub_record){0};
}

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

static int replace(int dirfd, uint32_t id, const char *text)
{
	char temp[UB_RECORD_NAME_SIZE], name[UB_RECORD_NAME_SIZE];
	_cleanup_close_ int lock = ub_record_dir_lock(dirfd);
	_cleanup_close_ int fd = make_temp(dirfd, id, temp);
	int ret;

	(void)lock;
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
	ret = replace(dirfd, record->id, text);
	return ret ? ub_fail(err, UB_STAGE_RECORD, ret, "cannot write the record of ublkb%u",
			     record->id)
		   : 0;
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

/* Return: the length of the text in @buf, which has room for UB_RECORD_TEXT_MAX, or an errno. */
static ssize_t read_text(int dirfd, uint32_t id, char *buf, struct ub_error *err)
{
	_cleanup_close_ int fd = open_trusted(dirfd, id, err);
	ssize_t len;

	if (fd < 0)
		return fd;
	len = read_all(fd, buf, UB_RECORD_TEXT_MAX);
	if (len < 0)
		return ub_fail(err, UB_STAGE_RECORD, (int)len, "cannot read the record of ublkb%u",
			       id);
	return len;
}

static int parse_text(uint32_t id, const char *text, ssize_t len, struct ub_record *ret_record,
		      struct ub_error *err)
{
	int ret = ub_record_from_json(text, (size_t)len, ret_record, err);

	if (ret)
		ub_error_prefix(err, "cannot use the record of ublkb%u", id);
	return ret;
}

static int read_record(int dirfd, uint32_t id, struct ub_record *ret_record, struct ub_error *err)
{
	_cleanup_free_ char *text = malloc(UB_RECORD_TEXT_MAX);
	ssize_t len;

	if (!text)
		return ub_fail(err, UB_STAGE_RECORD, -ENOMEM, "cannot read a record");
	len = read_text(dirfd, id, text, err);
	return len < 0 ? (int)len : parse_text(id, text, len, ret_record, err);
}

int ub_record_read(uint32_t id, struct ub_record *ret_record, struct ub_error *err)
{
	_cleanup_close_ int dirfd = ub_record_dir_open(false, err);

	return dirfd < 0 ? dirfd : read_record(dirfd, id, ret_record, err);
}

int ub_record_remove(uint32_t id, uint64_t token)
{
	_cleanup_close_ int dirfd = ub_record_dir_open(false, NULL);
	_cleanup_close_ int lock = -1;
	char name[UB_RECORD_NAME_SIZE];
	struct ub_record record;
	bool same;
	int ret;

	if (dirfd < 0)
		return dirfd == -ENOENT ? 0 : dirfd;
	/* A new device may have got the number, and its record, since the caller looked. */
	lock = ub_record_dir_lock(dirfd);
	ret = read_record(dirfd, id, &record, NULL);
	if (ret)
		return ret == -ENOENT ? 0 : ret;
	same = token && record.id == id && record.token == token;
	ub_record_done(&record);
	if (same && unlinkat(dirfd, ub_record_name(id, name), 0) != 0 && errno != ENOENT)
		return -errno;
	return 0;
}

static bool is_same_backing(const struct ub_backing *a, const struct ub_backing *b)
{
	if (!a->path || !b->path)
		return false;
	/* A block device has as many nodes as one likes. */
	if (a->rdev && b->rdev)
		return a->rdev == b->rdev;
	return a->dev == b->dev && a->ino == b->ino;
}

static bool claims(const void *arg, const struct ub_record *record)
{
	const struct ub_backing *backing = arg;

	return is_same_backing(backing, &record->backing) &&
	       (backing->writable || record->backing.writable);
}

static bool has_name(const void *arg, const struct ub_record *record)
{
	return record->spec.name && strcmp(record->spec.name, arg) == 0;
}

/*
 * What is looked for. The text of a record that matches has one of the marks in it, so that the
 * others need not be parsed: with a hundred devices that would be most of what `add` costs.
 */
struct query {
	bool (*matches)(const void *arg, const struct ub_record *record);
	const void *arg;
	const char *marks[2]; /* the second may be NULL */
};

static bool has_mark(const struct query *q, const char *text, size_t len)
{
	return memmem(text, len, q->marks[0], strlen(q->marks[0])) ||
	       (q->marks[1] && memmem(text, len, q->marks[1], strlen(q->marks[1])));
}

static bool is_match(int dirfd, const struct query *q, uint32_t id, char *buf,
		     const struct ub_record_alive *alive)
{
	ssize_t len = read_text(dirfd, id, buf, NULL);
	struct ub_record record;
	bool match;

	if (len < 0 || !has_mark(q, buf, (size_t)len) ||
	    parse_text(id, buf, len, &record, NULL) != 0)
		return false;
	match = record.id == id && record.token && q->matches(q->arg, &record) &&
		alive->is_there(alive->arg, id, record.token);
	ub_record_done(&record);
	return match;
}

/* Return: 1 with the id of a device that is there and whose record matches, 0, or an errno. */
static int find(const struct query *q, const struct ub_record_alive *alive, uint32_t *ret_id)
{
	_cleanup_free_ char *buf = malloc(UB_RECORD_TEXT_MAX);
	int dirfd = buf ? ub_record_dir_open(false, NULL) : -ENOMEM;
	struct dirent *entry;
	int found = 0;
	DIR *dir;

	if (dirfd < 0)
		return dirfd == -ENOENT ? 0 : dirfd;
	dir = fdopendir(dirfd);
	if (!dir) {
		ub_close(&dirfd);
		return -ENOMEM;
	}
	while (!found && (entry = readdir(dir))) {
		uint32_t id;

		if (!ub_record_parse_name(entry->d_name, &id) ||
		    !is_match(dirfd, q, id, buf, alive))
			continue;
		*ret_id = id;
		found = 1;
	}
	(void)closedir(dir);
	return found;
}

int ub_record_find_claim(const struct ub_backing *backing, const struct ub_record_alive *alive,
			 uint32_t *ret_id)
{
	char ino[24], rdev[24];
	const struct query q = {
		.matches = claims,
		.arg = backing,
		.marks = {ino, backing->rdev ? rdev : NULL},
	};

	(void)snprintf(ino, sizeof(ino), "%" PRIu64, backing->ino);
	(void)snprintf(rdev, sizeof(rdev), "%" PRIu64, backing->rdev);
	return find(&q, alive, ret_id);
}

int ub_record_find_name(const char *name, const struct ub_record_alive *alive, uint32_t *ret_id)
{
	const struct query q = {.matches = has_name, .arg = name, .marks = {name}};

	return find(&q, alive, ret_id);
}
