/* SPDX-License-Identifier: MIT */
#include "queue/queue.h"

#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "base/fault.h"
#include "base/retry.h"
#include "layer/layer.h"
#include "memory/plan.h"
#include "queue/count.h"
#include "queue/internal.h"

#define RING_MS 500

static const struct ub_layer_list *asked_layers(const struct ub_tgt *tgt)
{
	return tgt->layers ? tgt->layers->list : NULL;
}

/*
 * The ring is made here and enabled in the thread, whose own it then is (SINGLE_ISSUER), so that
 * its failure is found before anything is fetched. A tag has either its fetch on the ring or its
 * target's operations, and there is one timer: the completion queue is as large as all of them. What
 * an I/O that zero-copy's driver could not register has besides, its unregistering, tells only of a
 * failure; where that finds no room the kernel keeps it until there is some.
 */
static int init_ring(struct ub_queue *q, struct ub_error *err)
{
	struct ub_ring_facts facts = {
		.depth = q->depth,
		.ops_per_io = q->target->ops_per_io,
		.own = q->target->own_ops + ub_layers_own_ops(asked_layers(q->target)),
	};
	unsigned entries = ub_ring_submissions(&facts);
	struct ub_retry retry;
	int ret = ub_fault("ring");

	/* Where rings are charged, what one that was just closed has cost comes back a little
	 * later. */
	ub_retry_init(&retry, RING_MS);
	while (!ret) {
		ret = ub_ring_init(&q->ring, entries, ub_ring_completions(&facts));
		if (ret != -ENOMEM)
			break;
		ret = ub_retry_wait(&retry) ? 0 : -ENOMEM;
	}
	if (ret == -E2BIG)
		return ub_fail_text(err, UB_STAGE_RING, ret,
				    "cannot set up the ring of queue %u: %u entries are too many",
				    q->id, entries);
	return ret ? ub_fail(err, UB_STAGE_RING, ret, "cannot set up the ring of queue %u", q->id)
		   : 0;
}

/* Which I/Os are this thread's: every so many-th of a queue's tags, so that a few requests at once go to
 * different threads, or all of several queues. */
static void find_ios(struct ub_queue *q, const struct ub_layout *layout, unsigned stretch)
{
	unsigned depth = q->info.queue_depth;

	q->id = (uint16_t)ub_layout_queue(layout, stretch);
	q->queues = (uint16_t)(q->id + layout->share > layout->queues ? layout->queues - q->id
								      : layout->share);
	q->threads = (uint16_t)layout->threads;
	q->part = (uint16_t)(stretch % layout->threads);
	for (unsigned queue = 0; queue < q->queues; queue++)
		for (unsigned tag = q->part; tag < depth; tag += q->threads) {
			q->ios[q->depth].queue = (uint8_t)queue;
			q->ios[q->depth++].tag = (uint16_t)tag;
		}
}

int ub_queue_new(struct ub_queue **ret_queue, const struct ub_queue_config *config,
		 struct ub_error *err)
{
	unsigned stretch = config->stretch;
	struct ub_queue *q = ub_space_part(config->space, stretch, UB_PART_STATE);
	int ret;

	q->own.state = (char *)q + UB_QUEUE_STATE_SIZE;
	q->ios = (void *)((char *)q + ub_layout_before_ios(ub_layers_queue_bytes(
					      config->target, asked_layers(config->target))));
	q->stack = ub_space_part(config->space, stretch, UB_PART_STACK);
	q->buffers = ub_space_part(config->space, stretch, UB_PART_BUFFERS);
	q->info = *config->info;
	find_ios(q, &config->space->layout, stretch);
	q->stats = ub_space_part(config->space, stretch, UB_PART_STATS);
	q->ticks = *config->ticks;
	ub_count_init(q);
	ub_queue_set_poll(q, config->poll_us);
	q->max_io = q->info.max_io_buf_bytes;
	q->target = config->target;
	q->path = config->path;
	q->buffers_size = config->space->layout.size[UB_PART_BUFFERS];
	q->buffer_cap = config->buffer_cap;
	q->keeps = config->keep || !q->path->give_back;
	q->event_fd = config->event_fd;
	q->post_fd = -1;
	ub_stall_init(q, config->stall_s);
	(void)pthread_mutex_init(&q->lock, NULL);
	(void)pthread_cond_init(&q->opened, NULL);
	q->path->init(q);
	ub_layers_init(q);
	q->batch = ub_space_part(config->space, stretch, UB_PART_BATCH);
	q->commands = q->info.flags & UBLK_F_BATCH_IO ? &ub_commands_batch : &ub_commands_single;

	ret = init_ring(q, err);
	if (!ret && (ret = ub_post_init(q)) != 0)
		(void)ub_fail(err, UB_STAGE_RING, ret, "cannot make an event of queue %u", q->id);
	if (!ret && q->target->type->queue_open)
		ret = q->target->type->queue_open(q->target, &q->own, err);
	if (ret) {
		ub_queue_free(q);
		return ret;
	}
	*ret_queue = q;
	return 0;
}

static int wait_gate(struct ub_queue *q)
{
	int gate;

	(void)pthread_mutex_lock(&q->lock);
	while (q->gate == GATE_SHUT)
		(void)pthread_cond_wait(&q->opened, &q->lock);
	gate = q->gate;
	(void)pthread_mutex_unlock(&q->lock);
	return gate;
}

static void open_gate(struct ub_queue *q, int gate)
{
	(void)pthread_mutex_lock(&q->lock);
	if (q->gate == GATE_SHUT)
		q->gate = gate;
	(void)pthread_cond_signal(&q->opened);
	(void)pthread_mutex_unlock(&q->lock);
}

