/* SPDX-License-Identifier: MIT */
#include "status.h"

#include <errno.h>

/* Opening the driver: that it is not there has many names. */
static enum ub_exit exit_of_control(int code)
{
	switch (-code) {
	case ENOENT:
	case ENODEV:
	case ENXIO:
		return UB_EXIT_MISSING;
	default:
		return UB_EXIT_DONE;
	}
}

/* What lies behind a device has errors of its own: they are not about the device. */
static bool is_about_backing(enum ub_stage stage)
{
	return stage == UB_STAGE_BACKING || stage == UB_STAGE_LOCK;
}

enum ub_exit ub_exit_of(enum ub_stage stage, int code)
{
	enum ub_exit status;

	/* What a configuration file says is as good as typed. */
	if (stage == UB_STAGE_USAGE || (stage == UB_STAGE_CONFIG && code == -EINVAL))
		return UB_EXIT_USAGE;
	if (stage == UB_STAGE_OUTPUT)
		return UB_EXIT_FAILED;
	status = stage == UB_STAGE_CONTROL ? exit_of_control(code) : UB_EXIT_DONE;
	if (status != UB_EXIT_DONE)
		return status;
	switch (-code) {
	case EPERM:
	case EACCES:
		return UB_EXIT_PERMISSION;
	case ENODEV:
		return is_about_backing(stage) ? UB_EXIT_FAILED : UB_EXIT_NO_DEVICE;
	case EAGAIN:
		return stage == UB_STAGE_LOCK ? UB_EXIT_BUSY : UB_EXIT_FAILED;
	case EBUSY:
	case EEXIST:
	case ETXTBSY:
		return UB_EXIT_BUSY;
	case ENOSYS:
	case EOPNOTSUPP:
		return UB_EXIT_MISSING;
	case ETIMEDOUT:
	case ETIME:
		return UB_EXIT_TIMEOUT;
	default:
		return UB_EXIT_FAILED;
	}
}

void ub_common_add(struct ub_common_status *common, enum ub_exit status)
{
	if (!common->any)
		common->status = status;
	else if (common->status != status)
		common->status = UB_EXIT_FAILED;
	common->any = true;
}
