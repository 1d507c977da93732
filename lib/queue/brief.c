/* SPDX-License-Identifier: MIT */
/*
 * Operations that block: a sync, a hole. io_uring gives them to a worker always, and to wake that and
 * to be woken by it costs more than a short one does. So the thread calls it itself where nobody waits
 * meanwhile, as far as can be told: its I/O is the only one, and the last ones were over soon.
 *
 * - They are guessed by a moving average, which must not be old: a disk goes to sleep, a journal fills.
 *   The first one after a pause is a worker's, whose time is taken like that of the others. A wrong
 *   guess is one call; the average is then above the limit for as many as it was wrong.
 * - A file system that is frozen (fsfreeze(8), a snapshot) keeps who would change it waiting, without an
 *   end and out of reach of a signal. A sync has nothing to change then. Before a range is changed a write
 *   of nothing is tried, which io_uring does without waiting, or has a worker wait (io_write()).
 * - A change of a range waits for direct I/O on the file that is under way (inode_dio_wait()), and such a
 *   write may need the thread that has given it to io_uring (IOCB_DIO_CALLER_COMP), so that there must be
 *   none of its own.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "base/fault.h"
#include "queue/internal.h"
#include "queue/state.h"

#define LIMIT_NS 200000U
#define RECENT_NS 1000000000U
#define WEIGHT 8 /* of the average against the last one */

/* Nothing that is ready waits for this thread, either. */
static bool is_only(struct ub_queue *q, const struct ub_io *io)
{
	return q->target->brief && ub_io_is_only(q, io) && ub_ring_queued(&q->ring) == 0 &&
	       !q->commands->has_more(q) && io_uring_cq_ready(&q->ring.uring) <= q->expected &&
	       !ub_ring_has_more(&q->ring);
}

static bool is_short(const struct ub_brief *b, uint64_t now)
{
	/* An emulated machine of the tests may be slow. */
	if (ub_fault_is_wanted("brief"))
		return true;
	return b->ended_ns && now - b->ended_ns < RECENT_NS && b->average_ns < LIMIT_NS;
}

static void note(struct ub_queue *q, enum ub_brief_kind kind, uint64_t began)
{
	struct ub_brief *b = &q->brief[kind];
	uint64_t now = ub_now_ns(), took = now - began;

	if (!b->ended_ns || began - b->ended_ns >= RECENT_NS)
		b->average_ns = took;
	else
		b->average_ns = (b->average_ns * (WEIGHT - 1) + took) / WEIGHT;
	b->ended_ns = now;
}

static int file_of(const struct ub_queue *q, unsigned file)
{
	return file < q->target->nr_files ? q->target->files[file]
					  : q->own.files[file - q->target->nr_files];
}

bool ub_brief_sync(struct ub_queue *q, struct ub_io *io, unsigned file)
{
	uint64_t now;
	int res;

	if (!is_only(q, io))
		return false;
	now = ub_now_ns();
	if (!is_short(&q->brief[UB_BRIEF_SYNC], now))
		return false;
	res = fdatasync(file_of(q, file)) == 0 ? 0 : -errno;
	note(q, UB_BRIEF_SYNC, now);
	q->target->type->complete(q, io, res);
	return true;
}

static void change(struct ub_queue *q, struct ub_io *io, uint64_t now)
{
	const struct ub_range *r = &q->range;
	uint64_t bytes[2] = {r->offset, r->len};
	int fd = file_of(q, r->file), res;

	if (r->mode == UB_RANGE_DISCARD)
		res = ioctl(fd, BLKDISCARD, bytes);
	else
		res = fallocate(fd, r->mode, (off_t)r->offset, (off_t)r->len);
	res = res == 0 ? 0 : -errno;
	note(q, UB_BRIEF_RANGE, now);
	q->target->type->complete(q, io, res);
}

bool ub_brief_range(struct ub_queue *q, struct ub_io *io, const struct ub_range *range)
{
	uint64_t now;

	if (!is_only(q, io) || ub_queue_has_linked(q))
		return false;
	now = ub_now_ns();
	if (!is_short(&q->brief[UB_BRIEF_RANGE], now))
		return false;
	q->range = *range;
	if (q->target->freezable)
		ub_probe_queue(q, io, range->file);
	else
		change(q, io, now);
	return true;
}

void ub_brief_probed(struct ub_queue *q, struct ub_io *io, int res)
{
	/* While it waited, others may have come. */
	if (res == 0 && is_only(q, io) && !ub_queue_has_linked(q))
		change(q, io, ub_now_ns());
	else
		ub_range_queue(q, io, &q->range);
}

bool ub_brief_time(struct ub_queue *q, const struct ub_io *io, enum ub_brief_kind kind)
{
	if (q->began_ns || !is_only(q, io))
		return false;
	q->began_ns = ub_now_ns();
	q->began_kind = (uint8_t)kind;
	return true;
}

void ub_brief_timed(struct ub_queue *q)
{
	note(q, (enum ub_brief_kind)q->began_kind, q->began_ns);
	q->began_ns = 0;
}
