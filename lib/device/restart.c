/* SPDX-License-Identifier: MIT */
#include "device/restart.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clean.h"
#include "base/retry.h"
#include "device/spawn.h"
#include "process/process.h"
#include "record/dir.h"
#include "record/store.h"
#include "spec/json_in.h"
#include "spec/json_out.h"

#define SCHEMA "ublk.restart/1"
#define TEMP "." UB_RESTART_FILE ".new"
/* What it may need to begin: more than systemd has to give it a scope (spawn.c). */
#define START_MS 7000
/* How long who ends a server waits for one who looks whether somebody does. */
#define HOLD_MS 500
#define TEXT_MAX ((size_t)1 << 20)

const char *const ub_restart_names[] = {
	[UB_RESTART_NO] = "no",
	[UB_RESTART_WATCHED] = "watched",
	[UB_RESTART_TRIES] = "tries",
	[UB_RESTART_WAITS] = "waits",
	[UB_RESTART_GAVE_UP] = "gave-up",
	[UB_RESTART_UNWATCHED] = "unwatched",
	NULL,
};

int ub_restart_claim(struct ub_error *err)
{
	return ub_record_claim(UB_CLAIM_RESTART, 0, err);
}

void ub_restart_release(int *lock)
{
	ub_record_release(UB_CLAIM_RESTART, 0, lock);
}

static bool add_news(struct json_object *list, const struct ub_restart_news *news)
{
	struct json_object *obj = json_object_new_object();

	if (obj && ub_json_add_u64(obj, "id", news->id) &&
	    ub_json_add_hex(obj, "token", news->token) &&
	    ub_json_add_choice(obj, "state", ub_restart_names, news->restart.state) &&
	    ub_json_add_u64(obj, "count", news->restart.count) &&
	    json_object_array_add(list, obj) == 0)
		return true;
	json_object_put(obj);
	return false;
}

static struct json_object *describe(const struct ub_restart_news *news, size_t count)
{
	_cleanup_json_ struct json_object *obj = json_object_new_object();
	struct json_object *list = json_object_new_array();
	uint64_t start_time = 0;

	(void)ub_process_start_time(getpid(), &start_time);
	if (!obj || !ub_json_add(obj, "devices", list, false) ||
	    !ub_json_add_string(obj, "schema", SCHEMA) ||
	    !ub_json_add_u64(obj, "pid", (uint64_t)getpid()) ||
	    !ub_json_add_u64(obj, "start_time", start_time))
		return NULL;
	for (size_t i = 0; i < count; i++)
		if (!add_news(list, &news[i]))
			return NULL;
	return UB_TAKE_PTR(obj);
}

int ub_restart_tell(const struct ub_restart_news *news, size_t count)
{
	_cleanup_close_ int dirfd = ub_record_dir_open(true, NULL), fd = -1;
	_cleanup_json_ struct json_object *obj = NULL;
	int ret = 0;

	if (dirfd < 0)
		return dirfd;
	if (!count)
		return unlinkat(dirfd, UB_RESTART_FILE, 0) == 0 || errno == ENOENT ? 0 : -errno;
	obj = describe(news, count);
	if (!obj)
		return -ENOMEM;
	/* Nobody else writes there: what lies there is of one that was killed. */
	(void)unlinkat(dirfd, TEMP, 0);
	fd = openat(dirfd, TEMP, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0644);
	if (fd < 0)
		return -errno;
	if (json_object_to_fd(fd, obj, JSON_C_TO_STRING_PLAIN) != 0 ||
	    renameat(dirfd, TEMP, dirfd, UB_RESTART_FILE) != 0)
		ret = errno ? -errno : -EIO;
	if (ret)
		(void)unlinkat(dirfd, TEMP, 0);
	return ret;
}

static bool is_claimed(enum ub_record_claim what, uint32_t id)
{
	int lock = ub_record_claim(what, id, NULL);
	bool is = lock == -EAGAIN;

	ub_record_release(what, id, &lock);
	return is;
}

/* Return: what is told, or was by one who is gone (@ret_there: by one who is there), or NULL. */
static struct json_object *read_told(bool *ret_there)
{
	_cleanup_close_ int dirfd = ub_record_dir_open(false, NULL), fd = -1;
	const struct ub_json_in in = {.part = ""};
	_cleanup_json_ struct json_object *obj = NULL;
	struct json_object *value;
	uint64_t pid, start_time;
	struct stat st;

