/* SPDX-License-Identifier: MIT */
/* Which image it is, whatever it is called, and what it is and can. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/clean.h"
#include "rbd/rbd.h"

#define BLOCK 512U
#define PAGE 4096U /* what a store writes at once, at the least */
#define OPTIONS_MAX 256
#define FSID_SIZE 37

/* What the record has of it: "CLUSTER/POOL/NAMESPACE/IMAGE", and of a snapshot "@NUMBER" behind, all but the
 * namespace as the cluster knows them. */
struct id {
	char cluster[FSID_SIZE];
	int64_t pool;
	char space[128], image[64];
	bool is_snap;
	uint64_t snap;
};

/* Return: 0 or -EBADMSG. */
static int parse_id(const char *text, struct id *ret_id)
{
	char pool[24] = "", *end;
	const char *part = text;
	const struct {
		char *to;
		size_t size;
		const char *until;
	} parts[] = {
		{ret_id->cluster, sizeof(ret_id->cluster), "/"},
		{pool, sizeof(pool), "/"},
		{ret_id->space, sizeof(ret_id->space), "/"},
		{ret_id->image, sizeof(ret_id->image), "@"},
	};

	*ret_id = (struct id){0};
	for (size_t i = 0; i < UB_ARRAY_SIZE(parts); i++) {
		size_t len = strcspn(part, parts[i].until);

		if (len >= parts[i].size || (!part[len] && *parts[i].until == '/'))
			return -EBADMSG;
		memcpy(parts[i].to, part, len);
		parts[i].to[len] = '\0';
		part += len + (part[len] != '\0');
	}
	ret_id->pool = strtoll(pool, &end, 10);
	if (!*pool || *end || !*ret_id->image)
		return -EBADMSG;
	ret_id->is_snap = *part;
	ret_id->snap = strtoull(part, &end, 10);
	return *end ? -EBADMSG : 0;
}

/* By its @name, or if that is NULL by its @number. */
static int open_pool(struct ub_rbd *r, const char *image, const char *name, int64_t number,
		     const char *space, struct ub_error *err)
{
	int ret = name ? rados_ioctx_create(r->cluster, name, &r->pool)
		       : rados_ioctx_create2(r->cluster, number, &r->pool);

	if (ret == -ENOENT && name)
		return ub_fail_text(err, UB_STAGE_CONNECT, ret,
				    "cannot serve %s: there is no pool %s", image, name);
	if (ret == -ENOENT)
		return ub_fail_text(err, UB_STAGE_CONNECT, ret,
				    "cannot serve %s: its pool has been removed", image);
	if (ret < 0)
		return ub_fail(err, UB_STAGE_CONNECT, ret, "cannot use the pool of %s", image);
	if (*space)
		rados_ioctx_set_namespace(r->pool, space);
	/* A full cluster says so, rather than keep what was sent until it is no longer. */
	rados_set_pool_full_try(r->pool);
	return 0;
}

static int fail_image(const struct ub_rbd_args *a, const struct ub_open_request *req, int code,
		      struct ub_error *err)
{
	if (code == -ENOENT && req->recovers)
		return ub_fail_text(err, UB_STAGE_CONNECT, code,
				    "cannot serve %s: %s has been removed", a->image,
				    a->snap ? "the image, or its snapshot," : "the image");
	if (code == -ENOENT && a->snap)
		return ub_fail_text(err, UB_STAGE_CONNECT, code,
				    "cannot serve %s: there is no such image, or it has no "
				    "snapshot %s",
				    a->image, a->snap);
	if (code == -ENOENT)
		return ub_fail_text(err, UB_STAGE_CONNECT, code,
				    "cannot serve %s: there is no such image", a->image);
	return ub_fail(err, UB_STAGE_CONNECT, code, "cannot open %s", a->image);
}

static int check_cluster(struct ub_rbd *r, const char *image, const struct id *id,
			 struct ub_error *err)
{
	char cluster[FSID_SIZE] = "";

	(void)rados_cluster_fsid(r->cluster, cluster, sizeof(cluster));
	if (strcmp(cluster, id->cluster) == 0)
		return 0;
	return ub_fail_text(err, UB_STAGE_CONNECT, -ESTALE,
			    "cannot serve %s: this is another cluster, %s in place of %s", image,
			    cluster, id->cluster);
}

