/* SPDX-License-Identifier: MIT */
/*
 * The way of one I/O: a fetch's completion brings a tag, its descriptor is read once and checked,
 * the target works, the commit is also the next fetch. Everything that is queued goes to the kernel
 * with the call that waits, and all completions that are there are taken at once. No allocation, no
 * lock, no log line, no system call besides the ring's own.
 */
#include <errno.h>
#include <string.h>
#include <time.h>

#include "base/fault.h"
#include "queue/internal.h"

#define SECTOR_SHIFT 9

/* A queue that sees no I/O from one expiry of its timer to the next gives its buffers' memory back:
 * after four to eight seconds. */
#define TIMER_S 4

#define POLL_SPINS 32 /* from one look at the clock to the next */

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

static int submit_and_wait(struct ub_queue *q, unsigned completions)
{
	unsigned held = held_back(q);
	/* A kernel that does not take all does not wait either. */
	int ret = ub_ring_enter(&q->ring, held ? 0 : completions, held);

	if (__builtin_expect(ub_ring_queued(&q->ring) > 0, 0))
		ub_link_cut(q);
	return ret;
}

/* A tag has its fetch or one operation on the ring, so that all fit, and this is for targets with
 * more operations to an I/O than they said. Submitting takes no completions, so it can't recurse; a
 * kernel short of memory (-EAGAIN) is asked again, since nothing can be dropped. */
void ub_queue_submit_for(struct ub_queue *q, unsigned n)
{
	while (ub_ring_room(&q->ring) < n)
		(void)submit_and_wait(q, 0);
}

void ub_queue_command(struct ub_queue *q, struct ub_io *io, uint32_t op, int result)
{
	struct io_uring_sqe *sqe = ub_queue_sqe(q);
	struct ublksrv_io_cmd cmd = {
		.q_id = q->id,
		.tag = io->tag,
		.result = result,
	};

	sqe->opcode = IORING_OP_URING_CMD;
	sqe->flags = IOSQE_FIXED_FILE;
	sqe->fd = FILE_CHAR;
	sqe->cmd_op = op;
	sqe->user_data = ub_io_data(q, io, DATA_FETCH);
	if (q->path->slots)
		sqe->addr = io->where;
	else
		cmd.addr = io->where;
	memcpy(sqe->cmd, &cmd, sizeof(cmd));
	io->state = IO_PARKED;
}

void ub_queue_data_command(struct ub_queue *q, struct ub_io *io, uint32_t op, uint64_t addr)
{
	struct io_uring_sqe *sqe = ub_queue_sqe(q);
	const struct ublksrv_io_cmd cmd = {.q_id = q->id, .tag = io->tag, .addr = addr};
	bool out = op == UBLK_U_IO_UNREGISTER_IO_BUF;

	sqe->opcode = IORING_OP_URING_CMD;
	sqe->flags = IOSQE_FIXED_FILE | (out ? IOSQE_CQE_SKIP_SUCCESS : 0);
	sqe->fd = FILE_CHAR;
	sqe->cmd_op = op;
	sqe->user_data = ub_io_data(q, io, out ? DATA_UNREGISTER : DATA_PREPARE);
	memcpy(sqe->cmd, &cmd, sizeof(cmd));
	io->pending += !out;
}

void ub_queue_commit(struct ub_queue *q, struct ub_io *io, int result)
{
	q->busy--;
	if (q->batch)
		ub_batch_commit(q, io, result);
	else
		ub_queue_command(q, io, UBLK_U_IO_COMMIT_AND_FETCH_REQ, result);
}

void ub_queue_submit(struct ub_queue *q, struct ub_io *io)
{
	/* The test build's overrun, by one byte. */
	if (ub_fault_is_wanted("overrun") && io->op == UBLK_IO_OP_WRITE && io->data)
		((volatile char *)io->data)[q->max_io] = 1;
	q->target->type->submit(q, io);
}

