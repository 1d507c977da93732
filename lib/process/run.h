/* SPDX-License-Identifier: MIT */
/*
 * Running another program: without a shell, what it says collected. Knows nothing of what programs there are.
 */
#pragma once

#include <sys/types.h>

#include "base/patience.h"

/*
 * Runs argv[0], a path, without input and with nothing of the caller's environment, and kills it when
 * @patience is over.
 * @ret_text: what it wrote, on standard output and error, up to 4 KiB; to be freed. NULL if it was
 * not run.
 * Return: its exit status; -ENOENT: there is no such program; -EINTR: a signal ended it; or another negative
 * errno, as of ub_patience_poll().
 */
int ub_run_program(char *const argv[], const struct ub_patience *patience, char **ret_text);

/*
 * Begins to run argv[0], a path: without input, without signals that are held back, with what it writes in
 * @output. Return: 0 with its pid, for waitpid(), or a negative errno.
 */
int ub_run_start(char *const argv[], char *const environment[], int output, pid_t *ret_pid);
