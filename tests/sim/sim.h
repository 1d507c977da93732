/* SPDX-License-Identifier: MIT */
/*
 * A simulated driver: the real lib/queue and loop's way of an I/O run against a model of ublk_drv and
 * io_uring in one process and one thread. All that can happen in more than one order, or fail, is
 * decided by one generator of numbers, so that a seed is a schedule, and comes again exactly.
 *
 * Who does what:
 * - sched.c picks the next event: a client's request, a step of the driver's, the end of an operation,
 *   a thread of the server that runs on, its death, its successor;
 * - uring.c and ring.c are io_uring, driver*.c the driver, block.c the block layer above it,
 *   backing.c the file below, as Linux 7.3 has them;
 * - server.c makes queues as the server does, and runs their threads as coroutines, which leave off
 *   only within calls of the kernel's (calls.c);
 * - oracle.c judges.
 */
#pragma once

#include <liburing.h>
#include <setjmp.h>
#include <stdbool.h>
#include <stdint.h>
#include <ucontext.h>

#include "kernel/uapi.h"
#include "memory/space.h"
#include "queue/queue.h"
#include "target/loop.h"

#define SECTOR 512U
#define SECTORS_MAX 192U /* of the device */
#define OFFSET_MAX 16U   /* sectors before it in the backing */
#define DEPTH_MAX 8U
#define QUEUES_MAX 3U
#define THREADS_MAX 3U /* of a queue */
#define RINGS_MAX (QUEUES_MAX * THREADS_MAX)
#define MAX_IO 16384U
#define PAGES_MAX 32U    /* of a thread's buffers */
#define REQUESTS_MAX 32U /* at once */
#define FILES_MAX 8U
#define DESCRIPTIONS_MAX 256U
#define SLOTS_MAX (DEPTH_MAX * QUEUES_MAX)
#define NEVER UINT32_MAX

enum path { PATH_COPY, PATH_USER_COPY, PATH_GET_DATA, PATH_ZERO_COPY, PATHS };

/* What a schedule is about; all of it comes from its seed. */
struct config {
	enum path path;
	bool batch;
	unsigned queues, threads, depth; /* depth: of a queue */
	unsigned share;                  /* queues of a thread */
	uint32_t max_io, buffer_cap;
	unsigned sectors, offset;        /* of the device, and where it begins */
	unsigned clients, requests;      /* at once, and in all */
	unsigned biggest;                /* sectors of a request */
	bool elevator;                   /* a requeued request gives its tag away */
	bool recovery, reissue, fail_io; /* UBLK_F_USER_RECOVERY and what goes with it */
	bool direct, pushes, block;      /* the backing */
	bool brief, freezable;           /* threads may call what blocks; after a probe */
	bool cached;                     /* operations are often done at once */
	bool keep;
	uint32_t poll_us;
	unsigned kills; /* of servers */
	bool stop_early;
	/* Of 1,000 times. */
	unsigned short_results, errors, again; /* of operations */
	unsigned partial, interrupted;         /* io_uring_enter() */
	unsigned no_memory;                    /* it fails, and the server with it */
	unsigned no_register, no_map, no_buffers;
	unsigned refused;     /* commands, for want of memory: no reason to fail */
	bool starved;         /* no command has memory, until the server ends: in time */
	unsigned slow;        /* time goes on: then it is */
	unsigned no_elements; /* of a batch's commit, from the middle on */
	bool shrunk;          /* the target has become smaller than the device */
	bool stuck;           /* the backing asks to be asked again, for ever */
	unsigned write_back_errors;
	unsigned timer;  /* how often it is over */
	unsigned linger; /* how much longer operations take than anything else */
};

/* A request of a client's. */
enum where {
	AT_NOBODY, /* free, or answered */
	AT_BLOCK,  /* waits for a tag, or to be sent once more */
	AT_DRIVER, /* started, on its way to the server */
	AT_SERVER
};

struct request {
	enum where where;
	uint32_t serial, issued;
	uint8_t op;
	bool fua, no_unmap;
	uint32_t sector, sectors;
	uint16_t queue;
	int tag;             /* -1: none */
	bool again, delayed; /* it is to be sent again, and not just now */
	bool committed;
	int result;
	unsigned references; /* slots that hold its pages */
	char *data;
};

struct ring;

/* A request of io_uring's. */
struct op {
	struct op *next; /* in the list where it is */
	struct op *link; /* comes after it */
	struct ring *ring;
	struct io_uring_sqe sqe;
	int res;
	uint32_t cflags;
	struct node *node; /* the registered pages that it works on */
	bool done;         /* an operation on the backing that has had its effect */
	bool failed;
	bool linked; /* to the one before it */
	bool late;   /* looks up its buffer when a worker comes to it */
	/* What is to become of it. */
	int fate; /* 0, a negative errno, or bytes that it does */
};

