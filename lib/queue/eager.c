/* SPDX-License-Identifier: MIT */
/*
 * How eager a queue's thread is to run when a request wakes it, on a processor that somebody uses:
 *
 * - While one request comes at a time, its client is about to sleep until it is done. The thread asks
 *   for short slices, and so takes the processor at once (EEVDF's PREEMPT_SHORT, Linux 6.12): the
 *   client is spared going to sleep and being woken.
 * - When several come together, their client may be handing in more. The thread of a target that
 *   never waits for a backing (null, mem) would serve each by itself; with SCHED_BATCH it waits until
 *   the client sleeps, and serves all of them at once. One that has a backing is woken by that too,
 *   and must not stand behind whoever computes: it runs as any other thread.
 *
 * An eager thread that interrupts its client after each request finds each of them alone, however many
 * the client has to hand in: so it is patient again from time to time, and sees what comes then.
 *
 * A kernel that refuses is served as well.
 */
#include <errno.h>
#include <sched.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "queue/internal.h"

/* Shorter than everybody's, which is 700 µs on one processor and more on several (update_sysctl()); much
 * longer than a request takes: a timer is set to its end each time (hrtick_start_fair(), Linux 7.3). */
#define SLICE_NS 500000U

/* Of the kernel's interface; not every C library has it. */
struct attributes {
	uint32_t size, policy;
	uint64_t flags;
	int32_t nice;
	uint32_t priority;
	uint64_t runtime, deadline, period; /* runtime: the slice, 0 for the default */
};

static void set(uint32_t policy, uint64_t slice)
{
	struct attributes a = {.size = sizeof(a)};

	/* Whatever else was set for this process stays. */
	if (syscall(SYS_sched_getattr, 0, &a, sizeof(a), 0) != 0 ||
	    (a.policy != SCHED_OTHER && a.policy != SCHED_BATCH))
		return;
	a.policy = policy;
	a.runtime = slice;
	(void)syscall(SYS_sched_setattr, 0, &a, 0);
}

static void be_patient(const struct ub_queue *q)
{
	set(q->target->ops_per_io ? SCHED_OTHER : SCHED_BATCH, 0);
}

void ub_eager_begin(struct ub_queue *q)
{
	if (!q->target->ops_per_io)
		be_patient(q);
}

void ub_eager_switch(struct ub_queue *q, bool alone)
{
	if (alone && q->lone == UB_EAGER_AFTER) {
		set(SCHED_OTHER, SLICE_NS);
		return;
	}
	if (q->lone >= UB_EAGER_AFTER)
		be_patient(q);
	q->lone = 0;
}
