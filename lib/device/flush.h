/* SPDX-License-Identifier: MIT */
/* Has the kernel write what it keeps in memory of a disk that is in use: its file systems, its page cache. */
#pragma once

#include <stdint.h>

/*
 * Of /dev/ublkbN and its partitions, as a server still serves it, and with a flush for each. An ordinary user
 * has no right to have a file system on his device synced.
 * May hang, as all I/O may: for a process that can be left behind.
 * Return: 0, -ENODEV (there is no disk), or the first negative errno; the others are flushed all the same.
 */
int ub_flush(uint32_t id);
