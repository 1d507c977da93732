/* SPDX-License-Identifier: MIT */
#include "device/group.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clean.h"
#include "budget/cgroup.h"
#include "kernel/sysfs.h"
#include "process/process.h"

/* Is there while systemd is process 1 (sd_booted(3)). */
#define SYSTEMD "/run/systemd/system"

/* One that is confined to a part of the tree, a container's without namespaces too. Of process 1 only
 * who could do harm may ask. */
static bool is_in_other_root(void)
{
	struct stat own, first;

	if (stat("/", &own) != 0)
		return true;
	if (stat("/proc/1/root", &first) != 0)
		return geteuid() == 0;
	return own.st_dev != first.st_dev || own.st_ino != first.st_ino;
}

/* Does process 1 know this one by the number that it has, and has it no other groups than are seen
 * here? */
static bool has_first_process(void)
{
	_cleanup_free_ char *group = NULL;

	if (!ub_process_knows_itself() || is_in_other_root())
		return false;
	group = ub_cgroup_of(1);
	return group && strncmp(group, "/..", 3) != 0;
}

/* /run may be that of the machine in a container, whose process 1 is another. */
static bool is_systemd(void)
{
	char name[16];

	return ub_sysfs_line(name, sizeof(name), "/proc/1/comm") > 0 &&
	       strcmp(name, "systemd") == 0;
}

bool ub_group_is_scope(void)
{
	return access(SYSTEMD, F_OK) == 0 && is_systemd() && has_first_process();
}

/* For who leaves @group for the root of all. Return: a descriptor to write to, or a negative errno. */
static int open_root(const char *group)
{
	char path[PATH_MAX], procs[PATH_MAX + 16];
	int fd;

	if (strcmp(group, "/") == 0)
		return -EALREADY;
	if (access(SYSTEMD, F_OK) == 0 || ub_process_in_namespace() ||
	    ub_process_in_group_namespace() || !has_first_process())
		return -EPERM;
	if (ub_cgroup_path("/", path, sizeof(path)) < 0)
		return -ENOENT;
	(void)snprintf(procs, sizeof(procs), "%s/cgroup.procs", path);
	fd = open(procs, O_WRONLY | O_CLOEXEC);
	return fd < 0 ? -errno : fd;
}

void ub_group_leave(void)
{
	_cleanup_free_ char *group = ub_cgroup_of(0);
	_cleanup_close_ int fd = group ? open_root(group) : -ENOENT;

	if (fd >= 0)
		(void)!write(fd, "0", 1);
}

/* Return: a text to be freed, or NULL. */
static char *slice_path(void)
{
	unsigned uid = geteuid();
	char *path;

	if (uid == 0)
		return strdup("/system.slice");
	return asprintf(&path, "/user.slice/user-%u.slice/user@%u.service/app.slice", uid, uid) < 0
		       ? NULL
		       : path;
}

uint64_t ub_group_memory_max(bool stays)
{
	bool is_scope = !stays && ub_group_is_scope();
	_cleanup_free_ char *group = is_scope ? slice_path() : ub_cgroup_of(0);
	_cleanup_close_ int fd = -1;

	if (group && !stays && !is_scope)
		fd = open_root(group);
	if (!group)
		return UINT64_MAX;
	return ub_cgroup_memory_max(fd < 0 ? group : "/");
}

const char *ub_group_slice(void)
{
	return geteuid() == 0 ? "system.slice" : "app.slice";
}
