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
	uint64_t start, end;
	bool usable; /* not a guard */
	const char *path;
};

/* A line that begins a mapping begins with an address, any other with a capital. By hand, here and in
 * parse_field(): of many devices' thousands of lines sscanf() takes longer than the kernel. */
static bool parse_head(char *line, struct mapping *m)
{
	const char *perms;
	char *at;

	if (line[0] >= 'A' && line[0] <= 'Z')
		return false;
	m->start = strtoull(line, &at, 16);
	if (*at != '-')
		return false;
	m->end = strtoull(at + 1, &at, 16);
	if (at[0] != ' ' || strnlen(at, 6) < 6 || at[5] != ' ')
		return false;
	perms = at + 1;
	m->usable = perms[0] != '-' || perms[1] != '-';
	/* Offset, device, inode; then blanks, and a path or none. */
	at += 6;
	for (unsigned field = 0; field < 3; field++) {
		at += strcspn(at, " \n");
		at += strspn(at, " ");
	}
	at[strcspn(at, "\n")] = '\0';
	m->path = at;
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
		[UB_PART_STATE] = UB_REGION_STATE,     [UB_PART_STATS] = UB_REGION_STATS,
		[UB_PART_BATCH] = UB_REGION_STATE,     [UB_PART_STACK] = UB_REGION_STACKS,
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

/* The number of "KEY:      12 kB", in bytes. Return: false: it is another line. */
static bool is_field(const char *line, const char *key, size_t len, uint64_t *ret_bytes)
{
	if (strncmp(line, key, len) != 0)
		return false;
	*ret_bytes = strtoull(line + len, NULL, 10) << 10;
	return true;
}
#define IS_FIELD(line, key, ret_bytes) is_field(line, key ":", sizeof(key), ret_bytes)

static void parse_field(const char *line, const struct mapping *m, struct ub_footprint_region *r)
{
	uint64_t bytes;

	if (!m->usable)
		return;
	if (IS_FIELD(line, "Size", &bytes))
		r->usage.mapped = bytes;
	else if (IS_FIELD(line, "KernelPageSize", &bytes))
		r->page_size = bytes;
	else if (IS_FIELD(line, "Rss", &bytes))
		r->usage.resident = bytes;
	else if (IS_FIELD(line, "Private_Dirty", &bytes))
		r->usage.dirty = bytes;
	else if (IS_FIELD(line, "Private_Hugetlb", &bytes)) {
		/* The kernel has these in no other sum. */
		r->usage.resident += bytes;
		r->usage.dirty += bytes;
	} else if (IS_FIELD(line, "Locked", &bytes))
		r->usage.locked = bytes;
	else if (IS_FIELD(line, "Swap", &bytes))
		r->usage.swapped = bytes;
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
