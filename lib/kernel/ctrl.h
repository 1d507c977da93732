/* SPDX-License-Identifier: MIT */
/*
 * Control commands to the driver, over /dev/ublk-control and a small ring of 128-byte SQEs. Owns
 * that descriptor and that ring. Knows the kernel's interface, and neither devices' lives nor
 * targets.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"
#include "kernel/uapi.h"

struct ub_ctrl;

#define UB_CTRL_RING_ENTRIES 4

/*
 * Opens the control node. The error says what is missing: the module, the node, the permission, or
 * io_uring itself.
 * Return: 0, -ENOENT (no driver), -EACCES/-EPERM, -ENOSYS (no io_uring), -EOPNOTSUPP (the driver
 * is older than Linux 6.12, or foreign), or another negative errno. The stage is UB_STAGE_RING where
 * io_uring is what is refused.
 */
int ub_ctrl_open(struct ub_ctrl **ret_ctrl, struct ub_error *err);
/* Its first two steps, each alone, and taken back: the node is opened, a ring is set up. */
int ub_ctrl_check_node(struct ub_error *err);
int ub_ctrl_check_ring(struct ub_error *err);
/* It will hardly be needed for long: what the kernel keeps for it goes (workers.h). */
void ub_ctrl_settle(struct ub_ctrl *ctrl);
void ub_ctrl_close(struct ub_ctrl *ctrl);
static inline void ub_ctrl_closep(struct ub_ctrl **ctrl)
{
	ub_ctrl_close(*ctrl);
}

/* May this process use the driver, but for devices of an ordinary user only? Without CAP_SYS_ADMIN
 * the driver gives few rights on them (UBLK_F_UNPRIVILEGED_DEV). */
bool ub_ctrl_is_unprivileged(void);

/* What the driver knows: UBLK_F_* bits, asked when the control node was opened. */
uint64_t ub_ctrl_features(const struct ub_ctrl *ctrl);

/* One command. @unprivileged puts the device node's path before the buffer, as every command to an
 * unprivileged device needs it. */
struct ub_ctrl_cmd {
	uint32_t op; /* UBLK_U_CMD_* */
	uint32_t dev_id;
	uint64_t data;
	void *buf; /* borrowed until the command's completion was taken */
	uint16_t len;
	bool unprivileged;
};

#define UB_CTRL_NO_TIMEOUT (-1)

/*
 * Sends a command and waits for its end. After @timeout_ms it is cancelled, and waited for again:
 * when this returns the kernel no longer uses the buffer. A command without one may go on.
 * Return: the command's result (0 or positive, or negative errno), -ETIMEDOUT.
 */
int ub_ctrl_run(struct ub_ctrl *ctrl, const struct ub_ctrl_cmd *cmd, int timeout_ms);

/*
 * The same in two halves, for a caller that watches other descriptors meanwhile: at most one such
 * command at a time. Poll ub_ctrl_fd() for input, then ask ub_ctrl_done().
 */
int ub_ctrl_start(struct ub_ctrl *ctrl, const struct ub_ctrl_cmd *cmd);
int ub_ctrl_fd(const struct ub_ctrl *ctrl);
/* Return: true when the command has ended; its result is in @ret_res. */
bool ub_ctrl_done(struct ub_ctrl *ctrl, int *ret_res);
/* Asks the kernel to cancel it; its end (usually -EINTR) comes through ub_ctrl_done(). */
void ub_ctrl_cancel(struct ub_ctrl *ctrl);

/* The commands that take or give structs. Each returns 0 or a negative errno. */
int ub_ctrl_get_info(struct ub_ctrl *ctrl, uint32_t id, struct ublksrv_ctrl_dev_info *ret_info);
int ub_ctrl_get_params(struct ub_ctrl *ctrl, const struct ublksrv_ctrl_dev_info *info,
		       struct ublk_params *ret_params);
int ub_ctrl_set_params(struct ub_ctrl *ctrl, const struct ublksrv_ctrl_dev_info *info,
		       struct ublk_params *params);
/* @set: a CPU mask of @size bytes, a multiple of 8 that holds every CPU of the machine. */
int ub_ctrl_get_affinity(struct ub_ctrl *ctrl, const struct ublksrv_ctrl_dev_info *info,
			 unsigned queue, void *set, uint16_t size);
/* A command without a buffer: STOP_DEV, DEL_DEV, START_USER_RECOVERY, ... */
int ub_ctrl_simple(struct ub_ctrl *ctrl, const struct ublksrv_ctrl_dev_info *info, uint32_t op,
		   uint64_t data, int timeout_ms);
