/* SPDX-License-Identifier: MIT */
/* The inside of a queue, for the files of this folder alone. */
#pragma once

#include <liburing.h>
#include <pthread.h>
#include <stdatomic.h>

#include "base/clock.h"
#include "base/ticks.h"
#include "memory/desc.h"
#include "memory/layout.h"
#include "memory/pool.h"
#include "stats/stats.h"
#include "target/io.h"
#include "queue/queue.h"
#include "queue/ring.h"

/* user_data: which I/O of the queue's, where it is one's, in bits 0 to 15, in the next eight what has
 * ended, and above these which of a target's operations. */
enum {
	DATA_TARGET,     /* an operation of the target's */
	DATA_TIMED,      /* one whose time is taken: brief.c */
	DATA_PROBE,      /* of a file system that could be frozen: blocking.c */
	DATA_LINKED,     /* one that a commit is linked to; comes only if it failed */
	DATA_PREPARE,    /* a command that was to make the I/O's data ready */
	DATA_UNREGISTER, /* one that takes it out of the tag's slot; comes only if it failed */
	DATA_WAIT,       /* the time that a layer keeps the I/O */
	DATA_WRITE,      /* what a layer writes of its own: DATA_ID() tells which */
	DATA_OWN,        /* of the target's own: DATA_ID() tells which */
	DATA_POSTED,     /* I/Os have ended elsewhere: post.c */
	DATA_TIMER,
	/* What is fetched and committed with: */
	DATA_FETCH,       /* a tag's first fetch */
	DATA_COMMIT,      /* a tag's commit, which is also its fetch */
	DATA_BATCH_FETCH, /* of many tags */
	DATA_BATCH_COMMIT,
	DATA_BATCH_LINKED /* a commit that is linked to an operation; comes only if it failed */
};
#define DATA(kind, index) ((uint64_t)(kind) << 16 | (index))
#define DATA_OP(op) ((uint64_t)((op)&0xff00) << 16) /* its UB_OP_ID() */
#define DATA_KIND(data) ((uint8_t)((data) >> 16))
#define DATA_ID(data) ((uint8_t)((data) >> 24))
#define DATA_INDEX(data) ((data)&0xffff)

/* Registered files: the char device, then the target's. */
#define FILE_CHAR 0
#define FILE_TARGET 1

/* A way of moving data between the request and the server. */
struct ub_path {
	const char *name;
	bool slots;     /* each tag has a slot in the ring's table of buffers, empty at first */
	bool addresses; /* each tag's fetch names a buffer */
	bool asks;      /* a write's data comes when it is asked for: UBLK_F_NEED_GET_DATA */
	bool links; /* nothing is left to do but the commit when a read or write has succeeded */
	/* Puts the I/Os into the state that the first fetch finds; io->where is an address, or with
	 * @slots what an SQE says of a buffer to register. */
	void (*init)(struct ub_queue *q);
	/* An I/O arrived, is checked, and goes to the target: at once, or when its data is there. One
	 * that is refused is ended without. */
	void (*begin)(struct ub_queue *q, struct ub_io *io);
	/* An I/O that wanted a buffer of the pool has it; NULL: there is no pool. */
	void (*has_buffer)(struct ub_queue *q, struct ub_io *io);
	/* A DATA_PREPARE command of the I/O's has ended; NULL: there are none. */
	void (*prepared)(struct ub_queue *q, struct ub_io *io, int res);
	/* Everything that was queued is with the kernel; NULL: it does not matter. */
	void (*submitted)(struct ub_queue *q);
	/* The target is done with it: the data goes out, then it is committed. */
	void (*end)(struct ub_queue *q, struct ub_io *io, int result);
	/* On every path; of slots where the target asks for it: ub_target.copies. */
	int (*copy_to)(struct ub_queue *q, struct ub_io *io, uint32_t data, const void *from,
		       uint32_t len);
	int (*copy_from)(struct ub_queue *q, struct ub_io *io, uint32_t data, void *to,
			 uint32_t len);
	/*
	 * Returns the pages of buffers that hold nothing to the system. Called when nothing is queued
	 * for the kernel and no completion waits. NULL: there are none.
	 */
	void (*give_back)(struct ub_queue *q);
};