static void *queue_thread(void *arg)
{
	struct ub_queue *q = arg;
	char name[40]; /* of which the kernel takes 15 */
	int ret;

	/* device/placement.c knows it by that. */
	if (q->threads == 1)
		(void)snprintf(name, sizeof(name), "ublk%u-q%u", q->info.dev_id, q->id);
	else
		(void)snprintf(name, sizeof(name), "ublk%u-q%u-%u", q->info.dev_id, q->id, q->part);
	(void)prctl(PR_SET_NAME, name);
	atomic_store(&q->tid, gettid());
	if (wait_gate(q) == GATE_GO) {
		ret = ub_queue_serve(q);
		ub_stall_ends(q);
		atomic_store(&q->error, ret);
	}
	atomic_store(&q->ended, true);
	ub_queue_tell(q);
	return NULL;
}

int ub_queue_spawn(struct ub_queue *q, const void *cpus, size_t cpus_size, bool must_be_there,
		   struct ub_error *err)
{
	pthread_attr_t attr;
	int ret = -ub_fault("thread");

	if (!ret)
		ret = pthread_attr_init(&attr);
	if (ret)
		return ub_fail(err, UB_STAGE_THREAD, -ret, "cannot start the thread of queue %u",
			       q->id);
	(void)pthread_attr_setstack(&attr, q->stack, UB_STACK_SIZE);
	ret = pthread_create(&q->thread, &attr, queue_thread, q);
	(void)pthread_attr_destroy(&attr);
	if (ret)
		return ub_fail(err, UB_STAGE_THREAD, -ret, "cannot start the thread of queue %u",
			       q->id);
	q->has_thread = true;
	ret = cpus ? pthread_setaffinity_np(q->thread, cpus_size, cpus) : 0;
	/* A cpuset may exclude all of the queue's own: then it runs where it is allowed to. */
	return ret && must_be_there
		       ? ub_fail(err, UB_STAGE_THREAD, -ret,
				 "cannot run a thread of queue %u on the CPUs of --cpus", q->id)
		       : 0;
}

static int make_slots(struct ub_queue *q, struct ub_error *err)
{
	int ret = ub_fault("slots");

	if (!ret)
		ret = io_uring_register_buffers_sparse(&q->ring.uring, q->depth);
	return ret < 0 ? ub_fail(err, UB_STAGE_RING, ret,
				 "cannot make the table of buffers of queue %u", q->id)
		       : 0;
}

int ub_queue_attach(struct ub_queue *q, int char_fd, struct ub_error *err)
{
	int files[FILE_TARGET + UB_TARGET_FILES_MAX + UB_QUEUE_FILES_MAX] = {[FILE_CHAR] = char_fd};
	unsigned nr = FILE_TARGET;
	int ret = ub_fault("attach");

	q->char_fd = char_fd;
	for (unsigned i = 0; i < q->target->nr_files; i++)
		files[nr++] = q->target->files[i];
	for (unsigned i = 0; i < q->own.nr_files; i++)
		files[nr++] = q->own.files[i];
	if (!ret)
		ret = io_uring_register_files(&q->ring.uring, files, nr);
	if (ret < 0)
		return ub_fail(err, UB_STAGE_RING, ret, "cannot register the files of queue %u",
			       q->id);
	ret = q->commands->attach(q);
	if (ret < 0)
		return ub_fail(err, UB_STAGE_RING, ret, "cannot provide the buffers of queue %u",
			       q->id);
	return q->path->slots ? make_slots(q, err) : 0;
}

int ub_queue_map(struct ub_queue *q, int char_fd, struct ub_error *err)
{
	return ub_desc_map(&q->desc, char_fd, &q->info, q->id, q->queues, err);
}

void ub_queue_go(struct ub_queue *q)
{
	open_gate(q, GATE_GO);
}

void ub_queue_leave(struct ub_queue *q)
{
	atomic_store(&q->leaving, true);
	if (!atomic_load(&q->ended))
		(void)pthread_kill(q->thread, UB_QUEUE_SIGNAL);
}

int ub_queue_set_cpus(struct ub_queue *q, const void *cpus, size_t cpus_size)
{
	return -pthread_setaffinity_np(q->thread, cpus_size, cpus);
}

int ub_queue_get_cpus(struct ub_queue *q, void *ret_cpus, size_t cpus_size)
{
	return -pthread_getaffinity_np(q->thread, cpus_size, ret_cpus);
}

void ub_queue_set_poll(struct ub_queue *q, uint32_t poll_us)
{
	atomic_store_explicit(&q->poll_ns, poll_us * 1000ULL, memory_order_relaxed);
}

void ub_queue_set_cap(struct ub_queue *q, uint64_t bytes)
{
	ub_pool_set_cap(&q->pool, bytes);
}

unsigned ub_queue_id(const struct ub_queue *q)
{
	return q->id;
}

struct ub_tgt *ub_queue_target(struct ub_queue *q)
{
	return q->target;
}

void *ub_queue_state(struct ub_queue *q)
{
	return q->own.state;
}

/* In reverse; the ring goes before the memory that its commands point to. */
void ub_queue_free(struct ub_queue *q)
{
	if (!q)
		return;
	if (q->has_thread) {
		open_gate(q, GATE_HOME);
		(void)pthread_join(q->thread, NULL);
	}
	ub_ring_done(&q->ring);
	ub_post_done(q);
	ub_tgt_close_queue(q->target, &q->own);
	ub_desc_unmap(&q->desc);
	(void)pthread_cond_destroy(&q->opened);
	(void)pthread_mutex_destroy(&q->lock);
}
