/* SPDX-License-Identifier: MIT */
/*
 * A command's work on one device, in a process of its own beside this one: much of what it does is
 * waiting, for a server's end or the kernel's grace periods, and many can wait at once. The process
 * prints nothing; what came of it is told by this one, in the order of the devices.
 */
#pragma once

#include "command.h"
#include "device/device.h"
#include "device/users.h"
#include "process/helper.h"

/* So many at once, at the most. */
#define UB_PARALLEL_MAX 32

/* What came of it. */
struct ub_work_result {
	int code; /* 0 or a negative errno, with the sentence in err */
	struct ub_error err;
	struct ub_users users; /* owned */
};

typedef void (*ub_work)(const void *args, struct ub_ctrl *ctrl, struct ub_dev *dev,
			struct ub_work_result *ret_result);

/* One that is under way. */
struct ub_parallel {
	struct ub_helper helper;
	struct ub_parallel_answer *answer; /* shared with the process */
};

/* Begins. Return: 0, or a negative errno: it is to be done by this process. */
int ub_parallel_begin(struct ub_parallel *p, ub_work work, const void *args, struct ub_dev *dev);

/* Waits for its end. */
void ub_parallel_end(struct ub_parallel *p, struct ub_work_result *ret_result);