/* That very one, however it is called by now. */
static int open_by_id(struct ub_tgt *tgt, const struct ub_rbd_args *a,
		      const struct ub_open_request *req, struct ub_error *err)
{
	struct ub_rbd *r = tgt->state;
	struct id id;
	int ret;

	if (!req->remote->id || parse_id(req->remote->id, &id) != 0)
		return ub_fail_text(err, UB_STAGE_RECORD, -EBADMSG,
				    "cannot serve %s: the record does not say which image it is",
				    a->image);
	ret = check_cluster(r, a->image, &id, err);
	if (!ret)
		ret = open_pool(r, a->image, NULL, id.pool, id.space, err);
	if (ret)
		return ret;
	ret = tgt->read_only ? rbd_open_by_id_read_only(r->pool, id.image, &r->image, NULL)
			     : rbd_open_by_id(r->pool, id.image, &r->image, NULL);
	r->has_image = ret >= 0;
	if (ret >= 0 && id.is_snap)
		ret = rbd_snap_set_by_id(r->image, id.snap);
	return ret < 0 ? fail_image(a, req, ret, err) : 0;
}

static int open_by_name(struct ub_tgt *tgt, const struct ub_rbd_args *a,
			const struct ub_open_request *req, struct ub_error *err)
{
	struct ub_rbd *r = tgt->state;
	struct ub_rbd_name name;
	int ret = ub_rbd_parse_name(a->image, &name, err);

	if (!ret)
		ret = open_pool(r, a->image, name.pool, -1, name.space, err);
	if (ret)
		return ret;
	ret = tgt->read_only ? rbd_open_read_only(r->pool, name.image, &r->image, a->snap)
			     : rbd_open(r->pool, name.image, &r->image, NULL);
	r->has_image = ret >= 0;
	return ret < 0 ? fail_image(a, req, ret, err) : 0;
}

static int take_id(struct ub_tgt *tgt, const struct ub_rbd_args *a, struct ub_error *err)
{
	char cluster[FSID_SIZE] = "", space[128] = "", image[64], snap[24] = "";
	struct ub_rbd *r = tgt->state;
	uint64_t number = 0;
	int ret = rbd_get_id(r->image, image, sizeof(image));

	if (ret == -EINVAL)
		return ub_fail_text(err, UB_STAGE_CONNECT, -EOPNOTSUPP,
				    "cannot serve %s: it has the old format 1, which has no ids",
				    a->image);
	if (ret >= 0)
		ret = rados_cluster_fsid(r->cluster, cluster, sizeof(cluster));
	if (ret >= 0)
		ret = rados_ioctx_get_namespace(r->pool, space, sizeof(space));
	if (ret >= 0 && a->snap && (ret = rbd_snap_get_id(r->image, a->snap, &number)) >= 0)
		(void)snprintf(snap, sizeof(snap), "@%llu", (unsigned long long)number);
	if (ret >= 0 && asprintf(&tgt->remote.id, "%s/%lld/%s/%s%s", cluster,
				 (long long)rados_ioctx_get_id(r->pool), space, image, snap) < 0) {
		tgt->remote.id = NULL;
		ret = -ENOMEM;
	}
	return ret < 0 ? ub_fail(err, UB_STAGE_CONNECT, ret, "cannot tell which image %s is",
				 a->image)
		       : 0;
}

int ub_rbd_open_image(struct ub_tgt *tgt, const struct ub_rbd_args *a,
		      const struct ub_open_request *req, struct ub_error *err)
{
	int ret;

	tgt->read_only = req->read_only || a->snap;
	if (!req->recovers) {
		ret = open_by_name(tgt, a, req, err);
		return ret ? ret : take_id(tgt, a, err);
	}
	ret = open_by_id(tgt, a, req, err);
	if (!ret && !(tgt->remote.id = strdup(req->remote->id)))
		ret = ub_fail(err, UB_STAGE_MEMORY, -ENOMEM, "cannot use %s", a->image);
	return ret;
}

/* Of an image that is mirrored, only one of the clusters may write to it; what it keeps in the others librbd lets nobody
 * lock, and waits for that. Return: 0, or -EROFS with a message. */
