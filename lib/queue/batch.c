/* SPDX-License-Identifier: MIT */
/*
 * Batches (UBLK_F_BATCH_IO, Linux 7.0): one command that never ends brings the tags of requests, many
 * to a completion, and one command commits all that was finished since the kernel was last entered.
 * It is a way of fetching and committing, on any path whose data needs no command of its own.
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
#include <string.h>

#include "base/fault.h"
#include "queue/internal.h"
#include "queue/state.h"

#define BUFFERS 8U     /* a power of two */
#define TAGS_MAX 128U  /* the driver puts no more into one buffer */
#define BUFFER_GROUP 0 /* the only one */

/* So often in a row a command is given again that came to nothing for reasons that pass. */
#define TRIES 100000U

/* From Linux 6.18, newer than the headers that we build with. */
#define IORING_URING_CMD_MULTISHOT (1U << 1)

/* With or without an address; only the first part goes to the kernel then. */
struct element {
	struct ublk_elem_header head;
	uint64_t addr;
};

struct ub_batch {
	struct io_uring_buf buffers[BUFFERS]; /* the ring: whole pages, and the kernel's too */
	uint16_t tags[BUFFERS][TAGS_MAX];
	uint32_t count, queued; /* elements that are there, and of them those with the kernel */
	uint32_t bytes;         /* of an element */
	uint32_t tries;         /* commands in a row that came to nothing */
	uint16_t flags;         /* UBLK_BATCH_F_* of a commit */
	bool fetching;          /* the fetch is there, or queued */
	bool over;              /* the driver has ended it for good */
	char elements[] __attribute__((aligned(8)));
};

_Static_assert(sizeof(struct ub_batch) <= UB_BATCH_SIZE, "memory/layout.h leaves it this room");
_Static_assert(sizeof(struct element) == UB_BATCH_ELEMENT_SIZE &&
		       sizeof(struct ublk_elem_header) == UB_BATCH_HEAD_SIZE,
	       "memory/layout.h counts on it");

static struct io_uring_buf_ring *ring_of(struct ub_batch *b)
{
	return (void *)b->buffers;
}

static void provide(struct ub_batch *b, unsigned buffer, int at)
{
	io_uring_buf_ring_add(ring_of(b), b->tags[buffer], sizeof(b->tags[0]),
			      (unsigned short)buffer, BUFFERS - 1, at);
}

/* Registers the ring of buffers that tags come in. */
static int attach(struct ub_queue *q)
{
	struct ub_batch *b = q->batch;
	struct io_uring_buf_reg reg = {
		.ring_addr = (uintptr_t)ring_of(b),
		.ring_entries = BUFFERS,
		.bgid = BUFFER_GROUP,
	};
	int ret = ub_fault("batch-ring");

	b->bytes = sizeof(struct ublk_elem_header);
	if (q->path->slots) {
		b->flags = UBLK_BATCH_F_AUTO_BUF_REG_FALLBACK;
	} else if (q->path->addresses) {
		b->flags = UBLK_BATCH_F_HAS_BUF_ADDR;
		b->bytes = sizeof(struct element);
	}
	if (!ret)
		ret = io_uring_register_buf_ring(&q->ring.uring, &reg, 0);
	if (ret)
		return ret;
	for (unsigned i = 0; i < BUFFERS; i++)
		provide(b, i, (int)i);
	io_uring_buf_ring_advance(ring_of(b), BUFFERS);
	return 0;
}

static struct io_uring_sqe *command(struct ub_queue *q, uint32_t op, int kind,
				    const struct ublk_batch_io *head)
{
	struct io_uring_sqe *sqe = ub_queue_sqe(q);

	sqe->opcode = IORING_OP_URING_CMD;
	sqe->flags = IOSQE_FIXED_FILE;
	sqe->fd = FILE_CHAR;
	sqe->cmd_op = op;
	sqe->user_data = DATA(kind, 0);
	memcpy(sqe->cmd, head, sizeof(*head));
	return sqe;
}

/* With slots the first part of io->where is the slot (struct ublk_auto_buf_reg), else it is not
 * looked at. */
