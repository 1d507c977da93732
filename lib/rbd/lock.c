/* SPDX-License-Identifier: MIT */
/*
 * The image's exclusive lock. Whoever holds it is known by the address of its client, which the record keeps: so a new
 * server can break its predecessor's lock, and only that one's, instead of waiting until the cluster has noticed the
 * death (30 s). To break a lock also fences its client off: what a server may still have sent that is not dead, only
 * without a connection, is not taken any more.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clean.h"
#include "base/clock.h"
#include "rbd/rbd.h"

#define OWNERS_MAX 4
#define WATCHERS_MAX 64
#define PAUSE_US 500000
#define LEFT_MS 2000 /* that whoever waits has to have left, so as to be told why */

/* Return: 0 with @ret_owner, to be freed, NULL: nobody has it; or a negative errno. */
static int find_owner(rbd_image_t image, char **ret_owner)
{
	char *owners[OWNERS_MAX];
	size_t count = OWNERS_MAX;
	rbd_lock_mode_t mode;
	int ret = rbd_lock_get_owners(image, &mode, owners, &count);

	*ret_owner = NULL;
	if (ret < 0)
		return ret == -ENOENT ? 0 : ret;
	if (count > 0)
		*ret_owner = strdup(owners[0]);
	rbd_lock_get_owners_cleanup(owners, count);
	return count > 0 && !*ret_owner ? -ENOMEM : 0;
}

/* A client that lives watches the image; the cluster takes a dead one's watch away after a while. */
static bool is_alive(rbd_image_t image, const char *owner)
{
	rbd_image_watcher_t watchers[WATCHERS_MAX];
	size_t count = WATCHERS_MAX;
	bool alive = false;
	int ret = rbd_watchers_list(image, watchers, &count);

	/* So many, or nobody knows: it may be one of them. */
	if (ret < 0)
		return true;
	for (size_t i = 0; i < count; i++)
		alive |= strcmp(watchers[i].addr, owner) == 0;
	rbd_watchers_list_cleanup(watchers, count);
	return alive;
}

/* In a recovery it may be a server that has died in the middle of one, before the record could name it. */
static bool stays_alive(rbd_image_t image, const char *owner, const struct ub_open_request *req)
{
	bool alive = is_alive(image, owner);

	while (alive && req->recovers && ub_left_ms(req->deadline_ms) > LEFT_MS) {
		(void)usleep(PAUSE_US);
		alive = is_alive(image, owner);
	}
	return alive;
}

static int fail_owned(const char *place, const char *owner, struct ub_error *err)
{
	return ub_fail_text(err, UB_STAGE_CONNECT, -EBUSY,
			    "cannot lock %s: the client at %s has locked it", place, owner);
}

/* Of an owner that is in the way, if it is not to stay. Return: 0, or a negative errno with a message. */
static int clear_way(struct ub_rbd *r, const char *place, const char *owner,
		     const struct ub_open_request *req, struct ub_error *err)
{
	const char *before = req->recovers && req->remote ? req->remote->holder : NULL;
	int ret;

	if (!before || strcmp(before, owner) != 0)
		return stays_alive(r->image, owner, req) ? fail_owned(place, owner, err) : 0;
	ret = rbd_lock_break(r->image, RBD_LOCK_MODE_EXCLUSIVE, owner);
	return ret < 0 && ret != -ENOENT
		       ? ub_fail(err, UB_STAGE_CONNECT, ret,
				 "cannot break the lock that the server before has on %s", place)
		       : 0;
}

/* Without a lock: the same, but for what is broken. */
static int fence_before(struct ub_tgt *tgt, const char *place, const struct ub_open_request *req,
			struct ub_notes *notes, struct ub_error *err)
{
	const char *before = req->recovers && req->remote ? req->remote->holder : NULL;
	struct ub_rbd *r = tgt->state;
	char *addrs;
	int ret;

	ret = before ? rados_blocklist_add(r->cluster, (char *)(uintptr_t)before, 0) : 0;
	if (ret < 0)
		ub_note(notes,
			"the cluster was not told to take nothing more of the server before: %s",
			strerror(-ret));
	ret = rados_getaddrs(r->cluster, &addrs);
	if (ret < 0)
		return ub_fail(err, UB_STAGE_CONNECT, ret, "cannot tell who uses %s", place);
	tgt->remote.holder = strdup(addrs);
	rados_buffer_free(addrs);
	return tgt->remote.holder ? 0
				  : ub_fail(err, UB_STAGE_MEMORY, -ENOMEM, "cannot use %s", place);
}

/* Return: 1: the image has it, 0, or a negative errno. */
static int can_be_locked(const struct ub_rbd *r)
{
	uint64_t features;
	int ret = rbd_get_features(r->image, &features);

	return ret < 0 ? ret : (features & RBD_FEATURE_EXCLUSIVE_LOCK) != 0;
}

static int take_lock(struct ub_tgt *tgt, const char *place, const struct ub_open_request *req,
		     struct ub_error *err)
{
	struct ub_rbd *r = tgt->state;
	_cleanup_free_ char *owner = NULL, *other = NULL;
	int ret = find_owner(r->image, &owner);

	if (!ret && owner)
		ret = clear_way(r, place, owner, req, err);
	else if (ret)
		(void)ub_fail(err, UB_STAGE_CONNECT, ret, "cannot lock %s", place);
	if (ret)
		return ret;
	ret = rbd_lock_acquire(r->image, RBD_LOCK_MODE_EXCLUSIVE);
	/* Somebody was faster. */
	if (ret == -EROFS && find_owner(r->image, &other) == 0 && other)
		return fail_owned(place, other, err);
	if (ret < 0)
		return ub_fail(err, UB_STAGE_CONNECT, ret, "cannot lock %s", place);
	r->locked = true;
	ret = find_owner(r->image, &tgt->remote.holder);
	return ret < 0 ? ub_fail(err, UB_STAGE_CONNECT, ret, "cannot tell who has locked %s", place)
		       : 0;
}

int ub_rbd_lock(struct ub_tgt *tgt, const char *place, const struct ub_open_request *req,
		struct ub_notes *notes, struct ub_error *err)
{
	int ret = can_be_locked(tgt->state);

	if (ret < 0)
		return ub_fail(err, UB_STAGE_CONNECT, ret, "cannot lock %s", place);
	if (ret == 0)
		ub_note(notes,
			"nothing keeps other clients from writing to %s: it has no exclusive lock",
			place);
	return ret && !req->no_lock ? take_lock(tgt, place, req, err)
				    : fence_before(tgt, place, req, notes, err);
}
