/* SPDX-License-Identifier: MIT */
/* What can be changed while the queues' threads run, as they are told of it. */
#include "server/server.h"
#include "spec/data_path.h"
#include "spec/live.h"

void server_tell_queues(struct server *s)
{
	const struct ub_spec *spec = &s->record.spec;
	uint64_t cap = ub_budget_buffers(spec, s->info);
	/* One that was mapped for less keeps to that. */
	uint64_t mapped = s->space.layout.size[UB_PART_BUFFERS];

	for (unsigned i = 0; i < s->nr_queues; i++) {
		ub_queue_set_poll(s->queues[i], spec->poll_us);
		if (ub_path_has_pool(ub_path_granted(s->info->flags)))
			ub_queue_set_cap(s->queues[i], cap < mapped ? cap : mapped);
	}
	s->log.level = spec->log_level;
}

void server_take_settings(struct server *s, struct ub_spec *spec)
{
	bool restart = spec->restart && !s->foreground;

	ub_live_swap(&s->record.spec, spec, UB_LIVE_ALL);
	s->record.spec.restart = restart;
	/* They are not there yet, or have fetched nothing. */
	for (unsigned i = 0; i < s->nr_queues; i++)
		(void)server_move_thread(s, &s->record.spec, true, i);
	server_tell_queues(s);
}
