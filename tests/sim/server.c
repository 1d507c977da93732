/* SPDX-License-Identifier: MIT */
/*
 * A server: its queues, made step by step as lib/server makes them, and their threads, each a coroutine
 * that runs until it is within a call of the kernel's.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "memory/plan.h"
#include "queue/internal.h"
#include "sim.h"

#define PAGE 4096U
#define STACK_SIZE (256U * 1024)

/* Of each thread: a description of its own to sync through. */
static int open_queue(struct ub_tgt *tgt, struct ub_tgt_queue *tq, struct ub_error *err)
{
	(void)tgt;
	(void)err;
	tq->files[0] = backing_open();
	tq->nr_files = 1;
	return 0;
}

static const struct ub_target target_type = {
	.name = "loop",
	.queue_size = sizeof(struct ub_loop_syncs),
	.queue_open = open_queue,
	.recoverable = true,
	.zero_copy = true,
	.submit = ub_loop_submit,
	.complete = ub_loop_complete,
};

static void open_target(struct server *s)
{
	const struct config *c = &sim.config;

	sim.injected += c->shrunk;
	s->loop = (struct ub_loop){
		.offset = c->offset * SECTOR,
		.resume = c->direct ? SECTOR : 1,
		.durable = c->direct && c->block,
		.direct = c->direct,
		.pushes = c->pushes,
		.can_zero_range = true,
		.can_punch = true,
		.can_discard = c->block,
	};
	s->target = (struct ub_tgt){
		.type = &target_type,
		.state = &s->loop,
		.size = (uint64_t)(c->shrunk ? c->sectors / 2 : c->sectors) * SECTOR,
		.limit = (uint64_t)(c->shrunk ? c->sectors / 2 : c->sectors) * SECTOR,
		.logical_block_size = SECTOR,
		.physical_block_size = SECTOR,
		.discard_granularity = SECTOR,
		.write_zeroes = true,
		.volatile_cache = true,
		.ops_per_io = 1,
		.write_error = sim.recorded_error,
		.brief = c->brief,
		.freezable = c->freezable,
	};
	s->target.files[0] = backing_open();
	s->target.nr_files = 1;
}

static uint64_t flags_of(const struct config *c)
{
	static const uint64_t flags[PATHS] = {
		[PATH_USER_COPY] = UBLK_F_USER_COPY,
		[PATH_GET_DATA] = UBLK_F_NEED_GET_DATA,
		[PATH_ZERO_COPY] = UBLK_F_SUPPORT_ZERO_COPY | UBLK_F_AUTO_BUF_REG,
	};

	return flags[c->path] | (c->batch ? UBLK_F_BATCH_IO : 0) |
	       (c->threads > 1 ? UBLK_F_PER_IO_DAEMON : 0);
}

static void map_space(struct server *s)
{
	const struct config *c = &sim.config;
	const unsigned ios = (c->depth + c->threads - 1) / c->threads * c->share;
	const struct ub_layout_facts facts = {
		.queues = c->queues,
		.threads = c->threads,
		.share = c->share,
		.target = target_type.queue_size,
		.depth = ios,
		.batch_element = !c->batch              ? 0
				 : c->path == PATH_COPY ? UB_BATCH_ELEMENT_SIZE
							: UB_BATCH_HEAD_SIZE,
		.buffers = c->path == PATH_ZERO_COPY ? 0 : (uint64_t)ios * c->max_io,
		.page = 4096,
		.buffer_page = 4096,
	};
	struct ub_layout layout;
	struct ub_error err = {0};

	if (ub_layout_make(&layout, &facts) || ub_space_init(&s->space, &layout, &err))
		object("no memory for a server");
}

static void make_queue(struct server *s, unsigned n)
{
	static const struct ub_path *const paths[PATHS] = {&ub_path_copy, &ub_path_user_copy,
							   &ub_path_get_data, &ub_path_zero_copy};
	const struct config *c = &sim.config;
	const struct ublksrv_ctrl_dev_info info = {
		.nr_hw_queues = (uint16_t)c->queues,
		.queue_depth = (uint16_t)c->depth,
		.max_io_buf_bytes = c->max_io,
		.flags = flags_of(c),
	};
	static const struct ub_ticks ticks = {.scale = 1U << (UB_TICKS_FRACTION + 1)};
	const struct ub_queue_config config = {
		.stretch = n,
		.info = &info,
		.target = &s->target,
		.path = paths[c->path],
		.buffer_cap = c->buffer_cap,
		.poll_us = c->poll_us,
		.keep = c->keep,
		.space = &s->space,
		.ticks = &ticks,
		.event_fd = -1,
	};
	struct task *t = &s->tasks[n];
	struct ub_error err = {0};

	t->ring = &s->rings[n];
	t->buffers =
		c->path == PATH_ZERO_COPY ? NULL : ub_space_part(&s->space, n, UB_PART_BUFFERS);
	s->nr_tasks = n + 1;
	if (ub_queue_new(&t->queue, &config, &err) ||
	    ub_queue_attach(t->queue, driver_char_fd(), &err) ||
	    ub_queue_map(t->queue, driver_char_fd(), &err))
		object("%s", err.msg);
}

