/* SPDX-License-Identifier: MIT */
/*
 * The devices that a command is about: `DEV...`, `-n N` or `--all`. Finds each, goes on after a
 * failure, and gives the common status.
 */
#pragma once

#include <stdbool.h>

#include "command.h"
#include "device/device.h"
#include "device/users.h"
#include "kernel/node.h"

/* What a command's struct has for it, first of all. */
struct ub_device_args {
	int id;   /* -n; -1: not given */
	bool all; /* --all, where the command has it */
};

#define UB_OPT_DEVICE_ID(args_type)                                                              \
	{                                                                                        \
		.name = "id", .letter = 'n', .type = UB_OPT_INT,                                 \
		.offset = offsetof(args_type, devices.id), .metavar = "N", .max = UB_DEV_ID_MAX, \
		.completer = "device-number",                                                    \
		.help = "the device with this number, in place of DEV"                           \
	}

struct ub_device_job {
	/* Of --all: whether this device is meant; may tell why not. NULL: all are. */
	bool (*wants)(struct ub_call *call, const struct ub_dev *dev);
	/* The command's work on one device. Return: its exit status, the error told. */
	enum ub_exit (*run)(struct ub_call *call, struct ub_ctrl *ctrl, struct ub_dev *dev);
	/* Or on several at once; the common status. */
	enum ub_exit (*run_some)(struct ub_call *call, struct ub_ctrl *ctrl,
				 struct ub_dev *const *devs, size_t count);
	bool missing_is_done; /* --if-exists */
};

/*
 * Runs a job on all devices that were named, each once.
 * Return: the exit status; a usage error if no device is named.
 */
enum ub_exit ub_devices_run(struct ub_call *call, const struct ub_device_args *args,
			    const struct ub_device_job *job);

/* Tells of a device that was worked on: its path, or as JSON what it is now. */
void ub_device_tell(struct ub_call *call, struct ub_ctrl *ctrl, uint32_t id);

/* Tells an error about a device, with what is known of its users: of one that is in use they are named. */
enum ub_exit ub_device_fail(struct ub_call *call, uint32_t id, const struct ub_users *users,
			    const struct ub_error *err);
