/* SPDX-License-Identifier: MIT */
#include "record/store.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/clean.h"
#include "record/dir.h"
#include "record/file.h"
#include "record/index.h"
#include "record/json.h"

static int read_record(int dirfd, uint32_t id, struct ub_record *ret_record, struct ub_error *err)
{
	_cleanup_free_ char *text = NULL;
	ssize_t len = ub_record_file_read(dirfd, id, &text, err);
	int ret;

	if (len < 0)
		return (int)len;
	ret = ub_record_from_json(text, (size_t)len, ret_record, err);
	if (ret)
		ub_error_prefix(err, "cannot use the record of ublkb%u", id);
	return ret;
}

static int replace(int dirfd, const struct ub_record *record, const char *text,
		   struct ub_error *err)
{
	_cleanup_close_ int lock = ub_record_dir_lock(dirfd);
	_cleanup_(ub_record_done)
	struct ub_record old = {0};
	int ret = ub_index_add(dirfd, record, err);

	if (!ret) {
		(void)read_record(dirfd, record->id, &old, NULL);
		ret = ub_record_file_write(dirfd, record->id, text, lock >= 0);
		if (ret)
			(void)ub_fail(err, UB_STAGE_RECORD, ret,
				      "cannot write the record of ublkb%u", record->id);
	}
	/* What was there before keeps its entries; what takes its place may lie elsewhere. */
	if (ret && !ub_record_file_is_there(dirfd, record->id))
		ub_index_remove(dirfd, record, NULL);
	else if (!ret && old.token && old.id == record->id)
		ub_index_remove(dirfd, &old, record);
	return ret;
}

int ub_record_write(const struct ub_record *record, struct ub_error *err)
{
	_cleanup_free_ char *text = ub_record_to_json(record, false);
	_cleanup_close_ int dirfd = -1;

	if (!text)
		return ub_fail(err, UB_STAGE_RECORD, -ENOMEM, "cannot write a record");
	if (strlen(text) > UB_RECORD_TEXT_MAX)
		return ub_fail(err, UB_STAGE_RECORD, -EFBIG, "cannot write a record");
	dirfd = ub_record_dir_open(true, err);
	if (dirfd < 0)
		return dirfd;
	return replace(dirfd, record, text, err);
}

static int read_in(unsigned place, uint32_t id, uint64_t token, struct ub_record *ret_record,
		   struct ub_error *err)
{
	_cleanup_close_ int dirfd = ub_record_dir_open_place(place, err);
	int ret = dirfd < 0 ? dirfd : read_record(dirfd, id, ret_record, err);

	if (ret || (ret_record->id == id && ret_record->token == token))
		return ret;
	ub_record_done(ret_record);
	return ub_fail_text(err, UB_STAGE_RECORD, -ENOENT, "the record of ublkb%u is another's",
			    id);
}

int ub_record_read(uint32_t id, uint64_t token, struct ub_record *ret_record, struct ub_error *err)
{
	int ret = 0;

	for (unsigned place = 0; place < UB_RECORD_PLACES; place++) {
		struct ub_error why = {0};
		int code = read_in(place, id, token, ret_record, &why);

		if (code == 0)
			return 0;
		if (ret && (ret != -ENOENT || code == -ENOENT))
			continue;
		ret = code;
		if (err)
			*err = why;
	}
	return ret;
}

/* Whose it is, although it can't be used. Return: 0 or a negative errno. */
static int read_token(int dirfd, uint32_t id, uint64_t *ret_token)
{
	_cleanup_free_ char *text = NULL;
	ssize_t len = ub_record_file_read(dirfd, id, &text, NULL);
	uint32_t its_id;
	int ret = len < 0 ? (int)len
			  : ub_record_token_from_json(text, (size_t)len, &its_id, ret_token);

	return ret == 0 && its_id != id ? -EBADMSG : ret;
}

static const char *claim_key(enum ub_record_claim what, uint32_t id,
			     char buf[static UB_INDEX_KEY_SIZE])
{
	static const char *const names[UB_CLAIM_COUNT] = {
		[UB_CLAIM_SIZE] = "size",       [UB_CLAIM_SERVER] = "server",
		[UB_CLAIM_SET] = "set",         [UB_CLAIM_STEADY] = "steady",
		[UB_CLAIM_RESTART] = "restart",
	};

	(void)snprintf(buf, UB_INDEX_KEY_SIZE, "%s-%u", names[what], id);
	return buf;
}

static int remove_in(unsigned place, uint32_t id, uint64_t token)
{
	_cleanup_close_ int dirfd = ub_record_dir_open_place(place, NULL);
	_cleanup_close_ int lock = -1;
	struct ub_record record = {0};
	char key[UB_INDEX_KEY_SIZE];
	int ret;

	if (dirfd < 0)
		return dirfd == -ENOENT ? 0 : dirfd;
	/* A new device may have got the number, and its record, since the caller looked. */
	lock = ub_record_dir_lock(dirfd);
	ret = read_record(dirfd, id, &record, NULL);
	if (ret == -EBADMSG && read_token(dirfd, id, &record.token) == 0 && record.token == token) {
		record.id = id;
		ret = 0;
	}
	/* Whoever was killed before it was there may have left something. */
	if (ret)
		return ret != -ENOENT ? ret : lock < 0 ? 0 : ub_record_file_remove(dirfd, id);
	if (token && record.id == id && record.token == token) {
		ret = ub_record_file_remove(dirfd, id);
		if (!ret) {
			ub_index_remove(dirfd, &record, NULL);
			/* Whoever was killed while he had it has left it. */
			ub_index_unlock(dirfd, claim_key(UB_CLAIM_SIZE, id, key));
			ub_index_unlock(dirfd, claim_key(UB_CLAIM_SERVER, id, key));
			ub_index_unlock(dirfd, claim_key(UB_CLAIM_SET, id, key));
			ub_index_unlock(dirfd, claim_key(UB_CLAIM_STEADY, id, key));
		}
	}
	ub_record_done(&record);
	return ret;
}

