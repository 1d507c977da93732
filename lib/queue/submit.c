/* SPDX-License-Identifier: MIT */
/* What is queued goes to the kernel: with the call that waits, or before it where the ring is full. */
#include <errno.h>
#include <string.h>

#include "base/fault.h"
#include "queue/internal.h"

/* The test build can have the kernel take no commit together with what it is linked to; or, every
 * second time, not take the last of what is queued. */
static unsigned held_back(struct ub_queue *q)
{
	static _Thread_local bool less;

	if (ub_fault_is_wanted("take-less")) {
		less = !less;
		return less && ub_ring_queued(&q->ring) > 0;
	}
	return ub_fault_is_wanted("link-cut") ? ub_link_last(q) : 0;
}

int ub_queue_enter(struct ub_queue *q, unsigned completions)
{
	unsigned held = held_back(q);
	/* A kernel that does not take all does not wait either. */
	int ret = ub_ring_enter(&q->ring, held ? 0 : completions, held);

	if (__builtin_expect(ub_ring_queued(&q->ring) > 0, 0))
		ub_link_cut(q);
	return ret;
}

bool ub_queue_asks_again(int error)
{
	return error == -EINTR || error == -EAGAIN || error == -EBUSY || error == -ETIME;
}

int ub_queue_enter_all(struct ub_queue *q)
{
	int ret;

	do
		ret = ub_queue_enter(q, 0);
	while (ub_queue_asks_again(ret) || (!ret && ub_ring_queued(&q->ring) > 0));
	return ret;
}

/* A tag has its fetch or one operation on the ring, so that all fit, and this is for targets with
 * more operations to an I/O than they said. Submitting takes no completions, so it can't recurse; a
 * kernel short of memory (-EAGAIN) is asked again, since nothing can be dropped. */
void ub_queue_submit_for(struct ub_queue *q, unsigned n)
{
	int ret;

	while (ub_ring_room(&q->ring) < n) {
		ret = ub_queue_enter(q, 0);
		if (!ret || ub_queue_asks_again(ret))
			continue;
		/* The queue ends with what it is at: none of it is to be carried out. */
		ub_ring_drop(&q->ring);
		ub_queue_fail(q, ret, "the ring is of no use any more: %s", strerror(-ret));
	}
}
