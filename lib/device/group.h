/* SPDX-License-Identifier: MIT */
/*
 * The control group that a server lives in. Whoever ends a session, a timer's or a oneshot unit ends
 * every process of its group, so a server in the background gets another one where that may be. Knows
 * systemd, and what a machine without it has; not how a server is started.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

enum ub_group {
	UB_GROUP_CALLERS, /* it stays where it is started */
	UB_GROUP_ROOT,    /* above all others: there is no systemd */
	UB_GROUP_SCOPE,   /* systemd is asked for a scope of its own */
};

/* Which one it is for a server that is started from here in the background. A container's never
 * leaves what the container has. */
enum ub_group ub_group_choose(void);

/* Goes where ub_group_choose() says, if that is UB_GROUP_ROOT: for a server. What is not allowed is
 * not done. */
void ub_group_leave(void);

/* memory.max for a server that is started from here, which @stays in this group or not. */
uint64_t ub_group_memory_max(bool stays);

/* The slice that a scope is to be in; for an ordinary user one of his own manager's. */
const char *ub_group_slice(void);
