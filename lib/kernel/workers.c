/* SPDX-License-Identifier: MIT */
#include "kernel/workers.h"

#include <liburing.h>
#include <sched.h>

void ub_workers_end_when_idle(struct io_uring *ring)
{
	cpu_set_t none;

	CPU_ZERO(&none);
	(void)io_uring_register_iowq_aff(ring, sizeof(none), &none);
}
