/* SPDX-License-Identifier: MIT */
/* The target and its layers, opened as they are asked for; and what it can't do is asked of it no more. */
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/clean.h"
#include "base/clock.h"
#include "base/fault.h"
#include "layer/layer.h"
#include "server/server.h"

/* What it does not take at once is not asked of it at once. */
static int take_most_io(struct server *s, struct ub_error *err)
{
	uint32_t page = (uint32_t)sysconf(_SC_PAGESIZE), most = s->target.most_io / page * page;
	struct ub_spec *spec = &s->record.spec;

	if (!s->target.most_io || spec->max_io <= most)
		return 0;
	if (s->recovers || !most)
		return ub_fail_text(
			err, UB_STAGE_BACKING, -EOPNOTSUPP,
			"cannot serve requests of %u bytes: what is served takes %u at the most",
			s->recovers ? spec->max_io : page, s->target.most_io);
	ub_note(&s->record.notes, "requests have at most %u bytes: what is served takes no more",
		most);
	spec->max_io = most;
	return 0;
}

/* One that can't be served by so many threads is by fewer, each of which has several queues. */
static void take_threads(struct server *s)
{
	struct ub_spec *spec = &s->record.spec;
	uint32_t most = s->target.most_threads;

	if (!most || ub_spec_threads(spec, spec->queues, spec->depth) <= most)
		return;
	if (!s->recovers)
		ub_note(&s->record.notes, "%u thread%s the queues: %s", most,
			most == 1 ? " serves" : "s serve", s->target.most_threads_why);
	spec->threads = most;
}

/* What a thread of its own does, and has: it may outlast whoever waits for it. */
struct connection {
	struct server *server;
	struct ub_open_request req;
	struct ub_notes notes;
	struct ub_error err;
	int ret;
	atomic_bool ended;
};

static void *connect_target(void *arg)
{
	struct connection *c = arg;
	struct server *s = c->server;

	c->ret = s->target.type->connect(&s->target, s->record.spec.target_args, &c->req, &c->notes,
					 &c->err);
	atomic_store(&c->ended, true);
	(void)eventfd_write(s->event_fd, 1);
	return NULL;
}

static int wait_connected(struct server *s, const struct connection *c, struct ub_error *err)
{
	int ret = 0;

	while (!atomic_load(&c->ended) && !ret && ub_left_ms(s->deadline) > 0) {
		server_wait(s, ub_left_ms(s->deadline));
		ret = server_reason_to_stop(s);
	}
	if (atomic_load(&c->ended))
		return 0;
	s->abandons = true;
	return ret ? ub_fail_text(err, UB_STAGE_CONNECT, ret, "interrupted")
		   : ub_fail_text(err, UB_STAGE_CONNECT, -ETIMEDOUT,
				  "cannot reach %s in time: is it there?",
				  s->target.type->place(s->record.spec.target_args));
}

/* Where the server stays, so that nothing of its caller's is kept by the threads that begin here. */
static int connect_where_it_stays(struct server *s, const struct ub_open_request *req,
				  struct ub_error *err)
{
	struct connection *c = calloc(1, sizeof(*c));
	pthread_t thread;
	int ret = c ? server_leave_namespace(s, err)
		    : ub_fail(err, UB_STAGE_MEMORY, -ENOMEM, "cannot connect");

	if (!ret) {
		c->server = s;
		c->req = *req;
		s->target.event_fd = s->event_fd;
		ret = pthread_create(&thread, NULL, connect_target, c);
		if (ret)
			ret = ub_fail(err, UB_STAGE_THREAD, -ret, "cannot start a thread");
	}
	if (!ret)
		ret = wait_connected(s, c, err);
	if (s->abandons)
		return ret;
	if (!ret) {
		(void)pthread_join(thread, NULL);
		for (unsigned i = 0; i < c->notes.count; i++)
			ub_note(&s->record.notes, "%s", c->notes.text[i]);
		ret = c->ret;
		if (ret && err)
			*err = c->err;
	}
	free(c);
	return ret;
}

/* While what is served is waited for, everything else goes on. */
static int ask(void *arg)
{
	struct server *s = arg;

	s->opens = true;
	server_wait(s, 0);
	s->opens = false;
	return server_reason_to_stop(s);
}

int server_open_target(struct server *s, const struct ub_open_request *asked, struct ub_error *err)
{
	struct ub_spec *spec = &s->record.spec;
	struct ub_open_request req = *asked;
	int ret = ub_fault("target");

	req.patience = (struct ub_patience){s->deadline, ask, s};
	s->target.type = spec->target;
	if (ret)
		return ub_fail(err, UB_STAGE_BACKING, ret, "cannot open the target");
	ret = spec->target->open(&s->target, spec->target_args, &req, &s->record.notes, err);
	if (ret) {
		s->target.type = NULL;
		return ret;
	}
	ub_close(&spec->caller_fd);
	if (req.expect && s->target.backings.count < req.expect->count)
		return ub_fail_text(err, UB_STAGE_BACKING, -ESTALE,
				    "cannot serve without %s: the device was made with it",
				    req.expect->at[s->target.backings.count].path);
	ret = ub_layers_open(&s->target, &spec->layers, s->recovers, err);
	if (!ret && spec->target->connect)
		ret = connect_where_it_stays(s, &req, err);
	if (ret)
		return ret;
	/* As it is served: a recovery has to come to the same. */
	spec->logical_block_size = s->target.logical_block_size;
	spec->read_only = s->target.read_only;
	take_threads(s);
	return take_most_io(s, err);
}

void server_close_target(struct server *s)
{
	ub_layers_close(&s->target);
	ub_tgt_close(&s->target);
}
