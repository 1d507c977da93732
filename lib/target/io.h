/* SPDX-License-Identifier: MIT */
/*
 * One I/O, and what a target may do with it: the small header through which targets see the queue.
 * A target never touches the ring, a descriptor or a buffer's address; it names a file by its index
 * in struct ub_tgt.files and a piece of the I/O's data by its offset, so that the data path
 * (copy, user copy, zero copy) can decide where the bytes really are.
 *
 * Rules: `submit` and `complete` never block and run in the queue's own thread. Every I/O is ended
 * exactly once, by ub_io_end(), when no operation of it is left on the ring.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct ub_queue;

struct ub_io {
	/* What the client asked; filled by the queue, checked against the device's size. */
	uint64_t offset; /* bytes from the start of the device */
	uint32_t len;    /* bytes; 0 for a flush */
	uint32_t flags;  /* UBLK_IO_F_*; the lowest eight bits are the queue's: again.c */
	uint16_t tag;
	uint8_t op; /* UBLK_IO_OP_* */
	/* The target's own, zero at the start of each I/O. */
	uint8_t step;
	uint32_t done; /* bytes that are finished */
	/* The queue's own. */
	uint8_t state;
	bool alone;         /* it came by itself, and no other was busy */
	uint8_t queue;      /* which of those that the thread serves */
	uint8_t pending;    /* operations on the ring */
	uint32_t tries;     /* the target's own too, which sets it before it looks at it */
	void *data;         /* the buffer, on data paths that have one */
	struct ub_io *next; /* that waits too: for a buffer, or for what the target decides */
	uint64_t where;     /* what its commit says of the next I/O's data */
	union {
		/* A batch's element that the kernel reads later: tag, slot and result. */
		uint64_t element;
		struct {
			uint32_t began;  /* of its time: count.h */
			int16_t refused; /* negative errno: it is to be ended so, with its data */
			bool asked;      /* its data is asked for: get_data.c */
			uint8_t timed;
		};
	};
} __attribute__((aligned(64)));

_Static_assert(sizeof(struct ub_io) == 64, "an I/O's state is one cache line");

/*
 * Operations on the ring. Each takes one of the I/O's slots (struct ub_tgt.ops_per_io at a time)
 * and ends in one call of the target's complete() with the operation's result: bytes or 0, or a
 * negative errno. That call may come before this one is over, if the thread itself did what else blocks
 * (a sync, a range; with struct ub_tgt.brief).
 * @op: the file's index in struct ub_tgt.files, and behind these in the thread's own, struct ub_tgt_queue;
 *	or-ed with UB_OP_*
 * @data: offset into the I/O's data, bytes
 */
#define UB_OP_ID(n) ((n) << 8)   /* 0 to 255: complete() is told which of the I/O's has ended */
#define UB_OP_DURABLE (1U << 16) /* a write with RWF_DSYNC */
/*
 * Of a read or a write: when it has moved all of @len, the I/O has come to its end, all of it. The kernel may
 * be told to end it by itself then, and there is no call of complete(); if it moves less, there is.
 */
#define UB_OP_LAST (1U << 17)
#define UB_OP_FILE(op) ((op)&0xff)
void ub_io_read(struct ub_queue *q, struct ub_io *io, unsigned op, uint32_t data, uint32_t len,
		uint64_t offset);
void ub_io_write(struct ub_queue *q, struct ub_io *io, unsigned op, uint32_t data, uint32_t len,
		 uint64_t offset);
/* Writes zeroes out of a page-aligned piece of memory that all queues share; at most
 * UB_ZEROES_MAX bytes at once. */
void ub_io_write_zeroes(struct ub_queue *q, struct ub_io *io, unsigned op, uint32_t len,
			uint64_t offset);
/* fdatasync(): the data of a range and what is needed to find it again; a @len of 0: of all. */
void ub_io_fsync(struct ub_queue *q, struct ub_io *io, unsigned op, uint64_t offset, uint32_t len);
void ub_io_fallocate(struct ub_queue *q, struct ub_io *io, unsigned op, int mode, uint64_t offset,
		     uint64_t len);
/* Discards a range of a block device without blocking the queue (BLOCK_URING_CMD_DISCARD, Linux
 * 6.12); the range is aligned to the device's logical blocks. */
