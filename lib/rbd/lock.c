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
#define PAUSE_US 500000
#define LEFT_MS 2000 /* that whoever waits has to have left, so as to be told why */
#define DEATH_MS \
	40000 /* that the cluster needs to notice a death, by its defaults, and a little more */

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

/* All that watch the image. Return: 0 with @ret_watchers, to be cleaned up and freed, or a negative errno. */
static int list_watchers(rbd_image_t image, rbd_image_watcher_t **ret_watchers, size_t *ret_count)
{
	rbd_image_watcher_t *watchers = NULL, *more;
	size_t count = 0;
	int ret;

	/* How many there are is told to who has no room for them; and there may be more by the next time. */
	do {
		more = reallocarray(watchers, count + 1, sizeof(*watchers));
		ret = more ? 0 : -ENOMEM;
		if (more) {
			watchers = more;
			ret = rbd_watchers_list(image, watchers, &count);
		}
	} while (ret == -ERANGE);
	if (ret < 0)
		free(watchers);
	else
		*ret_watchers = watchers;
	*ret_count = count;
	return ret < 0 ? ret : 0;
}

/* A client that lives watches the image; the cluster takes a dead one's watch away after a while. */
static bool is_alive(rbd_image_t image, const char *owner)
{
	rbd_image_watcher_t *watchers;
	bool alive = false;
	size_t count;

	/* Nobody knows: it may be one of them. */
	if (list_watchers(image, &watchers, &count) < 0)
		return true;
	for (size_t i = 0; i < count; i++)
		alive |= strcmp(watchers[i].addr, owner) == 0;
	rbd_watchers_list_cleanup(watchers, count);
	free(watchers);
	return alive;
}

/* In a recovery it may be a server that has died in the middle of one, before the record could name it. Who lives
 * longer than that is another one: of a recovery that has no deadline, since it has had a server end, requests wait. */
static bool stays_alive(rbd_image_t image, const char *owner, const struct ub_open_request *req)
{
	int64_t until = req->patience.deadline_ms < INT64_MAX ? req->patience.deadline_ms - LEFT_MS
							      : ub_now_ms() + DEATH_MS;
	bool alive = is_alive(image, owner);

	while (alive && req->recovers && !req->probe && ub_left_ms(until) > 0) {
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

/* The server before, as the cluster knows it; NULL: there was none. */
static const char *holder_before(const struct ub_open_request *req)
{
	return req->recovers && req->remote ? req->remote->holder : NULL;
}

/* May an owner's lock be had? Return: 0, or -EBUSY with a message. */
static int check_owner(const struct ub_rbd *r, const char *place, const char *owner,
		       const struct ub_open_request *req, struct ub_error *err)
{
	const char *before = holder_before(req);

	if ((before && strcmp(before, owner) == 0) || !stays_alive(r->image, owner, req))
		return 0;
	return fail_owned(place, owner, err);
}

/* Of an owner that is in the way, if it is not to stay. Return: 0, or a negative errno with a message. */
static int clear_way(struct ub_rbd *r, const char *place, const char *owner,
		     const struct ub_open_request *req, struct ub_error *err)
{
	const char *before = holder_before(req);
	int ret = check_owner(r, place, owner, req, err);

	if (ret || !before || strcmp(before, owner) != 0)
		return ret;
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
	const char *before = holder_before(req);
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

/* Return: 0, -EAGAIN if somebody was faster, or another negative errno with a message. */
static int try_lock(struct ub_rbd *r, const char *place, const struct ub_open_request *req,
		    struct ub_error *err)
{
	_cleanup_free_ char *owner = NULL, *other = NULL;
	int ret = find_owner(r->image, &owner);

	if (ret)
		return ub_fail(err, UB_STAGE_CONNECT, ret, "cannot lock %s", place);
	ret = owner ? clear_way(r, place, owner, req, err) : 0;
	if (ret)
		return ret;
	ret = rbd_lock_acquire(r->image, RBD_LOCK_MODE_EXCLUSIVE);
	if (ret == -EROFS && find_owner(r->image, &other) == 0 && other) {
		(void)fail_owned(place, other, err);
		return -EAGAIN;
	}
	return ret < 0 ? ub_fail(err, UB_STAGE_CONNECT, ret, "cannot lock %s", place) : 0;
}

static int take_lock(struct ub_tgt *tgt, const char *place, const struct ub_open_request *req,
		     struct ub_error *err)
{
	struct ub_rbd *r = tgt->state;
	int ret = try_lock(r, place, req, err);

	/* Another recovery: it serves the device soon, or has failed. */
	if (ret == -EAGAIN && req->recovers)
		ret = try_lock(r, place, req, err);
	if (ret)
		return ret == -EAGAIN ? -EBUSY : ret;
	r->locked = true;
	ret = find_owner(r->image, &tgt->remote.holder);
	return ret < 0 ? ub_fail(err, UB_STAGE_CONNECT, ret, "cannot tell who has locked %s", place)
		       : 0;
}

int ub_rbd_check_lock(const struct ub_rbd *r, const char *place, const struct ub_open_request *req,
		      struct ub_error *err)
{
	_cleanup_free_ char *owner = NULL;
	int ret = can_be_locked(r);

	if (ret > 0 && !req->no_lock)
		ret = find_owner(r->image, &owner);
	if (ret < 0)
		return ub_fail(err, UB_STAGE_CONNECT, ret, "cannot lock %s", place);
	return owner ? check_owner(r, place, owner, req, err) : 0;
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