static int check_primary(struct ub_rbd *r, const struct ub_rbd_args *a, struct ub_error *err)
{
	rbd_mirror_image_info_t info;
	bool other;

	/* Who may not ask is told by the lock. */
	if (rbd_mirror_image_get_info(r->image, &info, sizeof(info)) < 0)
		return 0;
	other = info.state == RBD_MIRROR_IMAGE_ENABLED && !info.primary;
	rbd_mirror_image_get_info_cleanup(&info);
	return other ? ub_fail_text(err, UB_STAGE_CONNECT, -EROFS,
				    "cannot write to %s: it is mirrored, and not the primary one "
				    "(rbd mirror image promote)",
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

/* What is in effect: an image and a pool have settings of their own, as whoever made them has written them. */
struct settings {
	bool caches;      /* in memory */
	bool keeps_cache; /* where the server lives */
	bool fences;
	uint64_t discard; /* bytes that a discard has at the least: less is left as it is */
};

static bool is_false(const char *value)
{
	return strcasecmp(value, "false") == 0 || strcmp(value, "0") == 0;
}

static void take_setting(struct settings *s, const char *name, const char *value)
{
	if (strcmp(name, "rbd_cache") == 0)
		s->caches = !is_false(value);
	else if (strcmp(name, "rbd_persistent_cache_mode") == 0)
		s->keeps_cache = strcasecmp(value, "disabled") != 0;
	else if (strcmp(name, "rbd_blocklist_on_break_lock") == 0)
		s->fences = !is_false(value);
	else if (strcmp(name, "rbd_discard_granularity_bytes") == 0)
		s->discard = strtoull(value, NULL, 10);
}

static void read_settings(struct ub_rbd *r, struct settings *ret_settings)
{
	rbd_config_option_t options[OPTIONS_MAX];
	int count = OPTIONS_MAX;

	*ret_settings = (struct settings){.caches = true, .fences = true};
	if (rbd_config_image_list(r->image, options, &count) < 0)
		return;
	for (int i = 0; i < count; i++)
		take_setting(ret_settings, options[i].name, options[i].value);
	rbd_config_image_list_cleanup(options, count);
}

/* Return: 0, or -EOPNOTSUPP with a message. */
static int take_settings(struct ub_tgt *tgt, const struct ub_rbd_args *a,
			 const struct ub_open_request *req, struct ub_notes *notes,
			 struct ub_error *err)
{
	struct ub_rbd *r = tgt->state;
	struct settings settings;

	read_settings(r, &settings);
	if (settings.keeps_cache && !tgt->read_only)
		return ub_fail_text(
			err, UB_STAGE_CONNECT, -EOPNOTSUPP,
			"cannot serve %s: it is to have a persistent cache, and where a "
			"server lives there is no place for one",
			a->image);
	if (!settings.fences && !tgt->read_only)
		ub_note(notes,
			"the cluster may take late writes of a server of %s that has died: "
			"rbd_blocklist_on_break_lock is off",
			a->image);
	r->caches = settings.caches;
	if (!tgt->read_only && !req->no_discard)
		tgt->discard_granularity =
			larger(is_power_of_two(settings.discard) ? (uint32_t)settings.discard : 0,
			       tgt->logical_block_size);
	return 0;
}

int ub_rbd_describe(struct ub_tgt *tgt, const struct ub_rbd_args *a,
		    const struct ub_open_request *req, struct ub_notes *notes, struct ub_error *err)
{
	struct ub_rbd *r = tgt->state;
	uint64_t unit = 0, count = 0, size = 0;
	rbd_image_info_t info;
	int ret = rbd_stat(r->image, &info, sizeof(info));

	if (ret >= 0)
		ret = rbd_get_stripe_unit(r->image, &unit);
	if (ret >= 0)
		ret = rbd_get_stripe_count(r->image, &count);
	if (ret >= 0)
		ret = rbd_get_size(r->image, &size);
	if (ret < 0)
		return ub_fail(err, UB_STAGE_CONNECT, ret, "cannot tell what %s is", a->image);
	atomic_store(&r->size, size);
	tgt->logical_block_size = larger(req->logical_block_size, BLOCK);
	tgt->physical_block_size = larger(tgt->logical_block_size, PAGE);
	tgt->io_min = tgt->physical_block_size;
	/* A round of all stripes, or an object. */
	tgt->io_opt = (uint32_t)(count > 1 && is_power_of_two(unit * count) ? unit * count
									    : info.obj_size);
	tgt->ops_per_io = 1;
	tgt->own_ops = 1;
	tgt->write_zeroes = !tgt->read_only;
	ret = take_settings(tgt, a, req, notes, err);
	if (!ret && !tgt->read_only)
		ret = check_primary(r, a, err);
	if (!ret)
		ret = ub_tgt_set_size(tgt, req->size ? req->size : size, notes, err);
	if (!ret && tgt->size > size)
		ret = ub_fail_text(err, UB_STAGE_CONNECT, -ESTALE, "%s has become smaller",
				   a->image);
	return ret;
}
