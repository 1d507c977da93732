/* SPDX-License-Identifier: MIT */
#include "budget/footprint.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/caps.h"
#include "base/clean.h"
#include "kernel/uapi.h"

/* One line "START-END PERMS OFFSET DEV INODE PATH" of smaps. */
struct mapping {
	uint64_t start, end, offset;
	bool usable; /* not a guard */
	const char *path;
};

static bool parse_head(char *line, struct mapping *m)
{
	char perms[5];
	int path = 0;

	if (sscanf(line, "%" SCNx64 "-%" SCNx64 " %4s %" SCNx64 " %*s %*s %n", &m->start, &m->end,
		   perms, &m->offset, &path) < 4 ||
	    !path)
		return false;
	line[strcspn(line, "\n")] = '\0';
	m->usable = perms[0] != '-' || perms[1] != '-';
	m->path = line + path;
	return true;
}

/* Is the mapping in the part from @at on? A hostile record's sums may wrap: then it is not. */
static bool is_in(const struct mapping *m, uint64_t at, uint64_t size)
{
	return m->start >= at && m->end - at <= size && m->end > at;
}

/* Finds the part of which queue it is. Return: whether it is any. */
static bool find_part(const struct mapping *m, const struct ub_record_memory *memory,
		      struct ub_footprint_region *region)
{
	static const enum ub_region_kind kinds[UB_PART_COUNT] = {
		[UB_PART_STATE] = UB_REGION_STATE,
		[UB_PART_BATCH] = UB_REGION_STATE,
		[UB_PART_STACK] = UB_REGION_STACKS,
		[UB_PART_BUFFERS] = UB_REGION_BUFFERS,
	};
	const struct ub_layout *layout = &memory->layout;
	uint64_t stretch;

	if (!memory->base || !layout->stride || m->start < memory->base)
		return false;
	stretch = (m->start - memory->base) / layout->stride;
	if (stretch >= ub_layout_stretches(layout))
		return false;
	for (unsigned i = 0; i < UB_PART_COUNT; i++) {
		if (!is_in(m, memory->base + stretch * layout->stride + layout->offset[i],
			   layout->size[i]))
			continue;
		region->kind = kinds[i];
		region->queue = (int32_t)ub_layout_queue(layout, stretch);
		return true;
	}
	return false;
}

static void classify(const struct mapping *m, const struct ub_record_memory *memory,
		     struct ub_footprint_region *region)
{
	*region = (struct ub_footprint_region){.kind = UB_REGION_PROGRAM, .queue = -1};
	if (strncmp(m->path, "/dev/ublkc", strlen("/dev/ublkc")) == 0) {
		region->kind = UB_REGION_DESCRIPTORS;
		return;
	}
	if (strcmp(m->path, "anon_inode:[io_uring]") == 0) {
		region->kind = UB_REGION_RINGS;
		return;
	}
	if (!memory || find_part(m, memory, region))
		return;
	if (memory->target_size && is_in(m, memory->target_base, memory->target_size))
		region->kind = UB_REGION_TARGET;
}

/* Neighbours of a kind come one after the other, mostly: so it is looked for from the end. */
static int add_region(struct ub_footprint *f, const struct ub_footprint_region *region)
{
	struct ub_footprint_region *more;

	ub_usage_add(&f->total, &region->usage);
	for (size_t i = f->count; i-- > 0;) {
		if (f->regions[i].kind != region->kind || f->regions[i].queue != region->queue)
			continue;
		ub_usage_add(&f->regions[i].usage, &region->usage);
		if (region->page_size > f->regions[i].page_size)
			f->regions[i].page_size = region->page_size;
		return 0;
	}
	more = reallocarray(f->regions, f->count + 1, sizeof(*more));
	if (!more)
		return -ENOMEM;
	f->regions = more;
	more[f->count++] = *region;
	return 0;
}

/* "Rss:      12 kB" */
static void parse_field(const char *line, const struct mapping *m, struct ub_footprint_region *r)
{
	char key[32];
	uint64_t kib;

	if (!m->usable || sscanf(line, "%31[^:]: %" SCNu64 " kB", key, &kib) != 2)
		return;
	if (strcmp(key, "Size") == 0)
		r->usage.mapped = kib << 10;
	else if (strcmp(key, "KernelPageSize") == 0)
		r->page_size = kib << 10;
	else if (strcmp(key, "Rss") == 0)
		r->usage.resident = kib << 10;
	else if (strcmp(key, "Private_Dirty") == 0)
		r->usage.dirty = kib << 10;
	else if (strcmp(key, "Private_Hugetlb") == 0) {
		/* The kernel has these in no other sum. */
		r->usage.resident += kib << 10;
		r->usage.dirty += kib << 10;
	} else if (strcmp(key, "Locked") == 0)
		r->usage.locked = kib << 10;
	else if (strcmp(key, "Swap") == 0)
		r->usage.swapped = kib << 10;
}

