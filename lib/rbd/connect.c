/* SPDX-License-Identifier: MIT */
/* The way to an image, in a thread that may wait, and the way back. What librados could be told by files was opened
 * before (open.c): here there are none any more. */
#include <errno.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/clean.h"
#include "base/clock.h"
#include "rbd/rbd.h"

#define BLOCK 512U
#define PAGE 4096U       /* what a store writes at once, at the least */
#define STACK (1U << 20) /* of each of the library's threads */
#define CLOSE_S 10       /* that the end of a server waits for the cluster */
#define OPTIONS_MAX 256

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

/* What the record has of the image: "POOL/NAMESPACE/IMAGE", the first and the last as the cluster's own. Return: 0
 * or -EBADMSG. */
static int parse_id(const char *id, int64_t *ret_pool, char space[static 128], const char **ret_id)
{
	const char *first = strchr(id, '/'), *last = strrchr(id, '/');
	char *end;

	*ret_pool = strtoll(id, &end, 10);
	if (!first || last == first || end != first || last - first > 127 || !last[1])
		return -EBADMSG;
	(void)snprintf(space, 128, "%.*s", (int)(last - first - 1), first + 1);
	*ret_id = last + 1;
	return 0;
}

static int open_pool(struct ub_rbd *r, const char *image, const struct ub_rbd_name *name,
		     int64_t number, const char *space, struct ub_error *err)
{
	int ret = number < 0 ? rados_ioctx_create(r->cluster, name->pool, &r->pool)
			     : rados_ioctx_create2(r->cluster, number, &r->pool);

	if (ret == -ENOENT)
		return ub_fail_text(err, UB_STAGE_CONNECT, ret,
				    "cannot serve %s: there is no pool %s", image, name->pool);
	if (ret < 0)
		return ub_fail(err, UB_STAGE_CONNECT, ret, "cannot use pool %s", name->pool);
	if (*space)
		rados_ioctx_set_namespace(r->pool, space);
	/* A full cluster says so, rather than keep what was sent until it is no longer. */
	rados_set_pool_full_try(r->pool);
	return 0;
}

static int fail_image(const struct ub_rbd_args *a, const struct ub_open_request *req, int code,
		      struct ub_error *err)
{
	if (code == -ENOENT && a->snap)
		return ub_fail_text(
			err, UB_STAGE_CONNECT, code,
			"cannot serve %s: there is no such image, or it has no snapshot %s",
			a->image, a->snap);
	if (code == -ENOENT && req->recovers)
		return ub_fail_text(err, UB_STAGE_CONNECT, code,
				    "cannot serve %s: the image has been removed", a->image);
	if (code == -ENOENT)
		return ub_fail_text(err, UB_STAGE_CONNECT, code,
				    "cannot serve %s: there is no such image", a->image);
	return ub_fail(err, UB_STAGE_CONNECT, code, "cannot open %s", a->image);
}

/* By its name, or in a recovery by what the cluster calls it: that very one, however it is called by now. */
static int open_image(struct ub_tgt *tgt, const struct ub_rbd_args *a,
		      const struct ub_open_request *req, struct ub_error *err)
{
	const char *id = req->recovers && req->remote ? req->remote->id : NULL, *image_id = NULL;
	struct ub_rbd *r = tgt->state;
	struct ub_rbd_name name;
	char space[128];
	int64_t pool = -1;
	int ret = ub_rbd_parse_name(a->image, &name, err);

	if (ret)
		return ret;
	(void)snprintf(space, sizeof(space), "%s", name.space);
	if (id && parse_id(id, &pool, space, &image_id) != 0)
		return ub_fail_text(err, UB_STAGE_RECORD, -EBADMSG,
				    "the record does not say which image it is: %s", id);
	ret = open_pool(r, a->image, &name, pool, space, err);
	if (ret)
		return ret;
	tgt->read_only = req->read_only || a->snap;
	if (id && tgt->read_only)
		ret = rbd_open_by_id_read_only(r->pool, image_id, &r->image, a->snap);
	else if (id)
		ret = rbd_open_by_id(r->pool, image_id, &r->image, NULL);
	else if (tgt->read_only)
		ret = rbd_open_read_only(r->pool, name.image, &r->image, a->snap);
	else
		ret = rbd_open(r->pool, name.image, &r->image, NULL);
	if (ret < 0)
		return fail_image(a, req, ret, err);
	r->has_image = true;
	return 0;
}

static int take_id(struct ub_tgt *tgt, const struct ub_rbd_args *a, struct ub_error *err)
{
	struct ub_rbd *r = tgt->state;
	char id[128], space[128] = "";
	int ret = rbd_get_id(r->image, id, sizeof(id));

	if (ret >= 0)
		ret = rados_ioctx_get_namespace(r->pool, space, sizeof(space));
	if (ret >= 0 && asprintf(&tgt->remote.id, "%lld/%s/%s",
				 (long long)rados_ioctx_get_id(r->pool), space, id) < 0) {
		tgt->remote.id = NULL;
		ret = -ENOMEM;
	}
	return ret < 0 ? ub_fail(err, UB_STAGE_BACKING, ret, "cannot tell which image %s is",
				 a->image)
		       : 0;
}

