/* SPDX-License-Identifier: MIT */
/* Exit statuses: what scripts read. Knows errors only. */
#pragma once

#include <stdbool.h>

#include "base/error.h"

enum ub_exit {
	UB_EXIT_DONE = 0,
	UB_EXIT_FAILED = 1,
	UB_EXIT_USAGE = 2,
	UB_EXIT_PERMISSION = 3,
	UB_EXIT_NO_DEVICE = 4,
	UB_EXIT_BUSY = 5,    /* or it exists already */
	UB_EXIT_MISSING = 6, /* the driver, or a feature of it */
	UB_EXIT_TIMEOUT = 7,
	/* Of `ublk run`, which else ends as its command does: that cannot be executed, is not there; and
	 * what a signal's number is added to that has ended it. */
	UB_EXIT_CANNOT_EXECUTE = 126,
	UB_EXIT_NOT_FOUND = 127,
	UB_EXIT_SIGNAL = 128,
};

/* The status of a failure; @code is a negative errno. */
enum ub_exit ub_exit_of(enum ub_stage stage, int code);

/* The status of a command that does several things: the one that all have, or UB_EXIT_FAILED. */
struct ub_common_status {
	bool any;
	enum ub_exit status;
};
void ub_common_add(struct ub_common_status *common, enum ub_exit status);
