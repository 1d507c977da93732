/* SPDX-License-Identifier: MIT */
/* What the parts of the loop target share: loop.c opens, loop_io.c serves, loop_sync.c makes durable. */
#pragma once

#include <errno.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "target/target.h"

/* An open loop target. The queues read it; what they learn about the backing is atomic. */
struct ub_loop {
	uint64_t offset; /* of the device in the backing */
	uint32_t resume; /* a short result is taken up again at a multiple of this */
	bool durable;    /* a write with RWF_DSYNC is, and its error is its own: see loop_sync.c */
	bool direct;     /* no page cache of ours has anything to be synced */
	bool locked;     /* what is served of it */
	bool pushes;     /* what one description has written, no other one syncs */
	/* Cleared for good when the backing turns out not to have them. */
	_Atomic bool can_zero_range, can_punch, can_discard;
};

/* Of each thread: flushes, and durable writes that are written. */
struct ub_loop_syncs {
	struct ub_io
		*running; /* those that the sync under way answers; the first has the operation */
	struct ub_io *waiting; /* for the next one */
};

/* What an I/O's one operation does. The three ways to zeroes stand in the order in which they are
 * tried. */
enum ub_loop_step {
	STEP_READ,
	STEP_WRITE,
	STEP_PUNCH,
	STEP_ZERO_RANGE,
	STEP_ZEROES,
	STEP_DISCARD,
	STEP_PUSH,
	STEP_SYNC
};

/* Indices into struct ub_tgt.files (the first into its backings too), and behind it into the thread's own. */
#define UB_LOOP_BACKING 0
#define UB_LOOP_SYNC 1

/* So often an operation is tried again that has made no progress. */
#define UB_LOOP_TRIES 100U

/*
 * Is the operation to be put on the ring again, since it did nothing and only says so? The ring has
 * no memory for one now and then (io_rw_alloc_async()); of a sync ENOMEM may stand for data that are
 * lost, and of a range it may be done in part.
 */
static inline bool ub_loop_again(struct ub_io *io, int res)
{
	bool moves = io->step == STEP_READ || io->step == STEP_WRITE || io->step == STEP_ZEROES;

	return res < 0 && (res == -EAGAIN || res == -EINTR || (res == -ENOMEM && moves)) &&
	       io->tries++ < UB_LOOP_TRIES;
}

/* What the client gets: no invitation to try again. */
static inline int ub_loop_told(int error)
{
	return error == -EAGAIN ? -EIO : error;
}

/* Ends the I/O when everything that it has written is durable, or was lost. */
void ub_loop_sync(struct ub_queue *q, struct ub_io *io);
/* An operation of STEP_PUSH or STEP_SYNC has ended. */
void ub_loop_synced(struct ub_queue *q, struct ub_io *io, int res);

/* What every flush and durable write fails with, or 0; and from now on, unless that was said before. */
int ub_loop_write_error(struct ub_queue *q);
void ub_loop_keep_write_error(struct ub_queue *q, int error);

void ub_loop_submit(struct ub_queue *q, struct ub_io *io);
void ub_loop_complete(struct ub_queue *q, struct ub_io *io, unsigned id, int res);
