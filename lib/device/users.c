/* SPDX-License-Identifier: MIT */
#include "device/users.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "base/clean.h"
#include "device/claim.h"
#include "device/users_internal.h"
#include "kernel/sysfs.h"

#define CLAIM_MS 2000

static int add_node(struct ub_nodes *nodes, const char *name, const char *dir)
{
	struct ub_node node = {0};
	struct ub_node *list;

	/* What vanishes meanwhile has no users. */
	if (strlen(name) >= sizeof(node.name) ||
	    ub_sysfs_devt(&node.major, &node.minor, "%s/dev", dir) != 0)
		return 0;
	(void)snprintf(node.name, sizeof(node.name), "%s", name);
	list = reallocarray(nodes->list, nodes->count + 1, sizeof(*list));
	if (!list)
		return -ENOMEM;
	list[nodes->count++] = node;
	nodes->list = list;
	return 0;
}

int ub_nodes_find(uint32_t id, struct ub_nodes *ret_nodes)
{
	char name[32], path[64], part[64 + 1 + NAME_MAX + 1];
	struct dirent *entry;
	size_t len;
	int ret;
	DIR *dir;

	*ret_nodes = (struct ub_nodes){0};
	(void)snprintf(name, sizeof(name), "ublkb%u", id);
	(void)snprintf(path, sizeof(path), "/sys/block/%s", name);
	ret = add_node(ret_nodes, name, path);
	dir = ret ? NULL : opendir(path);
	if (!dir)
		return ret;
	len = strlen(name);
	while (!ret && (entry = readdir(dir))) {
		/* A partition is named for its disk. */
		if (strncmp(entry->d_name, name, len) != 0)
			continue;
		(void)snprintf(part, sizeof(part), "%s/%s", path, entry->d_name);
		ret = add_node(ret_nodes, entry->d_name, part);
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

int ub_users_add(struct ub_users *users, enum ub_user_kind kind, const struct ub_node *node,
		 const char *what, int32_t pid)
{
	struct ub_user *list = reallocarray(users->list, users->count + 1, sizeof(*list));
	struct ub_user *user;

	if (!list)
		return -ENOMEM;
	users->list = list;
	user = &list[users->count++];
	*user = (struct ub_user){.kind = kind, .pid = pid};
	(void)snprintf(user->device, sizeof(user->device), "%s", node->name);
	(void)snprintf(user->what, sizeof(user->what), "%s", what);
	return 0;
}

static int read_table(const char *path,
		      int (*read)(FILE *file, const struct ub_nodes *nodes, struct ub_users *users),
		      const struct ub_nodes *nodes, struct ub_users *users)
{
	_cleanup_fclose_ FILE *file = fopen(path, "re");

	/* Without swap in the kernel there is no table of it. */
	return file ? read(file, nodes, users) : errno == ENOENT ? 0 : -errno;
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
	if (!ret)
		ret = read_table("/proc/swaps", ub_users_read_swaps, nodes, users);
	if (!ret)
		ret = ub_users_find_holders(nodes, users);
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

	if (!ret && nodes.count)
		ret = find_all(&nodes, except, &users);
	if (ret) {
		ub_users_done(&users);
		return ret;
	}
	*ret_users = users;
	return 0;
}

static bool is_explained(const struct ub_users *users)
{
	for (size_t i = 0; i < users->count; i++)
		if (users->list[i].kind != UB_USER_OPENER)
			return true;
	return false;
}

int ub_users_find_claim(uint32_t id, struct ub_users *users)
{
	struct ub_claim claim;
	struct ub_node node;
	int ret;

	/* These claim it: nobody else can. */
	if (is_explained(users))
		return 0;
	ret = ub_claim_take(id, CLAIM_MS, &claim);
	ub_claim_release(&claim);
	if (ret == -ETIMEDOUT)
		return ret;
	if (ret != -EBUSY)
		return 0;
	(void)snprintf(node.name, sizeof(node.name), "ublkb%u", id);
	return ub_users_add(users, UB_USER_CLAIM, &node, "", 0);
}

void ub_users_done(struct ub_users *users)
{
	free(users->list);
	*users = (struct ub_users){0};
}

const char *ub_user_describe(const struct ub_user *user, char *buf, size_t size)
{
	switch (user->kind) {
	case UB_USER_MOUNT:
		(void)snprintf(buf, size, "mounted on %s (%s)", user->what, user->device);
		break;
	case UB_USER_SWAP:
		(void)snprintf(buf, size, "used as swap (%s)", user->device);
		break;
	case UB_USER_HOLDER:
		(void)snprintf(buf, size, "used by %s (%s)", user->what, user->device);
		break;
	case UB_USER_OPENER:
		(void)snprintf(buf, size, "open by %s (%d)", user->what, user->pid);
		break;
	case UB_USER_CLAIM:
		(void)snprintf(buf, size,
			       "claimed by somebody who cannot be seen from here, perhaps mounted "
			       "in another mount namespace (%s)",
			       user->device);
		break;
	}
	return buf;
}
