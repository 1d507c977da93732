/* SPDX-License-Identifier: MIT */
/* ublk_drv of Linux 7.3: UBLK_F_BATCH_IO. */
#include <errno.h>
#include <string.h>

#include "sim.h"

#define TAGS_AT_ONCE 128U
#define BATCHES_AT_ONCE 32U

static struct request *request_of(const struct hw_queue *hq, unsigned tag)
{
	for (unsigned i = 0; i < REQUESTS_MAX; i++) {
		struct request *req = &sim.requests[i];

		if (req->where == AT_DRIVER && &sim.queues[req->queue] == hq &&
		    req->tag == (int)tag)
			return req;
	}
	object("tag %u is announced, and no request has it", tag);
}

void batch_add_event(struct request *req)
{
	struct hw_queue *hq = &sim.queues[req->queue];

	hq->events[hq->nr_events++] = (uint16_t)req->tag;
}

/* __ublk_acquire_fcmd() */
static struct op *acquire(struct hw_queue *hq)
{
	if (hq->active)
		return NULL;
	hq->active = hq->fetches;
	return hq->active;
}

void batch_kick(struct hw_queue *hq)
{
	struct op *fetch = hq->nr_events ? acquire(hq) : NULL;

	if (fetch)
		ring_add_work(fetch->ring, WORK_BATCH, fetch, NULL);
}

static unsigned take_events(struct hw_queue *hq, uint16_t *tags, unsigned most)
{
	unsigned n = hq->nr_events < most ? hq->nr_events : most;

	memcpy(tags, hq->events, n * sizeof(*tags));
	hq->nr_events -= n;
	memmove(hq->events, hq->events + n, hq->nr_events * sizeof(*tags));
	return n;
}

/* __ublk_batch_prep_dispatch(). Return: false: the request is not for the server now. */
static bool prepare(struct hw_queue *hq, struct op *fetch, unsigned tag, bool exiting)
{
	struct request *req = request_of(hq, tag);
	struct io *io = &hq->ios[tag];

	driver_describe(req, io);
	/* A kernel thread has no memory of the server's. */
	if (exiting && sim.config.path == PATH_COPY && req->op == UBLK_IO_OP_WRITE) {
		block_requeue(req, false);
		return false;
	}
	if (!exiting && !driver_start_io(hq, req, io))
		return false;
	if (exiting)
		return true;
	trace("  request %u: tag %u goes to the server", req->serial, tag);
	(void)driver_register(req, io, fetch->ring);
	io->owned = true;
	io->active = false;
	io->request = req;
	req->where = AT_SERVER;
	return true;
}

/* __ublk_batch_dispatch(). Return: below 0: the fetch ends with it; 0: no more now. */
static int dispatch_some(struct hw_queue *hq, struct op *fetch, bool exiting)
{
	uint16_t tags[TAGS_AT_ONCE], *buffer;
	unsigned len, id, n, kept = 0;

	buffer = buffer_select(fetch->ring, &len, &id);
	if (!buffer)
		return -ENOBUFS;
	n = take_events(hq, tags,
			len / sizeof(*tags) < TAGS_AT_ONCE ? len / sizeof(*tags) : TAGS_AT_ONCE);
	for (unsigned i = 0; i < n; i++)
		if (prepare(hq, fetch, tags[i], exiting))
			tags[kept++] = tags[i];
	if (!kept) {
		/* The buffer is put back. */
		fetch->ring->buffers_head--;
		return (int)n;
	}
	if (exiting) {
		/* ublk_batch_dispatch_fail() */
		memcpy(hq->events + hq->nr_events, tags, kept * sizeof(*tags));
		hq->nr_events += kept;
		return -EFAULT;
	}
	memcpy(buffer, tags, kept * sizeof(*tags));
	(void)op_post(fetch, (int)(kept * sizeof(*tags)),
		      IORING_CQE_F_BUFFER | id << IORING_CQE_BUFFER_SHIFT);
	return 0;
}

static void unlink_fetch(struct hw_queue *hq, struct op *fetch)
{
	struct op **at = &hq->fetches;

	while (*at != fetch)
		at = &(*at)->next;
	*at = fetch->next;
	fetch->next = NULL;
	if (hq->active == fetch)
		hq->active = NULL;
}

void batch_dispatch(struct hw_queue *hq, struct op *fetch, bool exiting)
{
	struct op *again = fetch;
	int ret = 0;

	for (unsigned tried = 0; again == fetch && tried <= BATCHES_AT_ONCE; tried++) {
		while (hq->nr_events) {
			ret = dispatch_some(hq, fetch, exiting);
			if (ret <= 0)
				break;
		}
		if (ret < 0 || exiting) {
			trace("  a fetch ends with %d", ret);
			unlink_fetch(hq, fetch);
			op_complete(fetch, ret, 0);
			return;
		}
		hq->active = NULL;
		if (!hq->nr_events)
			return;
		again = acquire(hq);
	}
	if (again)
		ring_add_work(again->ring, WORK_BATCH, again, NULL);
}

