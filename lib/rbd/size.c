/* SPDX-License-Identifier: MIT */
/* The image's size, as others change it: librbd calls when something of the image has, from a thread of its own in
 * which nothing may be asked; ours asks, and tells the server. */
#include <errno.h>
#include <sys/eventfd.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "base/clean.h"
#include "rbd/rbd.h"

static void changed(void *arg)
{
	(void)eventfd_write(((struct ub_rbd *)arg)->changed_fd, 1);
}

static void *look(void *arg)
{
	struct ub_tgt *tgt = arg;
	struct ub_rbd *r = tgt->state;
	eventfd_t count;
	uint64_t size;

	(void)prctl(PR_SET_NAME, "ublk-rbd-size");
	while (eventfd_read(r->changed_fd, &count) == 0 && !atomic_load(&r->ending)) {
		if (rbd_get_size(r->image, &size) < 0 || size == atomic_load(&r->size))
			continue;
		atomic_store(&r->size, size);
		atomic_store(&tgt->grown, size);
		(void)eventfd_write(tgt->event_fd, 1);
	}
	return NULL;
}

int ub_rbd_watch_size(struct ub_tgt *tgt)
{
	struct ub_rbd *r = tgt->state;
	int ret;

	r->changed_fd = eventfd(0, EFD_CLOEXEC);
	if (r->changed_fd < 0)
		return -errno;
	ret = -pthread_create(&r->thread, NULL, look, tgt);
	if (ret)
		return ret;
	r->has_thread = true;
	ret = rbd_update_watch(r->image, &r->watch, changed, r);
	r->watches = ret == 0;
	/* What was changed before. */
	changed(r);
	return ret;
}

void ub_rbd_unwatch_size(struct ub_rbd *r)
{
	if (r->watches)
		(void)rbd_update_unwatch(r->image, r->watch);
	if (r->has_thread) {
		atomic_store(&r->ending, true);
		changed(r);
		(void)pthread_join(r->thread, NULL);
	}
	ub_close(&r->changed_fd);
}
