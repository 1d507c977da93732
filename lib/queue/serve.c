/* SPDX-License-Identifier: MIT */
/*
 * The thread's loop: a completion brings an I/O, the target works, the commit is also the next fetch.
 * Everything that is queued goes to the kernel with the call that waits, and all completions that are
 * there are taken at once. No allocation, no lock, no log line, no system call besides the ring's own and what a
 * target does in its `drained`.
 */
#include <errno.h>
#include <string.h>

#include "base/fault.h"
#include "queue/internal.h"
#include "queue/state.h"

#define POLL_SPINS 32 /* from one look at the clock to the next */

/* The driver does not end its request before. */
__attribute__((noinline, cold)) static void not_unregistered(struct ub_queue *q, struct ub_io *io,
							     int res)
{
	if (ub_io_again(io, res))
		ub_queue_data_command(q, io, UBLK_U_IO_UNREGISTER_IO_BUF, (uint64_t)(io - q->ios));
	else
		ub_queue_fail(q, res, "tag %u cannot be taken out of its slot: %s", io->tag,
			      strerror(-res));
}

static void completed(struct ub_queue *q, const struct io_uring_cqe *cqe, bool alone)
{
	uint64_t data = cqe->user_data;
	struct ub_io *io;

	if (__builtin_expect(DATA_INDEX(data) >= q->depth, 0)) {
		ub_queue_fail(q, -EPROTO, "completion of I/O %llu, which does not exist",
			      (unsigned long long)DATA_INDEX(data));
		return;
	}
	io = &q->ios[DATA_INDEX(data)];
	switch (DATA_KIND(data)) {
	case DATA_TARGET:
		io->pending--;
		q->target->type->complete(q, io, DATA_ID(data), cqe->res);
		break;
	case DATA_LINKED:
		ub_link_broken(q, io, DATA_ID(data), cqe->res);
		break;
	case DATA_TIMED:
		io->pending--;
		ub_brief_timed(q);
		q->target->type->complete(q, io, DATA_ID(data), cqe->res);
		break;
	case DATA_PROBE:
		io->pending--;
		ub_blocking_probed(q, io, cqe->res);
		break;
	case DATA_PREPARE:
		io->pending--;
		q->path->prepared(q, io, cqe->res);
		break;
	case DATA_UNREGISTER:
		not_unregistered(q, io, cqe->res);
		break;
	case DATA_WAIT:
		io->pending--;
		ub_layers_waited(q, io);
		break;
	case DATA_WRITE:
		ub_layers_written(q, DATA_ID(data), cqe->res);
		break;
	case DATA_OWN:
		q->target->type->event(q, DATA_ID(data), cqe->res);
		break;
	case DATA_POSTED:
		ub_post_take(q, cqe);
		break;
	case DATA_TIMER:
		q->timer_over = true;
		break;
	default:
		q->commands->completed(q, io, cqe, alone);
	}
}

/* Is there one completion, and nobody busy? Those of commits come besides, and count for none. */
static bool is_alone(const struct ub_queue *q)
{
	return !ub_queue_is_busy(q) && io_uring_cq_ready(&q->ring.uring) == 1U + q->commits &&
	       !ub_ring_has_more(&q->ring);
}

static void drain(struct ub_queue *q)
{
	struct io_uring_cq *cq = &q->ring.uring.cq;
	unsigned left = io_uring_cq_ready(&q->ring.uring);
	bool alone;

	if (q->path->submitted && ub_ring_queued(&q->ring) == 0)
		q->path->submitted(q);
	alone = is_alone(q);
	/* Each gives its place back before it is worked on: that may enter the kernel, which posts more. */
	for (; left; left--) {
		const struct io_uring_cqe cqe = cq->cqes[*cq->khead & cq->ring_mask];

		io_uring_cq_advance(&q->ring.uring, 1);
		completed(q, &cqe, alone);
	}
	if (__builtin_expect(q->timer_over, 0)) {
		q->timer_over = false;
		ub_timer_over(q);
	}
	if (__builtin_expect(atomic_load_explicit(&q->target->write_error, memory_order_relaxed) &&
				     !q->told_write_error,
			     0)) {
		q->told_write_error = true;
		ub_queue_tell(q);
	}
}

