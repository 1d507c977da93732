/* SPDX-License-Identifier: MIT */
/*
 * I/Os that threads of others end (ub_io_post(), target/io.h): they put them on a stack, and who finds it empty
 * wakes the queue by a descriptor that its ring watches. So of many that end at once one costs a system call. Nobody
 * reads the descriptor: a poll of many shots tells of every write to it, and 64 bits do not run over.
 */
#include <errno.h>
#include <poll.h>
#include <sched.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "queue/internal.h"

int ub_post_init(struct ub_queue *q)
{
	if (!q->target->type->posts)
		return 0;
	q->post_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	return q->post_fd < 0 ? -errno : 0;
}

void ub_post_done(struct ub_queue *q)
{
	if (q->post_fd < 0)
		return;
	/* Whose I/O was taken already may be about to wake the queue for it. */
	while (atomic_load(&q->posting) > 0)
		(void)sched_yield();
	(void)close(q->post_fd);
	q->post_fd = -1;
}

void ub_post_watch(struct ub_queue *q)
{
	struct io_uring_sqe *sqe;

	if (q->post_fd < 0)
		return;
	sqe = ub_queue_sqe(q);
	io_uring_prep_poll_multishot(sqe, q->post_fd, POLLIN);
	sqe->user_data = DATA(DATA_POSTED, 0);
}

void ub_io_post(struct ub_queue *q, struct ub_io *io, int res)
{
	struct ub_io *top = atomic_load_explicit(&q->posted, memory_order_relaxed);

	(void)atomic_fetch_add(&q->posting, 1);
	io->done = (uint32_t)res;
	do
		io->next = top;
	while (!atomic_compare_exchange_weak(&q->posted, &top, io));
	if (!top)
		(void)eventfd_write(q->post_fd, 1);
	(void)atomic_fetch_sub(&q->posting, 1);
}

/* In the order in which they have ended. */
static struct ub_io *turn_round(struct ub_io *top)
{
	struct ub_io *first = NULL;

	while (top) {
		struct ub_io *next = top->next;

		top->next = first;
		first = top;
		top = next;
	}
	return first;
}

void ub_post_take(struct ub_queue *q, const struct io_uring_cqe *cqe)
{
	struct ub_io *io = turn_round(atomic_exchange(&q->posted, NULL));

	while (io) {
		struct ub_io *next = io->next;

		q->target->type->complete(q, io, 0, (int)io->done);
		io = next;
	}
	if (cqe->flags & IORING_CQE_F_MORE)
		return;
	if (cqe->res < 0 && !ub_queue_asks_again(cqe->res) && cqe->res != -ECANCELED)
		ub_queue_fail(q, cqe->res, "what has ended elsewhere cannot be waited for: %s",
			      strerror(-cqe->res));
	else
		ub_post_watch(q);
}
