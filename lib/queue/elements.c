/* SPDX-License-Identifier: MIT */
/*
 * What goes in batches: an element for each tag that is given to the driver or committed. They gather,
 * and go with the next call that enters the kernel, one command at a time.
 */
#include <errno.h>

#include "base/fault.h"
#include "queue/batch.h"
#include "queue/state.h"

void ub_batch_begin(struct ub_queue *q)
{
	struct ub_batch *b = q->batch;

	b->bytes = sizeof(struct ublk_elem_header);
	if (q->path->slots) {
		b->flags = UBLK_BATCH_F_AUTO_BUF_REG_FALLBACK;
	} else if (q->path->addresses) {
		b->flags = UBLK_BATCH_F_HAS_BUF_ADDR;
		b->bytes = sizeof(struct ub_batch_element);
	}
}

/* With slots the lowest bits of io->where are the slot, else they are not looked at. */
static struct ublk_elem_header head_of(const struct ub_io *io, int result)
{
	return (struct ublk_elem_header){
		.tag = io->tag, .buf_index = (uint16_t)io->where, .result = result};
}

static void add_element(struct ub_queue *q, const struct ub_io *io, int result)
{
	struct ub_batch *b = q->batch;
	const struct ub_batch_element e = {.head = head_of(io, result), .addr = io->where};

	/* There are no more tags, and none stands here twice: settle(). A client would wait for ever for
	 * what has no element. */
	if (__builtin_expect(b->count == q->depth, 0)) {
		ub_queue_fail(q, -EPROTO, "tag %u is one too many to commit", io->tag);
		return;
	}
	/* One of two sizes, that no copying of an unknown one is called for each I/O. */
	if (b->bytes == sizeof(e))
		memcpy(b->elements + (size_t)b->count * sizeof(e), &e, sizeof(e));
	else
		memcpy(b->elements + (size_t)b->count * sizeof(e.head), &e.head, sizeof(e.head));
	b->count++;
}

/* @data: what its completion is to tell. */
static struct io_uring_sqe *command(struct ub_queue *q, uint32_t op, uint64_t data,
				    const void *elements, uint32_t count)
{
	const struct ublk_batch_io head = {
		.q_id = q->id,
		.flags = q->batch->flags,
		.nr_elem = (uint16_t)count,
		.elem_bytes = (uint8_t)q->batch->bytes,
	};
	struct io_uring_sqe *sqe = ub_batch_command(q, op, data, &head);

	sqe->addr = (uintptr_t)elements;
	return sqe;
}

static void send_elements(struct ub_queue *q, uint32_t op)
{
	struct ub_batch *b = q->batch;

	(void)command(q, op, DATA(DATA_BATCH_COMMIT, 0), b->elements + (size_t)b->queued * b->bytes,
		      b->count - b->queued);
	b->queued = b->count;
	q->commits++;
}

/*
 * No command is with the kernel: what stands behind the elements of the last one moves to their place.
 * A tag has one element at the most, since it comes again only after its command, and the command's
 * completion is posted before that; there is one command at a time, so that this is true of each.
 */
static void settle(struct ub_batch *b)
{
	/* What operations that the kernel had done at once left before the command's completion. */
	if (__builtin_expect(b->count > b->queued, 0))
		memmove(b->elements, b->elements + (size_t)b->queued * b->bytes,
			(size_t)(b->count - b->queued) * b->bytes);
	b->count -= b->queued;
	b->queued = 0;
}

/* Sends all that is there, and waits for what comes of it. Return: 0 or a negative errno of the ring. */
static int prepare_tags(struct ub_queue *q, int *ret_res)
{
	struct io_uring_cqe *cqe;
	int ret;

	q->batch->queued = 0;
	send_elements(q, UBLK_U_IO_PREP_IO_CMDS);
	ret = ub_queue_enter_all(q);
	while (!ret && (ret = io_uring_wait_cqe(&q->ring.uring, &cqe)) == -EINTR)
		ret = 0;
	if (ret)
		return ret;
	*ret_res = cqe->res;
	io_uring_cqe_seen(&q->ring.uring, cqe);
	q->commits = 0;
	return 0;
}

/* The driver takes all of a command's tags or none of them. */
int ub_batch_give(struct ub_queue *q, unsigned from, unsigned to)
{
	struct ub_batch *b = q->batch;
	int ret, res;

	for (unsigned tag = from; tag < to; tag++) {
		add_element(q, &q->ios[tag], 0);
		ub_io_fetches(q, &q->ios[tag]);
	}
	do {
		ret = prepare_tags(q, &res);
		if (ret)
			return ret;
	} while (res == -ENOMEM && ub_batch_again(b));
	settle(b);
	return res;
}

/* It has one element, so that it is done or fails as a whole: its success needs no completion. The
 * element stays where it is until the I/O comes again. Only on paths whose elements have no address:
 * there is no room for one. */
void ub_batch_commit_linked(struct ub_queue *q, struct ub_io *io)
{
	const struct ublk_elem_header head = head_of(io, (int)io->len);
	struct io_uring_sqe *sqe;

	memcpy(&io->element, &head, sizeof(head));
	sqe = command(q, UBLK_U_IO_COMMIT_IO_CMDS, ub_io_data(q, io, DATA_BATCH_LINKED),
		      &io->element, 1);
	sqe->flags |= IOSQE_CQE_SKIP_SUCCESS;
}

void ub_batch_commit(struct ub_queue *q, struct ub_io *io, int result)
{
	add_element(q, io, result);
	/* Nothing will come in it any more. */
	if (__builtin_expect(q->batch->over, 0))
		ub_queue_lose(q, io, UBLK_IO_RES_ABORT);
}

void ub_batch_send(struct ub_queue *q)
{
	/* That the driver takes all of it is the rule, and to wait for more than its completion spares a
	 * system call for each; who waits with what it did not take wakes by this. */
	if (__builtin_expect(!q->has_timer, 0))
		ub_timer_set(q);
	send_elements(q, UBLK_U_IO_COMMIT_IO_CMDS);
}

/*
 * @res: the bytes of the elements that were committed, in their order, from the first one on; or an
 * error if that was refused (ublk_handle_batch_commit_cmd()). The rest is committed again, and it is
 * that command which tells what was wrong.
 */
void ub_batch_committed(struct ub_queue *q, int res)
{
	struct ub_batch *b = q->batch;
	uint32_t taken = res > 0 ? (uint32_t)res / b->bytes : 0;

	q->commits--;
	if (__builtin_expect(taken != b->queued, 0)) {
		if (taken > b->queued || (!taken && !ub_batch_passes(res)) || !ub_batch_again(b)) {
			res = res < 0 ? res : -EPROTO;
			ub_queue_fail(q, res, "the driver refused a commit: %s", strerror(-res));
			return;
		}
		b->queued = taken;
	}
	settle(b);
}

/* The driver did not come to it, and that it was carried out tells that its operation was whole. */
void ub_batch_not_committed(struct ub_queue *q, struct ub_io *io, int res)
{
	if (!ub_batch_passes(res) || !ub_io_is_linked(io) || !ub_batch_again(q->batch)) {
		ub_queue_lose(q, io, res);
		return;
	}
	ub_io_unlinks(q, io);
	add_element(q, io, (int)io->len);
}
