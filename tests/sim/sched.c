/* SPDX-License-Identifier: MIT */
/* What happens next: one of all the things that could. */
#include <errno.h>
#include <string.h>

#include "sim.h"

#define TIMERS_MAX 4U     /* one after the other, before something else has to happen */
#define EVENTS_MAX 60000U /* far more than any schedule that ends has */

struct choice {
	unsigned total;    /* weights of all that could happen */
	unsigned progress; /* those of what could end a request some time */
	int event;
};

enum event {
	EVENT_NONE,
	EVENT_ISSUE,
	EVENT_SEND,
	EVENT_KICK,
	EVENT_OPERATION,
	EVENT_RUN,
	EVENT_NUDGE,
	EVENT_TIMER,
	EVENT_WRITE_BACK,
	EVENT_KILL,
	EVENT_DIE,
	EVENT_RELEASE,
	EVENT_START,
	EVENT_LIVE,
	EVENT_STOP,
	EVENT_STOPPED,
	EVENT_RECORD
};

/* One of those offered so far, with the chances that their weights give them. */
static void offer(struct choice *c, enum event event, unsigned weight, bool progress)
{
	if (!weight)
		return;
	c->total += weight;
	if (progress)
		c->progress += weight;
	if (below(c->total) < weight)
		c->event = event;
}

static bool can_run(const struct task *t)
{
	return !t->ended &&
	       (!t->waits || ring_has_work(t->ring) || ring_ready(t->ring) >= t->wanted);
}

static struct task *choose_task(bool (*fits)(const struct task *t))
{
	struct task *found = NULL;
	unsigned n = 0;

	for (unsigned i = 0; sim.server && i < sim.server->nr_tasks; i++)
		if (fits(&sim.server->tasks[i]) && below(++n) == 0)
			found = &sim.server->tasks[i];
	return found;
}

static bool waits(const struct task *t)
{
	return !t->ended && t->waits;
}

static bool has_timer(const struct task *t)
{
	return !t->ended && t->ring->timers;
}

static bool has_died(const struct task *t)
{
	return t->ended && t->result;
}

static bool cannot_be_killed(const struct task *t)
{
	return !t->safe;
}

static bool goes_on(const struct task *t)
{
	return !t->ended;
}

/* There is nothing more to do for the device. */
static bool is_over(void)
{
	return !sim.server && !sim.dying && sim.state == GONE && !sim.waiting;
}

static void offer_server(struct choice *c)
{
	if (server_can_start())
		offer(c, EVENT_START, 3, true);
	if (sim.dying && backing_is_idle(sim.dying))
		offer(c, EVENT_RELEASE, 3, true);
	if (!sim.server)
		return;
	if (choose_task(can_run))
		offer(c, EVENT_RUN, 8, true);
	if (choose_task(has_died))
		offer(c, EVENT_DIE, 2, true);
	if (sim.state != LIVE && driver_is_ready() && !sim.stopped && !choose_task(has_died))
		offer(c, EVENT_LIVE, 3, true);
	if (sim.config.interrupted && choose_task(waits))
		offer(c, EVENT_NUDGE, 1, false);
	if (sim.config.timer && choose_task(has_timer) && chance(sim.config.timer))
		offer(c, EVENT_TIMER, 4, false);
	if (sim.kills_left && !choose_task(cannot_be_killed) && chance(12))
		offer(c, EVENT_KILL, 10, false);
	if (sim.server->target.write_error && !sim.recorded_error)
		offer(c, EVENT_RECORD, 4, true);
	if (sim.stopped && !choose_task(goes_on))
		offer(c, EVENT_STOPPED, 4, true);
}

static void offer_requests(struct choice *c)
{
	unsigned queue;

	if (client_can_issue())
		offer(c, EVENT_ISSUE, 4, true);
	if (block_can_send(&queue))
		offer(c, EVENT_SEND, 6, true);
	if (block_can_kick())
		offer(c, EVENT_KICK, 2, true);
	if (sim.nr_operations)
		offer(c, EVENT_OPERATION, sim.config.linger ? 4 - sim.config.linger : 6, true);
	if (chance(30))
		offer(c, EVENT_WRITE_BACK, 2, false);
	if (sim.state == LIVE && !sim.stopping &&
	    ((sim.issued == sim.config.requests && !sim.waiting) ||
	     (sim.config.stop_early && !block_has_requeued() && chance(10))))
		offer(c, EVENT_STOP, 6, true);
	if (sim.stopping && !sim.stopped && sim.state != GONE && !block_started() &&
	    (sim.config.recovery || !sim.waiting))
		offer(c, EVENT_STOP, 6, true);
}

/* del_gendisk(): what is under way ends, then all the rest is refused, then the server is told. */
static void stop(void)
{
	sim.stopping = true;
	if (block_started() || (!sim.config.recovery && sim.waiting))
		return;
	block_fail_all(-EIO);
	sim.stopped = true;
	if (!sim.server)
		sim.state = GONE;
	else
		driver_cancel_all();
}

static void release(void)
{
	driver_release();
	server_free(sim.dying);
}

/* The server has ended by itself. */
static void stopped(void)
{
	struct server *s = sim.server;

	server_check(s);
	sim.server = NULL;
	sim.dying = s;
	sim.state = GONE;
	server_free(s);
}

static void go_live(void)
{
	trace("the device is live");
	sim.state = LIVE;
	sim.started = true;
	block_kick();
}

/* What a server's main thread does when it is told, and before it ends for want of a queue. */
static void record_error(void)
{
	if (!sim.recorded_error)
		sim.recorded_error = sim.server->target.write_error;
}

static void happen(int event)
{
	struct task *t;
	unsigned queue;

	switch (event) {
	case EVENT_ISSUE:
		client_issue();
		break;
	case EVENT_SEND:
		if (block_can_send(&queue))
			block_send(queue);
		break;
	case EVENT_KICK:
		block_kick();
		break;
	case EVENT_OPERATION:
		backing_progress();
		break;
	case EVENT_RUN:
		server_resume(choose_task(can_run));
		break;
	case EVENT_NUDGE:
		t = choose_task(waits);
		t->nudged = true;
		server_resume(t);
		break;
	case EVENT_TIMER:
		timer_expire(choose_task(has_timer)->ring);
		break;
	case EVENT_WRITE_BACK:
		backing_write_back();
		break;
	case EVENT_KILL:
		sim.kills_left--;
		server_kill();
		break;
	case EVENT_DIE:
		record_error();
		server_kill();
		break;
	case EVENT_RELEASE:
		release();
		break;
	case EVENT_START:
		server_start();
		break;
	case EVENT_LIVE:
		go_live();
		break;
	case EVENT_STOP:
		stop();
		break;
	case EVENT_STOPPED:
		stopped();
		break;
	case EVENT_RECORD:
		record_error();
		break;
	}
}

unsigned schedule_run(void)
{
	unsigned timers = 0;

	while (!is_over()) {
		struct choice c = {0};

		if (++sim.now > EVENTS_MAX)
			object("%u requests wait after %u events", sim.waiting, sim.now);
		offer_requests(&c);
		offer_server(&c);
		/* Where the driver has failed, a queue may find out when it looks after itself. */
		if (!c.progress && sim.refusals && choose_task(has_timer) && timers++ < TIMERS_MAX)
			c.event = EVENT_TIMER;
		else if (!c.progress)
			object("nothing can happen any more, and %u requests wait", sim.waiting);
		else
			timers = 0;
		happen(c.event);
	}
	oracle_end();
	return sim.now;
}