/* A way of fetching tags and committing I/Os. */
struct ub_commands {
	/* Before the thread runs: registers what it needs with the ring. Return: 0 or a negative errno. */
	int (*attach)(struct ub_queue *q);
	/* Gives the driver all tags, and asks for what comes in them. Return: 0 or a negative errno. */
	int (*fetch_all)(struct ub_queue *q);
	/* Commits @result, and fetches the tag's next I/O. */
	void (*commit)(struct ub_queue *q, struct ub_io *io, int result);
	/* Queues the commit of all of one I/O, to be linked to the operation queued before. */
	void (*commit_linked)(struct ub_queue *q, struct ub_io *io);
	/* Queues what was committed since the last time. Return: completions to wait for: one besides
	 * q->commits, which come at once; or only them, when there is more to be queued after them. */
	unsigned (*flush)(struct ub_queue *q);
	/* Is there anything that was not queued? */
	bool (*has_more)(const struct ub_queue *q);
	/* A command has ended; @io: the one of DATA_INDEX(). @alone: nothing else has come, and no I/O
	 * is busy. */
	void (*completed)(struct ub_queue *q, struct ub_io *io, const struct io_uring_cqe *cqe,
			  bool alone);
};

/* A command for each tag: single.c. One for many: batch.c. */
extern const struct ub_commands ub_commands_single, ub_commands_batch;

/* What blocks: a sync, or a change of a range, such as a hole. */
enum ub_brief_kind { UB_BRIEF_SYNC, UB_BRIEF_RANGE, UB_BRIEF_KINDS };

/* How long the last ones took. */
struct ub_brief {
	uint64_t ended_ns; /* 0: there was none */
	uint64_t average_ns;
};

/* One of them, to be called. */
struct ub_range {
	uint64_t offset, len; /* bytes */
	int mode;             /* of fallocate(); or UB_RANGE_DISCARD */
	unsigned op;          /* target/io.h */
};
#define UB_RANGE_DISCARD (-1)

enum { GATE_SHUT, GATE_GO, GATE_HOME };

struct ub_queue {
	/* Hot, and only the thread's. */
	struct ub_ring ring;
	struct ub_io *ios; /* depth of them */
	const struct ub_path *path;
	const struct ub_commands *commands;
	/* To the target and back from it; over layers, where there are any: layers.c. */
	void (*submit)(struct ub_queue *q, struct ub_io *io);
	void (*end)(struct ub_queue *q, struct ub_io *io, int result);
	struct ub_batch *batch; /* of batch.c alone */
	struct ub_tgt *target;
	struct ub_tgt_queue own; /* the target's, of this thread */
	struct ub_desc_map desc;
	uint32_t max_io;        /* bytes */
	uint16_t id, queues;    /* the first one, and how many this thread serves */
	uint16_t depth;         /* I/Os of all of them */
	uint16_t threads, part; /* that share the queue, and which of them it is */
	uint16_t idle, busy;    /* I/Os that are: state.h */
	uint16_t linked;        /* with the kernel, which is to end them: state.h */
	uint16_t commits;       /* completions to come of commits alone: they bring no I/O */
	uint16_t lone;          /* so many I/Os came alone, one after the other: eager.c */
	_Atomic uint64_t
		poll_ns; /* to look for completions before sleeping; others may change it */
	/* What is counted: count.h. */
	struct ub_stats *stats;
	uint16_t places[UB_STATS_OPS]; /* of the operations there, bytes */
	struct ub_ticks ticks;
	/* None of them took longer (units), but for those above UB_STATS_UNITS_MAX. */
	uint32_t longest[UB_STATS_OPS];
	uint8_t quick;                 /* operations below this one are counted the quick way */
	uint8_t skipped[UB_STATS_OPS]; /* I/Os since the last one that stands for several */
	bool links;                    /* commits may be linked to operations: link.c */
	bool active;                   /* an I/O has come since the timer was set */
	bool has_timer;
	bool keeps; /* its buffers stay in memory */
	bool timer_over;
	bool told_write_error;
	int refused;   /* negative errno: why the queue can't go on */
	char *buffers; /* of this queue */
	uint64_t buffers_size;
	uint64_t buffer_cap; /* bytes of them that may be in memory at once */
	int char_fd;         /* borrowed */
	char *io_state;      /* of each I/O what target and layers keep of it, */
	uint32_t io_stride;  /* so many bytes */

