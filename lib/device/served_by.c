/* SPDX-License-Identifier: MIT */
#include "device/served_by.h"

#include <errno.h>
#include <signal.h>
#include <sys/sysmacros.h>

#include "base/clean.h"
#include "process/process.h"

void ub_served_by_find(const struct ub_dev *dev, struct ub_served_by *ret_server)
{
	const struct ublk_param_devt *devt = &dev->params.devt;
	int32_t pid = dev->managed ? dev->record.pid : dev->info.ublksrv_pid;

	*ret_server = (struct ub_served_by){
		.pid = pid > 0 ? pid : 0,
		.fd = ub_process_open(pid, dev->managed ? dev->record.start_time : 0),
		.proven = dev->managed && dev->record.start_time,
	};
	if (dev->params.types & UBLK_PARAM_TYPE_DEVT)
		ret_server->rdev = makedev(devt->char_major, devt->char_minor);
	if (ret_server->fd >= 0)
		return;
	/* The driver forgets whose device it was when it is stopped, though not that it is open. */
	ret_server->proven = false;
	ret_server->pid = ret_server->rdev ? ub_process_find_open(ret_server->rdev) : 0;
	ret_server->fd = ub_process_open(ret_server->pid, 0);
}

void ub_served_by_done(struct ub_served_by *server)
{
	ub_close(&server->fd);
}

int ub_served_by_kill(const struct ub_served_by *server, int timeout_ms)
{
	int ret;

	if (server->fd < 0)
		return -ESRCH;
	/* While the pidfd's process lives, the id is its. */
	if (!server->proven && (!ub_process_has_open(server->pid, server->rdev) ||
				ub_process_wait(server->fd, 0) == 0))
		return -ESRCH;
	ret = ub_process_signal(server->fd, SIGKILL);
	return ret ? ret : ub_process_wait(server->fd, timeout_ms);
}
