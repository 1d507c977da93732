/* SPDX-License-Identifier: MIT */
#include "queue/ring.h"

#include <errno.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/fault.h"
#include "kernel/workers.h"

/* From Linux 6.15, newer than the headers that we build with. A queue that waits for its next request
 * is idle: without this the machine would seem to wait for I/O all the time. */
#define IORING_FEAT_NO_IOWAIT (1U << 17)
#define IORING_ENTER_NO_IOWAIT (1U << 7)

int ub_ring_init(struct ub_ring *ring, unsigned submissions, unsigned completions)
{
	struct io_uring_params params = {
		.flags = IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN |
			 IORING_SETUP_R_DISABLED | IORING_SETUP_SUBMIT_ALL | IORING_SETUP_CQSIZE |
			 IORING_SETUP_CLAMP | IORING_SETUP_TASKRUN_FLAG,
		.cq_entries = completions,
	};
	int ret = io_uring_queue_init_params(submissions, &ring->uring, &params);

	if (ret)
		return ret;
	ring->made = true;
	ring->entries = params.sq_entries;
	ring->mask = params.sq_entries - 1;
	ring->enter_flags = params.features & IORING_FEAT_NO_IOWAIT ? IORING_ENTER_NO_IOWAIT : 0;
	/* Each place of the queue names the SQE of the same number, for good. */
	for (unsigned i = 0; i < params.sq_entries; i++)
		ring->uring.sq.array[i] = i;
	if (params.sq_entries >= submissions && params.cq_entries > submissions)
		return 0;
	ub_ring_done(ring);
	return -E2BIG;
}

int ub_ring_enable(struct ub_ring *ring)
{
	int ret = ub_fault("enable");

	if (!ret)
		ret = io_uring_enable_rings(&ring->uring);
	if (ret < 0)
		return ret;
	/* The thread finds the ring by an index from now on, without counting references to it. A
	 * kernel that can't is served by the descriptor. */
	if (!ub_fault("ring-fd") && io_uring_register_ring_fd(&ring->uring) == 1)
		ring->enter_flags |= IORING_ENTER_REGISTERED_RING;
	ub_workers_end_when_idle(&ring->uring);
	return 0;
}

int ub_ring_enter(struct ub_ring *ring, unsigned wait, unsigned hold)
{
	struct io_uring_sq *sq = &ring->uring.sq;
	unsigned queued = ub_ring_queued(ring) - hold;

	io_uring_smp_store_release(sq->ktail, sq->sqe_tail);
	sq->sqe_head = sq->sqe_tail;
	return syscall(SYS_io_uring_enter, ring->uring.enter_ring_fd, queued, wait,
		       ring->enter_flags | IORING_ENTER_GETEVENTS, NULL, 0) < 0
		       ? -errno
		       : 0;
}

void ub_ring_done(struct ub_ring *ring)
{
	if (ring->made)
		io_uring_queue_exit(&ring->uring);
	ring->made = false;
}
