/* SPDX-License-Identifier: MIT */
/* Where a device's queues are served: threads, CPUs, memory nodes; from sysfs and procfs. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "device/device.h"

struct ub_placed_thread {
	int32_t tid;
	char cpus[256]; /* that it may run on, as "0-3,8"; "" when not known */
};

struct ub_placement {
	uint32_t id;
	struct ub_placed_thread *threads; /* in their order; owned; none: not known */
	size_t thread_count;
	char cpus[256];      /* whose I/O comes to this queue, as "0-3,8"; "" when not known */
	int32_t numa_node;   /* of the first of them; -1: not known */
	int32_t memory_node; /* that the queue's memory is taken from; -1: any, or not known */
};

/*
 * One element for each queue that the device was granted. What can't be found out is left open.
 * Return: 0 with an array for ub_placement_free(), or -ENOMEM.
 */
int ub_placement_find(const struct ub_dev *dev, struct ub_placement **ret_list, size_t *ret_count);
void ub_placement_free(struct ub_placement *list, size_t count);