/* Does the request make sense? The kernel can be wrong too, and the target believes what it gets.
 * Return: 0, or the negative errno that the client gets. */
static int check(struct ub_queue *q, const struct ub_io *io, uint64_t sectors)
{
	uint64_t size = q->target->size, bytes = sectors << SECTOR_SHIFT;
	uint64_t max = UB_DISCARD_MAX;

	switch (io->op) {
	case UBLK_IO_OP_FLUSH:
		return 0;
	case UBLK_IO_OP_READ:
		max = q->max_io;
		break;
	case UBLK_IO_OP_WRITE:
		max = q->max_io;
		/* fall through */
	case UBLK_IO_OP_DISCARD:
	case UBLK_IO_OP_WRITE_ZEROES:
		if (q->target->read_only)
			return -EROFS;
		break;
	default:
		return -EOPNOTSUPP;
	}
	if (bytes == 0 || bytes > max || io->offset > size || bytes > size - io->offset)
		return -EIO;
	return 0;
}

static void set_timer(struct ub_queue *q)
{
	static const struct __kernel_timespec period = {.tv_sec = TIMER_S};
	struct io_uring_sqe *sqe = ub_queue_sqe(q);

	io_uring_prep_timeout(sqe, (struct __kernel_timespec *)(uintptr_t)&period, 0, 0);
	sqe->user_data = DATA(DATA_TIMER, 0);
	q->active = false;
	q->has_timer = true;
}

/*
 * The timer is over. It runs only while there is something to give back, so that an idle device
 * sleeps, and an I/O costs two tests of a flag.
 *
 * Why giving back is safe (lib/queue's paths say more): this thread is the ring's only submitter,
 * and with IORING_SETUP_DEFER_TASKRUN the kernel works for it, and posts completions, only while it
 * is in io_uring_enter(), where it is not now. Nothing queued means that every commit has been
 * taken; no completion and no overflow, that no I/O has arrived which is not IO_BUSY.
 */
static void timer_over(struct ub_queue *q)
{
	bool quiet = !q->active && ub_ring_queued(&q->ring) == 0 &&
		     !(q->batch && ub_batch_has_more(q)) &&
		     io_uring_cq_ready(&q->ring.uring) == 0 &&
		     !io_uring_cq_has_overflow(&q->ring.uring);

	q->has_timer = false;
	if (quiet)
		q->path->give_back(q);
	/* What is still at the target keeps its buffer until a later time. */
	if (!quiet || q->busy)
		set_timer(q);
}

/* Out of the way of those that are served. */
__attribute__((noinline, cold)) static void refuse(struct ub_queue *q, struct ub_io *io,
						   uint64_t sectors, uint64_t start, int error)
{
	const char *name = ub_desc_op_name(io->op);

	ub_queue_fault(q, "refused %s of %llu sectors at %llu: %s",
		       name ? name : "an unknown operation", (unsigned long long)sectors,
		       (unsigned long long)start, strerror(-error));
	ub_io_end(q, io, error);
}

void ub_queue_take(struct ub_queue *q, struct ub_io *io)
{
	struct ublksrv_io_desc desc = {0};
	uint64_t sectors, start;
	int ret;

	if (!ub_desc_get(&q->desc, io->tag, &desc)) {
		ub_queue_fault(q, "tag %u has no descriptor", io->tag);
		return;
	}
	io->op = ub_desc_op(&desc);
	io->flags = ub_desc_flags(&desc);
	/* A flush is of everything; its start is -1. */
	sectors = io->op == UBLK_IO_OP_FLUSH ? 0 : desc.nr_sectors;
	start = io->op == UBLK_IO_OP_FLUSH ? 0 : desc.start_sector;
	io->offset = start << SECTOR_SHIFT;
	io->len = (uint32_t)(sectors << SECTOR_SHIFT);
	io->step = 0;
	io->done = 0;
	io->pending = 0;
	io->state = IO_BUSY;
	q->busy++;
	q->active = true;
	if (__builtin_expect(!q->has_timer && !q->keeps, 0))
		set_timer(q);
	ret = start > UINT64_MAX >> SECTOR_SHIFT ? -EIO : check(q, io, sectors);
	if (__builtin_expect(ret == 0, 1))
		q->path->begin(q, io);
	else
		refuse(q, io, sectors, start, ret);
}

