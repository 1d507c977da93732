/* SPDX-License-Identifier: MIT */
/* Control groups (v2): which one a process is in, where it lies, and what it and those above it allow, as
 * far as they can be seen. */
#pragma once

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

/* That of a process (0: this one), as this process's namespace of groups shows it: outside of that
 * it begins with "/..". Return: the path, to be freed, or NULL: it can't be told. */
char *ub_cgroup_of(int32_t pid);

/* Where @group lies, by this process's mounts. Return: as ub_cgroup_find(). */
int ub_cgroup_path(const char *group, char *buf, size_t size);

/* The smallest memory.max from @group up the tree, or UINT64_MAX. It need not be there yet. */
uint64_t ub_cgroup_memory_max(const char *group);

/*
 * Where the control group @path (of /proc/self/cgroup) lies, by the mounts in @mountinfo: the path
 * of its directory in @buf. What is above the mount's root can't be seen.
 * Return: the length of the mount point, which @buf begins with, or -ENOENT.
 */
int ub_cgroup_find(FILE *mountinfo, const char *path, char *buf, size_t size);
