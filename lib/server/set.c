/* SPDX-License-Identifier: MIT */
/*
 * What can be changed while the device is served: all that is asked for, or nothing. First what can fail:
 * checks, the new log, the threads' CPUs, the record; each is taken back if a later one does. Then what
 * cannot. The queues' threads are neither stopped nor waited for.
 */
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <syslog.h>

#include "base/clean.h"
#include "base/parse.h"
#include "budget/limits.h"
#include "server/server.h"
#include "spec/check.h"
#include "spec/data_path.h"
#include "spec/json_live.h"
#include "spec/live.h"

#define CPUS_SIZE CPU_ALLOC_SIZE(UB_CPUS_MAX)

struct change {
	struct server *s;
	struct ub_spec next; /* ub_live_copy() */
	uint64_t set;
	struct ub_plan_region buffers; /* as they are planned then */
	struct server_new_log log;
	cpu_set_t *were; /* where the threads could run, CPUS_SIZE each */
	struct ub_error *err;
};

static int fail(const struct change *c, int code, const char *what)
{
	return ub_fail_text(c->err, UB_STAGE_SET, code, "%s", what);
}

static int check_serves(const struct server *s, struct ub_error *err)
{
	/* A recovered one serves, whatever has become of the command. */
	if (!s->live || (!s->recovers && !s->committed))
		return ub_fail_text(err, UB_STAGE_SET, -EAGAIN, "its server is about to begin");
	if (s->terms || s->unbound || s->queues_ended || s->park)
		return ub_fail_text(err, UB_STAGE_SET, -ESHUTDOWN, "its server is about to end");
	return 0;
}

/* Whatever the specification of one in the foreground says, ub_spec_check() would take it back. */
static int check_restart(const struct change *c)
{
	if (!UB_LIVE_HAS(c->set, restart) || !c->next.restart || !c->s->foreground)
		return 0;
	return ub_fail_usage(c->err,
			     "--restart is not for a server in the foreground: the next one "
			     "is the affair of whoever runs it");
}

/* Memory that is locked, or in huge pages, was taken at the start, as much as the cap allows: less of it
 * would spare nothing, and for more there are no addresses. */
static int check_mapping(const struct change *c)
{
	const struct ub_spec *now = &c->s->record.spec;
	char had[16];

	if (!(now->mlock || now->huge_pages) || c->next.buffer_memory == now->buffer_memory)
		return 0;
	return ub_fail_text(c->err, UB_STAGE_SET, -EINVAL,
			    "with --%s all buffers were taken at the start, %s: %s",
			    now->mlock ? "mlock" : "huge-pages",
			    now->buffer_memory
				    ? ub_format_size(now->buffer_memory, had, sizeof(had))
				    : "without a limit",
			    c->s->target.type->hand_over
				    ? "that is for a device made anew"
				    : "change that without a server (ublk quiesce, ublk set, ublk "
				      "recover)");
}

static int check_limit(const struct change *c, const struct ub_plan *plan,
		       const struct ub_allowance *allowance)
{
	struct ub_limit limits[UB_LIMIT_COUNT];
	const struct ub_limit *own = &limits[UB_LIMIT_DEVICE], *group = &limits[UB_LIMIT_CGROUP];
	char need[16], have[16];

	ub_budget_limits(&c->next, plan, allowance, limits);
	if (!ub_limit_fits(own))
		return ub_fail_text(c->err, UB_STAGE_SET, -EDQUOT,
				    "it may come to %s, and its --memory-limit would be %s",
				    ub_format_size(own->need, need, sizeof(need)),
				    ub_format_size(own->have, have, sizeof(have)));
	if (!ub_limit_fits(group))
		return ub_fail_text(c->err, UB_STAGE_SET, -ENOMEM,
				    "it might come to %s, and its control group may have %s",
				    ub_format_size(group->need, need, sizeof(need)),
				    ub_format_size(group->have, have, sizeof(have)));
	return 0;
}

static int check_memory(struct change *c)
{
	struct server *s = c->s;
	struct ub_allowance allowance;
	struct ub_plan plan;
	int ret = check_mapping(c);

	if (ret || (!UB_LIVE_HAS(c->set, memory_limit) && !UB_LIVE_HAS(c->set, buffer_memory)))
		return ret;
	server_read_allowance(s, &allowance);
	ret = ub_budget_plan(&c->next, s->info, &s->target, &allowance, &plan, c->err);
	if (ret)
		return ret;
	ret = check_limit(c, &plan, &allowance);
	c->buffers = ub_plan_of(&plan, UB_REGION_BUFFERS);
	ub_plan_done(&plan);
	return ret;
}

