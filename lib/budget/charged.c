/* SPDX-License-Identifier: MIT */
#include "budget/charged.h"

#include <dirent.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/caps.h"
#include "base/clean.h"
#include "base/parse.h"

static uint64_t rings_of(uint64_t pid)
{
	_cleanup_fclose_ FILE *file = NULL;
	_cleanup_free_ char *line = NULL;
	uint64_t start, end, sum = 0;
	char path[32];
	size_t size = 0;

	(void)snprintf(path, sizeof(path), "/proc/%" PRIu64 "/maps", pid);
	file = fopen(path, "re");
	while (file && getline(&line, &size, file) > 0)
		if (strstr(line, "anon_inode:[io_uring]") &&
		    sscanf(line, "%" SCNx64 "-%" SCNx64, &start, &end) == 2)
			sum += end - start;
	return sum;
}

/* This process's own are part of the plan; with CAP_IPC_LOCK nothing is charged. */
uint64_t ub_charged_rings(void)
{
	DIR *dir = opendir("/proc");
	struct dirent *entry;
	uint64_t pid, sum = 0;
	struct stat st;

	while (dir && (entry = readdir(dir)))
		if (ub_parse_u64(entry->d_name, INT32_MAX, &pid) == 0 && (pid_t)pid != getpid() &&
		    fstatat(dirfd(dir), entry->d_name, &st, 0) == 0 && st.st_uid == geteuid() &&
		    !ub_process_has_cap((int32_t)pid, CAP_IPC_LOCK))
			sum += rings_of(pid);
	if (dir)
		(void)closedir(dir);
	return sum;
}
