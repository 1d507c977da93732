/* SPDX-License-Identifier: MIT */
#include "process/forget.h"

#include <link.h>
#include <malloc.h>
#include <stdint.h>
#include <sys/mman.h>
#include <unistd.h>

/* More than any call here takes; less than what lies between a stack and the next mapping. */
#define STACK_MAX (256UL * 1024)

/* Text and constants of the program itself: what is needed again comes again, from the page cache.
 * (Locked, they stay: madvise() refuses.) */
static int forget_segments(struct dl_phdr_info *info, size_t size, void *arg)
{
	uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE);

	(void)size;
	(void)arg;
	for (unsigned i = 0; i < info->dlpi_phnum; i++) {
		const ElfW(Phdr) *p = &info->dlpi_phdr[i];
		uintptr_t start = (info->dlpi_addr + p->p_vaddr) & ~(page - 1);
		uintptr_t end = info->dlpi_addr + p->p_vaddr + p->p_memsz;

		if (p->p_type == PT_LOAD && !(p->p_flags & PF_W))
			(void)madvise((void *)start, end - start, MADV_DONTNEED);
	}
	/* The first is the program. */
	return 1;
}

/* What deeper calls had of the main thread's stack. */
static void forget_stack(void)
{
	uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE);
	/* The page below is for what is called here. */
	uintptr_t end = ((uintptr_t)__builtin_frame_address(0) & ~(page - 1)) - page;

	/* It goes as far down as it was used; what is not mapped is passed over. */
	(void)madvise((void *)(end - STACK_MAX), STACK_MAX, MADV_DONTNEED);
}

void ub_process_forget(void)
{
	(void)malloc_trim(0);
	forget_stack();
	(void)dl_iterate_phdr(forget_segments, NULL);
}
