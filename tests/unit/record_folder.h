/* SPDX-License-Identifier: MIT */
/* What the tests of records as files share: a folder for each test, and calls with a record 3. */
#pragma once

#include "record/dir.h"
#include "record/store.h"
#include "record_support.h"

#include <dirent.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static char base[] = "/tmp/ublk-unit-XXXXXX";
static char dir[64], file[96];
static struct ub_record record;
static uint64_t written; /* the token of what was written last */

static inline int setup(void **state)
{
	(void)state;
	strcpy(base + strlen(base) - 6, "XXXXXX");
	if (!mkdtemp(base))
		return -1;
	(void)snprintf(dir, sizeof(dir), "%s/records", base);
	(void)snprintf(file, sizeof(file), "%s/3.json", dir);
	record = (struct ub_record){0};
	return setenv("UBLK_RUNTIME_DIR", dir, 1);
}

static inline int teardown(void **state)
{
	char command[96];

	(void)state;
	ub_record_done(&record);
	(void)snprintf(command, sizeof(command), "rm -rf %s", base);
	return system(command);
}

static inline void write_record(uint32_t id, uint64_t token, const char *path)
{
	struct ub_record r = make_record(id, path);
	struct ub_error err = {0};

	r.token = written = token;
	if (ub_record_write(&r, &err) != 0)
		fail_msg("%s", err.msg);
	ub_record_done(&r);
}

static inline unsigned count_files(void)
{
	unsigned count = 0;
	DIR *d = opendir(dir);

	assert_non_null(d);
	for (struct dirent *e; (e = readdir(d));)
		count += e->d_name[0] != '.' || strstr(e->d_name, ".new");
	(void)closedir(d);
	return count;
}

/* Entries that say where to look for a backing or a name; -1: there have never been any. */
static inline int count_entries(void)
{
	char index[96];
	int count = 0;
	DIR *d;

	(void)snprintf(index, sizeof(index), "%s/.index", dir);
	d = opendir(index);
	if (!d)
		return -1;
	for (struct dirent *e; (e = readdir(d));)
		count += e->d_name[0] != '.';
	(void)closedir(d);
	return count;
}

static char why[600]; /* of the last failure */

static inline void unsafe(int (*call)(void))
{
	int ret = call();

	if (ret != -EPERM)
		fail_msg("not refused: %d", ret);
}

static inline int read_it(void)
{
	struct ub_error err = {0};
	int ret = ub_record_read(3, written, &record, &err);

	assert_int_equal(err.code, ret);
	return ret;
}

static inline int write_it(void)
{
	struct ub_record r = make_record(3, "/a");
	struct ub_error err = {0};
	int ret = ub_record_write(&r, &err);

	if (ret == 0)
		written = r.token;
	ub_record_done(&r);
	(void)snprintf(why, sizeof(why), "%s", err.msg);
	return ret;
}

static uint64_t there; /* the token of the device that is there */

static inline bool is_there(void *arg, uint32_t id, uint64_t token)
{
	assert_ptr_equal(arg, &there);
	(void)id;
	return token == there;
}

static const struct ub_record_alive alive = {.is_there = is_there, .arg = &there};

static inline int find(struct ub_backing *b, uint32_t *ret_id)
{
	return ub_record_find_claim(b, &alive, ret_id);
}

/* Return: the descriptor, which the caller has to release; or a negative errno. */
static inline int claim(const char *name, uint32_t *ret_id)
{
	struct ub_error err = {0};
	int ret = ub_record_claim_name(name, &alive, ret_id, &err);

	if (ret < 0 && ret != -EEXIST && ret != -EAGAIN)
		fail_msg("%d: %s", ret, err.msg);
	return ret;
}

static inline void release(const char *name, int lock)
{
	assert_true(lock >= 0);
	ub_record_release_name(name, &lock);
	assert_int_equal(lock, -1);
}

/* Processes that act at once, for no longer than a minute. */
static inline void start_children(int count, bool (*act)(void))
{
	for (int i = 0; i < count; i++) {
		pid_t pid = fork();

		assert_true(pid >= 0);
		if (pid == 0) {
			(void)alarm(60);
			_exit(!act());
		}
	}
}

/* Each of them has done what it was to do. */
static inline void end_children(int count)
{
	int status;

	for (; count > 0; count--) {
		assert_true(wait(&status) > 0);
		assert_int_equal(status, 0);
	}
}

#define TEST(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)
