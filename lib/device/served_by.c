/* SPDX-License-Identifier: MIT */
#include "device/served_by.h"

#include <errno.h>
#include <signal.h>
#include <stdbool.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "kernel/sysfs.h"
#include "process/files.h"
#include "process/process.h"

static uint64_t find_rdev(const struct ublksrv_ctrl_dev_info *info,
			  const struct ublk_params *params)
{
	uint32_t major = params->devt.char_major, minor = params->devt.char_minor;

	if (!(params->types & UBLK_PARAM_TYPE_DEVT) &&
	    ub_sysfs_devt(&major, &minor, "/sys/class/ublk-char/ublkc%u/dev", info->dev_id) != 0)
		return 0;
	return makedev(major, minor);
}

static bool serves(struct ub_served_by *server, int32_t pid, uint64_t start_time)
{
	if (!ub_process_is_alive(pid, start_time))
		return false;
	server->answer = UB_SERVED_YES;
	server->pid = pid;
	server->start_time = start_time;
	server->ending = ub_process_is_ending(pid);
	return true;
}

/* The record's start time proves whose id it is, whoever says it. */
static bool find_recorded(struct ub_served_by *server, int32_t said, const struct ub_record *record)
{
	return record && record->start_time &&
	       (serves(server, said, record->start_time) ||
		serves(server, record->pid, record->start_time));
}

/* Linux 6.12 to 6.17 keep the id that START_DEV got, also after the process is gone: what it says
 * is the server if it has the device open, or if that can't be seen. */
static bool find_said(struct ub_served_by *server, int32_t said)
{
	int has = said > 0 && server->rdev ? ub_process_has_open(said, server->rdev) : 0;
	uint64_t start_time;

	if (!has || ub_process_start_time(said, &start_time) != 0)
		return false;
	return serves(server, said, has > 0 ? start_time : 0);
}

/* Has it no server that the driver knows of? One may be about to take it over. */
static bool is_parked(const struct ublksrv_ctrl_dev_info *info)
{
	return info->state == UBLK_S_DEV_QUIESCED || info->state == UBLK_S_DEV_FAIL_IO;
}

void ub_served_by_find(const struct ublksrv_ctrl_dev_info *info, const struct ublk_params *params,
		       const struct ub_record *record, struct ub_served_by *ret_server)
{
	bool mine = info->flags & UBLK_F_UNPRIVILEGED_DEV && info->owner_uid == geteuid();
	uint64_t start_time;
	bool all = false;
	int32_t pid = 0;

	*ret_server = (struct ub_served_by){.rdev = find_rdev(info, params)};
	if (find_recorded(ret_server, info->ublksrv_pid, record) ||
	    find_said(ret_server, info->ublksrv_pid))
		return;
	/* Somebody in another namespace may be about to take it over; of ours the record would say. */
	if (is_parked(info)) {
		if (!record && !ub_process_sees_all())
			ret_server->answer = UB_SERVED_UNKNOWN;
		return;
	}
	if (ret_server->rdev)
		pid = ub_process_find_open(ret_server->rdev, &all);
	if (pid && ub_process_start_time(pid, &start_time) == 0 &&
	    serves(ret_server, pid, start_time))
		return;
	/* What others than the owner have open he can't see, but none of them serves it. */
	if (!all && !(mine && ub_process_sees_all()))
		ret_server->answer = UB_SERVED_UNKNOWN;
}

int ub_served_by_kill(const struct ub_served_by *server, int pidfd, int timeout_ms)
{
	int ret;

	if (pidfd < 0)
		return -ESRCH;
	/* While the pidfd's process lives, the id is its. */
	if (!server->start_time &&
	    (ub_process_has_open(server->pid, server->rdev) != 1 || ub_process_wait(pidfd, 0) == 0))
		return -ESRCH;
	ret = ub_process_signal(pidfd, SIGKILL);
	return ret ? ret : ub_process_wait(pidfd, timeout_ms);
}
