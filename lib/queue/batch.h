/* SPDX-License-Identifier: MIT */
/*
 * What the two files of batches share: batch.c has what comes, elements.c what goes. Knows the driver's
 * layouts, and neither of the two.
 */
#pragma once

#include <string.h>

#include "queue/internal.h"

#define BATCH_BUFFERS 8U /* a power of two */
#define BATCH_TAGS 128U  /* the driver puts no more into one buffer */

/* With or without an address; only the first part goes to the kernel then. */
struct ub_batch_element {
	struct ublk_elem_header head;
	uint64_t addr;
};

struct ub_batch {
	struct io_uring_buf
		buffers[BATCH_BUFFERS]; /* the ring: whole pages, and the kernel's too */
	uint16_t tags[BATCH_BUFFERS][BATCH_TAGS];
	uint32_t count, queued; /* elements that are there, and of them those with the kernel */
	uint32_t bytes;         /* of an element */
	uint16_t flags;         /* UBLK_BATCH_F_* of a commit */
	bool tried;             /* a command came to nothing, and no tag has come since then */
	uint8_t since;          /* one more did: again.c */
	bool fetching;          /* the fetch is there, or queued */
	bool over;              /* the driver has ended it for good */
	char elements[] __attribute__((aligned(8)));
};

_Static_assert(sizeof(struct ub_batch) <= UB_BATCH_SIZE, "memory/layout.h leaves it this room");
_Static_assert(sizeof(struct ub_batch_element) == UB_BATCH_ELEMENT_SIZE &&
		       sizeof(struct ublk_elem_header) == UB_BATCH_HEAD_SIZE,
	       "memory/layout.h counts on it");

static inline struct io_uring_sqe *ub_batch_command(struct ub_queue *q, uint32_t op, uint64_t data,
						    const struct ublk_batch_io *head)
{
	struct io_uring_sqe *sqe = ub_queue_sqe(q);

	sqe->opcode = IORING_OP_URING_CMD;
	sqe->flags = IOSQE_FIXED_FILE;
	sqe->fd = FILE_CHAR;
	sqe->cmd_op = op;
	sqe->user_data = data;
	memcpy(sqe->cmd, head, sizeof(*head));
	return sqe;
}

/* Are there elements that were not queued? */
static inline bool ub_batch_has_more(const struct ub_queue *q)
{
	return q->batch->count > q->batch->queued;
}

/* Is it an error of a command that the driver did not come to, or that it will take another time? */
static inline bool ub_batch_passes(int error)
{
	return error == -ENOMEM || error == -EAGAIN || error == -EINTR || error == -EFAULT;
}

/*
 * A command came to nothing, but for reasons that pass: nothing is lost, since tags that were not
 * fetched stay with the driver, and elements that were not committed here. That it does once, as when
 * the buffers are used up, is the rule. Return: it may be tried once more.
 */
static inline bool ub_batch_again(struct ub_batch *b)
{
	if (b->tried)
		return ub_again(&b->since);
	b->tried = true;
	b->since = 0;
	return true;
}

/* elements.c. Sets how elements look on the queue's path. */
void ub_batch_begin(struct ub_queue *q);
/* Gives the driver the tags of I/Os @from to @to. Return: 0 or a negative errno. */
int ub_batch_give(struct ub_queue *q, unsigned from, unsigned to);
void ub_batch_commit(struct ub_queue *q, struct ub_io *io, int result);
void ub_batch_commit_linked(struct ub_queue *q, struct ub_io *io);
/* Queues a commit of what has gathered, which is something. */
void ub_batch_send(struct ub_queue *q);
/* A commit has ended; or one that was linked, and failed. */
void ub_batch_committed(struct ub_queue *q, int res);
void ub_batch_not_committed(struct ub_queue *q, struct ub_io *io, int res);
