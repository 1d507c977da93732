/* SPDX-License-Identifier: MIT */
/*
 * A forked process for one call that may hang in the kernel where no signal reaches it: opening a
 * block device whose server does not answer, or stopping it. Its caller waits for the result with a
 * deadline and can leave it behind; a thread, or io_uring's own workers, would hold up the caller's
 * exit. Not for a process with threads, nor for a server: the child would hold what it has open.
 * It does not outlive its caller: what the kernel has begun goes on, but nothing new is begun.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

struct ub_helper {
	pid_t pid;
	int pidfd;
	int fd;
	bool answered;
};

#define UB_HELPER_INIT                \
	{                             \
		.pidfd = -1, .fd = -1 \
	}

/*
 * Runs @fn in a process of its own: with no descriptors but /dev/null, in its own session. What
 * it leaves open stays open until ub_helper_end(). Its result is zero, positive or a negative
 * errno. Return: 0 or a negative errno.
 */
int ub_helper_start(struct ub_helper *helper, int (*fn)(const void *arg), const void *arg);

/* Waits for the result. Return: 0, UB_HELPER_ASKS (then ub_helper_tell(), and wait again), -ETIMEDOUT
 * (may be called again), or -EPIPE: it died. */
#define UB_HELPER_ASKS 1
int ub_helper_wait(struct ub_helper *helper, int timeout_ms, int *ret_result);

/* For @fn: asks whoever has started it, and waits for @size bytes of an answer, which does not come if
 * that process is stopped, say. Return: 0, or -EPIPE: there was none in time, and none will come. */
int ub_helper_ask(int timeout_ms, void *ret_answer, size_t size);

/* Answers it. Return: 0 or -EPIPE: it died. */
int ub_helper_tell(const struct ub_helper *helper, const void *answer, size_t size);

/* Lets it end, or leaves it behind, to end as soon as the kernel lets go of it. */
void ub_helper_end(struct ub_helper *helper);
