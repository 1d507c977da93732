/* SPDX-License-Identifier: MIT */
/*
 * io_uring, as far as a queue's ring goes (SINGLE_ISSUER, DEFER_TASKRUN, SUBMIT_ALL): what is queued is
 * taken, all or the first part; what cannot be done at once comes back as work, which is done, and its
 * completions posted, only within io_uring_enter() of the ring's thread.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "sim.h"

#define WORK_AT_ONCE 20U /* IO_LOCAL_TW_DEFAULT_MAX */

unsigned ring_ready(const struct ring *r)
{
	return r->cq_tail - r->cq_head;
}

bool ring_has_work(const struct ring *r)
{
	return r->work != NULL;
}

void ring_add_work(struct ring *r, enum work_kind kind, struct op *op, struct request *request)
{
	struct work *w = calloc(1, sizeof(*w));

	*w = (struct work){.kind = kind, .op = op, .request = request};
	*r->last_work = w;
	r->last_work = &w->next;
	r->sq_flags |= IORING_SQ_TASKRUN;
}

static struct work *next_work(struct ring *r)
{
	struct work *w = r->work;

	if (!w)
		return NULL;
	r->work = w->next;
	if (!r->work)
		r->last_work = &r->work;
	return w;
}

static struct op *op_new(struct ring *r, const struct io_uring_sqe *sqe)
{
	struct op *op = calloc(1, sizeof(*op));

	op->ring = r;
	op->sqe = *sqe;
	return op;
}

void op_free(struct op *op)
{
	while (op) {
		struct op *link = op->link;

		if (op->node)
			node_put(op->node);
		free(op);
		op = link;
	}
}

static bool is_own_thread(const struct ring *r)
{
	return sim.current && sim.current->ring == r;
}

static void finish(struct op *op, int res, uint32_t cflags)
{
	struct ring *r = op->ring;

	op->res = res;
	op->cflags = cflags;
	op->next = NULL;
	*r->last_complete = op;
	r->last_complete = &op->next;
}

void op_complete(struct op *op, int res, uint32_t cflags)
{
	struct ring *r = op->ring;

	if (r->gone) {
		op_free(op);
	} else if (is_own_thread(r)) {
		finish(op, res, cflags);
	} else {
		op->res = res;
		op->cflags = cflags;
		ring_add_work(r, WORK_COMPLETE, op, NULL);
	}
}

static void post(struct ring *r, uint64_t user_data, int res, uint32_t flags)
{
	if (ring_ready(r) == r->cq_entries)
		object("a completion finds no room");
	r->cqes[r->cq_tail++ & (r->cq_entries - 1)] =
		(struct io_uring_cqe){.user_data = user_data, .res = res, .flags = flags};
	trace("  ring %u: completion %llx: %d, flags %x", (unsigned)(r - r->server->rings),
	      (unsigned long long)user_data, res, flags);
}

/* Does the result break a link? */
static bool has_failed(const struct op *op)
{
	switch (op->sqe.opcode) {
	case IORING_OP_READ:
	case IORING_OP_WRITE:
	case IORING_OP_READ_FIXED:
	case IORING_OP_WRITE_FIXED:
		return op->res != (int)op->sqe.len;
	default:
		return op->res < 0;
	}
}

/* io_disarm_next(): those behind one that failed, and skips its completion, skip theirs. */
static void take_next(struct op *op)
{
	struct op *link = op->link;
	bool skip = op->sqe.flags & IOSQE_CQE_SKIP_SUCCESS;

	op->link = NULL;
	if (!link)
		return;
	if (!has_failed(op)) {
		ring_add_work(op->ring, WORK_SUBMIT, link, NULL);
		return;
	}
	for (struct op *o = link; o && !skip; o = o->link)
		post(op->ring, o->sqe.user_data, -ECANCELED, 0);
	op_free(link);
}

static void flush_completions(struct ring *r)
{
	while (r->complete) {
		struct op *list = r->complete, *op;

		r->complete = NULL;
		r->last_complete = &r->complete;
		for (op = list; op; op = op->next)
			if (has_failed(op) || !(op->sqe.flags & IOSQE_CQE_SKIP_SUCCESS))
				post(r, op->sqe.user_data, op->res, op->cflags);
		while (list) {
			op = list;
			list = op->next;
			if (op->node)
				node_put(op->node);
			op->node = NULL;
			take_next(op);
			op_free(op);
		}
	}
}

bool op_post(struct op *op, int res, uint32_t cflags)
{
	flush_completions(op->ring);
	post(op->ring, op->sqe.user_data, res, cflags | IORING_CQE_F_MORE);
	return true;
}

/* io_uring_cmd_prep(): of one that is linked it was done before, and breaks the link: take(). */
static bool is_refused(const struct op *op)
{
	bool starved = sim.config.starved && sim.started && !sim.deaths;

	if (op->linked || !(starved || chance(sim.config.refused)))
		return false;
	trace("  ring %u: no memory for command %llx",
	      (unsigned)(op->ring - op->ring->server->rings),
	      (unsigned long long)op->sqe.user_data);
	sim.refusals++;
	return true;
}