enum work_kind { WORK_COMPLETE, WORK_SUBMIT, WORK_DISPATCH, WORK_BATCH };

struct work {
	struct work *next;
	enum work_kind kind;
	struct op *op;
	struct request *request;
};

/* A request's pages, registered with a ring. */
struct node {
	struct request *request;
	unsigned references;
	bool dead; /* out of the table */
};

struct ring {
	bool used, enabled, gone;
	struct server *server;
	struct io_uring *uring;
	unsigned sq_entries, cq_entries;
	/* Shared with the queue. */
	unsigned sq_head, sq_tail, sq_flags, cq_head, cq_tail, overflow;
	unsigned *array;
	struct io_uring_sqe *sqes;
	struct io_uring_cqe *cqes;
	int files[FILES_MAX];
	unsigned nr_files;
	struct node *slots[SLOTS_MAX];
	unsigned nr_slots;
	struct io_uring_buf_ring *buffers;
	uint16_t buffers_mask, buffers_head;
	/* Done, but no completion of it yet. */
	struct work *work, **last_work;
	struct op *complete, **last_complete;
	struct op *timers;
	unsigned operations; /* with the backing, or a worker */
};

/* A tag, as the driver sees it. */
struct io {
	bool active, owned, need_get, registered, ready;
	struct op *command;
	struct ring *ring; /* io->task, and the ring of its commands */
	uint64_t address;
	struct ublk_auto_buf_reg reg;
	struct request *request; /* that has the tag */
};

struct hw_queue {
	struct io ios[DEPTH_MAX];
	unsigned ready;
	bool canceling, fail_io;
	uint16_t events[DEPTH_MAX * 4]; /* tags for a fetch of a batch */
	unsigned nr_events;
	struct op *fetches; /* in their order */
	struct op *active;  /* the one that tags are being put into */
};

enum state { STARTING, LIVE, QUIESCED, FAILING, GONE };

/* One server process. */
struct task {
	ucontext_t context;
	char *stack;
	struct ub_queue *queue;
	struct ring *ring;
	bool begun, ended, waits; /* waits: in io_uring_enter(), for completions */
	bool safe;                /* it can be killed here */
	unsigned wanted;
	int result;
	bool nudged; /* it wakes without a reason */
	char *buffers;
	uint32_t touched; /* pages of them that are in memory */
};

struct server {
	struct ub_space space;
	struct ub_tgt target;
	struct ub_loop loop;
	struct task tasks[RINGS_MAX];
	unsigned nr_tasks;
	struct ring rings[RINGS_MAX];
};

struct sim {
	uint64_t seed;
	uint64_t random[2];
	struct config config;
	uint32_t now; /* counts events */
	uint64_t clock_ns;
	bool tracing;
	jmp_buf out; /* when the oracle objects */
	char objection[200];
	unsigned injected; /* errors that the model has made up */
	unsigned refusals; /* of the driver: some only a timer makes known */
	unsigned losses;   /* of what was written before: write-backs and syncs that failed */
	ucontext_t scheduler;
	struct task *current;

	enum state state;
	bool stopping, stopped, started;
	bool canceling; /* this server has lost a thread */
	unsigned servers, kills_left, deaths;
	struct server *server, *dying;
	struct hw_queue queues[QUEUES_MAX];
	struct request requests[REQUESTS_MAX];
	unsigned waiting;      /* requests that are not answered */
	uint32_t issued;       /* in all */
	struct op *operations; /* with the backing */
	unsigned nr_operations;
	/* A server was killed with what it had been told of a failed write-back, or its queue died before it
	 * came to that: nobody can know of it. */
	bool forgotten;
	int recorded_error; /* a write-back's, as a server leaves it to the next one */
};

extern struct sim sim;

/* The generator. */
void random_seed(uint64_t seed);
uint64_t random_next(void);
static inline unsigned below(unsigned n)
{
	return n < 2 ? 0 : (unsigned)((random_next() >> 32) * n >> 32);
}
static inline bool chance(unsigned of_1000)
{
	return of_1000 && below(1000) < of_1000;
}
static inline unsigned between(unsigned from, unsigned to)
{
	return from + below(to - from + 1);
}

void config_make(struct config *c);
void config_print(const struct config *c);