/* Ends the fetches of a ring, or of all, but for one that is being used. */
void batch_cancel(struct hw_queue *hq, struct ring *r)
{
	struct op *next;

	for (struct op *op = hq->fetches; op; op = next) {
		next = op->next;
		if (op == hq->active || (r && op->ring != r))
			continue;
		unlink_fetch(hq, op);
		op_complete(op, UBLK_IO_RES_ABORT, 0);
	}
}

static int attach(struct op *op, struct hw_queue *hq)
{
	struct op **at = &hq->fetches, *fetch;

	if (hq->canceling)
		return UBLK_IO_RES_ABORT;
	if (chance(sim.config.no_elements))
		return -ENOMEM;
	while (*at)
		at = &(*at)->next;
	op->next = NULL;
	*at = op;
	fetch = acquire(hq);
	if (fetch && fetch->ring == op->ring)
		batch_dispatch(hq, fetch, false);
	else if (fetch)
		ring_add_work(fetch->ring, WORK_BATCH, fetch, NULL);
	return QUEUED_COMMAND;
}

struct element {
	struct ublk_elem_header head;
	uint64_t address;
};

static struct element element_at(const struct op *op, const struct ublk_batch_io *head, unsigned n)
{
	struct element e = {0};

	memcpy(&e, (const char *)(uintptr_t)op->sqe.addr + (size_t)n * head->elem_bytes,
	       head->elem_bytes);
	if (e.head.tag >= sim.config.depth)
		object("an element for tag %u, which does not exist", e.head.tag);
	if (sim.config.path == PATH_COPY && !e.address)
		object("an element for tag %u without an address", e.head.tag);
	return e;
}

static void set_where(struct io *io, const struct element *e, const struct ublk_batch_io *head)
{
	io->address = e->address;
	io->reg =
		(struct ublk_auto_buf_reg){.index = e->head.buf_index,
					   .flags = head->flags & UBLK_BATCH_F_AUTO_BUF_REG_FALLBACK
							    ? UBLK_AUTO_BUF_REG_FALLBACK
							    : 0};
	io->active = true;
}

static int prep(const struct op *op, const struct ublk_batch_io *head, struct hw_queue *hq)
{
	for (unsigned i = 0; i < head->nr_elem; i++) {
		struct element e = element_at(op, head, i);
		struct io *io = &hq->ios[e.head.tag];

		if (io->active || io->ready)
			object("tag %u is given twice", e.head.tag);
		*io = (struct io){.ready = true};
		set_where(io, &e, head);
		driver_mark_ready(hq);
	}
	return 0;
}

static void commit(struct op *op, const struct ublk_batch_io *head, struct io *io,
		   const struct element *e)
{
	struct request *req = io->request;
	unsigned slot = io->reg.index;

	trace("  request %u: tag %d committed with %d", req->serial, req->tag, e->head.result);
	io->owned = false;
	io->request = NULL;
	if (io->registered)
		(void)slot_unregister(op->ring, slot);
	io->registered = false;
	set_where(io, e, head);
	req->result = driver_complete_request(req, io, e->head.result);
	req->committed = true;
	if (sim.config.path == PATH_COPY)
		poison((char *)(uintptr_t)io->address, sim.config.max_io);
	driver_put_reference(req);
}

static int commit_all(struct op *op, const struct ublk_batch_io *head, struct hw_queue *hq)
{
	for (unsigned i = 0; i < head->nr_elem; i++) {
		struct element e = element_at(op, head, i);
		struct io *io = &hq->ios[e.head.tag];

		/* copy_from_user() in ublk_walk_cmd_buf(), which really takes more at once. */
		if (chance(sim.config.no_elements)) {
			trace("  %u of %u elements are taken", i, head->nr_elem);
			sim.refusals++;
			return i ? (int)(i * head->elem_bytes) : -EFAULT;
		}
		if (!io->owned)
			object("an element for tag %u, which is not the server's", e.head.tag);
		commit(op, head, io, &e);
	}
	return (int)(head->nr_elem * head->elem_bytes);
}

int batch_command(struct op *op)
{
	const struct ublk_batch_io *head = (const void *)op->sqe.cmd;
	unsigned bytes = sim.config.path == PATH_COPY ? sizeof(struct element)
						      : sizeof(struct ublk_elem_header);
	struct hw_queue *hq = &sim.queues[head->q_id];

	if (head->q_id >= sim.config.queues)
		object("a command for queue %u, which does not exist", head->q_id);
	if (op->sqe.cmd_op == UBLK_U_IO_FETCH_IO_CMDS) {
		if (head->elem_bytes != sizeof(uint16_t) || !(op->sqe.rw_flags & 2))
			object("a fetch of %u bytes each", head->elem_bytes);
		return attach(op, hq);
	}
	if (!head->nr_elem || head->nr_elem > sim.config.depth || head->elem_bytes != bytes)
		object("a command with %u elements of %u bytes", head->nr_elem, head->elem_bytes);
	if (op->sqe.cmd_op == UBLK_U_IO_PREP_IO_CMDS)
		return prep(op, head, hq);
	if (op->sqe.cmd_op == UBLK_U_IO_COMMIT_IO_CMDS)
		return commit_all(op, head, hq);
	object("an unknown command, %x", op->sqe.cmd_op);
}
