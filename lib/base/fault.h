/* SPDX-License-Identifier: MIT */
/*
 * Failure injection for the test build (-DUB_FAULTS=ON): a named step fails, kills its process or
 * waits when the environment variable UBLK_FAULT names it. In a release build nothing of it exists.
 *
 *   UBLK_FAULT=step            the step fails with EIO
 *   UBLK_FAULT=step:ENOMEM     ... with this errno
 *   UBLK_FAULT=step:kill       the process that reaches the step gets SIGKILL
 *   UBLK_FAULT=step:stop       ... SIGSTOP: a test then acts on it
 *   UBLK_FAULT=step@2:ENOMEM   ... only the second time (a digit) that a process comes to it
 */
#pragma once

#include <stdbool.h>

#ifdef UB_FAULTS
/* Return: 0, or the negative errno that the step shall fail with. */
int ub_fault(const char *step);
/* Is it this step that UBLK_FAULT names? For what has to be done before it fails. */
bool ub_fault_is_wanted(const char *step);
#else
static inline int ub_fault(const char *step)
{
	(void)step;
	return 0;
}
static inline bool ub_fault_is_wanted(const char *step)
{
	(void)step;
	return false;
}
#endif
