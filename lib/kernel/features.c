/* SPDX-License-Identifier: MIT */
#include "kernel/features.h"

#include <stddef.h>

#include "kernel/uapi.h"

/* clang-format off */
const struct ub_feature ub_features[] = {
	{ .name = "support_zero_copy", .bit = UBLK_F_SUPPORT_ZERO_COPY, .since = "6.15", .used = true,
	  .summary = "a request's pages can be registered as a buffer of the server's ring" },
	{ .name = "uring_cmd_comp_in_task", .bit = UBLK_F_URING_CMD_COMP_IN_TASK, .since = "6.0",
	  .summary = "commands complete in the server's task; always on" },
	{ .name = "need_get_data", .bit = UBLK_F_NEED_GET_DATA, .since = "6.0", .used = true,
	  .summary = "a write's data is copied only when the server asks for it" },
	{ .name = "user_recovery", .bit = UBLK_F_USER_RECOVERY, .since = "6.1", .used = true,
	  .summary = "the device outlives its server, and a new one takes over" },
	{ .name = "user_recovery_reissue", .bit = UBLK_F_USER_RECOVERY_REISSUE, .since = "6.1",
	  .used = true,
	  .summary = "what the dead server had in hand is sent again to the new one" },
	{ .name = "unprivileged_dev", .bit = UBLK_F_UNPRIVILEGED_DEV, .since = "6.3", .used = true,
	  .summary = "an ordinary user may make and own the device" },
	{ .name = "cmd_ioctl_encode", .bit = UBLK_F_CMD_IOCTL_ENCODE, .since = "6.4", .used = true,
	  .summary = "commands are encoded as for ioctl; always on" },
	{ .name = "user_copy", .bit = UBLK_F_USER_COPY, .since = "6.5", .used = true,
	  .summary = "the server reads and writes a request's data through the char device" },
	{ .name = "zoned", .bit = UBLK_F_ZONED, .since = "6.6",
	  .summary = "zoned block devices" },
	{ .name = "user_recovery_fail_io", .bit = UBLK_F_USER_RECOVERY_FAIL_IO, .since = "6.13",
	  .used = true,
	  .summary = "I/O fails at once instead of waiting while there is no server" },
	{ .name = "update_size", .bit = UBLK_F_UPDATE_SIZE, .since = "6.16", .used = true,
	  .summary = "a live device's size can change" },
	{ .name = "auto_buf_reg", .bit = UBLK_F_AUTO_BUF_REG, .since = "6.16", .used = true,
	  .summary = "the driver registers zero-copy buffers by itself" },
	{ .name = "quiesce", .bit = UBLK_F_QUIESCE, .since = "6.16", .used = true,
	  .summary = "a device can be parked for a change of its server" },
	{ .name = "per_io_daemon", .bit = UBLK_F_PER_IO_DAEMON, .since = "6.16", .used = true,
	  .summary = "each tag may have a thread of its own; always on" },
	{ .name = "buf_reg_off_daemon", .bit = UBLK_F_BUF_REG_OFF_DAEMON, .since = "6.17",
	  .summary = "any thread may register zero-copy buffers; always on" },
	{ .name = "batch_io", .bit = UBLK_F_BATCH_IO, .since = "7.0", .used = true,
	  .summary = "one command fetches or commits many requests" },
	{ .name = "integrity", .bit = UBLK_F_INTEGRITY, .since = "7.0",
	  .summary = "integrity metadata travels with the data" },
	{ .name = "safe_stop_dev", .bit = UBLK_F_SAFE_STOP_DEV, .since = "7.0", .used = true,
	  .summary = "a device that is open can refuse to be stopped; always on" },
	{ .name = "no_auto_part_scan", .bit = UBLK_F_NO_AUTO_PART_SCAN, .since = "7.0",
	  .used = true,
	  .summary = "the driver does not look for partitions at the start" },
	{ .name = "shmem_zc", .bit = UBLK_F_SHMEM_ZC, .since = "7.1",
	  .summary = "zero copy over memory that client and server share" },
	{ .name = "io_desc_size", .bit = UBLK_F_IO_DESC_SIZE, .since = "7.3",
	  .summary = "descriptors can be larger than 24 bytes" },
	{ .name = NULL },
};
/* clang-format on */
