/* SPDX-License-Identifier: MIT */
/*
 * A block device opened exclusively, so that nobody can mount it, swap on it or build on it
 * meanwhile, and that tells whether somebody has, in whatever namespace. Opening one whose server
 * hangs or is gone may hang: it is done by a process that may be left behind.
 */
#pragma once

#include "kernel/ctrl.h"

/*
 * Opens the disk of @dev for reading, whatever lies in /dev in its place: if that is not the disk's
 * node, one of our own is made where nobody else comes.
 * Return: a descriptor, -EBUSY (somebody has claimed it, or one of its partitions), -ENXIO (there is
 * no disk, or not any more), or another negative errno: it could not be asked.
 */
int ub_claim_open(struct ub_ctrl *ctrl, const struct ublksrv_ctrl_dev_info *dev);