/* Queues what has gathered. Return: completions to wait for. */
static unsigned flush(struct ub_queue *q)
{
	if (q->target->type->drained)
		q->target->type->drained(q);
	/* Nothing need ever come but for those that wait for a buffer, which is there at once. */
	if (__builtin_expect(q->waiting && (q->pool.spent || ub_pooled_is_stuck(q)), 0))
		return 0;
	return q->commands->flush(q);
}

/* Lets the other half of the processor's core work. */
static void relax(void)
{
#if defined(__x86_64__) || defined(__i386__)
	__builtin_ia32_pause();
#elif defined(__aarch64__)
	__asm__ volatile("yield");
#endif
}

/*
 * Looks for completions, without entering the kernel, until there are as many as are @wanted or the
 * time is over: then nobody needs to wake this thread. Until it enters the kernel again nothing is
 * posted, but a flag tells that something could be (IORING_SETUP_TASKRUN_FLAG). What waits to be
 * submitted goes first.
 */
static void poll_ring(struct ub_queue *q, unsigned wanted)
{
	uint64_t end = ub_now_ns() + atomic_load_explicit(&q->poll_ns, memory_order_relaxed);

	if (ub_ring_queued(&q->ring) > 0)
		(void)ub_queue_enter(q, 0);
	while (io_uring_cq_ready(&q->ring.uring) < wanted && !ub_ring_has_more(&q->ring) &&
	       ub_now_ns() < end)
		for (unsigned i = 0; i < POLL_SPINS && !ub_ring_has_more(&q->ring); i++)
			relax();
}

static bool polls(const struct ub_queue *q)
{
	return __builtin_expect(atomic_load_explicit(&q->poll_ns, memory_order_relaxed) != 0, 0);
}

__attribute__((noinline, cold)) static int cannot_enter(struct ub_queue *q, int error)
{
	ub_queue_fail(q, error, "its ring is of no use any more: %s", strerror(-error));
	return q->refused;
}

static bool target_leaves(struct ub_queue *q)
{
	return !q->target->type->leaves || q->target->type->leaves(q);
}

/* Woken up for nothing: to end? */
__attribute__((noinline, cold)) static bool is_to_leave(struct ub_queue *q)
{
	return atomic_load(&q->leaving) && !ub_queue_is_busy(q) && !q->commits &&
	       ub_ring_queued(&q->ring) == 0 && io_uring_cq_ready(&q->ring.uring) == 0 &&
	       target_leaves(q);
}

int ub_queue_serve(struct ub_queue *q)
{
	unsigned wanted;
	int ret = ub_ring_enable(&q->ring);

	if (ret < 0)
		return ret;
	ret = q->commands->fetch_all(q);
	if (ret)
		return ret;
	ub_eager_begin(q);
	ub_post_watch(q);
	if (q->target->type->event)
		q->target->type->event(q, UB_EVENT_BEGIN, 0);
	atomic_store(&q->fetched, true);
	ub_queue_tell(q);
	while (!ub_queue_is_idle(q)) {
		wanted = flush(q);
		if (polls(q) && wanted)
			poll_ring(q, wanted);
		/* What has been submitted already may have ended the queue: ub_link_cut(). */
		ret = ub_queue_enter(q, q->refused ? 0 : wanted);
		if (ret < 0 && !ub_queue_asks_again(ret))
			return cannot_enter(q, ret);
		drain(q);
		if (__builtin_expect(q->refused != 0, 0))
			return q->refused;
		if (__builtin_expect(ret == -EINTR, 0) && is_to_leave(q))
			return 0;
	}
	/* What was finished after the driver had ended the fetch, and what the target does last. */
	while (!q->refused) {
		(void)q->commands->flush(q);
		if (!q->commits && target_leaves(q))
			break;
		if (q->target->type->drained)
			q->target->type->drained(q);
		ret = ub_queue_enter(q, 1);
		if (ret < 0 && !ub_queue_asks_again(ret))
			return cannot_enter(q, ret);
		drain(q);
	}
	return q->refused;
}