	/* Of paths where an I/O takes a buffer when it needs one. */
	struct ub_pool pool;
	struct ub_io *waiting, **last_waiting; /* for a buffer, in their order */
	bool serving_waiting;
	uint16_t asked;  /* I/Os whose data is asked for: get_data.c */
	uint16_t rounds; /* of waiting for nothing but these */

	atomic_uint posting; /* threads that are about to put an I/O into posted: post.c */

	/* Operations that block: brief.c, blocking.c. */
	struct ub_brief brief[UB_BRIEF_KINDS];
	uint64_t began_ns; /* one whose time is taken; 0: there is none */
	uint8_t began_kind;
	struct ub_range range; /* that is changed when it is known that nobody waits for that */

	/* Cold. */
	struct ublksrv_ctrl_dev_info info;
	int event_fd, post_fd;
	_Atomic(struct ub_io *) posted; /* that have ended elsewhere */
	bool has_thread;
	pthread_t thread;
	pthread_mutex_t lock; /* guards gate, fault, faults */
	pthread_cond_t opened;
	int gate;
	char fault[104];
	unsigned faults;
	bool told_fault; /* of whoever watches */
	atomic_int error;
	atomic_int tid;
	atomic_bool fetched;
	atomic_bool ended;
	atomic_bool leaving;
	/* stall.c: */
	uint32_t look_each, look_in; /* so many of the timer's ends, and until the next look */
	uint8_t looks;               /* that an I/O lives through that is told of */
	atomic_bool beats, asks;
	atomic_uchar stalled_op;
	atomic_uint beat, stalled;
	void *stack;
};

_Static_assert(sizeof(struct ub_queue) <= UB_QUEUE_STATE_SIZE,
	       "memory/layout.h leaves it this room");
_Static_assert(sizeof(struct ub_io) == UB_IO_STATE_SIZE, "memory/layout.h counts on it");
_Static_assert(sizeof(struct ub_stats) == UB_STATS_SIZE, "memory/layout.h counts on it");

/* For paths on which io->data is a buffer: buffer.c. */
int ub_buffer_copy_to(struct ub_queue *q, struct ub_io *io, uint32_t data, const void *from,
		      uint32_t len);
int ub_buffer_copy_from(struct ub_queue *q, struct ub_io *io, uint32_t data, void *to,
			uint32_t len);

/* For paths on which the char device is there for it: user_copy.c. */
int ub_user_copy_to(struct ub_queue *q, struct ub_io *io, uint32_t data, const void *from,
		    uint32_t len);
int ub_user_copy_from(struct ub_queue *q, struct ub_io *io, uint32_t data, void *to, uint32_t len);

/* For paths with a pool: pooled.c. An I/O gets its buffer now or in its turn, then has_buffer(). */
void ub_pooled_init(struct ub_queue *q);
void ub_pooled_begin(struct ub_queue *q, struct ub_io *io);
/* The I/O's buffer, if it has one, goes back, and to who waits for it. */
void ub_pooled_put(struct ub_queue *q, struct ub_io *io);
/* Does an I/O wait for buffers of which none will be put back but with what was asked for, if at all? */
static inline bool ub_pooled_is_stuck(const struct ub_queue *q)
{
	return q->waiting && q->asked == q->pool.count - q->pool.free - q->pool.spent;
}
/* It goes back when ub_pooled_put_spent() is called. */
void ub_pooled_spend(struct ub_queue *q, struct ub_io *io);
void ub_pooled_put_spent(struct ub_queue *q);
void ub_pooled_give_back(struct ub_queue *q);

/*
 * How eager the thread is to run: eager.c. Call it when it begins, and with what was found whenever
 * completions were taken.
 */
