/* SPDX-License-Identifier: MIT */
#include "kernel/ctrl.h"

#include <fcntl.h>
#include <liburing.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/caps.h"
#include "base/clean.h"
#include "base/clock.h"
#include "base/fault.h"
#include "base/retry.h"
#include "kernel/workers.h"

#define RING_MS 500
#define CONTROL_NODE "/dev/ublk-control"

/* What every driver from Linux 6.12 on knows: get-data, recovery, reissue, ioctl encoding, user
 * copy. One without them is older or no driver of that family. */
#define FEATURES_6_12                                                                 \
	(UBLK_F_NEED_GET_DATA | UBLK_F_USER_RECOVERY | UBLK_F_USER_RECOVERY_REISSUE | \
	 UBLK_F_CMD_IOCTL_ENCODE | UBLK_F_USER_COPY)

/* How long a cancelled command may take to end before it is left behind. */
#define CANCEL_GRACE_MS 1000

enum { DATA_CANCEL = 1, DATA_FIRST_CMD };

struct ub_ctrl {
	int fd;
	bool has_ring;
	struct io_uring ring;
	uint64_t features;
	uint64_t last; /* user_data of the newest command */
	bool ended;    /* ... its completion was seen */
	int res;
	/* The device path and the buffer behind it, of a command to an unprivileged device. */
	char bounce[64 + sizeof(struct ublk_params) + 1024];
	const struct ub_ctrl_cmd *bounced;
	size_t path_len;
};

static int control_error(struct ub_error *err, int code)
{
	switch (code) {
	case -ENOENT:
	case -ENODEV:
	case -ENXIO:
		return ub_fail_text(err, UB_STAGE_CONTROL, -ENOENT,
				    "cannot find the ublk driver: there is no " CONTROL_NODE);
	default:
		return ub_fail(err, UB_STAGE_CONTROL, code, "cannot open " CONTROL_NODE);
	}
}

/* Drivers before Linux 6.5 do not know the command, and look for a device of that number. */
static int ask_features(struct ub_ctrl *ctrl, struct ub_error *err)
{
	struct ub_ctrl_cmd cmd = {
		.op = UBLK_U_CMD_GET_FEATURES,
		.dev_id = UINT32_MAX,
		.buf = &ctrl->features,
		.len = sizeof(ctrl->features),
	};
	int ret = ub_fault("features");

	if (!ret)
		ret = ub_ctrl_run(ctrl, &cmd, UB_CTRL_NO_TIMEOUT);
	if (ret < 0 && ret != -ENODEV && ret != -EOPNOTSUPP)
		return ub_fail(err, UB_STAGE_CONTROL, ret,
			       "cannot ask the ublk driver for its features");
	if (ret < 0 || (ctrl->features & FEATURES_6_12) != FEATURES_6_12)
		return ub_fail_text(err, UB_STAGE_CONTROL, -EOPNOTSUPP,
				    "cannot use this ublk driver: it is older than Linux 6.12");
	return 0;
}

/* Return: a descriptor, or a negative errno with a message. */
static int open_node(struct ub_error *err)
{
	int fd = open(CONTROL_NODE, O_RDWR | O_CLOEXEC);

	return fd < 0 ? control_error(err, -errno) : fd;
}

static int open_ring(struct io_uring *ring, struct ub_error *err)
{
	struct ub_retry retry;
	int ret;

	/* Where rings are charged, what one that was just closed has cost comes back a little later. */
	ub_retry_init(&retry, RING_MS);
	do {
		ret = ub_fault("ctrl-ring");
		if (!ret)
			ret = io_uring_queue_init(UB_CTRL_RING_ENTRIES, ring, IORING_SETUP_SQE128);
	} while (ret == -ENOMEM && ub_retry_wait(&retry));
	return ret ? ub_fail(err, UB_STAGE_RING, ret, "cannot set up io_uring for commands") : 0;
}

int ub_ctrl_check_node(struct ub_error *err)
{
	_cleanup_close_ int fd = open_node(err);

	return fd < 0 ? fd : 0;
}

int ub_ctrl_check_ring(struct ub_error *err)
{
	struct io_uring ring;
	int ret = open_ring(&ring, err);

	if (!ret)
		io_uring_queue_exit(&ring);
	return ret;
}

int ub_ctrl_open(struct ub_ctrl **ret_ctrl, struct ub_error *err)
{
	_cleanup_(ub_ctrl_closep)
	struct ub_ctrl *ctrl = calloc(1, sizeof(*ctrl));
	int ret;

	if (!ctrl)
		return ub_fail(err, UB_STAGE_CONTROL, -ENOMEM, "cannot talk to the driver");
	ctrl->last = DATA_FIRST_CMD;
	ctrl->ended = true;
	ctrl->fd = open_node(err);
	if (ctrl->fd < 0)
		return ctrl->fd;
	ret = open_ring(&ctrl->ring, err);
	if (ret)
		return ret;
	ctrl->has_ring = true;
	ret = ask_features(ctrl, err);
	if (!ret)
		*ret_ctrl = UB_TAKE_PTR(ctrl);
	return ret;
}

