/* SPDX-License-Identifier: MIT */
/*
 * A device gets another size: the server's part. The command line tells the driver, between the two steps
 * here (device/resize.h). The queues serve all the while, and look at nothing but ub_tgt.limit: at first
 * it lets through what either size has.
 */
#include <errno.h>
#include <syslog.h>

#include "base/clean.h"
#include "budget/limits.h"
#include "server/server.h"

int64_t server_room(struct server *s)
{
	const struct ub_target *type = s->target.type;

	if (!type->make_room)
		return -EOPNOTSUPP;
	return type->room ? type->room(&s->target) : INT64_MAX;
}

/* The device's memory if the target's own had @size bytes. Return: as ub_budget_plan(). */
static int plan_with(struct server *s, uint64_t size, const struct ub_allowance *allowance,
		     struct ub_plan *ret_plan)
{
	uint64_t now = s->target.memory_size;
	int ret;

	s->target.memory_size = size;
	ret = ub_budget_plan(&s->record.spec, s->info, &s->target, allowance, ret_plan, NULL);
	s->target.memory_size = now;
	return ret;
}

/* What the machine has left, it has beside what is locked already. (Of RLIMIT_MEMLOCK the kernel has the
 * last word: it is about address space, and none of what was charged is given back for this.) */
static int check_memory(struct server *s, uint64_t size)
{
	static const struct {
		unsigned limit;
		int code;
	} limits[] = {
		{UB_LIMIT_DEVICE, -EDQUOT},
		{UB_LIMIT_CGROUP, -ENOMEM},
		{UB_LIMIT_MACHINE, -ENOBUFS},
	};
	struct ub_limit all[UB_LIMIT_COUNT];
	struct ub_allowance allowance;
	struct ub_plan plan;
	uint64_t memory = s->target.type->memory ? s->target.type->memory(size) : 0;
	int ret;

	if (memory <= s->target.memory_size)
		return 0;
	server_read_allowance(s, &allowance);
	ret = plan_with(s, memory, &allowance, &plan);
	if (ret)
		return ret;
	ub_budget_limits(&s->record.spec, &plan, &allowance, all);
	for (unsigned kind = 0; kind < UB_REGION_COUNT && allowance.available != UB_UNLIMITED;
	     kind++)
		all[UB_LIMIT_MACHINE].have +=
			s->record.memory.plan[kind].locked - s->record.memory.plan[kind].huge;
	for (unsigned i = 0; !ret && i < UB_ARRAY_SIZE(limits); i++)
		if (!ub_limit_fits(&all[limits[i].limit]))
			ret = limits[i].code;
	ub_plan_done(&plan);
	return ret;
}

static void tell_memory(struct server *s)
{
	struct ub_allowance allowance;
	struct ub_plan plan;

	if (!s->target.memory_size)
		return;
	server_read_allowance(s, &allowance);
	if (plan_with(s, s->target.memory_size, &allowance, &plan) != 0)
		return;
	s->record.memory.plan[UB_REGION_TARGET] = ub_plan_of(&plan, UB_REGION_TARGET);
	ub_plan_done(&plan);
}

/* What the record says from now on. */
static void settle(struct server *s, uint64_t size, bool all_ended)
{
	struct ub_tgt *t = &s->target;

	t->size = size;
	if (all_ended || size > t->limit)
		t->limit = size;
	if (t->type->resized)
		t->type->resized(t, s->record.spec.target_args);
	tell_memory(s);
	s->record.resizing = false;
}

int server_begin_resize(struct server *s, uint64_t size, bool *ret_is_record)
{
	struct ub_tgt *t = &s->target;
	int64_t room = server_room(s);
	bool was_resizing = s->record.resizing;
	int ret;

	*ret_is_record = false;
	if (room < 0)
		return (int)room;
	if (!s->live || s->terms || s->unbound || s->queues_ended)
		return -ESHUTDOWN;
	if (!size || size % t->logical_block_size)
		return -EINVAL;
	ret = check_memory(s, size);
	if (!ret)
		ret = t->type->make_room(t, size);
	if (ret)
		return ret;
	/* Whatever comes of it: whoever recovers the device takes the size that the driver has. */
	s->record.resizing = true;
	ret = server_write_record(s, NULL);
	if (ret) {
		*ret_is_record = true;
		/* Else somebody has died who may have told the driver of yet another size. */
		if (!was_resizing)
			settle(s, t->size, t->limit == t->size);
		return ret;
	}
	if (size > t->limit)
		t->limit = size;
	return 0;
}

int server_end_resize(struct server *s, uint64_t size, bool all_ended)
{
	bool is_record;
	int ret;

	/* The server that took the device over meanwhile has been told of nothing. */
	if (size > s->target.limit) {
		ret = server_begin_resize(s, size, &is_record);
		if (ret)
			return ret;
	}
	if (s->target.size != size)
		ub_log(&s->log, LOG_NOTICE, "resized: %llu bytes, were %llu",
		       (unsigned long long)size, (unsigned long long)s->target.size);
	settle(s, size, all_ended);
	/* One that can't be written now is written later, and until then tells enough. */
	(void)server_write_record(s, NULL);
	return 0;
}