static bool is_power_of_two(uint64_t value)
{
	return value && !(value & (value - 1));
}

static uint32_t larger(uint32_t a, uint32_t b)
{
	return a > b ? a : b;
}

/* What is in effect: an image and a pool have settings of their own. */
struct settings {
	bool caches;
	uint64_t discard; /* bytes that a discard has at the least: less is left as it is */
};

static void read_settings(struct ub_rbd *r, struct settings *ret_settings)
{
	rbd_config_option_t options[OPTIONS_MAX];
	int count = OPTIONS_MAX;

	*ret_settings = (struct settings){.caches = true};
	if (rbd_config_image_list(r->image, options, &count) < 0)
		return;
	ret_settings->caches = false;
	for (int i = 0; i < count; i++) {
		const char *name = options[i].name, *value = options[i].value;

		if (strcmp(name, "rbd_cache") == 0)
			ret_settings->caches |= strcmp(value, "true") == 0;
		else if (strcmp(name, "rbd_persistent_cache_mode") == 0)
			ret_settings->caches |= strcmp(value, "disabled") != 0;
		else if (strcmp(name, "rbd_discard_granularity_bytes") == 0)
			ret_settings->discard = strtoull(value, NULL, 10);
	}
	rbd_config_image_list_cleanup(options, count);
}

static int describe(struct ub_tgt *tgt, const struct ub_rbd_args *a,
		    const struct ub_open_request *req, struct ub_notes *notes, struct ub_error *err)
{
	struct ub_rbd *r = tgt->state;
	uint64_t unit = 0, count = 0, size = 0;
	struct settings settings;
	rbd_image_info_t info;
	int ret = rbd_stat(r->image, &info, sizeof(info));

	if (ret >= 0)
		ret = rbd_get_stripe_unit(r->image, &unit);
	if (ret >= 0)
		ret = rbd_get_stripe_count(r->image, &count);
	if (ret >= 0)
		ret = rbd_get_size(r->image, &size);
	if (ret < 0)
		return ub_fail(err, UB_STAGE_BACKING, ret, "cannot tell what %s is", a->image);
	read_settings(r, &settings);
	atomic_store(&r->size, size);
	tgt->logical_block_size = larger(req->logical_block_size, BLOCK);
	tgt->physical_block_size = larger(tgt->logical_block_size, PAGE);
	tgt->io_min = tgt->physical_block_size;
	/* A round of all stripes, or an object. */
	tgt->io_opt = (uint32_t)(count > 1 && is_power_of_two(unit * count) ? unit * count
									    : info.obj_size);
	tgt->ops_per_io = 1;
	tgt->own_ops = 1;
	tgt->volatile_cache = settings.caches && !tgt->read_only;
	tgt->write_zeroes = !tgt->read_only;
	if (!tgt->read_only && !req->no_discard)
		tgt->discard_granularity =
			larger(is_power_of_two(settings.discard) ? (uint32_t)settings.discard : 0,
			       tgt->logical_block_size);
	ret = ub_tgt_set_size(tgt, req->size ? req->size : size, notes, err);
	if (!ret && tgt->size > size)
		ret = ub_fail_text(err, UB_STAGE_BACKING, -ESTALE, "%s has become smaller",
				   a->image);
	return ret;
}

/* Its many threads would have the stacks of a shell's limit, and as many heaps as the machine has processors. */
static void bound_memory(void)
{
	pthread_attr_t attr;

	if (pthread_attr_init(&attr) == 0) {
		(void)pthread_attr_setstacksize(&attr, STACK);
		(void)pthread_setattr_default_np(&attr);
		(void)pthread_attr_destroy(&attr);
	}
	(void)mallopt(M_ARENA_MAX, 2);
}

int ub_rbd_connect(struct ub_tgt *tgt, void *args, const struct ub_open_request *req,
		   struct ub_notes *notes, struct ub_error *err)
{
	const struct ub_rbd_args *a = args;
	struct ub_rbd *r = tgt->state;
	int ret;

	bound_memory();
	ret = connect_cluster(r, a, req->deadline_ms, err);
	if (!ret)
		ret = open_image(tgt, a, req, err);
	if (!ret)
		ret = take_id(tgt, a, err);
	if (!ret)
		ret = describe(tgt, a, req, notes, err);
	if (!ret && !tgt->read_only && !req->no_lock && !req->probe)
		ret = ub_rbd_lock(tgt, a->image, req, notes, err);
	if (ret || a->snap || req->probe)
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

/* A cluster that does not answer is no reason not to end; what it keeps of this client it drops by itself. */
void ub_rbd_close(struct ub_tgt *tgt)
{
	struct ub_rbd *r = tgt->state;
	struct timespec until;
	pthread_t thread;

	if (!r)
		return;
	tgt->state = NULL;
	(void)clock_gettime(CLOCK_REALTIME, &until);
	until.tv_sec += CLOSE_S;
	if (r->cluster && (pthread_create(&thread, NULL, close_all, r) != 0 ||
			   pthread_timedjoin_np(thread, NULL, &until) != 0))
		return;
	ub_close(&r->conf_fd);
	ub_close(&r->keyring_fd);
	free(r);
}
