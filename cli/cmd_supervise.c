/* SPDX-License-Identifier: MIT */
/* ublk supervise: devices that are to be restarted get their servers back. */
#include <errno.h>

#include "commands.h"
#include "supervise.h"

static enum ub_exit run(struct ub_call *call)
{
	struct ub_error err = {0};
	int ret = ub_supervise(&err);

	if (ret == -EALREADY) {
		ub_out_note("%s", err.msg);
		return UB_EXIT_DONE;
	}
	return ret ? ub_call_fail(call, &err) : UB_EXIT_DONE;
}

const struct ub_command ub_cmd_supervise = {
	.name = "supervise",
	.summary = "start new servers for devices that are to be restarted",
	.synopsis = "[OPTIONS]",
	.about = "Watch the devices that were made with --restart, and recover each whose server\n"
		 "dies: at once, then after 1, 2, 4 seconds and so on, up to 10 times in a row. "
		 "Ends\n"
		 "with the last such device. Whatever makes one starts this by itself.\n",
	.run = run,
};