static int read_smaps(int32_t pid, const struct ub_record_memory *memory, struct ub_footprint *f)
{
	_cleanup_fclose_ FILE *file = NULL;
	_cleanup_free_ char *line = NULL;
	struct ub_footprint_region region = {0};
	struct mapping m = {0}, next;
	char path[32];
	size_t size = 0;
	int ret = 0;

	(void)snprintf(path, sizeof(path), "/proc/%d/smaps", pid);
	file = fopen(path, "re");
	if (!file)
		return -errno;
	while (ret == 0 && getline(&line, &size, file) > 0) {
		if (!parse_head(line, &next)) {
			parse_field(line, &m, &region);
			continue;
		}
		if (m.usable)
			ret = add_region(f, &region);
		m = next;
		classify(&m, memory, &region);
	}
	if (ret == 0 && ferror(file))
		ret = -errno;
	/* A process that has just ended has no mappings left. */
	if (ret == 0 && !m.end)
		ret = -ESRCH;
	if (ret == 0 && m.usable)
		ret = add_region(f, &region);
	return ret;
}

static int by_kind_and_queue(const void *a, const void *b)
{
	const struct ub_footprint_region *x = a, *y = b;

	if (x->kind != y->kind)
		return x->kind < y->kind ? -1 : 1;
	return x->queue < y->queue ? -1 : x->queue > y->queue;
}

/* Of the rings, and of what they have hold of: the kernel counts these by user, and tells nowhere.
 * The plan has a charge for an errand's ring beside those that are mapped, if there is any. */
static void add_rings(const struct ub_record_memory *memory, bool exempt, struct ub_footprint *f)
{
	const struct ub_plan_region *rings = &memory->plan[UB_REGION_RINGS];
	uint64_t provided = memory->plan[UB_REGION_STATE].pinned;

	f->pinned += provided;
	if (!exempt && rings->charged > rings->mapped)
		f->charged += ub_footprint_of(f, UB_REGION_RINGS).mapped + provided;
}

static int read_status(int32_t pid, const struct ub_record_memory *memory, struct ub_footprint *f)
{
	_cleanup_fclose_ FILE *file = NULL;
	_cleanup_free_ char *line = NULL;
	bool exempt = ub_process_has_cap(pid, CAP_IPC_LOCK);
	uint64_t locked = 0, value;
	char path[32];
	size_t size = 0;

	(void)snprintf(path, sizeof(path), "/proc/%d/status", pid);
	file = fopen(path, "re");
	if (!file)
		return -errno;
	while (getline(&line, &size, file) > 0) {
		if (sscanf(line, "VmLck: %" SCNu64, &value) == 1)
			locked = value << 10;
		else if (sscanf(line, "VmPin: %" SCNu64, &value) == 1)
			f->pinned = value << 10;
	}
	if (!exempt)
		f->charged = locked + f->pinned;
	if (memory)
		add_rings(memory, exempt, f);
	return 0;
}

int ub_footprint_read(int32_t pid, const struct ub_record_memory *memory,
		      struct ub_footprint *ret_footprint)
{
	struct ub_footprint f = {.known = true};
	int ret = read_smaps(pid, memory, &f);

	if (ret == 0)
		ret = read_status(pid, memory, &f);
	if (ret < 0) {
		ub_footprint_done(&f);
		*ret_footprint = f;
		return ret;
	}
	qsort(f.regions, f.count, sizeof(*f.regions), by_kind_and_queue);
	*ret_footprint = f;
	return 0;
}

void ub_footprint_done(struct ub_footprint *footprint)
{
	free(footprint->regions);
	*footprint = (struct ub_footprint){0};
}

struct ub_usage ub_footprint_of(const struct ub_footprint *footprint, enum ub_region_kind kind)
{
	struct ub_usage usage = {0};

	for (size_t i = 0; i < footprint->count; i++)
		if (footprint->regions[i].kind == kind)
			ub_usage_add(&usage, &footprint->regions[i].usage);
	return usage;
}
