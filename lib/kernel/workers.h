/* SPDX-License-Identifier: MIT */
/* io_uring's worker threads, which the kernel makes for what would block. */
#pragma once

struct io_uring;

/*
 * Has the calling thread's workers end when they have had nothing to do for some seconds, all of them:
 * else the last of each kind stays as long as the thread, with a stack of 16 KiB, and wakes every five
 * seconds. They are told that they may run on no processor, which the kernel takes as a reason to end
 * an idle one and for nothing else (io_wq_worker() and io_init_new_worker() of Linux 6.12 to 7.3): a new
 * one runs where its thread may. A kernel that refuses keeps them.
 * @ring: one that the thread has entered or registered with
 */
void ub_workers_end_when_idle(struct io_uring *ring);
