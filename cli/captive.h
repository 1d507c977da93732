/* SPDX-License-Identifier: MIT */
/*
 * A command of the user's that is run and waited for: it has what this process had when it was called,
 * and is sent what this process is sent. Knows no device.
 */
#pragma once

#include <signal.h>
#include <sys/types.h>

#include "base/error.h"
#include "interrupt.h"

struct ub_captive {
	pid_t pid;                /* a child, until its end was waited for */
	struct ub_interrupt held; /* what comes meanwhile is not for this process */
};

/*
 * Executes a program, looked for as the shell does. It gets @mask for its blocked signals and SIGKILL
 * when this process is gone, stays in its process group, and inherits descriptors as ever.
 * @argv: NULL-terminated. @variables: NULL-terminated, "NAME=VALUE", for its environment.
 * Return: 0, or a negative errno with a message: it could not be executed (-ENOENT: it is not there).
 */
int ub_captive_start(struct ub_captive *captive, const char *const argv[], char *const variables[],
		     const sigset_t *mask, struct ub_error *err);

/*
 * Waits for its end, and passes on the signals that would end this process and those for users' own
 * purposes. What comes from the terminal comes to the whole process group, so it is passed on only
 * where the command has left that. None that came before the end is left to this process.
 * Return: its exit status, 128 and more for a signal, as shells say it.
 */
int ub_captive_wait(struct ub_captive *captive);

/* Kills it and waits for its end. */
void ub_captive_kill(struct ub_captive *captive);
