/* SPDX-License-Identifier: MIT */
#include "record/index.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "base/clean.h"
#include "base/parse.h"
#include "record/dir.h"

#define INDEX_NAME ".index"
#define LOCK_TRIES 100
#define ENTRY_SIZE (UB_INDEX_KEY_SIZE + 12)

/* FNV-1a: two of the same hash share an entry, and their records tell them apart. */
static const char *hashed(const char *kind, const char *text, char buf[static UB_INDEX_KEY_SIZE])
{
	uint64_t hash = 0xcbf29ce484222325;

	for (; *text; text++)
		hash = (hash ^ (unsigned char)*text) * 0x100000001b3;
	(void)snprintf(buf, UB_INDEX_KEY_SIZE, "%s-%016" PRIx64, kind, hash);
	return buf;
}

static char *next_key(struct ub_index_keys *keys)
{
	return keys->key[keys->count++];
}

void ub_index_backing_keys(const struct ub_backing *b, struct ub_index_keys *keys)
{
	if (b->disk_id)
		(void)hashed("disk", b->disk_id, next_key(keys));
	if (b->rdev) {
		(void)snprintf(next_key(keys), UB_INDEX_KEY_SIZE, "block-%" PRIu64, b->rdev);
		return;
	}
	(void)snprintf(next_key(keys), UB_INDEX_KEY_SIZE, "file-%" PRIu64 "-%" PRIu64, b->dev,
		       b->ino);
	if (b->handle)
		(void)hashed("handle", b->handle, next_key(keys));
	if (b->unsteady && b->born_ns)
		(void)snprintf(next_key(keys), UB_INDEX_KEY_SIZE, "born-%" PRIu64, b->born_ns);
	if (b->unsteady && b->real)
		(void)hashed("path", b->real, next_key(keys));
}

const char *ub_index_name_key(const char *name, char buf[static UB_INDEX_KEY_SIZE])
{
	int n;

	if (!name || strchr(name, '/'))
		return NULL;
	n = snprintf(buf, UB_INDEX_KEY_SIZE, "name-%s", name);
	return n > 0 && n < UB_INDEX_KEY_SIZE ? buf : NULL;
}

static const char *entry_of(const char *key, uint32_t id, char buf[static ENTRY_SIZE])
{
	(void)snprintf(buf, ENTRY_SIZE, "%s/%u", key, id);
	return buf;
}

/* Opens the index, and makes it if it is missing. Return: a descriptor, or a negative errno with a
 * message. */
static int open_index(int dirfd, struct ub_error *err)
{
	if (mkdirat(dirfd, INDEX_NAME, 0700) != 0 && errno != EEXIST)
		return ub_fail(err, UB_STAGE_RECORD, -errno,
			       "cannot make the folder " INDEX_NAME " of the records");
	return ub_record_dir_open_at(dirfd, INDEX_NAME, err);
}

static int add(int index, const char *key, uint32_t id, struct ub_error *err)
{
	_cleanup_close_ int fd = -1;
	char entry[ENTRY_SIZE];

	if (mkdirat(index, key, 0700) == 0 || errno == EEXIST)
		fd = openat(index, entry_of(key, id, entry),
			    O_WRONLY | O_CREAT | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC, 0600);
	return fd >= 0 ? 0
		       : ub_fail(err, UB_STAGE_RECORD, -errno, "cannot make " INDEX_NAME "/%s/%u",
				 key, id);
}

/* All that it has an entry under. */
static void keys_of(const struct ub_record *record, struct ub_index_keys *ret_keys)
{
	ret_keys->count = 0;
	for (unsigned i = 0; i < record->backings.count; i++)
		ub_index_backing_keys(&record->backings.at[i], ret_keys);
	if (ub_index_name_key(record->spec.name, ret_keys->key[ret_keys->count]))
		ret_keys->count++;
}

int ub_index_add(int dirfd, const struct ub_record *record, struct ub_error *err)
{
	_cleanup_close_ int index = -1;
	struct ub_index_keys keys;
	int ret = 0;

	keys_of(record, &keys);
	if (!keys.count)
		return 0;
	index = open_index(dirfd, err);
	if (index < 0)
		return index;
	for (unsigned i = 0; i < keys.count && !ret; i++)
		ret = add(index, keys.key[i], record->id, err);
	return ret;
}

/* The folder of a key, locked. Return: a descriptor, -EAGAIN, or another negative errno with a
 * message. */
static int lock_key(int index, const char *key, struct ub_error *err)
{
	_cleanup_close_ int fd = ub_record_dir_open_at(index, key, err);

	if (fd < 0)
		return fd;
	if (flock(fd, LOCK_EX | LOCK_NB) == 0)
		return UB_TAKE_FD(fd);
	return errno == EWOULDBLOCK ? -EAGAIN
				    : ub_fail(err, UB_STAGE_RECORD, -errno,
					      "cannot lock " INDEX_NAME "/%s", key);
}

