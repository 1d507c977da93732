/* SPDX-License-Identifier: MIT */
/*
 * What is known of the devices on this machine, ours or not: the kernel's word, and the record's
 * where its token proves that it is about this very device.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "budget/footprint.h"
#include "device/served_by.h"
#include "kernel/ctrl.h"
#include "record/record.h"

/* Who is to start a new server when the device's own dies. */
enum ub_restart_state {
	UB_RESTART_NO,        /* it is not wanted */
	UB_RESTART_WATCHED,   /* somebody would */
	UB_RESTART_TRIES,     /* does just now */
	UB_RESTART_WAITS,     /* does so again in a while */
	UB_RESTART_GAVE_UP,   /* does not any more */
	UB_RESTART_UNWATCHED, /* nobody is there who would */
};

struct ub_restart {
	int state;      /* enum ub_restart_state */
	uint32_t count; /* of servers that were started so */
};

struct ub_dev {
	uint32_t id;
	struct ublksrv_ctrl_dev_info info;
	struct ublk_params params; /* types is 0 when they can't be had */
	bool managed;              /* record is valid and belongs to this device */
	struct ub_record record;
	struct ub_error record_error; /* why there is one that can't be used; code 0: it can, or
				       * there is none */
	struct ub_served_by server;
	struct ub_restart restart;
	uint64_t size; /* bytes, as the block device says, else as its parameters say */
	bool read_only;
	struct ub_footprint memory; /* of the server; not known before ub_dev_measure() */
};

/* Return: 0, -ENODEV, -EACCES, or another negative errno. */
int ub_dev_get(struct ub_ctrl *ctrl, uint32_t id, struct ub_dev *ret_dev, struct ub_error *err);
void ub_dev_done(struct ub_dev *dev);

/* The same of several in two halves: the kernel's word first, and all the rest of those that are
 * there. The second half fails for none. */
int ub_dev_get_info(struct ub_ctrl *ctrl, uint32_t id, struct ublksrv_ctrl_dev_info *ret_info,
		    struct ub_error *err);
void ub_dev_fill(const struct ublksrv_ctrl_dev_info *infos, size_t count, struct ub_dev *ret_devs);

/* Measures what the server has in memory, where it lives and this user may: else it stays unknown. */
void ub_dev_measure(struct ub_dev *dev);

/* All devices, by ascending id. Devices that vanish meanwhile are left out, as are those that this
 * user may not ask about. */
int ub_dev_list(struct ub_ctrl *ctrl, struct ub_dev **ret_devs, size_t *ret_count,
		struct ub_error *err);
void ub_dev_list_free(struct ub_dev *devs, size_t count);

/* A device by what the user typed: an id in any form, or the name of a device of ours.
 * An id need not exist. Return: 0, or with a message -ENODEV, -ENOTUNIQ (several have the name). */
int ub_dev_resolve(struct ub_ctrl *ctrl, const char *text, uint32_t *ret_id, struct ub_error *err);

/* Their numbers alone, in ascending order, as sysfs tells them to everybody.
 * Return: 0 with @ret_ids to be freed, or a negative errno. */
int ub_dev_list_ids(uint32_t **ret_ids, size_t *ret_count);

/* "live", "quiesced", "failed", "dead". */
const char *ub_state_name(unsigned state);
const char *ub_dev_state_name(const struct ub_dev *dev);

/* From the granted flags. */
enum ub_recovery ub_dev_recovery(uint64_t flags);

/* It serves, as far as can be told from here. */
bool ub_dev_is_live(const struct ub_dev *dev);

/* It has a disk, as sysfs says, or there is no sysfs: the driver says "live" before that. */
bool ub_dev_has_disk(uint32_t id);

/* It is being deleted, or there is no sysfs: its number is freed with the last close of its node. */
bool ub_dev_is_going(uint32_t id);

/* No server and no way to get one: dead, or its server died without recovery. */
bool ub_dev_is_orphan(const struct ub_dev *dev);