static struct ublk_elem_header head_of(const struct ub_io *io, int result)
{
	return (struct ublk_elem_header){
		.tag = io->tag, .buf_index = (uint16_t)io->where, .result = result};
}

static void add_element(struct ub_queue *q, const struct ub_io *io, int result)
{
	struct ub_batch *b = q->batch;
	const struct element e = {.head = head_of(io, result), .addr = io->where};

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

static struct io_uring_sqe *command_of(struct ub_queue *q, uint32_t op, int kind,
				       const void *elements, uint32_t count)
{
	const struct ublk_batch_io head = {
		.q_id = q->id,
		.flags = q->batch->flags,
		.nr_elem = (uint16_t)count,
		.elem_bytes = (uint8_t)q->batch->bytes,
	};
	struct io_uring_sqe *sqe = command(q, op, kind, &head);

	sqe->addr = (uintptr_t)elements;
	return sqe;
}

static void send_elements(struct ub_queue *q, uint32_t op)
{
	struct ub_batch *b = q->batch;

	(void)command_of(q, op, DATA_BATCH_COMMIT, b->elements + (size_t)b->queued * b->bytes,
			 b->count - b->queued);
	b->queued = b->count;
	q->commits++;
}

static void arm(struct ub_queue *q)
{
	const struct ublk_batch_io head = {.q_id = q->id, .elem_bytes = sizeof(uint16_t)};
	struct io_uring_sqe *sqe = command(q, UBLK_U_IO_FETCH_IO_CMDS, DATA_BATCH_FETCH, &head);

	sqe->flags |= IOSQE_BUFFER_SELECT;
	sqe->buf_group = BUFFER_GROUP;
	sqe->rw_flags = IORING_URING_CMD_MULTISHOT;
	q->batch->fetching = true;
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

/* The driver takes all of a command's tags or none of them. Return: 0 or a negative errno. */
static int give_tags(struct ub_queue *q, unsigned from, unsigned to)
{
	struct ub_batch *b = q->batch;
	struct io_uring_cqe *cqe;
	int ret;

	for (unsigned tag = from; tag < to; tag++) {
		add_element(q, &q->ios[tag], 0);
		ub_io_fetches(q, &q->ios[tag]);
	}
	send_elements(q, UBLK_U_IO_PREP_IO_CMDS);
	ret = ub_queue_enter_all(q);
	while (!ret && (ret = io_uring_wait_cqe(&q->ring.uring, &cqe)) == -EINTR)
		ret = 0;
	if (ret)
		return ret;
	ret = cqe->res;
	io_uring_cqe_seen(&q->ring.uring, cqe);
	q->commits = 0;
	settle(b);
	return ret;
}

static int fetch_all(struct ub_queue *q)
{
	unsigned given = 0;
	int ret;

	/* The worst moment to die: the driver has half of the last queue's tags. */
	if (q->id + 1 == q->info.nr_hw_queues && q->depth > 1 && ub_fault_is_wanted("fetch-half")) {
		given = q->depth / 2;
		ret = give_tags(q, 0, given);
		if (!ret)
			ret = ub_fault("fetch-half");
		if (ret)
			return ret;
	}
	ret = give_tags(q, given, q->depth);
	if (ret)
		return ret;
	arm(q);
	return ub_queue_enter_all(q);
}

/* It has one element, so that it is done or fails as a whole: its success needs no completion. The
 * element stays where it is until the I/O comes again. Only on paths whose elements have no address:
 * there is no room for one. */
static void commit_linked(struct ub_queue *q, struct ub_io *io)
{
	const struct ublk_elem_header head = head_of(io, (int)io->len);
	struct io_uring_sqe *sqe;

	memcpy(&io->element, &head, sizeof(head));
	sqe = command_of(q, UBLK_U_IO_COMMIT_IO_CMDS, DATA_BATCH_LINKED, &io->element, 1);
	sqe->flags |= IOSQE_CQE_SKIP_SUCCESS;
	sqe->user_data = ub_io_data(q, io, DATA_BATCH_LINKED);
}

static void commit(struct ub_queue *q, struct ub_io *io, int result)
{
	add_element(q, io, result);
	/* Nothing will come in it any more. */
	if (__builtin_expect(q->batch->over, 0))
		ub_queue_lose(q, io, UBLK_IO_RES_ABORT);
}

static bool has_more(const struct ub_queue *q)
{
	return q->batch->count > q->batch->queued;
}

static unsigned flush(struct ub_queue *q)
{
	struct ub_batch *b = q->batch;

	/* One command at a time. The kernel, short of memory, may not have taken the last one. */
	if (has_more(q) && __builtin_expect(!q->commits, 1)) {
		/* That the driver takes all of it is the rule, and to wait for more than its completion
		 * spares a system call for each; who waits with what it did not take wakes by this. */
		if (__builtin_expect(!q->has_timer, 0))
			ub_timer_set(q);
		send_elements(q, UBLK_U_IO_COMMIT_IO_CMDS);
	}
	if (__builtin_expect(!b->fetching && !b->over, 0))
		arm(q);
	return q->commits + (b->count == b->queued);
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

/*
 * A command came to nothing, but for reasons that pass: nothing is lost, since tags that were not
 * fetched stay with the driver, and elements that were not committed here.
 * Return: false: too often.
 */
static bool may_try_again(struct ub_queue *q)
{
	return ++q->batch->tries < TRIES;
}

/* Is it an error of a command that the driver did not come to, or that it will take another time? */
static bool passes(int error)
{
	return error == -ENOMEM || error == -EAGAIN || error == -EINTR || error == -EFAULT;
}

static void take_tags(struct ub_queue *q, unsigned buffer, unsigned count, bool alone)
{
	struct ub_batch *b = q->batch;

	if (__builtin_expect(buffer >= BUFFERS || count > TAGS_MAX, 0)) {
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
	b->tries = 0;
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
	/* ENOBUFS is the rule; it also stands for a full completion queue, and for a buffer that was
	 * not in memory (ublk_batch_fetch_post_cqe()). */
	if (res == UBLK_IO_RES_ABORT)
		end_fetch(q);
	else if (__builtin_expect(
			 res < 0 && !((res == -ENOBUFS || passes(res)) && may_try_again(q)), 0))
		ub_queue_fail(q, res, "the driver lets nothing be fetched: %s", strerror(-res));
}

/*
 * @res: the bytes of the elements that were committed, in their order, from the first one on; or an
 * error if that was refused (ublk_handle_batch_commit_cmd()). The rest is committed again, and it is
 * that command which tells what was wrong.
 */
static void committed(struct ub_queue *q, int res)
{
	struct ub_batch *b = q->batch;
	uint32_t taken = res > 0 ? (uint32_t)res / b->bytes : 0;

	q->commits--;
	if (__builtin_expect(taken != b->queued, 0)) {
		if (taken > b->queued || (!taken && !passes(res)) || !may_try_again(q)) {
			res = res < 0 ? res : -EPROTO;
			ub_queue_fail(q, res, "the driver refused a commit: %s", strerror(-res));
			return;
		}
		b->queued = taken;
	}
	settle(b);
}

static void completed(struct ub_queue *q, struct ub_io *io, const struct io_uring_cqe *cqe,
		      bool alone)
{
	switch (DATA_KIND(cqe->user_data)) {
	case DATA_BATCH_FETCH:
		fetched(q, cqe, alone);
		break;
	case DATA_BATCH_COMMIT:
		committed(q, cqe->res);
		break;
	case DATA_BATCH_LINKED:
		ub_queue_lose(q, io, cqe->res);
		break;
	default:
		ub_queue_fail(q, -EPROTO, "completion %llx of nothing",
			      (unsigned long long)cqe->user_data);
	}
}

const struct ub_commands ub_commands_batch = {
	.attach = attach,
	.fetch_all = fetch_all,
	.commit = commit,
	.commit_linked = commit_linked,
	.flush = flush,
	.has_more = has_more,
	.completed = completed,
};
