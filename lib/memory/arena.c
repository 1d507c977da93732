/* SPDX-License-Identifier: MIT */
#include "memory/arena.h"

#include <errno.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "base/fault.h"

#ifndef PR_SET_VMA
#define PR_SET_VMA 0x53564d41
#define PR_SET_VMA_ANON_NAME 0
#endif

static size_t page_size(void)
{
	return (size_t)sysconf(_SC_PAGESIZE);
}

int ub_arena_init(struct ub_arena *arena, size_t slots, size_t slot_size, const char *name,
		  struct ub_error *err)
{
	size_t page = page_size(), stride, total;
	char *base = MAP_FAILED;
	int ret;

	*arena = (struct ub_arena){0};
	stride = (slot_size + page - 1) / page * page;
	if (stride < slot_size || __builtin_mul_overflow(stride, slots, &total) ||
	    __builtin_add_overflow(total, 2 * page, &total))
		return ub_fail(err, UB_STAGE_MEMORY, -EOVERFLOW, "cannot map I/O buffers");
	ret = ub_fault("arena");
	if (!ret) {
		base = mmap(NULL, total, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1,
			    0);
		ret = base == MAP_FAILED ? -errno : 0;
	}
	if (!ret && mprotect(base + page, total - 2 * page, PROT_READ | PROT_WRITE) != 0) {
		ret = -errno;
		(void)munmap(base, total);
	}
	if (ret)
		return ub_fail(err, UB_STAGE_MEMORY, ret, "cannot map %zu bytes of I/O buffers",
			       total);
	/* Hints both: a kernel that can't follow them works as well. */
	(void)madvise(base + page, total - 2 * page, MADV_NOHUGEPAGE);
	(void)prctl(PR_SET_VMA, PR_SET_VMA_ANON_NAME, base + page, total - 2 * page, name);
	arena->base = base + page;
	arena->slot_size = stride;
	arena->slots = slots;
	return 0;
}

void ub_arena_done(struct ub_arena *arena)
{
	size_t page = page_size();

	if (arena->base)
		(void)munmap(arena->base - page, arena->slots * arena->slot_size + 2 * page);
	*arena = (struct ub_arena){0};
}
