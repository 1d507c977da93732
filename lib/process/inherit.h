/* SPDX-License-Identifier: MIT */
/* What a server would take over from whoever starts it and shall not: shared by the one who starts
 * it and the server itself (server/environ.c, which has the list). */
#pragma once

#include <stddef.h>

#define UB_ENVIRONMENT_MAX 8

/* The variables of this process that a server reads, and one that makes its heap small,
 * NULL-terminated; borrowed. The others may tune its C library, or be secrets, which /proc would show
 * for as long as it lives. */
void ub_inherit_environment(char *ret_environment[static UB_ENVIRONMENT_MAX + 1]);

/* Has this process, and what it starts, be the last that is ended when memory is short. Return: 0 or a negative
 * errno. */
int ub_inherit_oom_guard(void);

/* Raises a limit (RLIMIT_*) as far as this process may. Return: 0, or -EPERM: it is still there. */
int ub_inherit_no_limit(int resource);
