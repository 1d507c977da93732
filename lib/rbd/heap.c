/* SPDX-License-Identifier: MIT */
/*
 * What the libraries allocate, which is a lot: each request is many small pieces in C++, allocated by one thread and
 * freed by another, and one or two as large as its data. With tcmalloc, which Ceph's own daemons have as well, a
 * request takes 20,000 to 27,000 instructions less than with the C library's allocator, and the process has 4.3 MiB
 * more at rest (doc/performance.md). A sanitizer brings an allocator of its own.
 */
#ifdef UB_TCMALLOC
#include <gperftools/malloc_extension_c.h>
#else
#include <malloc.h>
#endif
#include <sys/prctl.h>

#include "rbd/rbd.h"

#define STACK (1U << 20) /* of each of the library's threads */

/* Bytes that all threads together keep, to be had without a lock. */
#define CACHES (4U << 20)

/* A page that is touched is to be one page, here as in the queues' memory (memory/space.c). */
static void refuse_huge_pages(void)
{
	(void)prctl(PR_SET_THP_DISABLE, 1, 0, 0, 0);
}

/* Before the libraries' own constructors, which allocate. */
__attribute__((section(".preinit_array"),
	       used)) static void (*const first)(void) = refuse_huge_pages;

void ub_rbd_bound_memory(void)
{
	pthread_attr_t attr;

	/* Its many threads would have the stacks of a shell's limit, */
	if (pthread_attr_init(&attr) == 0) {
		(void)pthread_attr_setstacksize(&attr, STACK);
		(void)pthread_setattr_default_np(&attr);
		(void)pthread_attr_destroy(&attr);
	}
#ifdef UB_TCMALLOC
	(void)MallocExtension_SetNumericProperty("tcmalloc.max_total_thread_cache_bytes", CACHES);
#else
	/* and as many heaps as the machine has processors. */
	(void)mallopt(M_ARENA_MAX, 2);
#endif
}

void ub_rbd_give_back(void)
{
#ifdef UB_TCMALLOC
	MallocExtension_ReleaseFreeMemory();
#else
	(void)malloc_trim(0);
#endif
}

void ub_rbd_rest(struct ub_queue *q)
{
	(void)q;
	ub_rbd_give_back();
}