void ub_queue_lose(struct ub_queue *q, struct ub_io *io, int res)
{
	q->busy -= io->state == IO_BUSY;
	io->state = IO_IDLE;
	q->idle++;
	if (res == UBLK_IO_RES_ABORT)
		return;
	/* What was to be committed never reaches its client: a queue like that can't go on. */
	q->refused = res < 0 ? res : -EPROTO;
	ub_queue_fault(q, "the driver refused tag %u: %s", io->tag, strerror(-q->refused));
}

/* The completion of a fetch, or of a commit that is also a fetch. */
static void fetched(struct ub_queue *q, struct ub_io *io, int res)
{
	if (__builtin_expect(!ub_io_is_away(io), 0)) {
		ub_queue_fault(q, "tag %u completed while it was not fetched (%d)", io->tag, res);
		return;
	}
	if (__builtin_expect(res == UBLK_IO_RES_OK, 1) ||
	    (res == UBLK_IO_RES_NEED_GET_DATA && q->path->asks)) {
		ub_queue_take(q, io);
		return;
	}
	ub_queue_lose(q, io, res);
}

static void completed(struct ub_queue *q, const struct io_uring_cqe *cqe)
{
	uint64_t data = cqe->user_data;
	struct ub_io *io;

	if (__builtin_expect(DATA_INDEX(data) >= q->depth, 0)) {
		ub_queue_fault(q, "completion of I/O %llu, which does not exist",
			       (unsigned long long)DATA_INDEX(data));
		return;
	}
	io = &q->ios[DATA_INDEX(data)];
	switch (DATA_KIND(data)) {
	case DATA_FETCH:
		ub_eager_note(q);
		fetched(q, io, cqe->res);
		break;
	case DATA_TARGET:
		io->pending--;
		q->target->type->complete(q, io, cqe->res);
		break;
	case DATA_LINKED:
		ub_link_broken(q, io, cqe->res);
		break;
	case DATA_PREPARE:
		io->pending--;
		q->path->prepared(q, io, cqe->res);
		break;
	case DATA_UNREGISTER:
		ub_queue_fault(q, "tag %u cannot be taken out of its slot: %s", io->tag,
			       strerror(-cqe->res));
		break;
	case DATA_TIMER:
		q->timer_over = true;
		break;
	case DATA_BATCH_FETCH:
		ub_batch_fetched(q, cqe);
		break;
	case DATA_BATCH_COMMIT:
		ub_batch_committed(q, cqe->res);
		break;
	case DATA_BATCH_LINKED:
		ub_queue_lose(q, io, cqe->res);
		break;
	default:
		ub_queue_fault(q, "completion %llx of nothing", (unsigned long long)data);
	}
}

/* Is there one completion, and nobody busy? A batch's commits complete besides, and count for none. */
static bool is_alone(const struct ub_queue *q)
{
	unsigned besides = q->batch ? ub_batch_commits(q) : 0;

	return q->busy == 0 && io_uring_cq_ready(&q->ring.uring) == 1 + besides &&
	       !ub_ring_has_more(&q->ring);
}

static void drain(struct ub_queue *q)
{
	struct io_uring_cqe *cqe;
	unsigned head, n = 0;

	if (q->path->submitted && ub_ring_queued(&q->ring) == 0)
		q->path->submitted(q);
	q->alone = is_alone(q);
	io_uring_for_each_cqe(&q->ring.uring, head, cqe)
	{
		completed(q, cqe);
		n++;
	}
	io_uring_cq_advance(&q->ring.uring, n);
	if (__builtin_expect(q->timer_over, 0)) {
		q->timer_over = false;
		timer_over(q);
	}
	if (__builtin_expect(atomic_load_explicit(&q->target->write_error, memory_order_relaxed) &&
				     !q->told_write_error,
			     0)) {
		q->told_write_error = true;
		ub_queue_tell(q);
	}
}

