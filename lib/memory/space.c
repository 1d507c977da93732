/* SPDX-License-Identifier: MIT */
#include "memory/space.h"

#include <errno.h>
#include <linux/mempolicy.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/fault.h"

/* Newer than some headers: from Linux 5.14, and from 5.17, which Debian's kernels do without. */
#ifndef MADV_POPULATE_WRITE
#define MADV_POPULATE_WRITE 23
#endif
#ifndef PR_SET_VMA
#define PR_SET_VMA 0x53564d41
#define PR_SET_VMA_ANON_NAME 0
#endif

void ub_memory_hint(void *base, size_t size, const char *name)
{
	(void)madvise(base, size, MADV_NOHUGEPAGE);
	(void)madvise(base, size, MADV_DONTDUMP);
	(void)prctl(PR_SET_VMA, PR_SET_VMA_ANON_NAME, base, size, name);
}

static size_t small_page(void)
{
	return (size_t)sysconf(_SC_PAGESIZE);
}

static bool has_huge(const struct ub_space *space)
{
	return space->layout.buffer_page > small_page();
}

/* Of the size that the system has by default. */
static int open_huge(void *base, size_t size)
{
	int ret = ub_fault("huge");

	if (!ret &&
	    mmap(base, size, PROT_READ | PROT_WRITE,
		 MAP_PRIVATE | MAP_ANONYMOUS | MAP_HUGETLB | MAP_FIXED, -1, 0) == MAP_FAILED)
		ret = -errno;
	if (!ret)
		(void)madvise(base, size, MADV_DONTDUMP);
	return ret;
}

static int open_part(struct ub_space *space, unsigned stretch, enum ub_part part)
{
	static const char *const names[UB_PART_COUNT] = {
		[UB_PART_STATE] = "ublk state",     [UB_PART_STATS] = "ublk stats",
		[UB_PART_BATCH] = "ublk batch",     [UB_PART_STACK] = "ublk stack",
		[UB_PART_BUFFERS] = "ublk buffers",
	};
	size_t size = space->layout.size[part];
	void *base = ub_space_part(space, stretch, part);
	int ret = part == UB_PART_BUFFERS ? ub_fault("protect") : 0;

	if (!size || ret)
		return ret;
	if (part == UB_PART_BUFFERS && has_huge(space))
		return open_huge(base, size);
	if (mprotect(base, size, PROT_READ | PROT_WRITE) != 0)
		return -errno;
	ub_memory_hint(base, size, names[part]);
	return 0;
}

/* Addresses that nobody may touch yet, the first of them at a multiple of @align. */
static int reserve(struct ub_space *space, uint64_t align)
{
	size_t more = align - small_page(), before, size;
	int ret = ub_fault("space");
	char *base;

	if (ret || __builtin_add_overflow(space->total, more, &size))
		return ret ? ret : -EOVERFLOW;
	base = mmap(NULL, size, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (base == MAP_FAILED)
		return -errno;
	before = -(uintptr_t)base & (align - 1);
	if (before)
		(void)munmap(base, before);
	space->base = base + before;
	if (more > before)
		(void)munmap(space->base + space->total, more - before);
	return 0;
}

int ub_space_init(struct ub_space *space, const struct ub_layout *layout, struct ub_error *err)
{
	uint64_t total = ub_layout_total(layout, small_page());
	int ret;

	*space = (struct ub_space){.layout = *layout, .total = total};
	ret = total > SIZE_MAX ? -EOVERFLOW : reserve(space, layout->buffer_page);
	for (unsigned i = 0; !ret && i < ub_layout_stretches(layout); i++)
		for (unsigned part = 0; !ret && part < UB_PART_COUNT; part++)
			ret = open_part(space, i, part);
	if (!ret)
		return 0;
	ub_space_done(space);
	return ub_fail(err, UB_STAGE_MEMORY, ret, "cannot map %llu bytes for the queues",
		       (unsigned long long)total);
}

/* Preferred, not bound: a full node is no reason to be killed. The kernel counts one bit more than
 * it reads. Without libnuma, whose size every server would carry. */
#define NODES 1024U
#define NODE_BITS (8 * sizeof(unsigned long))
#define MASK_ARGS(mask) (mask), (unsigned long)NODES + 1

static void fill_mask(unsigned long mask[NODES / NODE_BITS], unsigned node)
{
	memset(mask, 0, NODES / 8);
	mask[node / NODE_BITS] = 1UL << node % NODE_BITS;
}

int ub_space_bind(struct ub_space *space, unsigned stretch, unsigned node)
{
	unsigned long mask[NODES / NODE_BITS];
	char *base = space->base + stretch * space->layout.stride;
	int ret = ub_fault("mbind");

	if (ret || node >= NODES)
		return ret ? ret : -EINVAL;
	fill_mask(mask, node);
	return syscall(SYS_mbind, base, space->layout.stride, MPOL_PREFERRED, MASK_ARGS(mask), 0) ==
			       0
		       ? 0
		       : -errno;
}

void ub_memory_prefer(int node)
{
	unsigned long mask[NODES / NODE_BITS];

	if (node < 0 || (unsigned)node >= NODES) {
		(void)syscall(SYS_set_mempolicy, MPOL_DEFAULT, NULL, 0);
		return;
	}
	fill_mask(mask, (unsigned)node);
	(void)syscall(SYS_set_mempolicy, MPOL_PREFERRED, MASK_ARGS(mask));
}

int ub_space_touch_huge(struct ub_space *space, unsigned stretch)
{
	size_t size = space->layout.size[UB_PART_BUFFERS];
	int ret = ub_fault("huge-touch");

	if (ret || !size || !has_huge(space))
		return ret;
	return madvise(ub_space_part(space, stretch, UB_PART_BUFFERS), size, MADV_POPULATE_WRITE) ==
			       0
		       ? 0
		       : -errno;
}

void ub_space_done(struct ub_space *space)
{
	if (space->base)
		(void)munmap(space->base, space->total);
	*space = (struct ub_space){0};
}
