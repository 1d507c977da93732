/* SPDX-License-Identifier: MIT */
/*
 * Of those who stop a device and those under whom it must not be stopped, one at a time. A device that
 * Linux 6.12 stops in the middle of a recovery, between the first fetch and the end, loses its number until
 * the next boot, seen in one of five: the kernel tries without end to cancel what the new server has
 * fetched (io_ring_exit_work()). Whoever removes a device that he has stopped removes its record, which
 * nobody may write again after that. Linux 6.16 to 6.18 crash when a device changes its size that has just been
 * stopped.
 */
#pragma once

#include <stdint.h>

#include "kernel/ctrl.h"
#include "record/record.h"

/* How long one waits for the other before he goes on all the same: who holds it may hang. */
#define UB_STEADY_MS 5000

/*
 * Nobody stops the device as long as the descriptor is open. Return: it; -EAGAIN: somebody stops it, or
 * holds it; or another negative errno: this cannot be had here, which is no reason to fail.
 */
int ub_steady_try(uint32_t id);
/* The same, and waits. */
int ub_steady_hold(uint32_t id);
/* Takes what is no descriptor, too. */
void ub_steady_let_go(uint32_t id, int *hold);

/*
 * Has @edit change the record of a device that waits for a server, while none comes and nobody stops it.
 * Return: 0; what @edit returned, and nothing is written; -EBUSY: it has, or just gets, a server; or another
 * negative errno
 */
int ub_steady_edit(struct ub_ctrl *ctrl, const struct ublksrv_ctrl_dev_info *dev,
		   int (*edit)(struct ub_record *record, void *arg), void *arg);

/* Sends STOP_DEV, or TRY_STOP_DEV, while nobody holds it. Return: as ub_same_command() */
int ub_steady_stop(struct ub_ctrl *ctrl, const struct ublksrv_ctrl_dev_info *dev, uint32_t op);