static int check(struct change *c)
{
	int ret = check_restart(c);

	/* What the driver has granted is what is served, whatever was asked for. */
	if (!ret)
		ret = ub_spec_check(&c->next, c->err);
	if (!ret && UB_LIVE_HAS(c->set, buffer_memory))
		ret = ub_spec_check_pool(&c->next, ub_path_granted(c->s->info->flags), c->err);
	return ret ? ret : check_memory(c);
}

static cpu_set_t *place_of(const struct change *c, unsigned thread)
{
	return c->were + thread * (CPUS_SIZE / sizeof(cpu_set_t));
}

static void move_back(const struct change *c)
{
	for (unsigned i = 0; c->were && i < c->s->nr_queues; i++)
		(void)ub_queue_set_cpus(c->s->queues[i], place_of(c, i), CPUS_SIZE);
}

static int move_threads(struct change *c)
{
	struct server *s = c->s;
	int ret = 0;

	if (!UB_LIVE_HAS(c->set, cpus))
		return 0;
	c->were = calloc(s->nr_queues, CPUS_SIZE);
	if (!c->were)
		return fail(c, -ENOMEM, "its server has no memory left");
	for (unsigned i = 0; i < s->nr_queues && !ret; i++)
		ret = ub_queue_get_cpus(s->queues[i], place_of(c, i), CPUS_SIZE);
	for (unsigned i = 0; i < s->nr_queues && !ret; i++)
		ret = server_move_thread(s, &c->next, false, i);
	if (!ret)
		return 0;
	move_back(c);
	return ub_fail(c->err, UB_STAGE_SET, ret, "its threads cannot run on the CPUs of --cpus %s",
		       c->next.cpus ? c->next.cpus : "by default");
}

/* From here on the next server would do as is asked. */
static int record(struct change *c)
{
	struct ub_record *r = &c->s->record;
	struct ub_plan_region *buffers = &r->memory.plan[UB_REGION_BUFFERS], were = *buffers;
	int ret;

	ub_live_swap(&r->spec, &c->next, c->set);
	if (UB_LIVE_HAS(c->set, buffer_memory))
		*buffers = c->buffers;
	r->changes++;
	ret = server_write_record(c->s, NULL);
	if (!ret)
		return 0;
	r->changes--;
	*buffers = were;
	ub_live_swap(&r->spec, &c->next, c->set);
	return ub_fail(c->err, UB_STAGE_SET, ret, "its record can't be written");
}

bool server_has_hung_up(int fd)
{
	struct pollfd pfd = {.fd = fd};

	return poll(&pfd, 1, 0) == 1 && (pfd.revents & POLLHUP);
}

static int change(struct change *c, int peer)
{
	struct server *s = c->s;
	bool has_log = UB_LIVE_HAS(c->set, log_file);
	char names[200];
	int ret = has_log ? server_open_new_log(s, peer, c->next.log_file, &c->log, c->err) : 0;

	if (ret)
		return ret;
	/* Who has been told meanwhile that it has failed is not to see it come about. */
	if (server_has_hung_up(peer))
		ret = fail(c, -ECANCELED, "whoever asked has gone");
	if (!ret)
		ret = move_threads(c);
	if (!ret) {
		ret = record(c);
		if (ret)
			move_back(c);
	}
	if (ret && has_log)
		server_drop_new_log(&c->log);
	if (ret)
		return ret;
	if (has_log)
		server_use_new_log(s, &c->log);
	server_tell_queues(s);
	ub_log(&s->log, LOG_NOTICE, "changed: %s", ub_live_names(c->set, names, sizeof(names)));
	return 0;
}

int server_set(struct server *s, int peer, const char *text, size_t len, bool try,
	       struct ub_error *err)
{
	struct change c = {.s = s, .err = err};
	int ret = check_serves(s, err);

	if (!ret && ub_live_copy(&s->record.spec, &c.next) != 0)
		ret = fail(&c, -ENOMEM, "its server has no memory left");
	if (ret)
		return ret;
	ret = ub_live_from_json(text, len, &c.next, &c.set, err);
	if (!ret)
		ret = check(&c);
	if (!ret && !try)
		ret = change(&c, peer);
	ub_live_done(&c.next);
	free(c.were);
	return ret;
}
