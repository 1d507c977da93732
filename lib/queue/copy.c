/* SPDX-License-Identifier: MIT */
/*
 * The data path `copy`: the kernel copies between the request and a buffer that each tag has, in
 * the fetching task (ublk_map_io() before the fetch completes, ublk_unmap_io() in the commit).
 * A parked tag's buffer belongs to the kernel.
 */
#include <sys/mman.h>

#include "base/fault.h"
#include "queue/internal.h"
#include "queue/state.h"

/* The driver grants whole pages (ublk_ctrl_add_dev()), so that every buffer begins at one. */
static void init(struct ub_queue *q)
{
	for (unsigned i = 0; i < q->depth; i++) {
		q->ios[i].data = q->buffers + (size_t)i * q->max_io;
		q->ios[i].where = (uintptr_t)q->ios[i].data;
	}
}

/*
 * A parked tag's buffer may go although it is the kernel's. The kernel writes a request's data into
 * it in the task that fetched the tag (ublk_dispatch_req() refuses any other one), which is this
 * thread, when it runs its task work in io_uring_enter(): before that happens the page may be a new
 * one, after it there is a completion and the tag is no longer parked. And it reads a read's data
 * out of it within the commit (ublk_unmap_io()), which is over when the tag is parked again and
 * nothing is queued. Read in Linux 6.12 and 7.3. A tag that is busy is the target's, however long
 * nothing has happened: its buffer stays.
 */
static void give_back(struct ub_queue *q)
{
	bool wrong = ub_fault_is_wanted("give-back-busy");
	unsigned from = 0, tag;

	for (tag = 0; tag < q->depth; tag++) {
		if (!ub_io_is_busy(&q->ios[tag]) || wrong)
			continue;
		if (tag > from)
			(void)madvise(q->ios[from].data, (size_t)(tag - from) * q->max_io,
				      MADV_DONTNEED);
		from = tag + 1;
	}
	if (tag > from)
		(void)madvise(q->ios[from].data, (size_t)(tag - from) * q->max_io, MADV_DONTNEED);
}

const struct ub_path ub_path_copy = {
	.name = "copy",
	.addresses = true,
	.init = init,
	.begin = ub_queue_submit,
	.end = ub_queue_commit,
	.copy_to = ub_buffer_copy_to,
	.copy_from = ub_buffer_copy_from,
	.give_back = give_back,
};