	*ret_there = false;
	if (dirfd < 0)
		return NULL;
	fd = openat(dirfd, UB_RESTART_FILE, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	if (fd < 0 || fstat(fd, &st) != 0 || !S_ISREG(st.st_mode) || (size_t)st.st_size > TEXT_MAX)
		return NULL;
	obj = json_object_from_fd(fd);
	if (!json_object_is_type(obj, json_type_object) ||
	    ub_json_get(&in, obj, "pid", json_type_int, &value) != 0 ||
	    ub_json_to_u64(&in, "pid", value, 1, INT32_MAX, &pid) != 0 ||
	    ub_json_get(&in, obj, "start_time", json_type_int, &value) != 0 ||
	    ub_json_to_u64(&in, "start_time", value, 0, UINT64_MAX, &start_time) != 0)
		return NULL;
	*ret_there = ub_process_sees_all() ? ub_process_is_alive((int32_t)pid, start_time)
					   : is_claimed(UB_CLAIM_RESTART, 0);
	return UB_TAKE_PTR(obj);
}

static bool read_news(struct json_object *obj, struct ub_restart_news *ret_news)
{
	const struct ub_json_in in = {.part = "devices"};
	struct json_object *value;
	uint64_t id, count;

	if (!json_object_is_type(obj, json_type_object) ||
	    ub_json_get(&in, obj, "id", json_type_int, &value) != 0 ||
	    ub_json_to_u64(&in, "id", value, 0, UINT32_MAX, &id) != 0 ||
	    ub_json_get(&in, obj, "token", json_type_string, &value) != 0 ||
	    ub_json_to_hex(&in, "token", value, &ret_news->token) != 0 ||
	    ub_json_get(&in, obj, "state", json_type_string, &value) != 0 ||
	    ub_json_to_choice(&in, "state", value, ub_restart_names, &ret_news->restart.state) !=
		    0 ||
	    ub_json_get(&in, obj, "count", json_type_int, &value) != 0 ||
	    ub_json_to_u64(&in, "count", value, 0, UINT32_MAX, &count) != 0)
		return false;
	ret_news->id = (uint32_t)id;
	ret_news->restart.count = (uint32_t)count;
	return true;
}

static int by_id(const void *a, const void *b)
{
	const struct ub_restart_news *x = a, *y = b;

	return x->id < y->id ? -1 : x->id > y->id;
}

/* Return: an array to be freed, sorted by id, or NULL. */
static struct ub_restart_news *read_all(size_t *ret_count, bool *ret_there)
{
	const struct ub_json_in in = {.part = ""};
	_cleanup_json_ struct json_object *told = read_told(ret_there);
	struct ub_restart_news *all;
	struct json_object *list;
	size_t count = 0;

	if (!told || ub_json_get(&in, told, "devices", json_type_array, &list) != 0)
		return NULL;
	all = calloc(json_object_array_length(list) + 1, sizeof(*all));
	for (size_t i = 0; all && i < json_object_array_length(list); i++)
		if (read_news(json_object_array_get_idx(list, i), &all[count]))
			count++;
	if (all)
		qsort(all, count, sizeof(*all), by_id);
	*ret_count = count;
	return all;
}

void ub_restart_find(struct ub_dev *devs, size_t count)
{
	_cleanup_free_ struct ub_restart_news *all = NULL;
	bool is_read = false, there = false;
	size_t told = 0;

	for (size_t i = 0; i < count; i++) {
		const struct ub_restart_news key = {.id = devs[i].id}, *news;

		if (!devs[i].managed || !devs[i].record.spec.restart)
			continue;
		if (!is_read)
			all = read_all(&told, &there);
		is_read = true;
		/* One who is there may not have told of a new device yet. */
		devs[i].restart.state = there ? UB_RESTART_WATCHED : UB_RESTART_UNWATCHED;
		news = all ? bsearch(&key, all, told, sizeof(*all), by_id) : NULL;
		if (!news || news->token != devs[i].info.ublksrv_flags)
			continue;
		devs[i].restart.count = news->restart.count;
		if (there)
			devs[i].restart.state = news->restart.state;
	}
}

static bool is_there(void)
{
	bool there;

	json_object_put(read_told(&there));
	return there;
}

void ub_restart_start(void)
{
	struct ub_retry retry;
	int status = 0;
	pid_t child;

	if (is_claimed(UB_CLAIM_RESTART, 0))
		return;
	child = ub_spawn_supervisor();
	ub_retry_init(&retry, START_MS);
	while (child > 0 && status == 0 && !is_there() && ub_retry_wait(&retry))
		(void)waitpid(child, &status, WNOHANG);
}

int ub_restart_hold(const struct ub_dev *dev)
{
	struct ub_retry retry;
	int lock = -1;

	if (dev->restart.state == UB_RESTART_NO)
		return -1;
	ub_retry_init(&retry, HOLD_MS);
	do
		lock = ub_record_claim(UB_CLAIM_SERVER, dev->id, NULL);
	while (lock == -EAGAIN && ub_retry_wait(&retry));
	return lock;
}

void ub_restart_let_go(const struct ub_dev *dev, int *lock)
{
	ub_record_release(UB_CLAIM_SERVER, dev->id, lock);
}

/* Is one of them still there? */
static bool is_any_left(struct ub_ctrl *ctrl, const struct ub_restart_news *all, size_t count)
{
	struct ublksrv_ctrl_dev_info info;

	for (size_t i = 0; i < count; i++) {
		int ret = ub_ctrl_get_info(ctrl, all[i].id, &info);

		if (ret != -ENODEV && (ret || info.ublksrv_flags == all[i].token))
			return true;
	}
	return false;
}

void ub_restart_forget(struct ub_ctrl *ctrl, const struct ub_dev *dev)
{
	_cleanup_free_ struct ub_restart_news *all = NULL;
	size_t count = 0;
	bool there;
	int lock;

	if (dev->restart.state != UB_RESTART_UNWATCHED)
		return;
	lock = ub_restart_claim(NULL);
	if (lock < 0)
		return;
	all = read_all(&count, &there);
	if (all && !is_any_left(ctrl, all, count))
		(void)ub_restart_tell(NULL, 0);
	ub_restart_release(&lock);
}

bool ub_restart_is_held(uint32_t id)
{
	return is_claimed(UB_CLAIM_SERVER, id);
}
