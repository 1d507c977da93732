/* SPDX-License-Identifier: MIT */
/*
 * Who a process is. A process id alone identifies nobody: it may have been given to another one.
 * Together with the time when it started it does. Knows nothing of devices and servers.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

/* Clock ticks since boot, from /proc/PID/stat. Return: 0, -ESRCH, or another negative errno. */
int ub_process_start_time(int32_t pid, uint64_t *ret_ticks);

/* Who started it, or took it over. Return: as above. */
int ub_process_parent(int32_t pid, int32_t *ret_parent);

/* The first out of that file's text. Return: 0 or -EINVAL. */
int ub_process_parse_stat(const char *text, uint64_t *ret_ticks);

/*
 * Return: a pidfd of the process that has this id and started at @start_time (0: at any time), or
 * -ESRCH, or another negative errno.
 */
int ub_process_open(int32_t pid, uint64_t start_time);

/* Is it there and not merely waiting to be reaped? */
bool ub_process_is_alive(int32_t pid, uint64_t start_time);

/* Is there no way back for it? One that is alive may have got SIGKILL, and wait for a thread that the
 * kernel does not let end yet: it counts as alive until then. */
bool ub_process_is_ending(int32_t pid);

/* Has its first thread ended, whose number it has? Others may go on. */
bool ub_process_first_thread_has_ended(int32_t pid);

/* Has this process a number of its own in a namespace of processes, other than the machine's? */
bool ub_process_in_namespace(void);

/* ... and sees only a part of the machine's control groups? */
bool ub_process_in_group_namespace(void);

/* Has this process in /proc the number that it has for itself? */
bool ub_process_knows_itself(void);

/* The inode of the machine's own namespace of users (PROC_USER_INIT_INO). */
#define UB_PROCESS_FIRST_USERS 0xEFFFFFFDU

/* Has it capabilities only in a namespace of users, which are none for the machine? */
bool ub_process_in_user_namespace(void);

/* Return: 0, -ESRCH if it is gone, -EPERM. */
int ub_process_signal(int pidfd, int sig);

/* Waits for the process's end. @timeout_ms: negative for ever. Return: 0 or -ETIMEDOUT. */
int ub_process_wait(int pidfd, int timeout_ms);

/*
 * Waits for a child's end; kills it when @patience_ms are over, or at once if its @pidfd could not be
 * had (-1), and waits @kill_ms more. Reaps it.
 * Return: its exit status; -EINTR: a signal ended it; -ETIMEDOUT: the kernel holds it, so it is left
 * behind; -ECHILD: it is none.
 */
int ub_process_end(int32_t child, int pidfd, int patience_ms, int kill_ms);

/* Does /proc have the machine's processes, not only those of a namespace, by the numbers that they
 * have for this one? */
bool ub_process_sees_all(void);

/* Does /proc leave out those of other users? */
bool ub_process_hides_others(void);
