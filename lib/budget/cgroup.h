/* SPDX-License-Identifier: MIT */
/* What this process's control group (v2) and those above it, as far as they can be seen, allow. */
#pragma once

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

/* The smallest memory.max up the tree, or UINT64_MAX. */
uint64_t ub_cgroup_memory_max(void);

/*
 * Where the control group @path (of /proc/self/cgroup) lies, by the mounts in @mountinfo: the path
 * of its directory in @buf. What is above the mount's root can't be seen.
 * Return: the length of the mount point, which @buf begins with, or -ENOENT.
 */
int ub_cgroup_find(FILE *mountinfo, const char *path, char *buf, size_t size);
