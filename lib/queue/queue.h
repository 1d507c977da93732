/* SPDX-License-Identifier: MIT */
/*
 * One queue of a device, or one thread's part of it, or several queues that one thread serves: a ring,
 * descriptors, I/Os, buffers and the thread. Several threads share a queue by its tags, each of which
 * is served by the one that fetched it (UBLK_F_PER_IO_DAEMON, Linux 6.16); they have nothing else in
 * common. A thread with several queues has all their tags on its ring, as if they were one's. All of it
 * belongs to its thread once that runs, so nothing is locked. The making is cut into the steps of the
 * server's start, each of which can fail and be undone by ub_queue_free(), and all of which come
 * before the first fetch. Knows the kernel's interface and the target's, not the device's life.
 */
#pragma once

#include <signal.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"
#include "base/ticks.h"
#include "kernel/uapi.h"
#include "memory/space.h"
#include "target/target.h"

struct ub_queue;
struct ub_path;

extern const struct ub_path ub_path_copy, ub_path_user_copy, ub_path_get_data, ub_path_zero_copy;

struct ub_queue_config {
	unsigned stretch; /* of @space, by which it is known which queues are its own */
	const struct ublksrv_ctrl_dev_info *info; /* as granted; copied */
	struct ub_tgt *target;                    /* borrowed; shared by all queues */
	const struct ub_path *path;
	/* Bytes of buffers that may be in memory at once, where there is a pool. */
	uint64_t buffer_cap;
	uint32_t poll_us;             /* to look for requests before sleeping */
	uint32_t stall_s;             /* seconds after which an I/O in hand is told of; 0: never */
	bool keep;                    /* give no memory of buffers back */
	const struct ub_ticks *ticks; /* in UB_STATS_UNIT_NS; copied */
	const struct ub_space *space; /* borrowed; the queue's stretch in it is zeroes */
	int event_fd; /* borrowed eventfd: written when the queue ends or has something to tell */
};

/*
 * Makes the queue in its stretch of memory, and its ring, still disabled. Needs no device node.
 * Return: 0, or a negative errno with a message.
 */
int ub_queue_new(struct ub_queue **ret_queue, const struct ub_queue_config *config,
		 struct ub_error *err);

/* Which queue it is of; of several, the first. */
unsigned ub_queue_id(const struct ub_queue *q);

/* Starts the thread, which waits for ub_queue_go(). @cpus: where it may run, or NULL.
 * @must_be_there: it is an error if it may not. */
int ub_queue_spawn(struct ub_queue *q, const void *cpus, size_t cpus_size, bool must_be_there,
		   struct ub_error *err);

/* Registers the open char device and the target's files with the ring. */
int ub_queue_attach(struct ub_queue *q, int char_fd, struct ub_error *err);

/* Maps the descriptors. The last step that can fail. */
int ub_queue_map(struct ub_queue *q, int char_fd, struct ub_error *err);

/* Lets the thread fetch all tags and serve until the driver has aborted every one of them. */
void ub_queue_go(struct ub_queue *q);

/*
 * Tells the thread, by a signal, to end when it has no I/O in hand: for a driver that brings none any more,
 * and has got back all that were begun, but not its word for every tag (QUIESCE_DEV). It may just be on its
 * way to sleep and not hear it: call this again until it has ended.
 */
#define UB_QUEUE_SIGNAL SIGRTMIN /* the process has a handler of it that does nothing */
void ub_queue_leave(struct ub_queue *q);

/*
 * What can be changed while the thread serves, by another one; nobody waits for it. CPUs: as of
 * ub_queue_spawn(). Return: 0 or a negative errno.
 */
int ub_queue_set_cpus(struct ub_queue *q, const void *cpus, size_t cpus_size);
int ub_queue_get_cpus(struct ub_queue *q, void *ret_cpus, size_t cpus_size);
/* One that sleeps learns of it when it wakes. */
void ub_queue_set_poll(struct ub_queue *q, uint32_t poll_us);
/* Where there is a pool: at least one request's. Less than it has is reached as buffers are taken. */
void ub_queue_set_cap(struct ub_queue *q, uint64_t bytes);

/* What the thread tells the others; all of it may be read at any time. */
struct ub_queue_status {
	bool fetched;    /* the driver has every tag */
	bool ended;      /* the thread serves no more */
	int error;       /* negative errno: why it ended, when not by the driver's abort */
	uint32_t faults; /* requests and completions that made no sense */
	char fault[120]; /* why it ended, or the first of them; empty if faults is 0 */
	int32_t tid;     /* 0 before it runs */
};
void ub_queue_get_status(struct ub_queue *q, struct ub_queue_status *ret_status);

/*
 * How the thread's I/Os fare, as it has found at its last look, which it makes each UB_TIMER_S seconds while
 * any have come or are in hand; may be read at any time. What changes of @beats, @asks and @stalled is told by
 * the eventfd, too.
 */
#define UB_TIMER_S 4
struct ub_queue_pulse {
	bool beats;    /* it is to look again */
	uint32_t beat; /* looks so far */
	bool asks; /* it is not, though the kernel may not have ended what it was given to end */
	uint32_t stalled;
	uint8_t op; /* of one of those, UBLK_IO_OP_* */
};
void ub_queue_get_pulse(struct ub_queue *q, struct ub_queue_pulse *ret_pulse);

/* Is there a fault? Says so once. */
bool ub_queue_has_news(struct ub_queue *q);

/*
 * Ends and frees. A thread that waits for ub_queue_go() is sent home; one that serves has to have
 * ended. Takes NULL and half-built queues.
 */
void ub_queue_free(struct ub_queue *q);

/* Has layers write what they have gathered of a thread. When all queues are freed, before their memory goes. */
void ub_layers_done(struct ub_queue *q);
