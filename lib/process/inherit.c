/* SPDX-License-Identifier: MIT */
#include "process/inherit.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/clean.h"

/* Not -1000: a task that can never be killed makes the kernel shorten a request whose buffer it
 * can't fault in at the memory cgroup's limit, instead of ending the server. */
#define OOM_SCORE_ADJ "-999"

/* Where the records are, the supervisor, and what only test builds know. */
static const char *const kept[] = {
	"UBLK_RUNTIME_DIR", "XDG_RUNTIME_DIR", "NOTIFY_SOCKET", "UBLK_FAULT",
	"ASAN_OPTIONS",     "UBSAN_OPTIONS",   "TSAN_OPTIONS",
};

/* glibc (2.26 and later) keeps a few freed pieces of each size for each thread, here and there on pages
 * that could go back to the system: 32 KiB of a server, which allocates nothing while it serves. */
#define NO_CACHE "GLIBC_TUNABLES=glibc.malloc.tcache_count=0"

_Static_assert(UB_ARRAY_SIZE(kept) + 1 <= UB_ENVIRONMENT_MAX, "the caller's array holds them");

static char *find(const char *name)
{
	size_t len = strlen(name);

	for (char **entry = environ; *entry; entry++)
		if (strncmp(*entry, name, len) == 0 && (*entry)[len] == '=')
			return *entry;
	return NULL;
}

void ub_inherit_environment(char *ret_environment[static UB_ENVIRONMENT_MAX + 1])
{
	size_t count = 0;

	for (size_t i = 0; i < UB_ARRAY_SIZE(kept); i++) {
		char *entry = find(kept[i]);

		if (entry)
			ret_environment[count++] = entry;
	}
	ret_environment[count++] = (char *)NO_CACHE;
	ret_environment[count] = NULL;
}

int ub_inherit_oom_guard(void)
{
	_cleanup_close_ int fd = open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC);

	return fd < 0 || write(fd, OOM_SCORE_ADJ, strlen(OOM_SCORE_ADJ)) < 0 ? -errno : 0;
}

int ub_inherit_no_limit(int resource)
{
	struct rlimit limit = {RLIM_INFINITY, RLIM_INFINITY};

	if (setrlimit(resource, &limit) == 0)
		return 0;
	if (getrlimit(resource, &limit) != 0)
		return -errno;
	limit.rlim_cur = limit.rlim_max;
	(void)setrlimit(resource, &limit);
	return limit.rlim_max == RLIM_INFINITY ? 0 : -EPERM;
}
