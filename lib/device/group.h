/* SPDX-License-Identifier: MIT */
/*
 * The control group that a server lives in. Whoever ends a session, a timer's or a oneshot unit ends
 * every process of its group, so a server in the background gets another one where that may be. Knows
 * systemd, and what a machine without it has; not how a server is started.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

/* Is systemd to be asked for the group of a server that is started here? It is not for a container that
 * merely sees the machine's. */
bool ub_group_is_scope(void);

/* For a server: without systemd it goes to the root of all groups, where that is allowed. A container's
 * never leaves what the container has. */
void ub_group_leave(void);

/* memory.max for a server that is started here, and @stays in this group or not. */
uint64_t ub_group_memory_max(bool stays);

/* The slice that a scope is to be in; for an ordinary user one of his own manager's. */
const char *ub_group_slice(void);
