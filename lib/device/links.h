/* SPDX-License-Identifier: MIT */
/*
 * The links to ublk disks in /dev/disk, which udev makes (61-ublk.rules). A link leads to a node's path,
 * and with it to whatever disk has the number: one that is left over from an earlier disk has to be gone
 * before there is a new one.
 */
#pragma once

#include <stdint.h>

#define UB_LINKS_RULES "61-ublk.rules"

/*
 * Waits until /dev/disk/by-ublk/NAME leads to ublkb@id. A signal out of @interrupt_fd (or -1) ends that.
 * Return: 0, -EOPNOTSUPP (nobody is going to make it: no udev here, or without our rules or records),
 * -ETIMEDOUT, -EINTR, or another negative errno.
 */
int ub_links_await(const char *name, uint32_t id, int interrupt_fd, int timeout_ms);

/*
 * Before there is a disk @id: waits a moment for udev to remove what leads to the last disk of that
 * number, and removes what is left, as far as this process may.
 * @dev_fd: /dev
 */
void ub_links_clear(int dev_fd, uint32_t id);