int ub_record_remove(uint32_t id, uint64_t token)
{
	int ret = 0;

	for (unsigned place = 0; place < UB_RECORD_PLACES; place++) {
		int code = remove_in(place, id, token);

		ret = ret ? ret : code;
	}
	return ret;
}

static bool claims(const void *arg, const struct ub_record *record)
{
	const struct ub_backing *backing = arg;

	for (unsigned i = 0; i < record->backings.count; i++) {
		const struct ub_backing *other = &record->backings.at[i];

		if (ub_backing_is_same(backing, other) && ub_backing_overlaps(backing, other) &&
		    (backing->writable || other->writable))
			return true;
	}
	return false;
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

/* One that can't be used (a newer version's) has what it has an entry for. */
static int is_match(void *arg, uint32_t id)
{
	struct query *q = arg;
	_cleanup_(ub_record_done)
	struct ub_record record = {0};
	int ret = read_record(q->dirfd, id, &record, NULL);
	bool matches = ret == 0 && record.id == id && q->matches(q->arg, &record);

	if (ret == -EBADMSG)
		matches = read_token(q->dirfd, id, &record.token) == 0;
	else if (ret && ret != -ENOENT && ret != -EPERM)
		return ret;
	q->id = id;
	return matches && record.token && q->alive->is_there(q->alive->arg, id, record.token);
}

/* Return: 1 with @ret_id, 0, or a negative errno. */
static int find_in(unsigned place, const struct ub_index_keys *keys, struct query *q,
		   uint32_t *ret_id)
{
	_cleanup_close_ int dirfd = ub_record_dir_open_place(place, NULL);
	int ret = 0;

	if (dirfd < 0)
		return dirfd == -ENOENT ? 0 : dirfd;
	q->dirfd = dirfd;
	for (unsigned i = 0; i < keys->count && !ret; i++)
		ret = ub_index_visit(dirfd, keys->key[i], is_match, q);
	if (ret == 1)
		*ret_id = q->id;
	return ret;
}

static int find(const struct ub_index_keys *keys, struct query *q, uint32_t *ret_id)
{
	int ret = 0;

	for (unsigned place = 0; place < UB_RECORD_PLACES && !ret; place++)
		ret = find_in(place, keys, q, ret_id);
	return ret;
}

int ub_record_find_claim(const struct ub_backing *backing, const struct ub_record_alive *alive,
			 uint32_t *ret_id)
{
	struct query q = {.matches = claims, .arg = backing, .alive = alive};
	struct ub_index_keys keys = {.count = 0};

	ub_index_backing_keys(backing, &keys);
	return find(&keys, &q, ret_id);
}

int ub_record_claim_name(const char *name, const struct ub_record_alive *alive, uint32_t *ret_id,
			 struct ub_error *err)
{
	struct query q = {.matches = has_name, .arg = name, .alive = alive};
	struct ub_index_keys keys = {.count = 1};
	_cleanup_close_ int dirfd = ub_record_dir_open(true, err), lock = -1;
	int ret;

	if (dirfd < 0)
		return dirfd;
	if (!ub_index_name_key(name, keys.key[0]))
		return ub_fail(err, UB_STAGE_ADD, -ENAMETOOLONG, "cannot add a device named %.100s",
			       name);
	lock = ub_index_lock(dirfd, keys.key[0], err);
	if (lock < 0)
		return lock;
	ret = find(&keys, &q, ret_id);
	if (ret == 1)
		return -EEXIST;
	return ret < 0 ? ub_fail(err, UB_STAGE_RECORD, ret, "cannot look for the name %s", name)
		       : UB_TAKE_FD(lock);
}

static void release(const char *key, int *lock)
{
	_cleanup_close_ int dirfd = *lock < 0 ? -1 : ub_record_dir_open(false, NULL);

	if (dirfd >= 0)
		ub_index_unlock(dirfd, key);
	ub_close(lock);
}

void ub_record_release_name(const char *name, int *lock)
{
	char buf[UB_INDEX_KEY_SIZE];

	if (*lock >= 0)
		release(ub_index_name_key(name, buf), lock); /* it had a key */
}

int ub_record_claim(enum ub_record_claim what, uint32_t id, struct ub_error *err)
{
	_cleanup_close_ int dirfd = ub_record_dir_open(true, err);
	char buf[UB_INDEX_KEY_SIZE];

	return dirfd < 0 ? dirfd : ub_index_lock(dirfd, claim_key(what, id, buf), err);
}

void ub_record_release(enum ub_record_claim what, uint32_t id, int *lock)
{
	char buf[UB_INDEX_KEY_SIZE];

	release(claim_key(what, id, buf), lock);
}
