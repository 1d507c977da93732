/* SPDX-License-Identifier: MIT */
#include "device/users.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
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

static int find_all(const struct ub_nodes *nodes, size_t devices, struct ub_users *users)
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
		ret = ub_users_find_openers(nodes, users);
	if (!ret && (devices > 1 || !users->count))
		ret = ub_users_find_mappers(nodes, users);
	return ret;
}

static const struct ub_node *node_of(const struct ub_nodes *nodes, const struct ub_user *user)
{
	for (size_t i = 0; i < nodes->count; i++)
		if (strcmp(nodes->list[i].name, user->device) == 0)
			return &nodes->list[i];
	return NULL;
}

static int add_user(struct ub_users *users, const struct ub_user *user)
{
	int ret = ub_users_add(users, user->kind, user->device, user->what, user->pid);

	if (!ret)
		users->list[users->count - 1].is_udev = user->is_udev;
	return ret;
}

/* Gives each query the users of its device. */
static int distribute(const struct ub_users *all, const struct ub_nodes *nodes,
		      struct ub_users_query *queries, size_t count)
{
	int ret = 0;

	for (size_t q = 0; q < count; q++) {
		queries[q].users.hidden = all->hidden;
		queries[q].users.forbidden = all->forbidden;
	}
	for (size_t i = 0; i < all->count && !ret; i++) {
		const struct ub_node *node = node_of(nodes, &all->list[i]);

		for (size_t q = 0; node && q < count && !ret; q++)
			if (queries[q].id == node->id)
				ret = add_user(&queries[q].users, &all->list[i]);
	}
	return ret;
}

int ub_users_find_some(struct ub_users_query *queries, size_t count)
{
	_cleanup_(ub_nodes_done)
	struct ub_nodes nodes = {0};
	_cleanup_(ub_users_done)
	struct ub_users all = {0};
	int ret = 0;

	all.hidden = access("/sys/block", F_OK) != 0 || !ub_process_sees_all();
	for (size_t q = 0; q < count && !ret; q++) {
		queries[q].users = (struct ub_users){0};
		ret = ub_nodes_add(&queries[q], &nodes);
	}
	if (!ret && nodes.count)
		ret = find_all(&nodes, count, &all);
	if (!ret)
		ret = distribute(&all, &nodes, queries, count);
	for (size_t q = 0; q < count && ret; q++)
		ub_users_done(&queries[q].users);
	return ret;
}

int ub_users_find(uint32_t id, int32_t except, struct ub_users *ret_users)
{
	struct ub_users_query query = {.id = id, .except = {except}};
	int ret = ub_users_find_some(&query, 1);

	if (!ret)
		*ret_users = query.users;
	return ret;
}