static void issue(struct op *op)
{
	struct ring *r = op->ring;
	unsigned file = (unsigned)op->sqe.fd;
	int ret;

	switch (op->sqe.opcode) {
	case IORING_OP_NOP:
		finish(op, 0, 0);
		return;
	case IORING_OP_TIMEOUT:
		op->next = r->timers;
		r->timers = op;
		return;
	}
	if (!(op->sqe.flags & IOSQE_FIXED_FILE) || file >= r->nr_files)
		object("operation %u names file %u, which is not registered", op->sqe.opcode, file);
	if (r->files[file] != driver_char_fd()) {
		backing_issue(op);
		return;
	}
	if (op->sqe.opcode != IORING_OP_URING_CMD)
		object("operation %u on the char device", op->sqe.opcode);
	ret = is_refused(op) ? -ENOMEM : driver_command(op);
	if (ret != QUEUED_COMMAND)
		finish(op, ret, 0);
}

/* A chain as it is taken: what it stands for may be cut short. */
struct chain {
	struct op *head, *last;
};

static void end_chain(struct chain *c)
{
	struct op *head = c->head;

	*c = (struct chain){0};
	if (head->failed)
		finish(head, -ECANCELED, 0);
	else
		issue(head);
}

static void take(struct ring *r, struct chain *c)
{
	struct op *op = op_new(r, &r->sqes[r->array[r->sq_head & (r->sq_entries - 1)]]);
	bool links = op->sqe.flags & IOSQE_IO_LINK;

	r->sq_head++;
	if (!c->head && !links) {
		issue(op);
		return;
	}
	if (!c->head) {
		c->head = c->last = op;
		return;
	}
	c->last->link = op;
	c->last = op;
	op->linked = true;
	/* No memory to keep it until its turn comes: io_submit_fail_init(). */
	if (chance(sim.config.partial)) {
		c->head->failed = true;
		trace("  ring %u: no memory for what is linked", (unsigned)(r - r->server->rings));
	}
	if (!links)
		end_chain(c);
}

static int submit(struct ring *r, unsigned n)
{
	unsigned queued = r->sq_tail - r->sq_head, most = n < queued ? n : queued, taken = most;
	struct chain chain = {0};

	if (most && chance(sim.config.partial))
		taken = below(most);
	for (unsigned i = 0; i < taken; i++) {
		take(r, &chain);
		if (!chain.head && chance(100)) {
			flush_completions(r);
			pause_here(false);
		}
	}
	/* A link ends with what is taken at once: a worker gets the operation. */
	if (chain.head) {
		sim.injected++;
		chain.head->late = true;
		trace("  ring %u: a link is cut", (unsigned)(r - r->server->rings));
		end_chain(&chain);
	}
	flush_completions(r);
	if (taken < most)
		trace("  ring %u: %u of %u taken", (unsigned)(r - r->server->rings), taken, most);
	return taken == 0 && most ? -EAGAIN : (int)taken;
}

static void do_work(struct ring *r, struct work *w)
{
	struct op *op = w->op;
	struct request *req = w->request;
	enum work_kind kind = w->kind;

	free(w);
	switch (kind) {
	case WORK_COMPLETE:
		finish(op, op->res, op->cflags);
		break;
	case WORK_SUBMIT:
		issue(op);
		break;
	case WORK_DISPATCH:
		driver_dispatch(r, req, r->gone);
		break;
	case WORK_BATCH:
		batch_dispatch(&sim.queues[((const struct ublk_batch_io *)(const void *)op->sqe.cmd)
						   ->q_id],
			       op, r->gone);
		break;
	}
}

static void run_work(struct ring *r)
{
	unsigned most = chance(700) ? WORK_AT_ONCE : between(1, 4);
	struct work *w;

	r->sq_flags &= ~IORING_SQ_TASKRUN;
	for (unsigned i = 0; i < most && (w = next_work(r)); i++)
		do_work(r, w);
	flush_completions(r);
	if (r->work)
		r->sq_flags |= IORING_SQ_TASKRUN;
}

int ring_enter(struct ring *r, unsigned to_submit, unsigned wanted)
{
	static const int passing[] = {-EINTR, -EAGAIN, -EBUSY};
	int ret = 0;

	pause_here(true);
	if (chance(sim.config.interrupted))
		return passing[below(3)];
	if (sim.started && chance(sim.config.no_memory)) {
		sim.injected++;
		return -ENOMEM;
	}
	if (to_submit) {
		ret = submit(r, to_submit);
		if (ret != (int)to_submit)
			return ret;
	}
	run_work(r);
	while (ring_ready(r) < wanted) {
		if (ring_has_work(r))
			run_work(r);
		else if (!wait_for_completions(r, wanted))
			return ret ? ret : -EINTR;
	}
	return ret;
}

/* Requests on their way go back; nobody hears of the rest. */
void ring_drop_work(struct ring *r)
{
	struct work *w;

	while ((w = next_work(r))) {
		if (w->kind == WORK_DISPATCH || w->kind == WORK_BATCH) {
			do_work(r, w);
			continue;
		}
		op_free(w->op);
		free(w);
	}
}