/* Only when a schedule is told. */
void tell(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
#define trace(...)                         \
	do {                               \
		if (sim.tracing)           \
			tell(__VA_ARGS__); \
	} while (0)
/* The oracle's: ends the schedule. */
_Noreturn void object(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/* sched.c. Return: events that there were. */
unsigned schedule_run(void);

/* Within a call of the kernel's: others may run now. */
void pause_here(bool safe);
/* Waits in io_uring_enter() until @wanted completions are there. Return: false: woken without. */
bool wait_for_completions(struct ring *r, unsigned wanted);

/* uring.c */
int ring_enter(struct ring *r, unsigned to_submit, unsigned wanted);
void ring_add_work(struct ring *r, enum work_kind kind, struct op *op, struct request *request);
bool ring_has_work(const struct ring *r);
unsigned ring_ready(const struct ring *r);
/* The command @op is done. */
void op_complete(struct op *op, int res, uint32_t cflags);
/* A completion beside the last one of a multishot command. Return: it has been posted. */
bool op_post(struct op *op, int res, uint32_t cflags);
void op_free(struct op *op);
void ring_drop_work(struct ring *r);

/* ring.c */
struct node *node_get(struct ring *r, unsigned slot);
void node_put(struct node *node);
int slot_register(struct ring *r, unsigned slot, struct request *req);
int slot_unregister(struct ring *r, unsigned slot);
/* Takes a provided buffer. Return: NULL: there is none. */
void *buffer_select(struct ring *r, unsigned *ret_len, unsigned *ret_id);
void timer_expire(struct ring *r);
/* Its thread, or the process, has ended. */
void ring_kill(struct ring *r);
void ring_free(struct ring *r);
int ring_make(struct io_uring *uring, unsigned entries, struct io_uring_params *params);
struct ring *ring_of(const struct io_uring *uring);

/* driver.c */
#define QUEUED_COMMAND (-529) /* -EIOCBQUEUED */
int driver_command(struct op *op);
void driver_dispatch(struct ring *r, struct request *req, bool exiting);
bool driver_queue_is_ready(unsigned queue);
bool driver_is_ready(void);
void driver_open_char(void);
int driver_char_fd(void);
void driver_abort_one(struct request *req);
/* The ring's thread is no more. */
void driver_cancel_ring(struct ring *r);
void driver_cancel_all(void);
void driver_release(void);
void driver_put_reference(struct request *req);
bool driver_register(struct request *req, struct io *io, struct ring *r);
ssize_t driver_user_copy(void *buffer, size_t len, off_t pos, bool to_request);
bool driver_start_io(struct hw_queue *hq, struct request *req, struct io *io);
void driver_describe(struct request *req, struct io *io);
int driver_complete_request(struct request *req, struct io *io, int res);
bool driver_keeps_requests(void);
void driver_mark_ready(struct hw_queue *hq);

/* driver_batch.c */
int batch_command(struct op *op);
void batch_dispatch(struct hw_queue *hq, struct op *fetch, bool exiting);
void batch_add_event(struct request *req);
void batch_kick(struct hw_queue *hq);
void batch_cancel(struct hw_queue *hq, struct ring *r);
void batch_abort(struct hw_queue *hq);

/* block.c */
struct request *block_new(void);
bool block_can_send(unsigned *ret_queue);
void block_send(unsigned queue);
void block_requeue(struct request *req, bool now);
void block_end(struct request *req, int result);
bool block_can_kick(void);
void block_kick(void);
void block_fail_all(int result);
unsigned block_started(void);
bool block_has_requeued(void);

/* backing.c */
void backing_init(void);
/* Return: a descriptor of a description of its own. */
int backing_open(void);
bool backing_has_told(void);
void backing_issue(struct op *op);
void backing_progress(void);
/* The running thread itself calls an operation, which takes its time. Return: as its CQE would have it. */
int backing_call(int fd, const struct io_uring_sqe *sqe);
void backing_write_back(void);
/* A sector's first and last word. */
void backing_durable(unsigned sector, uint64_t ret_words[2]);
void backing_cached(unsigned sector, uint64_t ret_words[2]);
/* Is an operation at the memory? @only_writers: one that writes to it. */
bool backing_uses(const char *memory, size_t len, bool only_writers);
bool backing_is_idle(const struct server *s);

/* client.c */
bool client_can_issue(void);
void client_issue(void);

/* oracle.c */
void oracle_init(void);
void oracle_issued(struct request *req);
void oracle_answered(struct request *req);
void oracle_written(uint64_t stamp, unsigned sector);
void oracle_lost(unsigned sector);
void oracle_end(void);
/* A sector's contents: all of it is told by its first and last eight bytes. */
void stamp_put(char *sector, uint64_t stamp);
uint64_t stamp_of(uint32_t serial, unsigned sector);
void poison(void *memory, size_t len);
/* Memory of the server's is used by the kernel: nobody else may be at it. */
void oracle_touch(const char *memory, size_t len, bool write, const char *why);
void oracle_given_back(const char *memory, size_t len);

/* server.c */
bool server_can_start(void);
void server_start(void);
void server_kill(void);
void server_free(struct server *s);
void server_resume(struct task *t);
void server_check(const struct server *s);
/* The pages are in memory now, or no more. */
void server_touch(const char *memory, size_t len, bool in_memory);
