/* SPDX-License-Identifier: MIT */
#include "device/users.h"

#include <errno.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clean.h"
#include "device/users_internal.h"
#include "process/process.h"

/* Return: 0, -ENOENT (there is no such table), or another negative errno. */
static int read_table(const char *path,
		      int (*read)(FILE *file, const struct ub_nodes *nodes, struct ub_users *users),
		      const struct ub_nodes *nodes, struct ub_users *users)
{
	_cleanup_fclose_ FILE *file = fopen(path, "re");

	return file ? read(file, nodes, users) : -errno;
}

/* False as well where that can't be seen. */
static bool in_other_namespace(const char *theirs)
{
	struct stat a, b;

	return stat("/proc/self/ns/mnt", &a) == 0 && stat(theirs, &b) == 0 && a.st_ino != b.st_ino;
}

static int find_all(const struct ub_nodes *nodes, int32_t except, struct ub_users *users)
{
	int ret = read_table("/proc/self/mountinfo", ub_users_read_mounts, nodes, users);

	/* A server has no mounts of others; those of the first process are most people's. */
	if (!ret && in_other_namespace("/proc/1/ns/mnt"))
		ret = read_table("/proc/1/mountinfo", ub_users_read_mounts, nodes, users);
	/* Without swap in the kernel there is no table of it, and without /proc none at all. */
	if (!ret || ret == -ENOENT)
		ret = read_table("/proc/swaps", ub_users_read_swaps, nodes, users);
	if (!ret || ret == -ENOENT)
		ret = ub_users_find_holders(nodes, users);
	if (!ret)
		ret = ub_users_find_exports(nodes, users);
	if (!ret)
		ret = ub_users_find_openers(nodes, except, users);
	return ret;
}

int ub_users_find(uint32_t id, int32_t except, struct ub_users *ret_users)
{
	_cleanup_(ub_nodes_done)
	struct ub_nodes nodes;
	struct ub_users users = {0};
	int ret = ub_nodes_find(id, &nodes);

	users.hidden = access("/sys/block", F_OK) != 0 || !ub_process_sees_all();
	if (!ret && nodes.count)
		ret = find_all(&nodes, except, &users);
	if (ret) {
		ub_users_done(&users);
		return ret;
	}
	*ret_users = users;
	return 0;
}
