/* SPDX-License-Identifier: MIT */
/*
 * The I/O scheduler of a device's disk. The block layer gives mq-deadline to a disk with one hardware
 * queue wherever that is loaded (elevator_set_default()), and the driver does not ask for none, as
 * kernel loop does: what lies behind sorts for itself.
 *
 * A change waits for the I/O that is under way (blk_mq_freeze_queue()), and up to Linux 6.13 who
 * reads meanwhile waits with it (queue_attr_store(), blk_mq_hw_sysfs_show()): neither is for a server
 * or for a process that is not to hang.
 */
#pragma once

#include <stdint.h>

#include "base/error.h"
#include "spec/spec.h"

/*
 * Gives disk ublkb@id the scheduler @name, if it has another one.
 * Return: 0, or a negative errno with a sentence in @err.
 */
int ub_scheduler_set(uint32_t id, const char *name, struct ub_error *err);

/*
 * The name of the disk's scheduler, asked by a helper process, so that this one does not hang.
 * Return: 0, -ETIMEDOUT (somebody waits for the disk's I/O, and whatever else its queue is asked
 * would hang, too), or another negative errno; @buf is then empty.
 */
int ub_scheduler_ask(uint32_t id, char buf[static UB_SCHEDULER_MAX + 1]);

/*
 * Gives the disk another one, by a helper process. Return: 0, -EINVAL (this kernel has none of that name),
 * -ETIMEDOUT (it waits for the disk's I/O, and may come to it later), or another negative errno.
 */
int ub_scheduler_change(uint32_t id, const char *name, int timeout_ms);