/* Stacks are used again: a schedule is short. */
static char *stack_of(unsigned n)
{
	static char *stacks[RINGS_MAX];

	if (!stacks[n]) {
		stacks[n] = mmap(NULL, STACK_SIZE, PROT_READ | PROT_WRITE,
				 MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		if (stacks[n] == MAP_FAILED || mprotect(stacks[n], 4096, PROT_NONE) != 0)
			object("no memory for a stack");
	}
	return stacks[n];
}

static void thread_main(void)
{
	struct task *t = sim.current;

	t->result = ub_queue_serve(t->queue);
	t->ended = true;
	(void)swapcontext(&t->context, &sim.scheduler);
}

static void make_thread(struct task *t, unsigned n)
{
	(void)getcontext(&t->context);
	t->context.uc_stack.ss_sp = stack_of(n);
	t->context.uc_stack.ss_size = STACK_SIZE;
	t->context.uc_link = NULL;
	makecontext(&t->context, thread_main, 0);
	t->safe = true;
}

bool server_can_start(void)
{
	return !sim.server && !sim.dying && !sim.stopping &&
	       (sim.servers == 0 || sim.state == QUIESCED || sim.state == FAILING);
}

void server_start(void)
{
	struct server *s = calloc(1, sizeof(*s));
	unsigned n;

	trace("server %u", sim.servers + 1);
	sim.servers++;
	sim.server = s;
	open_target(s);
	map_space(s);
	n = (unsigned)ub_layout_stretches(&s->space.layout);
	for (unsigned i = 0; i < n; i++)
		make_queue(s, i);
	for (unsigned i = 0; i < n; i++)
		make_thread(&s->tasks[i], i);
}

void server_kill(void)
{
	struct server *s = sim.server;

	trace("the server dies");
	sim.deaths++;
	sim.forgotten |= backing_has_told() && !sim.recorded_error;
	for (unsigned i = 0; i < s->nr_tasks; i++)
		ring_kill(s->tasks[i].ring);
	sim.dying = s;
	sim.server = NULL;
}

void server_free(struct server *s)
{
	for (unsigned i = 0; i < s->nr_tasks; i++)
		ub_queue_free(s->tasks[i].queue);
	ub_space_done(&s->space);
	free(s);
	sim.dying = NULL;
}

void server_resume(struct task *t)
{
	t->waits = false;
	sim.current = t;
	(void)swapcontext(&sim.scheduler, &t->context);
	sim.current = NULL;
	if (!t->ended)
		return;
	trace("a thread of the server's ends with %d", t->result);
	if (t->result && !sim.injected)
		object("a queue ends with %d, and nothing has failed: %s", t->result,
		       t->queue->fault);
	if (!t->result && !sim.queues[t->queue->id].canceling)
		object("a queue ends, and its device goes on");
	ring_kill(t->ring);
}

static void leave(void)
{
	struct task *t = sim.current;

	(void)swapcontext(&t->context, &sim.scheduler);
}

void pause_here(bool safe)
{
	if (chance(400))
		return;
	sim.current->safe = safe;
	leave();
	sim.current->safe = true;
}

bool wait_for_completions(struct ring *r, unsigned wanted)
{
	struct task *t = sim.current;

	(void)r;
	t->waits = true;
	t->wanted = wanted;
	t->nudged = false;
	leave();
	return !t->nudged;
}

/* When all of its threads have ended as they should: is everything where it belongs? */
void server_check(const struct server *s)
{
	for (unsigned i = 0; i < s->nr_tasks; i++) {
		struct ub_queue *q = s->tasks[i].queue;
		struct ub_queue_status status;

		ub_queue_get_status(q, &status);
		if (s->tasks[i].result)
			continue;
		if (status.faults && !sim.injected)
			object("a queue has something to tell: %s", status.fault);
		if (q->busy || q->waiting || q->pool.spent)
			object("queue %u ends with %u I/Os left", i, q->busy);
		if (q->linked)
			object("queue %u ends with %u I/Os linked", i, q->linked);
		for (unsigned kind = 0; kind < UB_STATS_OPS; kind++) {
			const struct ub_stats_op *op = ub_stats_op(q->stats, kind);

			if (op->begun != op->ended)
				object("queue %u has counted %llu I/Os of %llu", i,
				       (unsigned long long)op->ended,
				       (unsigned long long)op->begun);
		}
		if (q->pool.base && q->pool.free != q->pool.count)
			object("queue %u ends with %u buffers of %u", i, q->pool.free,
			       q->pool.count);
	}
}

static void touch(struct task *t, size_t from, size_t to, bool in_memory)
{
	const struct config *c = &sim.config;
	bool pooled = c->path == PATH_USER_COPY || c->path == PATH_GET_DATA;

	for (size_t page = from / PAGE; page * PAGE < to; page++)
		if (in_memory)
			t->touched |= 1U << page;
		else
			t->touched &= ~(1U << page);
	if (pooled && (unsigned)__builtin_popcount(t->touched) * PAGE > c->buffer_cap)
		object("%u pages of buffers are in memory", __builtin_popcount(t->touched));
}

void server_touch(const char *memory, size_t len, bool in_memory)
{
	struct server *s = sim.server;
	size_t size = s ? s->space.layout.size[UB_PART_BUFFERS] : 0;

	for (unsigned i = 0; s && i < s->nr_tasks; i++) {
		const char *buffers = s->tasks[i].buffers;

		if (buffers && memory >= buffers && memory + len <= buffers + size)
			touch(&s->tasks[i], (size_t)(memory - buffers),
			      (size_t)(memory - buffers) + len, in_memory);
	}
}
