/* SPDX-License-Identifier: MIT */
/*
 * What processes have open, as /proc tells. What shows nowhere: a descriptor that is registered with
 * io_uring or on its way through a socket, and closed; and one of a thread that does not share its
 * process's. Knows nothing of devices.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct statx;

/* @stx: type and device number of what is open. Return: 0, or what ends the look: positive or a negative
 * errno. */
typedef int (*ub_process_visit)(void *arg, const struct statx *stx);

/*
 * Looks at all that a process has open (@folder: "fd") or mapped ("map_files"). Up to Linux 6.19 that is
 * hidden where the first thread has ended and others go on: there those are looked at.
 * Return: 0 (also if there is no such process), what @visit has returned, or a negative errno if it can't
 * be seen.
 */
int ub_process_each_open(int32_t pid, const char *folder, ub_process_visit visit, void *arg);

/* Has the process the character device @rdev open? Return: 1, 0 (also if there is no such process),
 * or a negative errno when that can't be seen. */
int ub_process_has_open(int32_t pid, uint64_t rdev);

/* Looks for a process, other than this one, that has it open. @ret_all: every process that can be
 * seen could be asked. Return: it, or 0. */
int32_t ub_process_find_open(uint64_t rdev, bool *ret_all);