void ub_eager_begin(struct ub_queue *q);
void ub_eager_switch(struct ub_queue *q, bool alone);
#define UB_EAGER_AFTER 16
#define UB_EAGER_UNTIL 1024
static inline void ub_eager_note(struct ub_queue *q, bool alone)
{
	if (alone) {
		q->lone++;
		if (q->lone == UB_EAGER_AFTER || q->lone == UB_EAGER_UNTIL)
			ub_eager_switch(q, alone);
	} else if (q->lone) {
		ub_eager_switch(q, alone);
	}
}

/*
 * What is queued goes to the kernel: submit.c.
 * Waits until there are @completions. Return: 0 or a negative errno.
 */
int ub_queue_enter(struct ub_queue *q, unsigned completions);
/* Is this error of it for the moment? */
bool ub_queue_asks_again(int error);
/* Until the kernel, short of memory maybe, has taken all. Return: 0 or a negative errno. */
int ub_queue_enter_all(struct ub_queue *q);
/* Submits until there is room for @n more SQEs. */
void ub_queue_submit_for(struct ub_queue *q, unsigned n);

static inline void ub_queue_make_room(struct ub_queue *q, unsigned n)
{
	if (__builtin_expect(ub_ring_room(&q->ring) < n, 0))
		ub_queue_submit_for(q, n);
}

/* An SQE, zeroed; what is queued is submitted first when the ring is full. */
static inline struct io_uring_sqe *ub_queue_sqe(struct ub_queue *q)
{
	struct io_uring_sqe *sqe;

	ub_queue_make_room(q, 1);
	sqe = ub_ring_get(&q->ring);
	*sqe = (struct io_uring_sqe){0};
	return sqe;
}

/* The queue that an I/O came in, as the driver counts them. */
static inline uint16_t ub_io_queue(const struct ub_queue *q, const struct ub_io *io)
{
	return (uint16_t)(q->id + io->queue);
}

static inline uint64_t ub_io_data(const struct ub_queue *q, const struct ub_io *io, int kind)
{
	return DATA(kind, (uint64_t)(io - q->ios));
}

/* An operation of the I/O's, for the target's files. */
static inline struct io_uring_sqe *ub_op_sqe(struct ub_queue *q, struct ub_io *io)
{
	io->pending++;
	return ub_queue_sqe(q);
}

/* @op: the target's word for it, target/io.h */
static inline void ub_op_finish(const struct ub_queue *q, struct io_uring_sqe *sqe,
				const struct ub_io *io, int kind, unsigned op)
{
	sqe->fd = (int)(FILE_TARGET + UB_OP_FILE(op));
	sqe->flags |= IOSQE_FIXED_FILE;
	sqe->user_data = ub_io_data(q, io, kind) | DATA_OP(op);
}

/* What lies between the queue and the target: layers.c. Of a queue that is made. */
void ub_layers_init(struct ub_queue *q);
void ub_layers_waited(struct ub_queue *q, struct ub_io *io);
void ub_layers_written(struct ub_queue *q, unsigned at, int res);
/* Does one keep this I/O, which is busy, of its own will? */
bool ub_layers_keep(struct ub_queue *q, const struct ub_io *io);

/* An I/O ends that has not come to the target, nor to a layer. */
void ub_queue_end(struct ub_queue *q, struct ub_io *io, int error);
/* What it is committed with. */
static inline int ub_io_result(struct ub_io *io, int error)
{
	bool has_data = io->op == UBLK_IO_OP_READ || io->op == UBLK_IO_OP_WRITE;

	if (error < 0) {
		io->done = (uint32_t)error; /* looked up if the commit comes to nothing */
		return error;
	}
	return has_data ? (int)io->len : 0;
}