void ub_ctrl_close(struct ub_ctrl *ctrl)
{
	if (!ctrl)
		return;
	if (ctrl->has_ring)
		io_uring_queue_exit(&ctrl->ring);
	ub_close(&ctrl->fd);
	free(ctrl);
}

void ub_ctrl_settle(struct ub_ctrl *ctrl)
{
	ub_workers_end_when_idle(&ctrl->ring);
}

bool ub_ctrl_is_unprivileged(void)
{
	return !ub_has_cap(CAP_SYS_ADMIN) && access(CONTROL_NODE, R_OK | W_OK) == 0;
}

uint64_t ub_ctrl_features(const struct ub_ctrl *ctrl)
{
	return ctrl->features;
}

int ub_ctrl_fd(const struct ub_ctrl *ctrl)
{
	return ctrl->ring.ring_fd;
}

/* Puts the device node's path before the buffer: ublk_ctrl_uring_cmd_permission() looks there. */
static int bounce(struct ub_ctrl *ctrl, const struct ub_ctrl_cmd *cmd, struct ublksrv_ctrl_cmd *out)
{
	int n = snprintf(ctrl->bounce, sizeof(ctrl->bounce), "/dev/ublkc%u", cmd->dev_id);

	ctrl->path_len = (size_t)n + 1;
	if (ctrl->path_len + cmd->len > sizeof(ctrl->bounce))
		return -E2BIG;
	if (cmd->len)
		memcpy(ctrl->bounce + ctrl->path_len, cmd->buf, cmd->len);
	out->addr = (uintptr_t)ctrl->bounce;
	out->len = (uint16_t)(ctrl->path_len + cmd->len);
	out->dev_path_len = (uint16_t)ctrl->path_len;
	ctrl->bounced = cmd;
	return 0;
}

int ub_ctrl_start(struct ub_ctrl *ctrl, const struct ub_ctrl_cmd *cmd)
{
	struct ublksrv_ctrl_cmd body = {
		.dev_id = cmd->dev_id,
		.queue_id = UINT16_MAX,
		.len = cmd->len,
		.addr = (uintptr_t)cmd->buf,
		.data = {cmd->data},
	};
	struct io_uring_sqe *sqe;
	int ret;

	ctrl->bounced = NULL;
	if (cmd->unprivileged) {
		ret = bounce(ctrl, cmd, &body);
		if (ret)
			return ret;
	}
	sqe = io_uring_get_sqe(&ctrl->ring);
	if (!sqe)
		return -EBUSY;
	memset(sqe, 0, 2 * sizeof(*sqe));
	sqe->opcode = IORING_OP_URING_CMD;
	sqe->fd = ctrl->fd;
	sqe->cmd_op = cmd->op;
	sqe->user_data = ++ctrl->last;
	memcpy(sqe->cmd, &body, sizeof(body));
	ctrl->ended = false;
	/* What is queued can't be taken back, and would go out with the next command. */
	do
		ret = io_uring_submit(&ctrl->ring);
	while (ret == -EINTR || ret == -EAGAIN || ret == -EBUSY);
	return ret < 0 ? ret : 0;
}

/* Takes what completions there are; those of commands that were left behind are dropped. */
static void reap(struct ub_ctrl *ctrl)
{
	struct io_uring_cqe *cqe;

	while (io_uring_peek_cqe(&ctrl->ring, &cqe) == 0) {
		if (cqe->user_data == ctrl->last && !ctrl->ended) {
			const struct ub_ctrl_cmd *cmd = ctrl->bounced;

			ctrl->ended = true;
			ctrl->res = cqe->res;
			if (cmd && cmd->len)
				memcpy(cmd->buf, ctrl->bounce + ctrl->path_len, cmd->len);
		}
		io_uring_cqe_seen(&ctrl->ring, cqe);
	}
}

bool ub_ctrl_done(struct ub_ctrl *ctrl, int *ret_res)
{
	reap(ctrl);
	if (ctrl->ended)
		*ret_res = ctrl->res;
	return ctrl->ended;
}

void ub_ctrl_cancel(struct ub_ctrl *ctrl)
{
	struct io_uring_sqe *sqe = io_uring_get_sqe(&ctrl->ring);

	if (!sqe)
		return;
	memset(sqe, 0, 2 * sizeof(*sqe));
	sqe->opcode = IORING_OP_ASYNC_CANCEL;
	sqe->fd = -1;
	sqe->addr = ctrl->last;
	sqe->user_data = DATA_CANCEL;
	(void)io_uring_submit(&ctrl->ring);
}

