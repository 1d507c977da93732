/* SPDX-License-Identifier: MIT */
/*
 * Batches (UBLK_F_BATCH_IO, Linux 7.0): one command that never ends brings the tags of requests, many
 * to a completion, and one command commits all that was finished since the kernel was last entered
 * (elements.c). It is a way of fetching and committing, on any path whose data needs no command of its own.
 *
 * Tags come in small buffers that the kernel takes from a ring of them. When it finds none, the
 * fetch ends with ENOBUFS and is asked for again: nothing is lost, the driver keeps the tags.
 *
 * As with single commands the kernel touches a tag's buffer only in this thread and within
 * io_uring_enter(): a request's data is copied when its tag is put into the fetch
 * (ublk_batch_tw_cb(), task work of the fetch, or ublk_batch_attach()), a read's in the commit. Once
 * the thread is exiting, the work falls to a kernel thread, which has no memory to copy to. Read in
 * Linux 7.3.
 */
#include <errno.h>

#include "base/fault.h"
#include "queue/batch.h"
#include "queue/state.h"

#define BUFFER_GROUP 0 /* the only one */

/* From Linux 6.18, newer than the headers that we build with. */
#define IORING_URING_CMD_MULTISHOT (1U << 1)

static struct io_uring_buf_ring *ring_of(struct ub_batch *b)
{
	return (void *)b->buffers;
}

static void provide(struct ub_batch *b, unsigned buffer, int at)
{
	io_uring_buf_ring_add(ring_of(b), b->tags[buffer], sizeof(b->tags[0]),
			      (unsigned short)buffer, BATCH_BUFFERS - 1, at);
}

/* Registers the ring of buffers that tags come in. */
static int attach(struct ub_queue *q)
{
	struct ub_batch *b = q->batch;
	struct io_uring_buf_reg reg = {
		.ring_addr = (uintptr_t)ring_of(b),
		.ring_entries = BATCH_BUFFERS,
		.bgid = BUFFER_GROUP,
	};
	int ret = ub_fault("batch-ring");

	ub_batch_begin(q);
	if (!ret)
		ret = io_uring_register_buf_ring(&q->ring.uring, &reg, 0);
	if (ret)
		return ret;
	for (unsigned i = 0; i < BATCH_BUFFERS; i++)
		provide(b, i, (int)i);
	io_uring_buf_ring_advance(ring_of(b), BATCH_BUFFERS);
	return 0;
}

static void arm(struct ub_queue *q)
{
	const struct ublk_batch_io head = {.q_id = q->id, .elem_bytes = sizeof(uint16_t)};
	struct io_uring_sqe *sqe =
		ub_batch_command(q, UBLK_U_IO_FETCH_IO_CMDS, DATA(DATA_BATCH_FETCH, 0), &head);

	sqe->flags |= IOSQE_BUFFER_SELECT;
	sqe->buf_group = BUFFER_GROUP;
	sqe->rw_flags = IORING_URING_CMD_MULTISHOT;
	q->batch->fetching = true;
}

static int fetch_all(struct ub_queue *q)
{
	unsigned given = 0;
	int ret;

	/* The worst moment to die: the driver has half of the last queue's tags. */
	if (q->id + 1 == q->info.nr_hw_queues && q->depth > 1 && ub_fault_is_wanted("fetch-half")) {
		given = q->depth / 2;
		ret = ub_batch_give(q, 0, given);
		if (!ret)
			ret = ub_fault("fetch-half");
		if (ret)
			return ret;
	}
	ret = ub_batch_give(q, given, q->depth);
	if (ret)
		return ret;
	arm(q);
	return ub_queue_enter_all(q);
}

static unsigned flush(struct ub_queue *q)
{
	struct ub_batch *b = q->batch;

	/* One command at a time. The kernel, short of memory, may not have taken the last one. */
	if (ub_batch_has_more(q) && __builtin_expect(!q->commits, 1))
		ub_batch_send(q);
	if (__builtin_expect(!b->fetching && !b->over, 0))
		arm(q);
	return q->commits + !ub_batch_has_more(q);
}

static bool has_more(const struct ub_queue *q)
{
	return ub_batch_has_more(q);
}

/* Those that are parked will not come any more; nor will the linked ones: the driver has ended the
 * fetch for good, which it does when there is no request left, or when it sends what is there to
 * another server. */
static void end_fetch(struct ub_queue *q)
{
	q->batch->over = true;
	for (unsigned tag = 0; tag < q->depth; tag++)
		if (ub_io_is_away(&q->ios[tag]))
			ub_queue_lose(q, &q->ios[tag], UBLK_IO_RES_ABORT);
}

static void take_tags(struct ub_queue *q, unsigned buffer, unsigned count, bool alone)
{
	struct ub_batch *b = q->batch;

	if (__builtin_expect(buffer >= BATCH_BUFFERS || count > BATCH_TAGS, 0)) {
		ub_queue_fail(q, -EPROTO, "%u tags came in buffer %u", count, buffer);
		return;
	}
	alone = alone && count == 1;
	ub_eager_note(q, alone);
	for (unsigned i = 0; i < count; i++) {
		uint16_t tag = b->tags[buffer][i];

		if (__builtin_expect(tag >= q->depth || !ub_io_is_away(&q->ios[tag]), 0))
			ub_queue_fail(q, -EPROTO, "tag %u came while it was not fetched", tag);
		else
			ub_queue_take(q, &q->ios[tag], alone);
	}
	provide(b, buffer, 0);
	io_uring_buf_ring_advance(ring_of(b), 1);
	b->tried = false;
}

static void fetched(struct ub_queue *q, const struct io_uring_cqe *cqe, bool alone)
{
	int res = cqe->res;

	if (cqe->flags & IORING_CQE_F_BUFFER)
		take_tags(q, cqe->flags >> IORING_CQE_BUFFER_SHIFT,
			  res > 0 ? (unsigned)res / sizeof(uint16_t) : 0, alone);
	if (cqe->flags & IORING_CQE_F_MORE)
		return;
	q->batch->fetching = false;
	/* ENOBUFS is the rule; it also stands for a buffer that was not in memory, and for a full
	 * completion queue, which there is not: it has room for every buffer's completion beside the
	 * others, and the buffer would be gone (ublk_batch_fetch_post_cqe()). */
	if (res == UBLK_IO_RES_ABORT)
		end_fetch(q);
	else if (__builtin_expect(res < 0 && !((res == -ENOBUFS || ub_batch_passes(res)) &&
					       ub_batch_again(q->batch)),
				  0))
		ub_queue_fail(q, res, "the driver lets nothing be fetched: %s", strerror(-res));
}

static void completed(struct ub_queue *q, struct ub_io *io, const struct io_uring_cqe *cqe,
		      bool alone)
{
	switch (DATA_KIND(cqe->user_data)) {
	case DATA_BATCH_FETCH:
		fetched(q, cqe, alone);
		break;
	case DATA_BATCH_COMMIT:
		ub_batch_committed(q, cqe->res);
		break;
	case DATA_BATCH_LINKED:
		ub_batch_not_committed(q, io, cqe->res);
		break;
	default:
		ub_queue_fail(q, -EPROTO, "completion %llx of nothing",
			      (unsigned long long)cqe->user_data);
	}
}

const struct ub_commands ub_commands_batch = {
	.attach = attach,
	.fetch_all = fetch_all,
	.commit = ub_batch_commit,
	.commit_linked = ub_batch_commit_linked,
	.flush = flush,
	.has_more = has_more,
	.completed = completed,
};
