/* SPDX-License-Identifier: MIT */
#include "device/quiesce.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "device/control.h"
#include "device/restart.h"
#include "device/same.h"
#include "device/steady.h"
#include "kernel/sysfs.h"
#include "process/process.h"

/* There is no event for it. */
#define PAUSE_MS 5
#define STATUS_MS 1000

__attribute__((format(printf, 4, 5))) static int
fail(const struct ub_dev *dev, struct ub_error *err, int code, const char *fmt, ...)
{
	char why[400];
	va_list args;

	va_start(args, fmt);
	(void)vsnprintf(why, sizeof(why), fmt, args);
	va_end(args);
	return ub_fail_text(err, UB_STAGE_QUIESCE, code, "cannot park ublkb%u: %s", dev->id, why);
}

int ub_dev_check_ours(const struct ub_dev *dev, const char **ret_why)
{
	*ret_why = dev->record_error.code ? dev->record_error.msg : "it is another program's";
	if (dev->record_error.code || !dev->managed)
		return -ESTALE;
	*ret_why = "it is dead";
	if (dev->info.state == UBLK_S_DEV_DEAD)
		return -EINVAL;
	*ret_why = "it was made without recovery";
	return dev->info.flags & UBLK_F_USER_RECOVERY ? 0 : -EINVAL;
}

int ub_dev_ask_status(const struct ub_dev *dev, int timeout_ms, uint64_t *ret_flags)
{
	const struct ub_control_request request = {.op = UB_CONTROL_STATUS};
	struct ub_control_answer answer;
	int ret = ub_control_ask(dev->id, dev->info.ublksrv_flags, &request, timeout_ms, &answer);

	*ret_flags = ret ? 0 : answer.value[1];
	return ret;
}

bool ub_dev_counts_requests(uint32_t id)
{
	uint64_t counts;

	return ub_sysfs_u64(&counts, "/sys/block/ublkb%u/queue/iostats", id) == 0 && counts;
}

int ub_dev_check_parks(const struct ub_dev *dev, const char **ret_why)
{
	*ret_why = "it was made by an older ublk, or on Linux before 6.16";
	if (!(dev->info.flags & UBLK_F_QUIESCE))
		return -EOPNOTSUPP;
	/* Seen on 7.3.4, with each policy of recovery: some that the driver has taken for a batch fail. Before
	 * 7.2.7 that is known of. */
	*ret_why = "with --batch on that fails requests";
	if (dev->info.flags & UBLK_F_BATCH_IO)
		return -EOPNOTSUPP;
	if (dev->info.state != UBLK_S_DEV_LIVE || ub_dev_counts_requests(dev->id))
		return 0;
	*ret_why = "it is being removed";
	if (!ub_dev_has_disk(dev->id))
		return -ENODEV;
	*ret_why = "its disk's queue/iostats is 0, so it can't be told when requests have ended";
	return -EOPNOTSUPP;
}

static int fail_record(const struct ub_dev *dev, int code, struct ub_error *err)
{
	return fail(dev, err, code,
		    "its record can't be written, and without that it would be restarted: %s",
		    strerror(-code));
}

static int ask(const struct ub_dev *dev, int timeout_ms, struct ub_error *err)
{
	const struct ub_control_request request = {.op = UB_CONTROL_PARK, .value = {0, 1}};
	struct ub_control_answer answer;
	int ret = ub_control_ask(dev->id, dev->info.ublksrv_flags, &request, timeout_ms, &answer);

	switch (ret) {
	case 0:
		return 0;
	case -ENOENT:
		return fail(dev, err, ret, "its server has no control socket here");
	case -EOPNOTSUPP:
		return fail(dev, err, -EINVAL, "its server is older than this program");
	case -ESHUTDOWN:
		return fail(dev, err, ret, "its server is about to end");
	case -ENOSPC:
	case -EDQUOT:
	case -EROFS:
		return fail_record(dev, ret, err);
	case -ETIMEDOUT:
		return fail(dev, err, ret, "its server (process %d) does not answer",
			    dev->server.pid);
	default:
		return fail(dev, err, ret, "its server can't be spoken with: %s", strerror(-ret));
	}
}

/* Of one that does not answer it can't be told: it was told to. */
static bool still_parks(const struct ub_dev *dev)
{
	uint64_t flags;

	return ub_dev_ask_status(dev, STATUS_MS, &flags) != 0 || (flags & UB_CONTROL_PARKS);
}

static int mark_parked(struct ub_record *record, void *arg)
{
	(void)arg;
	record->parked = true;
	return 0;
}

/* One that has no server is to get none by itself. */
static int keep_parked(struct ub_ctrl *ctrl, const struct ub_dev *dev, struct ub_error *err)
{
	int lock, ret;

	if (dev->restart.state == UB_RESTART_NO || dev->record.parked)
		return 0;
	if (dev->restart.state == UB_RESTART_TRIES)
		return fail(dev, err, -EBUSY, "it is being restarted just now");
	lock = ub_restart_hold(dev);
	ret = ub_steady_edit(ctrl, &dev->info, mark_parked, NULL);
	ub_restart_let_go(dev, &lock);
	if (ret == -EBUSY)
		return fail(dev, err, ret, "it gets a server just now");
	if (ret == -ENODEV)
		return fail(dev, err, ret, "it was stopped meanwhile");
	return ret ? fail_record(dev, ret, err) : 0;
}

int ub_dev_quiesce(struct ub_ctrl *ctrl, const struct ub_dev *dev, int timeout_ms,
		   struct ub_error *err)
{
	int64_t deadline = ub_now_ms() + timeout_ms;
	struct ublksrv_ctrl_dev_info now;
	const char *why;
	int ret = ub_dev_check_ours(dev, &why);

	if (!ret)
		ret = ub_dev_check_parks(dev, &why);
	if (!ret && dev->record.spec.target->hand_over) {
		why = "its data would be lost, since only an upgrade takes that along";
		ret = -EINVAL;
	}
	if (ret)
		return fail(dev, err, ret, "%s", why);
	if (dev->info.state != UBLK_S_DEV_LIVE)
		return keep_parked(ctrl, dev, err);
	ret = ask(dev, timeout_ms, err);
	if (ret)
		return ret;
	for (;;) {
		ret = ub_same_info(ctrl, &dev->info, &now);
		if (ret)
			return fail(dev, err, ret, "%s", strerror(-ret));
		if (now.state == UBLK_S_DEV_DEAD)
			return fail(dev, err, -ENODEV, "it was stopped meanwhile");
		/* Another server may have it by now. That its own is gone (-1, from Linux 6.18 on) is seen
		 * before the driver has seen the last close. */
		if (now.state != UBLK_S_DEV_LIVE ||
		    (now.ublksrv_pid > 0 && now.ublksrv_pid != dev->info.ublksrv_pid))
			return 0;
		if (ub_left_ms(deadline) == 0 && !still_parks(dev))
			return fail(dev, err, -EPERM, "the driver does not let its server do it");
		if (ub_left_ms(deadline) == 0)
			return fail(
				dev, err, -ETIMEDOUT,
				"requests are under way: it is parked as soon as they have ended");
		(void)poll(NULL, 0, PAUSE_MS);
	}
}
