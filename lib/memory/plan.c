/* SPDX-License-Identifier: MIT */
#include "memory/plan.h"

#include <errno.h>
#include <stdlib.h>

/* struct io_rings begins with a cache line of heads, tails and masks; completions and the array of
 * submissions follow. */
#define RINGS_HEAD 64U
#define CQE_SIZE 16U
#define SQE_SIZE 64U
#define CONTROL_SQE_SIZE 128U

/* What the kernel takes for an entry of a ring's table, for a request that is registered in it, and
 * for each of its pages (io_rsrc_data, io_mapped_ubuf and bio_vec of Linux 6.16 to 7.3). */
#define SLOT_SIZE 8U
#define SLOT_USED 128U
#define SLOT_PAGE 16U

/* Completions besides: of the timer, and of a batch the commit and the end of the fetch. */
#define RING_SPARE 3U

/* What a thread's stack has touched when it waits for the first time. */
#define STACK_START (8U * 1024)

/* Where the target has no operations, a tag still has its fetch on the ring. Two at the least: an
 * operation and the commit that is linked to it are submitted together. */
uint32_t ub_ring_submissions(const struct ub_ring_facts *facts)
{
	uint32_t entries = facts->depth * (facts->ops_per_io ? facts->ops_per_io : 1);

	return entries < 2 ? 2 : entries;
}

uint32_t ub_ring_completions(const struct ub_ring_facts *facts)
{
	return ub_ring_submissions(facts) + facts->own + RING_SPARE;
}

static uint64_t power_of_two(uint64_t value)
{
	uint64_t power = 1;

	while (power < value)
		power *= 2;
	return power;
}

uint64_t ub_ring_size(uint32_t submissions, uint32_t completions, uint32_t sqe_size, uint64_t page)
{
	uint64_t sq = power_of_two(submissions), cq = power_of_two(completions);
	uint64_t rings = RINGS_HEAD + cq * CQE_SIZE;

	rings = ub_round_page(rings, 64) + sq * sizeof(uint32_t);
	return ub_round_page(rings, page) + ub_round_page(sq * sqe_size, page);
}

static void add_to(struct ub_plan_region *sum, const struct ub_plan_region *region)
{
	sum->mapped += region->mapped;
	sum->start += region->start;
	sum->most += region->most;
	sum->locked += region->locked;
	sum->pinned += region->pinned;
	sum->charged += region->charged;
	sum->huge += region->huge;
	if (region->page_size > sum->page_size)
		sum->page_size = region->page_size;
}

/*
 * mlockall() locks what is memory of the process's own (mlock_fixup() passes over the mappings of
 * drivers and over huge pages, which are never swapped), and wants the limit to allow for its whole
 * address space (apply_mlockall_flags() and its caller, Linux 6.12 to 7.3): descriptors, rings and
 * guards count too.
 */
static void lock(struct ub_plan_region *region, const struct ub_plan_facts *facts)
{
	if (region->kind != UB_REGION_DESCRIPTORS && region->kind != UB_REGION_RINGS &&
	    region->kind != UB_REGION_TABLE && region->page_size == facts->page)
		region->locked = region->start = region->most = region->mapped;
	if (facts->lock_charged)
		region->charged += region->mapped;
}

/* What all threads of a queue have. */
static void multiply(struct ub_plan_region *region, uint64_t threads)
{
	region->mapped *= threads;
	region->start *= threads;
	region->most *= threads;
	region->pinned *= threads;
	region->charged *= threads;
	region->huge *= threads;
}

static void add(struct ub_plan *plan, const struct ub_plan_facts *facts,
		struct ub_plan_region *region)
{
	if (!region->mapped && !region->most)
		return;
	if (facts->lock)
		lock(region, facts);
	plan->regions[plan->count++] = *region;
	add_to(&plan->total, region);
}

/* I/Os of a thread: of a part of its queue's, or of all of @queues queues'. */
static uint32_t ios_of(const struct ub_plan_facts *facts, uint32_t queues)
{
	return (facts->depth + facts->threads - 1) / facts->threads * queues;
}

/* One kind of memory of one thread, which serves @ios I/Os. */
static struct ub_plan_region region_of(const struct ub_plan *plan,
				       const struct ub_plan_facts *facts, enum ub_region_kind kind,
				       uint32_t ios)
{
	const struct ub_layout *layout = &plan->layout;
	const struct ub_ring_facts ring = {
		.depth = ios, .ops_per_io = facts->ops_per_io, .own = facts->own_ops};
	struct ub_plan_region r = {.kind = kind, .node = -1, .page_size = facts->page};

	switch (kind) {
	case UB_REGION_DESCRIPTORS:
		/* The driver's pages: mapped as they are, counted for nobody. */
		r.mapped = ub_round_page((uint64_t)facts->depth * facts->desc_size, facts->page);
		break;
	case UB_REGION_RINGS:
		/* The kernel's pages, all of them mapped at once. */
		r.mapped = ub_ring_size(ub_ring_submissions(&ring), ub_ring_completions(&ring),
					SQE_SIZE, facts->page);
		r.start = r.most = r.mapped;
		r.charged = facts->rings_charged ? r.mapped : 0;
		break;
	case UB_REGION_TABLE:
		/* No address of ours leads there. */
		if (!facts->slots)
			break;
		r.start = (uint64_t)ios * SLOT_SIZE;
		r.most = r.start +
			 (uint64_t)ios * (SLOT_USED + (uint64_t)facts->slot_pages * SLOT_PAGE);
		break;
	case UB_REGION_STATE:
		/* The pool's slots are touched where there is a pool. */
		r.mapped = r.most = layout->size[UB_PART_STATE] + layout->size[UB_PART_BATCH];
		r.start = ub_round_page(ub_layout_before_ios(facts->target_queue) +
						(uint64_t)ios * UB_IO_STATE_SIZE,
					facts->page) +
			  layout->size[UB_PART_BATCH];
		/* The ring of provided buffers is at its start, and is the kernel's too. */
		r.pinned = facts->batch_element ? facts->page : 0;
		r.charged = facts->rings_charged ? r.pinned : 0;
		break;
	case UB_REGION_STATS:
		/* The file has all of it from the beginning. */
		r.mapped = r.start = r.most = layout->size[UB_PART_STATS];
		break;
	case UB_REGION_STACKS:
		r.mapped = r.most = layout->size[UB_PART_STACK];
		r.start = STACK_START;
		break;
	case UB_REGION_BUFFERS:
		r.mapped = layout->size[UB_PART_BUFFERS];
		r.most = facts->buffers_most < r.mapped ? facts->buffers_most : r.mapped;
		r.page_size = facts->buffer_page;
		/* Huge pages are taken at once: ub_space_touch_huge(). */
		if (r.page_size > facts->page)
			r.start = r.most = r.huge = r.mapped;
		break;
	default:
		break;
	}
	return r;
}