static bool is_still_there(int index, const char *key, int fd)
{
	struct stat now, locked;

	return fstatat(index, key, &now, AT_SYMLINK_NOFOLLOW) == 0 && fstat(fd, &locked) == 0 &&
	       now.st_ino == locked.st_ino && now.st_dev == locked.st_dev;
}

int ub_index_lock(int dirfd, const char *key, struct ub_error *err)
{
	_cleanup_close_ int index = open_index(dirfd, err);

	/* Whoever has the last entry removed may take the folder away in between. */
	for (int i = 0; i < LOCK_TRIES && index >= 0; i++) {
		_cleanup_close_ int fd = -1;

		if (mkdirat(index, key, 0700) != 0 && errno != EEXIST)
			return ub_fail(err, UB_STAGE_RECORD, -errno,
				       "cannot make " INDEX_NAME "/%s", key);
		fd = lock_key(index, key, err);
		if (fd >= 0 && is_still_there(index, key, fd))
			return UB_TAKE_FD(fd);
		if (fd < 0 && fd != -ENOENT)
			return fd;
		if (err)
			*err = (struct ub_error){0};
	}
	return index < 0 ? index : -EAGAIN;
}

void ub_index_unlock(int dirfd, const char *key)
{
	_cleanup_close_ int index = ub_record_dir_open_at(dirfd, INDEX_NAME, NULL);

	if (index >= 0)
		(void)unlinkat(index, key, AT_REMOVEDIR);
}

/* The folder of a key without entries, unless somebody is about to make one. */
static void remove_key(int index, const char *key)
{
	_cleanup_close_ int lock = lock_key(index, key, NULL);

	if (lock >= 0)
		(void)unlinkat(index, key, AT_REMOVEDIR);
}

static bool has_key(const struct ub_index_keys *keys, const char *key)
{
	for (unsigned i = 0; i < keys->count; i++)
		if (strcmp(keys->key[i], key) == 0)
			return true;
	return false;
}

void ub_index_remove(int dirfd, const struct ub_record *record, const struct ub_record *keep)
{
	_cleanup_close_ int index = ub_record_dir_open_at(dirfd, INDEX_NAME, NULL);
	struct ub_index_keys keys, kept = {0};
	char entry[ENTRY_SIZE];

	keys_of(record, &keys);
	if (keep)
		keys_of(keep, &kept);
	for (unsigned i = 0; i < keys.count && index >= 0; i++) {
		if (has_key(&kept, keys.key[i]))
			continue;
		(void)unlinkat(index, entry_of(keys.key[i], record->id, entry), 0);
		remove_key(index, keys.key[i]);
	}
}

/* "3"; "03" and "0x3" are nobody's. */
static bool parse_id(const char *name, uint32_t *ret_id)
{
	char same[12];
	uint64_t id;

	if (ub_parse_u64(name, UINT32_MAX, &id) != 0)
		return false;
	*ret_id = (uint32_t)id;
	(void)snprintf(same, sizeof(same), "%u", *ret_id);
	return strcmp(same, name) == 0;
}

int ub_index_visit(int dirfd, const char *key, int (*visit)(void *arg, uint32_t id), void *arg)
{
	_cleanup_close_ int index = ub_record_dir_open_at(dirfd, INDEX_NAME, NULL);
	_cleanup_close_ int fd = index < 0 ? index : ub_record_dir_open_at(index, key, NULL);
	struct dirent *entry;
	uint32_t id;
	int ret = 0;
	DIR *dir;

	if (fd < 0)
		return fd == -ENOENT ? 0 : fd;
	dir = fdopendir(fd);
	if (!dir)
		return -ENOMEM;
	UB_TAKE_FD(fd);
	while (!ret && (entry = readdir(dir)))
		if (parse_id(entry->d_name, &id))
			ret = visit(arg, id);
	(void)closedir(dir);
	return ret;
}

struct every {
	void (*visit)(void *arg, const char *key, uint32_t id);
	void *arg;
	const char *key;
};

static int visit_entry(void *arg, uint32_t id)
{
	const struct every *every = arg;

	every->visit(every->arg, every->key, id);
	return 0;
}

int ub_index_visit_all(int dirfd, void (*visit)(void *arg, const char *key, uint32_t id), void *arg)
{
	_cleanup_close_ int index = ub_record_dir_open_at(dirfd, INDEX_NAME, NULL);
	struct every every = {.visit = visit, .arg = arg};
	DIR *dir = index < 0 ? NULL : fdopendir(index);
	struct dirent *entry;
	int ret = 0;

	if (!dir)
		return index < 0 && index != -ENOENT ? index : index < 0 ? 0 : -ENOMEM;
	UB_TAKE_FD(index);
	while ((entry = readdir(dir))) {
		int code;

		if (entry->d_name[0] == '.')
			continue;
		every.key = entry->d_name;
		code = ub_index_visit(dirfd, every.key, visit_entry, &every);
		ret = code < 0 ? code : ret;
	}
	(void)closedir(dir);
	return ret;
}
