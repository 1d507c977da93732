/* SPDX-License-Identifier: MIT */
/* The kernel's own events of devices, as far as they are about ours: that something has happened, never
 * what. Any user may listen; whoever sends one only has the listener look. */
#pragma once

#include <stdbool.h>

/* Return: a netlink socket that does not block, or a negative errno. */
int ub_uevent_open(void);

/* Takes all that there are. Return: whether one was about a ublk device, or some were lost. */
bool ub_uevent_take(int fd);

/* The same of a disk, or a partition, of any driver's. */
bool ub_uevent_take_disks(int fd);
