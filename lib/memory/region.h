/* SPDX-License-Identifier: MIT */
/* The kinds of memory that a device has: the rows of every plan and report. */
#pragma once

#include <stdint.h>

enum ub_region_kind {
	UB_REGION_DESCRIPTORS, /* I/O descriptors, pages of the driver's */
	UB_REGION_RINGS,       /* io_uring's queues, pages of the kernel's */
	UB_REGION_TABLE,       /* of the rings: requests registered as buffers, the kernel's */
	UB_REGION_STATE,       /* queues and I/Os */
	UB_REGION_STATS,       /* what is counted of them, pages of a file in memory */
	UB_REGION_STACKS,      /* of the queues' threads */
	UB_REGION_BUFFERS,     /* for I/O data */
	UB_REGION_TARGET,      /* what a target keeps in memory */
	UB_REGION_PROGRAM,     /* the server itself: code, libraries, heap, main stack */
	UB_REGION_COUNT
};

extern const char *const ub_region_names[UB_REGION_COUNT];

/* All in bytes. */
struct ub_usage {
	uint64_t mapped;   /* address space that can be used */
	uint64_t resident; /* in memory now, pages of the kernel's that are mapped included */
	uint64_t dirty;    /* of that, the process's own */
	uint64_t locked;   /* can't be swapped: mlock() */
	uint64_t swapped;
};

void ub_usage_add(struct ub_usage *to, const struct ub_usage *from);
