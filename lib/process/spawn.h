/* SPDX-License-Identifier: MIT */
/* Starting another program, with what it is to find open and nothing else. */
#pragma once

#include <signal.h>
#include <stdbool.h>
#include <sys/types.h>

#define UB_SPAWN_FDS_MAX 4

/* What is @from here is @to there. @from: -1: /dev/null. */
struct ub_spawn_fd {
	int from, to;
};

/* All is borrowed. */
struct ub_spawn {
	const char *path;
	char *const *argv, *const *environment;
	struct ub_spawn_fd fds[UB_SPAWN_FDS_MAX];
	unsigned nr_fds;
	const sigset_t *held; /* signals that are held back there; NULL: as here */
	bool group; /* it begins a process group: what is typed at this process is not for it */
};

/* Return: 0 with its pid, for waitpid(), or a negative errno. */
int ub_spawn(const struct ub_spawn *s, pid_t *ret_pid);
