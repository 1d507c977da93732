/* SPDX-License-Identifier: MIT */
/* The block layer: requests, the tags of hardware queues, what is sent once more; and its clients. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "sim.h"

static struct request *find_free(void)
{
	for (unsigned i = 0; i < REQUESTS_MAX; i++)
		if (sim.requests[i].where == AT_NOBODY)
			return &sim.requests[i];
	return NULL;
}

static int free_tag(unsigned queue)
{
	bool taken[DEPTH_MAX] = {false};

	for (unsigned i = 0; i < REQUESTS_MAX; i++) {
		const struct request *req = &sim.requests[i];

		if (req->where != AT_NOBODY && req->queue == queue && req->tag >= 0)
			taken[req->tag] = true;
	}
	for (unsigned n = 0, from = below(sim.config.depth); n < sim.config.depth; n++)
		if (!taken[(from + n) % sim.config.depth])
			return (int)((from + n) % sim.config.depth);
	return -1;
}

static struct request *next_to_send(unsigned queue)
{
	struct request *found = NULL;
	bool has_tag = free_tag(queue) >= 0;
	unsigned n = 0;

	for (unsigned i = 0; i < REQUESTS_MAX; i++) {
		struct request *req = &sim.requests[i];

		if (req->where == AT_BLOCK && req->queue == queue && !req->delayed &&
		    (req->tag >= 0 || has_tag) && below(++n) == 0)
			found = req;
	}
	return found;
}

static bool takes(unsigned queue)
{
	const struct hw_queue *hq = &sim.queues[queue];

	/* ublk_force_abort_dev() holds back what is not there yet; del_gendisk() alone does not. */
	bool held = sim.stopping && (sim.config.recovery || sim.stopped);

	return sim.started && !held && sim.state != GONE && (!hq->canceling || hq->fail_io);
}

bool block_can_send(unsigned *ret_queue)
{
	unsigned first = below(sim.config.queues);

	for (unsigned n = 0; n < sim.config.queues; n++) {
		unsigned queue = (first + n) % sim.config.queues;

		if (takes(queue) && next_to_send(queue)) {
			*ret_queue = queue;
			return true;
		}
	}
	return false;
}

/* One, or several with one call (ublk_queue_rqs()). */
void block_send(unsigned queue)
{
	unsigned most = chance(500) ? 1 : between(1, sim.config.depth);
	struct hw_queue *hq = &sim.queues[queue];
	struct request *req;

	for (unsigned n = 0; n < most && (req = next_to_send(queue)); n++) {
		if (hq->fail_io) {
			block_end(req, -EREMOTEIO);
			continue;
		}
		if (req->tag < 0)
			req->tag = free_tag(queue);
		req->where = AT_DRIVER;
		req->again = false;
		trace("request %u: sent in tag %d of queue %u", req->serial, req->tag, queue);
		if (sim.config.batch)
			batch_add_event(req);
		else
			ring_add_work(hq->ios[req->tag].ring, WORK_DISPATCH, NULL, req);
	}
	if (sim.config.batch)
		batch_kick(hq);
}

void block_requeue(struct request *req, bool now)
{
	req->where = AT_BLOCK;
	req->committed = false;
	req->again = true;
	req->delayed = !now;
	/* blk_mq_put_driver_tag(), which is the request's for good where there is no scheduler. */
	if (sim.config.elevator)
		req->tag = -1;
}

void block_end(struct request *req, int result)
{
	req->result = result;
	trace("request %u: answered with %d", req->serial, result);
	oracle_answered(req);
	req->where = AT_NOBODY;
	req->tag = -1;
	sim.waiting--;
}

bool block_can_kick(void)
{
	for (unsigned i = 0; sim.state == LIVE && i < REQUESTS_MAX; i++)
		if (sim.requests[i].where == AT_BLOCK && sim.requests[i].delayed)
			return true;
	return false;
}

void block_kick(void)
{
	for (unsigned i = 0; i < REQUESTS_MAX; i++)
		sim.requests[i].delayed = false;
}

bool block_has_requeued(void)
{
	for (unsigned i = 0; i < REQUESTS_MAX; i++)
		if (sim.requests[i].where == AT_BLOCK && sim.requests[i].again)
			return true;
	return false;
}

void block_fail_all(int result)
{
	for (unsigned i = 0; i < REQUESTS_MAX; i++)
		if (sim.requests[i].where == AT_BLOCK)
			block_end(&sim.requests[i], result);
}

unsigned block_started(void)
{
	unsigned n = 0;

	for (unsigned i = 0; i < REQUESTS_MAX; i++)
		n += sim.requests[i].where == AT_DRIVER || sim.requests[i].where == AT_SERVER;
	return n;
}

bool client_can_issue(void)
{
	return sim.started && !sim.stopping && sim.state != GONE &&
	       sim.issued < sim.config.requests && sim.waiting < sim.config.clients;
}

static uint8_t choose_op(void)
{
	unsigned n = below(100);

	return n < 40   ? UBLK_IO_OP_READ
	       : n < 75 ? UBLK_IO_OP_WRITE
	       : n < 85 ? UBLK_IO_OP_FLUSH
	       : n < 93 ? UBLK_IO_OP_WRITE_ZEROES
			: UBLK_IO_OP_DISCARD;
}

/* Small ones lie close together, so that they meet. */
static void choose_range(struct request *req)
{
	const struct config *c = &sim.config;
	unsigned most = c->biggest < c->sectors ? c->biggest : c->sectors;

	req->sectors = between(1, chance(500) ? 4 : most);
	req->sector = below((chance(500) ? c->sectors / 4 : c->sectors) + 1);
	if (req->sector + req->sectors > c->sectors)
		req->sector = c->sectors - req->sectors;
}

void client_issue(void)
{
	struct request *req = find_free();
	char *data = req->data ? req->data : malloc(MAX_IO);

	*req = (struct request){.where = AT_BLOCK,
				.serial = ++sim.issued,
				.issued = sim.now,
				.op = choose_op(),
				.queue = (uint16_t)below(sim.config.queues),
				.tag = -1,
				.data = data};
	if (req->op != UBLK_IO_OP_FLUSH)
		choose_range(req);
	if (req->op == UBLK_IO_OP_WRITE || req->op == UBLK_IO_OP_WRITE_ZEROES)
		req->fua = chance(150);
	req->no_unmap = req->op == UBLK_IO_OP_WRITE_ZEROES && chance(500);
	for (unsigned i = 0; req->op == UBLK_IO_OP_WRITE && i < req->sectors; i++)
		stamp_put(data + i * SECTOR, stamp_of(req->serial, req->sector + i));
	if (req->op == UBLK_IO_OP_READ)
		poison(data, req->sectors * SECTOR);
	sim.waiting++;
	trace("request %u: op %u of %u sectors at %u%s, queue %u", req->serial, req->op,
	      req->sectors, req->sector, req->fua ? ", FUA" : "", req->queue);
	oracle_issued(req);
}