/* The way of an I/O through the queue: request.c. One has come in a tag that was away. */
void ub_queue_take(struct ub_queue *q, struct ub_io *io, bool alone);
/* Its commit came to nothing, and its data is gone by now: all of it is done once more. */
void ub_queue_redo(struct ub_queue *q, struct ub_io *io);
/* Hands it to the target. */
void ub_queue_submit(struct ub_queue *q, struct ub_io *io);
/* Commits @result and fetches the tag's next I/O. */
void ub_queue_commit(struct ub_queue *q, struct ub_io *io, int result);
/* A tag's fetch, or what has become its fetch, has ended with @res: does it bring an I/O? */
static inline bool ub_queue_brings(const struct ub_queue *q, int res)
{
	return __builtin_expect(res == UBLK_IO_RES_OK, 1) ||
	       (res == UBLK_IO_RES_NEED_GET_DATA && q->path->asks);
}
/* A tag comes back without an I/O, for good; @res as the driver gave it. */
void ub_queue_lose(struct ub_queue *q, struct ub_io *io, int res);
/* A command to the driver about the I/O's data: @addr as @op wants it. Its end is DATA_PREPARE, or
 * for UBLK_U_IO_UNREGISTER_IO_BUF nothing. */
void ub_queue_data_command(struct ub_queue *q, struct ub_io *io, uint32_t op, uint64_t addr);

/*
 * What came to nothing for reasons that pass: again.c. Return: it may be tried once more.
 * @since: when it first came to nothing; 0: it has not yet
 */
bool ub_again(uint8_t *since);
/* A command of the I/O's has ended with @res: is it to be given again? */
bool ub_io_again(struct ub_io *io, int res);

/*
 * Will an operation that blocks be over soon, and keep nobody waiting? brief.c. @now: ub_now_ns()
 */
bool ub_brief_is_only(struct ub_queue *q, const struct ub_io *io);
bool ub_brief_is_short(const struct ub_queue *q, enum ub_brief_kind kind, uint64_t now);
/* One is over that began at @began. */
void ub_brief_note(struct ub_queue *q, enum ub_brief_kind kind, uint64_t began);
/* One goes to the ring. Return: its time is taken, and it is to be DATA_TIMED. */
bool ub_brief_time(struct ub_queue *q, const struct ub_io *io, enum ub_brief_kind kind);
/* That has ended. */
void ub_brief_timed(struct ub_queue *q);

/* A DATA_PROBE of the I/O's has ended: blocking.c. */
void ub_blocking_probed(struct ub_queue *q, struct ub_io *io, int res);

/* I/Os that end elsewhere: post.c. Return: 0 or a negative errno. */
int ub_post_init(struct ub_queue *q);
void ub_post_done(struct ub_queue *q);
/* Has the ring tell of them, in the queue's thread; then of those that have ended by now. */
void ub_post_watch(struct ub_queue *q);
void ub_post_take(struct ub_queue *q, const struct io_uring_cqe *cqe);

/* The timer after which memory is given back, and I/Os are looked at: timer.c. */
void ub_timer_set(struct ub_queue *q);
void ub_timer_over(struct ub_queue *q);

/* I/Os that take too long: stall.c. Its timer is set, is over, and is set no more. */
void ub_stall_init(struct ub_queue *q, uint32_t stall_s);
void ub_stall_begins(struct ub_queue *q);
void ub_stall_look(struct ub_queue *q);
void ub_stall_rests(struct ub_queue *q);
/* The thread serves no more. */
void ub_stall_ends(struct ub_queue *q);

/*
 * A request that comes alone: link.c.
 * The operation just queued, @sqe, is all that the I/O waits for: links the I/O's commit to it.
 */
void ub_queue_link(struct ub_queue *q, struct ub_io *io, struct io_uring_sqe *sqe, unsigned op);
/* A linked operation has failed, or done less: @res as the kernel gave it. */
void ub_link_broken(struct ub_queue *q, struct ub_io *io, unsigned id, int res);
/* The kernel has not taken all that is queued: if that has cut a link, the queue is to end. */
void ub_link_cut(struct ub_queue *q);
/* Commits at the end of what is queued that are linked: 1 or 0. */
unsigned ub_link_last(struct ub_queue *q);

/* What the thread tells others: status.c. Something that should not be: counted, the first one is kept
 * for the log, until there is what the queue can't go on after. */
void ub_queue_fault(struct ub_queue *q, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* That: the queue ends, and what it has not ended is the next server's. The first one counts. */
void ub_queue_fail(struct ub_queue *q, int error, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

/* The thread's work: fetch everything, serve, until every tag is idle. Return: 0 or -errno. */
int ub_queue_serve(struct ub_queue *q);
