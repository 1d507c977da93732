/* SPDX-License-Identifier: MIT */
/* What the files that look for a device's users share: its nodes. Internal to users*.c, and open to
 * their unit test, and to flush.c for the nodes alone. */
#pragma once

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>

#include "device/users.h"

/* A disk or one of its partitions. */
struct ub_node {
	uint32_t id;       /* the device's */
	int32_t except[2]; /* processes that are no users of it */
	char name[32];
	uint32_t major, minor;
};

struct ub_nodes {
	struct ub_node *list; /* of each device the disk first */
	size_t count;
};

/* Is that the error of what is not there, or not any more? All others mean that users may be there. */
static inline bool ub_users_are_none(int error)
{
	return error == -ENOENT || error == -ENODEV;
}

/* Adds the nodes of the query's device. Return: 0 (none is added: there is no disk) or a negative errno. */
int ub_nodes_add(const struct ub_users_query *query, struct ub_nodes *nodes);
void ub_nodes_done(struct ub_nodes *nodes);

/* Return: the node of this device number, or NULL. */
const struct ub_node *ub_nodes_by_devt(const struct ub_nodes *nodes, uint32_t major,
				       uint32_t minor);
/* The same for the block device at @path. Only paths in /dev are looked at: others may hang. */
const struct ub_node *ub_nodes_by_path(const struct ub_nodes *nodes, const char *path);

/* From /proc/self/mountinfo, /proc/swaps, /sys/block, configfs, and /proc/PID. Return: 0 or a
 * negative errno: there may be users. */
int ub_users_read_mounts(FILE *file, const struct ub_nodes *nodes, struct ub_users *users);
int ub_users_read_swaps(FILE *file, const struct ub_nodes *nodes, struct ub_users *users);
int ub_users_find_holders(const struct ub_nodes *nodes, struct ub_users *users);
int ub_users_find_exports(const struct ub_nodes *nodes, struct ub_users *users);
int ub_users_find_openers(const struct ub_nodes *nodes, struct ub_users *users);
/* Who has it only mapped: there are many mappings, and who has one mostly has it open as well. */
int ub_users_find_mappers(const struct ub_nodes *nodes, struct ub_users *users);
