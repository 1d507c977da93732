/* SPDX-License-Identifier: MIT */
/*
 * What a device's server has in memory, measured: /proc/PID/smaps, each mapping told to be what it
 * is by the record's layout or by its file.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "record/record.h"
#include "memory/region.h"

/* One kind of memory of one queue, or of the whole device. */
struct ub_footprint_region {
	enum ub_region_kind kind;
	int32_t queue; /* -1: of no queue alone */
	uint64_t page_size;
	struct ub_usage usage;
};

struct ub_footprint {
	bool known; /* false: nothing could be measured */
	struct ub_usage total;
	uint64_t pinned;  /* what rings have hold of: VmPin, and what tags come in; bytes */
	uint64_t charged; /* what RLIMIT_MEMLOCK counts; 0 under CAP_IPC_LOCK */
	struct ub_footprint_region *regions; /* by kind, then by queue */
	size_t count;
};

/*
 * Measures process @pid. @memory: of the device's record, believed as far as it goes; NULL for
 * another program's server, which is a program and rings.
 * Return: 0, or a negative errno (-EACCES: another user's process), @ret_footprint then empty.
 */
int ub_footprint_read(int32_t pid, const struct ub_record_memory *memory,
		      struct ub_footprint *ret_footprint);
void ub_footprint_done(struct ub_footprint *footprint);

/* The sum over all queues. */
struct ub_usage ub_footprint_of(const struct ub_footprint *footprint, enum ub_region_kind kind);