/* Return: true when the command has ended before the deadline. */
static bool wait_end(struct ub_ctrl *ctrl, int timeout_ms)
{
	int64_t deadline = ub_now_ms() + timeout_ms;
	struct io_uring_cqe *cqe;

	for (;;) {
		reap(ctrl);
		if (ctrl->ended)
			return true;
		if (timeout_ms < 0) {
			(void)io_uring_wait_cqe(&ctrl->ring, &cqe);
			continue;
		}
		int64_t left = deadline - ub_now_ms();
		if (left <= 0)
			return false;
		struct __kernel_timespec ts = {left / 1000, (left % 1000) * 1000000};
		(void)io_uring_wait_cqe_timeout(&ctrl->ring, &cqe, &ts);
	}
}

int ub_ctrl_run(struct ub_ctrl *ctrl, const struct ub_ctrl_cmd *cmd, int timeout_ms)
{
	int ret = ub_ctrl_start(ctrl, cmd);

	if (ret)
		return ret;
	if (wait_end(ctrl, timeout_ms))
		return ctrl->res;
	ub_ctrl_cancel(ctrl);
	/* A buffer is the kernel's until the end; without one a command may be left behind. */
	if (!wait_end(ctrl, cmd->len ? UB_CTRL_NO_TIMEOUT : CANCEL_GRACE_MS))
		ctrl->ended = true;
	else if (ctrl->res >= 0)
		return ctrl->res;
	return -ETIMEDOUT;
}

int ub_ctrl_get_info(struct ub_ctrl *ctrl, uint32_t id, struct ublksrv_ctrl_dev_info *ret_info)
{
	struct ublksrv_ctrl_dev_info info = {.dev_id = id};
	struct ub_ctrl_cmd cmd = {
		.op = UBLK_U_CMD_GET_DEV_INFO2,
		.dev_id = id,
		.buf = &info,
		.len = sizeof(info),
		.unprivileged = true, /* this command wants the path on every device */
	};
	int ret = ub_fault("info");

	if (!ret)
		ret = ub_ctrl_run(ctrl, &cmd, UB_CTRL_NO_TIMEOUT);
	if (ret == -ENOENT || ret == -EPERM || ret == -EINVAL) {
		/* No usable node in /dev: a container, perhaps. */
		cmd.op = UBLK_U_CMD_GET_DEV_INFO;
		cmd.unprivileged = false;
		ret = ub_ctrl_run(ctrl, &cmd, UB_CTRL_NO_TIMEOUT);
	}
	if (ret < 0)
		return ret;
	*ret_info = info;
	return 0;
}

static int with_struct(struct ub_ctrl *ctrl, const struct ublksrv_ctrl_dev_info *info, uint32_t op,
		       uint64_t data, void *buf, uint16_t len)
{
	struct ub_ctrl_cmd cmd = {
		.op = op,
		.dev_id = info->dev_id,
		.data = data,
		.buf = buf,
		.len = len,
		.unprivileged = info->flags & UBLK_F_UNPRIVILEGED_DEV,
	};
	int ret = ub_ctrl_run(ctrl, &cmd, UB_CTRL_NO_TIMEOUT);

	return ret < 0 ? ret : 0;
}

int ub_ctrl_get_params(struct ub_ctrl *ctrl, const struct ublksrv_ctrl_dev_info *info,
		       struct ublk_params *ret_params)
{
	struct ublk_params params = {.len = sizeof(params)};
	int ret = with_struct(ctrl, info, UBLK_U_CMD_GET_PARAMS, 0, &params, sizeof(params));

	if (ret)
		return ret;
	*ret_params = params;
	return 0;
}

int ub_ctrl_set_params(struct ub_ctrl *ctrl, const struct ublksrv_ctrl_dev_info *info,
		       struct ublk_params *params)
{
	params->len = sizeof(*params);
	return with_struct(ctrl, info, UBLK_U_CMD_SET_PARAMS, 0, params, sizeof(*params));
}

int ub_ctrl_get_affinity(struct ub_ctrl *ctrl, const struct ublksrv_ctrl_dev_info *info,
			 unsigned queue, void *set, uint16_t size)
{
	return with_struct(ctrl, info, UBLK_U_CMD_GET_QUEUE_AFFINITY, queue, set, size);
}

int ub_ctrl_simple(struct ub_ctrl *ctrl, const struct ublksrv_ctrl_dev_info *info, uint32_t op,
		   uint64_t data, int timeout_ms)
{
	struct ub_ctrl_cmd cmd = {
		.op = op,
		.dev_id = info->dev_id,
		.data = data,
		.unprivileged = info->flags & UBLK_F_UNPRIVILEGED_DEV,
	};
	int ret = ub_ctrl_run(ctrl, &cmd, timeout_ms);

	return ret < 0 ? ret : 0;
}
