/* SPDX-License-Identifier: MIT */
#include "device/quiesce.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "device/control.h"
#include "device/same.h"
#include "process/process.h"

/* There is no event for it. */
#define PAUSE_MS 5

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

static int check(const struct ub_dev *dev, struct ub_error *err)
{
	uint64_t flags = dev->info.flags;

	if (dev->record_error.code)
		return fail(dev, err, -ESTALE, "its record can't be used: %s",
			    dev->record_error.msg);
	if (!dev->managed)
		return fail(dev, err, -ESTALE, "it is another program's");
	if (dev->info.state == UBLK_S_DEV_DEAD)
		return fail(dev, err, -EINVAL, "it is dead");
	if (!(flags & UBLK_F_USER_RECOVERY))
		return fail(dev, err, -EINVAL, "it was made without recovery");
	if (!(flags & UBLK_F_QUIESCE))
		return fail(dev, err, -EOPNOTSUPP,
			    "it was made by an older ublk, or on Linux before 6.16");
	/* Seen on 7.3.4, with each policy of recovery: some that the driver has taken for a batch fail. Before
	 * 7.2.7 that is known of. */
	if (flags & UBLK_F_BATCH_IO)
		return fail(dev, err, -EOPNOTSUPP, "with --batch on that fails requests");
	return 0;
}

static int ask(const struct ub_dev *dev, int timeout_ms, struct ub_error *err)
{
	const struct ub_control_request request = {.op = UB_CONTROL_PARK};
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
	case -ETIMEDOUT:
		return fail(dev, err, ret, "its server (process %d) does not answer",
			    dev->server.pid);
	default:
		return fail(dev, err, ret, "its server can't be spoken with: %s", strerror(-ret));
	}
}

int ub_dev_quiesce(struct ub_ctrl *ctrl, const struct ub_dev *dev, int timeout_ms,
		   struct ub_error *err)
{
	int64_t deadline = ub_now_ms() + timeout_ms;
	struct ublksrv_ctrl_dev_info now;
	int ret = check(dev, err);

	if (ret || dev->info.state != UBLK_S_DEV_LIVE)
		return ret;
	ret = ask(dev, timeout_ms, err);
	if (ret)
		return ret;
	for (;;) {
		ret = ub_same_info(ctrl, &dev->info, &now);
		if (ret)
			return fail(dev, err, ret, "%s", strerror(-ret));
		if (now.state == UBLK_S_DEV_DEAD)
			return fail(dev, err, -ENODEV, "it was stopped meanwhile");
		/* Another server may have it by now. */
		if (now.state != UBLK_S_DEV_LIVE || now.ublksrv_pid != dev->info.ublksrv_pid)
			return 0;
		if (ub_left_ms(deadline) == 0)
			return fail(
				dev, err, -ETIMEDOUT,
				"requests are under way: it is parked as soon as they have ended");
		(void)poll(NULL, 0, PAUSE_MS);
	}
}
