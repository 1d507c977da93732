/* SPDX-License-Identifier: MIT */
/* The target and its layers, opened as they are asked for; and what it can't do is asked of it no more. */
#include <errno.h>
#include <unistd.h>

#include "base/clean.h"
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

int server_open_target(struct server *s, const struct ub_open_request *req, struct ub_error *err)
{
	struct ub_spec *spec = &s->record.spec;
	int ret = ub_fault("target");

	s->target.type = spec->target;
	if (ret)
		return ub_fail(err, UB_STAGE_BACKING, ret, "cannot open the target");
	ret = spec->target->open(&s->target, spec->target_args, req, &s->record.notes, err);
	if (ret) {
		s->target.type = NULL;
		return ret;
	}
	ub_close(&spec->caller_fd);
	/* As it is served: a recovery has to come to the same. */
	spec->logical_block_size = s->target.logical_block_size;
	spec->read_only = s->target.read_only;
	take_threads(s);
	ret = take_most_io(s, err);
	return ret ? ret : ub_layers_open(&s->target, &spec->layers, s->recovers, err);
}

void server_close_target(struct server *s)
{
	ub_layers_close(&s->target);
	ub_tgt_close(&s->target);
}
