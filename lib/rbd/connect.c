/* SPDX-License-Identifier: MIT */
/* The way to a cluster and an image, in a thread that may wait, and the way back. What librados is told by files
 * was opened before (open.c): here there are none any more. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/clean.h"
#include "base/clock.h"
#include "rbd/rbd.h"

#define CLOSE_S 10 /* that the end of a server waits for the cluster */
#define RELEASE_S 5

static const char *user_of(const struct ub_rbd_args *a)
{
	return a->user ? a->user : "admin";
}

/* Return: 0 or a negative errno, as librados. */
static int set(struct ub_rbd *r, const char *key, const char *value)
{
	return rados_conf_set(r->cluster, key, value);
}

static int set_descriptor(struct ub_rbd *r, const char *key, int fd)
{
	char path[32];

	(void)snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	return fd < 0 ? 0 : set(r, key, path);
}

/* Some seconds before the server gives up, so that the library says what is wrong. */
static int set_timeout(struct ub_rbd *r, int64_t deadline_ms)
{
	int left = ub_left_ms(deadline_ms) / 1000 - 2;
	char text[12];

	(void)snprintf(text, sizeof(text), "%d", left < 1 ? 1 : left);
	return set(r, "client_mount_timeout", text);
}

/* Nothing is to be made or asked where the server lives, and what is acknowledged is to be in the cluster. */
static int configure(struct ub_rbd *r, const struct ub_rbd_args *a, int64_t deadline_ms)
{
	static const char *const settings[][2] = {
		{"rbd_cache", "false"},
		{"admin_socket", ""},
		{"log_file", ""},
		{"log_to_stderr", "false"},
		{"err_to_stderr", "false"},
		{"log_to_syslog", "false"},
		{"mon_dns_srv_name", ""},
		{"rados_osd_op_timeout", "0"},
		{"rados_mon_op_timeout", "0"},
		{"rbd_non_blocking_aio", "true"},
		{"rbd_blocklist_on_break_lock", "true"},
		{"rbd_blocklist_expire_seconds", "0"},
	};
	char user[256], conf[32];
	int ret;

	(void)snprintf(user, sizeof(user), "client.%s", user_of(a));
	(void)snprintf(conf, sizeof(conf), "/proc/self/fd/%d", r->conf_fd);
	ret = rados_create2(&r->cluster, a->cluster ? a->cluster : "ceph", user, 0);
	if (ret < 0)
		return ret;
	ret = rados_conf_read_file(r->cluster, conf);
	for (size_t i = 0; i < UB_ARRAY_SIZE(settings) && ret >= 0; i++)
		ret = set(r, settings[i][0], settings[i][1]);
	if (ret >= 0)
		ret = set(r, "mon_host", r->hosts);
	if (ret >= 0)
		ret = set_descriptor(r, "keyring", r->keyring_fd);
	return ret < 0 ? ret : set_timeout(r, deadline_ms);
}

static int fail_connect(const struct ub_rbd *r, const struct ub_rbd_args *a, int code,
			struct ub_error *err)
{
	if (r->keyring_fd < 0 && r->keyring_error &&
	    (code == -EACCES || code == -EPERM || code == -ENOENT))
		return ub_fail(err, UB_STAGE_CONNECT, r->keyring_error,
			       "cannot use the cluster: cannot read the key of client.%s in %s",
			       user_of(a), r->keyrings);
	switch (code) {
	case -ETIMEDOUT:
		return ub_fail_text(err, UB_STAGE_CONNECT, code,
				    "cannot reach the cluster: none of its monitors answers (%s)",
				    r->hosts);
	case -EACCES:
	case -EPERM:
		if (r->keyring_fd >= 0)
			return ub_fail_text(err, UB_STAGE_CONNECT, -EACCES,
					    "cannot use the cluster: it does not take the key of "
					    "client.%s",
					    user_of(a));
		/* fall through */
	case -ENOENT:
		if (r->keyring_fd < 0)
			return ub_fail_text(err, UB_STAGE_CONNECT, -EACCES,
					    "cannot use the cluster: there is no key of client.%s "
					    "in %s",
					    user_of(a), r->keyrings);
		/* fall through */
	default:
		return ub_fail(err, UB_STAGE_CONNECT, code, "cannot use the cluster as client.%s",
			       user_of(a));
	}
}

static int connect_cluster(struct ub_rbd *r, const struct ub_rbd_args *a, int64_t deadline_ms,
			   struct ub_error *err)
{
	int ret = configure(r, a, deadline_ms);

	if (ret < 0)
		return ub_fail(err, UB_STAGE_CONNECT, ret, "cannot set up librados");
	ret = rados_connect(r->cluster);
	return ret < 0 ? fail_connect(r, a, ret, err) : 0;
}

int ub_rbd_connect(struct ub_tgt *tgt, void *args, const struct ub_open_request *req,
		   struct ub_notes *notes, struct ub_error *err)
{
	const struct ub_rbd_args *a = args;
	struct ub_rbd *r = tgt->state;
	int ret;

	ub_rbd_bound_memory();
	ret = connect_cluster(r, a, req->patience.deadline_ms, err);
	if (!ret)
		ret = ub_rbd_open_image(tgt, a, req, err);
	if (!ret)
		ret = ub_rbd_describe(tgt, a, req, notes, err);
	if (!ret && !tgt->read_only)
		ret = req->probe ? ub_rbd_check_lock(r, a->image, req, err)
				 : ub_rbd_lock(tgt, a->image, req, notes, err);
	/* The caller's files, which may be on any disk. */
	ub_close(&r->conf_fd);
	ub_close(&r->keyring_fd);
	ub_rbd_give_back();
	/* librbd does not watch what it only reads. */
	if (ret || tgt->read_only || req->probe)
		return ret;
	ret = ub_rbd_watch_size(tgt);
	if (ret)
		ub_note(notes, "another size of %s will not be noticed: %s", a->image,
			strerror(-ret));
	return 0;
}

static void *close_all(void *arg)
{
	struct ub_rbd *r = arg;

	if (r->has_image) {
		ub_rbd_unwatch_size(r);
		(void)rbd_close(r->image);
	}
	if (r->pool)
		rados_ioctx_destroy(r->pool);
	if (r->cluster)
		rados_shutdown(r->cluster);
	return NULL;
}

/* Return: it is over; else it goes on, and keeps what it has. */
static bool in_time(void *(*fn)(void *arg), struct ub_rbd *r, int seconds)
{
	struct timespec until;
	pthread_t thread;

	(void)clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_sec += seconds;
	return pthread_create(&thread, NULL, fn, r) == 0 &&
	       pthread_clockjoin_np(thread, NULL, CLOCK_MONOTONIC, &until) == 0;
}

static void *release(void *arg)
{
	(void)rbd_lock_release(((struct ub_rbd *)arg)->image);
	return NULL;
}

/* So that the next server takes the lock, and need not break it. */
void ub_rbd_let_go(struct ub_tgt *tgt)
{
	struct ub_rbd *r = tgt->state;

	if (r->locked && !atomic_load(&r->fenced))
		(void)in_time(release, r, RELEASE_S);
}

/* A cluster that does not answer is no reason not to end; what it keeps of this client it drops by itself. */
void ub_rbd_close(struct ub_tgt *tgt)
{
	struct ub_rbd *r = tgt->state;

	if (!r)
		return;
	tgt->state = NULL;
	if (r->cluster && !in_time(close_all, r, CLOSE_S))
		return;
	ub_close(&r->conf_fd);
	ub_close(&r->keyring_fd);
	free(r);
}
