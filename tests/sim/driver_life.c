/* SPDX-License-Identifier: MIT */
/* ublk_drv of Linux 7.3: the end of a server, of the device, and what comes of requests then. */
#include <errno.h>
#include <string.h>

#include "sim.h"

bool driver_keeps_requests(void)
{
	return sim.config.recovery && !sim.config.fail_io;
}

/* ublk_start_cancel(): nothing more is sent to a server that has lost a thread. */
static void stop_sending(void)
{
	sim.canceling = true;
	for (unsigned i = 0; i < sim.config.queues; i++)
		sim.queues[i].canceling = true;
}

/* ublk_mark_io_ready() */
void driver_mark_ready(struct hw_queue *hq)
{
	if (++hq->ready < sim.config.depth)
		return;
	hq->fail_io = false;
	if (!sim.canceling)
		hq->canceling = false;
}

static bool is_under_way(unsigned queue, unsigned tag)
{
	for (unsigned i = 0; i < REQUESTS_MAX; i++) {
		const struct request *req = &sim.requests[i];

		if (req->where == AT_DRIVER && req->queue == queue && req->tag == (int)tag)
			return true;
	}
	return false;
}

/* ublk_cancel_cmd() */
static void cancel(unsigned queue, unsigned tag, bool all)
{
	struct io *io = &sim.queues[queue].ios[tag];
	struct op *op = io->command;

	if (!op || !io->active || (!all && is_under_way(queue, tag)))
		return;
	io->command = NULL;
	op_complete(op, UBLK_IO_RES_ABORT, 0);
}

void driver_cancel_ring(struct ring *r)
{
	bool any = false;

	for (unsigned i = 0; i < sim.config.queues; i++) {
		for (unsigned tag = 0; !sim.config.batch && tag < sim.config.depth; tag++) {
			if (sim.queues[i].ios[tag].ring != r)
				continue;
			any |= sim.queues[i].ios[tag].command != NULL;
			cancel(i, tag, true);
		}
		for (struct op *op = sim.queues[i].fetches; op; op = op->next)
			any |= op->ring == r;
		batch_cancel(&sim.queues[i], r);
	}
	if (any)
		stop_sending();
}

void driver_cancel_all(void)
{
	trace("the device is stopped");
	for (unsigned i = 0; i < sim.config.queues; i++) {
		for (unsigned tag = 0; !sim.config.batch && tag < sim.config.depth; tag++)
			cancel(i, tag, false);
		batch_cancel(&sim.queues[i], NULL);
		sim.queues[i].canceling = true;
	}
}

/* __ublk_fail_req() */
static void fail_request(struct request *req)
{
	req->committed = false;
	if (sim.config.reissue) {
		trace("  request %u: kept for the next server", req->serial);
		block_requeue(req, false);
	} else {
		trace("  request %u: lost with the server", req->serial);
		block_end(req, -EIO);
	}
}

/* ublk_ch_release_work_fn(): nothing of the server is left. */
void driver_release(void)
{
	trace("the server's descriptors are closed");
	stop_sending();
	for (unsigned i = 0; i < sim.config.queues; i++) {
		struct hw_queue *hq = &sim.queues[i];

		for (unsigned tag = 0; tag < sim.config.depth; tag++)
			if (hq->ios[tag].owned)
				fail_request(hq->ios[tag].request);
		for (unsigned n = 0; n < hq->nr_events; n++)
			for (unsigned k = 0; k < REQUESTS_MAX; k++)
				if (sim.requests[k].where == AT_DRIVER &&
				    sim.requests[k].queue == i &&
				    sim.requests[k].tag == hq->events[n])
					fail_request(&sim.requests[k]);
		memset(hq->ios, 0, sizeof(hq->ios));
		hq->nr_events = hq->ready = 0;
	}
	sim.canceling = false;
	for (unsigned i = 0; i < REQUESTS_MAX; i++)
		if (sim.requests[i].where == AT_DRIVER || sim.requests[i].where == AT_SERVER)
			object("request %u is with nobody", sim.requests[i].serial);
	if (!sim.config.recovery || sim.stopping) {
		sim.state = GONE;
		block_fail_all(-EIO);
		return;
	}
	sim.state = sim.config.fail_io ? FAILING : QUIESCED;
	for (unsigned i = 0; i < sim.config.queues; i++)
		sim.queues[i].fail_io = sim.config.fail_io;
}
