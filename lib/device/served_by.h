/* SPDX-License-Identifier: MIT */
/*
 * Who serves a device, seen from outside. Only its process id here is asked for, and that may be
 * told by nobody: the driver says it in the caller's namespace of processes (from Linux 6.18 on) or
 * in the server's (before), and may say one that is long gone; the record says it in the server's.
 * So neither is believed without a proof, and "cannot be told from here" is an answer, which counts
 * as "somebody does".
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "kernel/uapi.h"
#include "record/record.h"

enum ub_served { UB_SERVED_NO, UB_SERVED_YES, UB_SERVED_UNKNOWN };

struct ub_served_by {
	enum ub_served answer;
	int32_t pid;         /* if it can be told; 0: none */
	uint64_t start_time; /* its, which together with the id names the process; 0: not known */
	bool ending;         /* it will not answer any more */
	uint64_t rdev;       /* of the char device, that it has open; 0: not known */
};

/*
 * @params: the device's; types 0: not known. @record: the device's, or NULL. Of a dead device of
 * ours it tells the process that is about to start it, or has stopped it and is about to end.
 */
void ub_served_by_find(const struct ublksrv_ctrl_dev_info *info, const struct ublk_params *params,
		       const struct ub_record *record, struct ub_served_by *ret_server);

/*
 * Sends SIGKILL to the process behind @pidfd, which was @server's when it was opened, and waits for
 * its end. One that is not known by its start time has to have this very device open.
 * Return: 0, -ESRCH (there is none), -ETIMEDOUT (it does not end: the kernel holds it), or another
 * negative errno.
 */
int ub_served_by_kill(const struct ub_served_by *server, int pidfd, int timeout_ms);