/* Address space between the parts. */
static uint64_t guards(const struct ub_layout *layout, uint64_t page)
{
	uint64_t used = 0;

	for (unsigned part = 0; part < UB_PART_COUNT; part++)
		used += layout->size[part];
	return ub_layout_total(layout, page) - ub_layout_stretches(layout) * used;
}

/* Of the data of I/Os under way. */
static uint64_t copies_of(const struct ub_plan *plan, const struct ub_plan_facts *facts)
{
	uint64_t most = plan->layout.size[UB_PART_BUFFERS];

	if (!facts->copies)
		return 0;
	return (facts->buffers_most < most ? facts->buffers_most : most) *
	       ub_layout_stretches(&plan->layout);
}

static void add_common(struct ub_plan *plan, const struct ub_plan_facts *facts)
{
	uint64_t copies = copies_of(plan, facts);
	struct ub_plan_region target = {.kind = UB_REGION_TARGET,
					.queue = -1,
					.node = -1,
					.mapped = ub_round_page(facts->target, facts->page),
					.page_size = facts->page};
	struct ub_plan_region program = {.kind = UB_REGION_PROGRAM,
					 .queue = -1,
					 .node = -1,
					 .mapped = facts->program + facts->libraries_mapped,
					 .start = facts->program + facts->libraries,
					 .page_size = facts->page};

	target.most = target.mapped;
	program.most = program.start + copies;
	program.mapped += copies;
	if (facts->lock && facts->lock_charged)
		program.charged = guards(&plan->layout, facts->page);
	add(plan, facts, &target);
	add(plan, facts, &program);
}

static void add_control_ring(struct ub_plan *plan, const struct ub_plan_facts *facts)
{
	struct ub_plan_region ring = {.kind = UB_REGION_RINGS,
				      .queue = -1,
				      .node = -1,
				      .mapped = ub_ring_size(facts->control_entries,
							     2 * facts->control_entries,
							     CONTROL_SQE_SIZE, facts->page),
				      .page_size = facts->page};

	ring.start = ring.most = ring.mapped;
	/* And an errand's, which is as large, in a process of its own. */
	ring.charged = facts->rings_charged ? 2 * ring.mapped : 0;
	add(plan, facts, &ring);
}

int ub_plan_make(struct ub_plan *ret_plan, const struct ub_plan_facts *facts)
{
	struct ub_plan plan = {.total = {.queue = -1, .node = -1}};
	size_t most = (size_t)facts->queues * UB_REGION_COUNT + 3;
	const struct ub_layout_facts wanted = {
		.queues = facts->queues,
		.threads = facts->threads,
		.share = facts->share,
		.depth = ios_of(facts, facts->share),
		.target = facts->target_queue,
		.io = facts->target_io,
		.batch_element = facts->batch_element,
		.buffers = facts->buffers,
		.page = facts->page,
		.buffer_page = facts->buffer_page,
	};
	int ret = ub_layout_make(&plan.layout, &wanted);

	if (ret)
		return ret;
	plan.regions = calloc(most, sizeof(*plan.regions));
	if (!plan.regions)
		return -ENOMEM;
	for (unsigned kind = 0; kind < UB_REGION_TARGET; kind++) {
		if (kind == UB_REGION_RINGS)
			add_control_ring(&plan, facts);
		uint32_t step = kind == UB_REGION_DESCRIPTORS ? 1 : facts->share;

		for (uint32_t queue = 0; queue < facts->queues; queue += step) {
			uint32_t left = facts->queues - queue;
			struct ub_plan_region region = region_of(
				&plan, facts, kind, ios_of(facts, left < step ? left : step));

			multiply(&region, facts->threads);
			region.queue = (int32_t)queue;
			add(&plan, facts, &region);
		}
	}
	add_common(&plan, facts);
	*ret_plan = plan;
	return 0;
}

void ub_plan_done(struct ub_plan *plan)
{
	free(plan->regions);
	*plan = (struct ub_plan){0};
}

struct ub_plan_region ub_plan_of(const struct ub_plan *plan, enum ub_region_kind kind)
{
	struct ub_plan_region sum = {.kind = kind, .queue = -1, .node = -1};

	for (size_t i = 0; i < plan->count; i++)
		if (plan->regions[i].kind == kind)
			add_to(&sum, &plan->regions[i]);
	return sum;
}
