/* SPDX-License-Identifier: MIT */
#include "stats/guard.h"

#include <errno.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/mman.h>

/* A signal's handler has no other way to know. */
static struct ub_guard guarded;
static struct sigaction before;
static atomic_bool replaced;

int ub_guard_replace(char *piece, size_t size)
{
	return mmap(piece, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED,
		    -1, 0) == MAP_FAILED
		       ? -errno
		       : 0;
}

/* The piece that has the address, or NULL. */
static char *find(const char *addr)
{
	uint64_t at = (uint64_t)(addr - guarded.base), within;

	if (addr < guarded.base || at >= guarded.total)
		return NULL;
	within = at % guarded.stride;
	if (within < guarded.offset || within - guarded.offset >= guarded.size)
		return NULL;
	return guarded.base + (at - within) + guarded.offset;
}

static void on_bus(int sig, siginfo_t *info, void *context)
{
	int saved = errno;
	/* One that somebody has sent has no address. */
	char *piece = info->si_code > 0 ? find(info->si_addr) : NULL;

	(void)context;
	/* What is not ours comes once more, and ends the process. */
	if (!piece || ub_guard_replace(piece, guarded.size) != 0) {
		(void)signal(sig, SIG_DFL);
		if (info->si_code <= 0)
			(void)raise(sig);
	} else
		atomic_store(&replaced, true);
	errno = saved;
}

void ub_guard_begin(const struct ub_guard *guard)
{
	const struct sigaction action = {.sa_sigaction = on_bus, .sa_flags = SA_SIGINFO};

	guarded = *guard;
	atomic_store(&replaced, false);
	(void)sigaction(SIGBUS, &action, &before);
}

bool ub_guard_end(void)
{
	(void)sigaction(SIGBUS, &before, NULL);
	guarded = (struct ub_guard){0};
	return atomic_load(&replaced);
}
