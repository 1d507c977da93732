/* SPDX-License-Identifier: MIT */
/* The block nodes of a device: the disk's and its partitions', as sysfs has them. */
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "device/users_internal.h"
#include "kernel/sysfs.h"

static int add_node(const struct ub_users_query *query, const char *name, const char *dir,
		    struct ub_nodes *nodes)
{
	struct ub_node node = {
		.id = query->id,
		.except = {query->except[0], query->except[1]},
	};
	struct ub_node *list;
	int ret = ub_sysfs_devt(&node.major, &node.minor, "%s/dev", dir);

	/* What vanishes meanwhile has no users. */
	if (ret)
		return ub_users_are_none(ret) ? 0 : ret;
	(void)snprintf(node.name, sizeof(node.name), "%s", name);
	list = reallocarray(nodes->list, nodes->count + 1, sizeof(*list));
	if (!list)
		return -ENOMEM;
	list[nodes->count++] = node;
	nodes->list = list;
	return 0;
}

int ub_nodes_add(const struct ub_users_query *query, struct ub_nodes *nodes)
{
	char name[32], path[64], part[64 + 1 + NAME_MAX + 1];
	struct dirent *entry;
	size_t len;
	int ret;
	DIR *dir;

	(void)snprintf(name, sizeof(name), "ublkb%u", query->id);
	(void)snprintf(path, sizeof(path), "/sys/block/%s", name);
	ret = add_node(query, name, path, nodes);
	if (ret)
		return ret;
	dir = opendir(path);
	if (!dir)
		return ub_users_are_none(-errno) ? 0 : -errno;
	len = strlen(name);
	while (!ret && (entry = readdir(dir))) {
		/* A partition is named for its disk. */
		if (strncmp(entry->d_name, name, len) != 0)
			continue;
		(void)snprintf(part, sizeof(part), "%s/%s", path, entry->d_name);
		ret = add_node(query, entry->d_name, part, nodes);
	}
	(void)closedir(dir);
	return ret;
}

void ub_nodes_done(struct ub_nodes *nodes)
{
	free(nodes->list);
	*nodes = (struct ub_nodes){0};
}

const struct ub_node *ub_nodes_by_devt(const struct ub_nodes *nodes, uint32_t major, uint32_t minor)
{
	for (size_t i = 0; i < nodes->count; i++)
		if (nodes->list[i].major == major && nodes->list[i].minor == minor)
			return &nodes->list[i];
	return NULL;
}

const struct ub_node *ub_nodes_by_path(const struct ub_nodes *nodes, const char *path)
{
	struct stat st;

	if (strncmp(path, "/dev/", 5) != 0)
		return NULL;
	for (size_t i = 0; i < nodes->count; i++)
		if (strcmp(path + 5, nodes->list[i].name) == 0)
			return &nodes->list[i];
	if (stat(path, &st) != 0 || !S_ISBLK(st.st_mode))
		return NULL;
	return ub_nodes_by_devt(nodes, major(st.st_rdev), minor(st.st_rdev));
}
