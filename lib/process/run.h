/* SPDX-License-Identifier: MIT */
/*
 * Running another program to its end: without a shell, with nothing of the caller's environment,
 * what it says collected. Knows nothing of what programs there are.
 */
#pragma once

/*
 * Runs argv[0], looked for in PATH if it has no slash, without input, and kills it when @timeout_ms
 * are over.
 * @ret_text: what it wrote, on standard output and error, up to 4 KiB; to be freed. NULL if it was
 * not run.
 * Return: its exit status; -ENOENT: there is no such program; -EINTR: a signal ended it; -ETIMEDOUT;
 * or another negative errno.
 */
int ub_run_program(char *const argv[], int timeout_ms, char **ret_text);
