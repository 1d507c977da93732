/* SPDX-License-Identifier: MIT */
/*
 * A queue that sees no I/O from one expiry of its timer to the next gives its buffers' memory back:
 * after four to eight seconds. While I/Os come, or are in hand, it also tells those that take too long
 * (stall.c). An idle device sleeps, and an I/O costs a test of a flag.
 *
 * It is also what wakes a thread whose commit of a batch was refused or cut short, when nothing else is
 * to come (flush() in batch.c): the commit's completion alone does not.
 */
#include "queue/internal.h"
#include "queue/state.h"

void ub_timer_set(struct ub_queue *q)
{
	static const struct __kernel_timespec period = {.tv_sec = UB_TIMER_S};
	struct io_uring_sqe *sqe = ub_queue_sqe(q);

	io_uring_prep_timeout(sqe, (struct __kernel_timespec *)(uintptr_t)&period, 0, 0);
	sqe->user_data = DATA(DATA_TIMER, 0);
	q->active = false;
	q->has_timer = true;
	ub_stall_begins(q);
}

/*
 * Why giving back is safe (lib/queue's paths say more): this thread is the ring's only submitter,
 * and with IORING_SETUP_DEFER_TASKRUN the kernel works for it, and posts completions, only while it
 * is in io_uring_enter(), where it is not now. Nothing queued means that every commit has been
 * taken; no completion and no overflow, that no I/O has arrived which is not busy.
 */
void ub_timer_over(struct ub_queue *q)
{
	bool quiet = !q->active && ub_ring_queued(&q->ring) == 0 && !q->commands->has_more(q) &&
		     io_uring_cq_ready(&q->ring.uring) == 0 &&
		     !io_uring_cq_has_overflow(&q->ring.uring);

	q->has_timer = false;
	ub_stall_look(q);
	if (quiet && !q->keeps) {
		q->path->give_back(q);
		if (q->target->type->rest)
			q->target->type->rest(q);
	}
	/* What is still at the target keeps its buffer until a later time. */
	if (!quiet || ub_queue_is_busy(q))
		ub_timer_set(q);
	else
		ub_stall_rests(q);
}
