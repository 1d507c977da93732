/* SPDX-License-Identifier: MIT */
/* Where the queues' threads run. */
#include <errno.h>
#include <sched.h>

#include "kernel/ctrl.h"
#include "server/server.h"

/* Can a thread run on any of them? CPUs go offline, and out of a control group's set. Only the
 * kernel knows, and tells by trying. */
static bool can_run_on(const cpu_set_t *cpus, size_t size)
{
	cpu_set_t now[CPU_ALLOC_SIZE(UB_CPUS_MAX) / sizeof(cpu_set_t)];

	if (sched_getaffinity(0, sizeof(now), now) != 0 || sched_setaffinity(0, size, cpus) != 0)
		return false;
	(void)sched_setaffinity(0, sizeof(now), now);
	return true;
}

/* Those that --cpus gives to a thread. Where one is wanted at any price (a recovery: requests wait), and
 * none of them is there any more, all of --cpus; and if none of these is, any. Return: false: anywhere. */
static bool find_asked_cpus(struct server *s, const struct ub_spec *spec, bool at_any_price,
			    unsigned thread, cpu_set_t *cpus, size_t size)
{
	unsigned threads = (unsigned)ub_layout_stretches(&s->space.layout);

	if (ub_spec_deal_cpus(spec, thread, threads, cpus, size) <= 0)
		return false;
	if (!at_any_price || can_run_on(cpus, size))
		return true;
	ub_note_once(&s->record.notes,
		     "CPUs of --cpus are offline or not allowed: threads of theirs run on others");
	return ub_spec_deal_cpus(spec, 0, 1, cpus, size) > 0 && can_run_on(cpus, size);
}

bool server_find_cpus(struct server *s, const struct ub_spec *spec, bool at_any_price,
		      unsigned thread, cpu_set_t *cpus, size_t size)
{
	cpu_set_t one[CPU_ALLOC_SIZE(UB_CPUS_MAX) / sizeof(cpu_set_t)];
	const struct ub_layout *layout = &s->space.layout;
	uint32_t queue = ub_layout_queue(layout, thread);
	int ret = 0;

	CPU_ZERO_S(size, cpus);
	if (spec->cpus)
		return find_asked_cpus(s, spec, at_any_price, thread, cpus, size);
	for (uint32_t end = queue + layout->share; !ret && queue < end && queue < layout->queues;
	     queue++) {
		CPU_ZERO_S(sizeof(one), one);
		ret = ub_ctrl_get_affinity(s->ctrl, s->info, queue, one, sizeof(one));
		CPU_OR_S(size, cpus, cpus, one);
	}
	return ret == 0 && CPU_COUNT_S(size, cpus) > 0;
}

int server_move_thread(struct server *s, const struct ub_spec *spec, bool at_any_price,
		       unsigned thread)
{
	cpu_set_t cpus[CPU_ALLOC_SIZE(UB_CPUS_MAX) / sizeof(cpu_set_t)];
	bool is_free = !server_find_cpus(s, spec, at_any_price, thread, cpus, sizeof(cpus));
	int ret = is_free ? 0 : ub_queue_set_cpus(s->queues[thread], cpus, sizeof(cpus));

	/* A cpuset may exclude all of the queue's own. */
	if (!is_free && (!ret || (spec->cpus && !at_any_price)))
		return ret;
	return sched_getaffinity(0, sizeof(cpus), cpus) == 0
		       ? ub_queue_set_cpus(s->queues[thread], cpus, sizeof(cpus))
		       : -errno;
}