/* Everything at once; a kernel short of memory is asked again. */
static int fetch_all(struct ub_queue *q)
{
	int ret;

	for (unsigned i = 0; i < q->depth; i++) {
		ub_queue_command(q, &q->ios[i], UBLK_U_IO_FETCH_REQ, 0);
		/* The worst moment to die: the driver has half of the last queue's tags. */
		if (i == q->depth / 2 && q->id + 1 == q->info.nr_hw_queues &&
		    ub_fault_is_wanted("fetch-half")) {
			(void)submit_and_wait(q, 0);
			ret = ub_fault("fetch-half");
			if (ret)
				return ret;
		}
	}
	do
		ret = submit_and_wait(q, 0);
	while (ret == -EINTR || ret == -EAGAIN || ret == -EBUSY || ub_ring_queued(&q->ring) > 0);
	return ret;
}

static unsigned completions_to_wait_for(struct ub_queue *q)
{
	/* Nothing need ever come but for those that wait for a buffer, which is there at once. */
	if (__builtin_expect(q->spent && q->waiting, 0))
		return 0;
	return q->batch ? ub_batch_flush(q) : 1;
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

static uint64_t now_ns(void)
{
	struct timespec t;

	(void)clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000U + (uint64_t)t.tv_nsec;
}

/*
 * Looks for completions, without entering the kernel, until there are any or the time is over: then
 * nobody needs to wake this thread. Until it enters the kernel again nothing is posted, but a flag
 * tells that something could be (IORING_SETUP_TASKRUN_FLAG). What waits to be submitted goes first.
 */
static void poll_ring(struct ub_queue *q)
{
	uint64_t end = now_ns() + q->poll_ns;

	if (ub_ring_queued(&q->ring) > 0)
		(void)submit_and_wait(q, 0);
	while (io_uring_cq_ready(&q->ring.uring) == 0 && !ub_ring_has_more(&q->ring) &&
	       now_ns() < end)
		for (unsigned i = 0; i < POLL_SPINS && !ub_ring_has_more(&q->ring); i++)
			relax();
}

/* After this error of the kernel's, which is for the moment? */
static bool asks_again(int ret)
{
	return ret == -EINTR || ret == -EAGAIN || ret == -EBUSY || ret == -ETIME;
}

int ub_queue_serve(struct ub_queue *q)
{
	unsigned wanted;
	int ret = ub_ring_enable(&q->ring);

	if (ret < 0)
		return ret;
	ret = q->batch ? ub_batch_fetch_all(q) : fetch_all(q);
	if (ret)
		return ret;
	ub_eager_begin(q);
	atomic_store(&q->fetched, true);
	ub_queue_tell(q);
	while (q->idle < q->depth) {
		wanted = completions_to_wait_for(q);
		if (__builtin_expect(q->poll_ns != 0, 0) && wanted) {
			poll_ring(q);
			/* It has submitted, and that may have ended the queue: ub_link_cut(). */
			wanted = q->refused ? 0 : wanted;
		}
		ret = submit_and_wait(q, wanted);
		if (ret < 0 && !asks_again(ret))
			return ret;
		drain(q);
		if (__builtin_expect(q->refused != 0, 0))
			return q->refused;
	}
	/* What was finished after the driver had ended the fetch. */
	while (q->batch && !q->refused) {
		(void)ub_batch_flush(q);
		if (!ub_batch_commits(q))
			break;
		ret = submit_and_wait(q, 1);
		if (ret < 0 && !asks_again(ret))
			return ret;
		drain(q);
	}
	return q->refused;
}