void ub_io_discard(struct ub_queue *q, struct ub_io *io, unsigned op, uint64_t offset,
		   uint64_t len);

#define UB_ZEROES_MAX (1U << 20)

/* For targets that hold the data in memory: copies to the request of a read, or from the request
 * of a write. Return: 0 or a negative errno. */
int ub_io_copy_to(struct ub_queue *q, struct ub_io *io, uint32_t data, const void *from,
		  uint32_t len);
int ub_io_copy_from(struct ub_queue *q, struct ub_io *io, uint32_t data, void *to, uint32_t len);
int ub_io_copy_zeroes_to(struct ub_queue *q, struct ub_io *io, uint32_t data, uint32_t len);

/* Where the I/O's data lies in memory, to be read of a write and written of a read; NULL on a path without buffers. */
void *ub_io_buffer(const struct ub_io *io);

/*
 * Operations of the target's own, which belong to no I/O, on what it has opened itself: each ends in one call of its
 * event(), with @id (0 to 255) and the result. At most ub_tgt.own_ops of a thread are under way at once. What they
 * name has to stay where it is until then.
 */
struct msghdr;
struct sockaddr;
struct ub_own_time {
	int64_t sec;
	long long nsec;
};
enum ub_send {
	UB_SEND_SOME,
	UB_SEND_WHOLE, /* all of it, or an error; not of what the kernel is to encrypt: tls_sw_sendmsg() */
	UB_SEND_BEFORE_MORE /* the same, and what belongs to it follows at once */
};
void ub_own_send(struct ub_queue *q, unsigned id, int fd, const struct msghdr *msg,
		 enum ub_send how);
enum ub_receive {
	UB_RECEIVE_SOME,  /* as soon as there is anything */
	UB_RECEIVE_WHOLE, /* all of it, or an error */
	/* As the first, of a connection that the kernel decrypts: a poll does not tell of what it has decrypted before
	 * a record that changes keys (tls_sk_poll()), so it is asked for at once. */
	UB_RECEIVE_DECRYPTED
};
void ub_own_receive(struct ub_queue *q, unsigned id, int fd, void *to, uint32_t len,
		    enum ub_receive how);
/*
 * Where an I/O's data lies in no buffer: a piece of it, as it lies, to a socket and from one, as much as goes at once.
 * The I/O is not ended before.
 */
void ub_own_send_data(struct ub_queue *q, unsigned id, int fd, const struct ub_io *io,
		      uint32_t data, uint32_t len);
void ub_own_receive_data(struct ub_queue *q, unsigned id, int fd, const struct ub_io *io,
			 uint32_t data, uint32_t len);
void ub_own_connect(struct ub_queue *q, unsigned id, int fd, const struct sockaddr *addr,
		    uint32_t len);
/* Of what is no socket and can be waited for: an event. */
void ub_own_read(struct ub_queue *q, unsigned id, int fd, void *to, uint32_t len);
/* Ends after that time, with -ETIME. */
void ub_own_wait(struct ub_queue *q, unsigned id, const struct ub_own_time *time);

/*
 * From any thread, of an I/O without operations on the ring, if ub_target.posts: the target's complete() is called
 * for it in the queue's own thread, with the id 0 and @res. The I/O's step, done and next are not the caller's any
 * more.
 */
void ub_io_post(struct ub_queue *q, struct ub_io *io, int res);

/* The thread's I/Os by number. Return: NULL: there are not so many. */
struct ub_io *ub_queue_io(struct ub_queue *q, uint32_t number);
uint32_t ub_io_number(const struct ub_queue *q, const struct ub_io *io);

/*
 * Ends an I/O: 0 means that all of it is done (never part of it: a short result is data loss from
 * Linux 7.3 on), else a negative errno, which reaches the client.
 */
void ub_io_end(struct ub_queue *q, struct ub_io *io, int error);

/* The target that the queue serves, and what that keeps for the thread that serves it. */
struct ub_tgt *ub_queue_target(struct ub_queue *q);
void *ub_queue_state(struct ub_queue *q);
/* Has the server's main thread look at what the target says: ub_tgt.away, write_error. */
void ub_queue_tell(struct ub_queue *q);
/* What it keeps of an I/O, struct ub_target.io_size bytes, as the tag's last I/O has left it. */
void *ub_io_state(struct ub_queue *q, const struct ub_io *io);
