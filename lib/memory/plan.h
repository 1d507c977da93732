/* SPDX-License-Identifier: MIT */
/*
 * The plan of a device's memory, before anything of it is made: every region with what it maps,
 * what of that is touched at the start and at the most, and what the limit of locked memory is
 * charged. Arithmetic alone, from facts to numbers; the kernel's part of it is stated with its
 * source. Knows layouts, and neither devices nor the machine.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "memory/layout.h"
#include "memory/region.h"

struct ub_plan_facts {
	uint32_t queues, depth;
	uint32_t threads;         /* that share a queue's requests */
	uint32_t share;           /* queues that a thread serves */
	uint32_t ops_per_io;      /* operations that one I/O has on the ring at once */
	uint32_t desc_size;       /* bytes of one descriptor */
	uint32_t control_entries; /* of the control commands' ring */
	bool slots;               /* each I/O has one in a ring's table of buffers */
	uint32_t slot_pages;      /* that a slot may have, at the most */
	uint32_t batch_element;   /* bytes of each in batches; 0: they come and go one by one */
	uint64_t buffers;         /* bytes of buffers of a thread, as addresses */
	uint64_t buffers_most;    /* and as memory, at the most */
	uint64_t target;          /* bytes that the target keeps */
	uint32_t target_queue;    /* and its layers: for each thread, */
	uint32_t target_io;       /* and for each I/O */
	uint32_t own_ops;   /* operations of theirs that belong to no I/O, of a thread at once */
	uint64_t program;   /* bytes that the program maps for itself */
	uint64_t libraries; /* bytes that its libraries have in memory, */
	uint64_t libraries_mapped; /* and as addresses */
	bool copies;               /* they have the data of I/Os under way once more */
	uint64_t page;             /* bytes */
	uint64_t buffer_page;      /* of buffers: @page, or a huge page */
	bool lock;                 /* all of it is touched and locked at the start */
	bool lock_charged;         /* and that counts for this user */
	bool rings_charged;        /* this kernel charges rings to this user */
};

struct ub_plan_region {
	enum ub_region_kind kind;
	int32_t queue; /* -1: of the whole device */
	int32_t node;  /* of NUMA, that it should come from; -1: any */
	/* Bytes. */
	uint64_t mapped, start, most, locked, pinned, charged;
	uint64_t huge; /* of most, in huge pages */
	uint64_t page_size;
};

struct ub_plan {
	struct ub_layout layout;
	struct ub_plan_region *regions; /* by kind, then by queue; owned */
	size_t count;
	struct ub_plan_region total; /* its kind and queue mean nothing */
};

/* Return: 0, -EOVERFLOW, -ENOMEM. */
int ub_plan_make(struct ub_plan *ret_plan, const struct ub_plan_facts *facts);
void ub_plan_done(struct ub_plan *plan);

/* The sum over all queues. */
struct ub_plan_region ub_plan_of(const struct ub_plan *plan, enum ub_region_kind kind);

/* Entries of a thread's ring: submissions, and completions, which have also those of the timer and of
 * batches. The kernel rounds both up to powers of two. */
struct ub_ring_facts {
	uint32_t depth;      /* I/Os */
	uint32_t ops_per_io; /* that each has at once */
	uint32_t own;        /* operations that belong to none, at once */
};
uint32_t ub_ring_submissions(const struct ub_ring_facts *facts);
uint32_t ub_ring_completions(const struct ub_ring_facts *facts);

/*
 * Bytes of a ring: both queues in one mapping, the SQEs in another (rings_size() and
 * io_allocate_scq_urings() of Linux 6.12 to 7.3).
 * @sqe_size: 64, or 128 with IORING_SETUP_SQE128
 */
uint64_t ub_ring_size(uint32_t submissions, uint32_t completions, uint32_t sqe_size, uint64_t page);
