/* SPDX-License-Identifier: MIT */
/* Users out of the kernel's tables: mounts, swap, and the devices above. */
#include "device/users_internal.h"

#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/clean.h"
#include "base/parse.h"
#include "kernel/sysfs.h"

/* Splits a line at its blanks. Return: how many fields there are, at most @max. */
static size_t split(char *line, char *fields[], size_t max)
{
	size_t count = 0;
	char *field;

	line[strcspn(line, "\n")] = '\0';
	while (count < max && (field = strsep(&line, " \t")))
		if (*field)
			fields[count++] = field;
	return count;
}

/*
 * ID PARENT MAJOR:MINOR ROOT POINT OPTIONS [TAG...] - TYPE SOURCE OPTIONS
 * A file system over several devices has a number of its own (major 0), and names one of them as
 * its source.
 */
static const struct ub_node *mounted_node(const struct ub_nodes *nodes, char *fields[],
					  size_t count)
{
	uint32_t major, minor;

	if (count < 6 || ub_parse_devt(fields[2], &major, &minor) != 0)
		return NULL;
	if (major != 0)
		return ub_nodes_by_devt(nodes, major, minor);
	for (size_t i = 6; i + 2 < count; i++) {
		if (strcmp(fields[i], "-") != 0)
			continue;
		ub_unescape_octal(fields[i + 2]);
		return ub_nodes_by_path(nodes, fields[i + 2]);
	}
	return NULL;
}

int ub_users_read_mounts(FILE *file, const struct ub_nodes *nodes, struct ub_users *users)
{
	_cleanup_free_ char *line = NULL;
	size_t size = 0;
	char *fields[32];
	int ret = 0;

	while (!ret && getline(&line, &size, file) > 0) {
		size_t count = split(line, fields, UB_ARRAY_SIZE(fields));
		const struct ub_node *node = mounted_node(nodes, fields, count);

		if (!node)
			continue;
		ub_unescape_octal(fields[4]);
		ret = ub_users_add(users, UB_USER_MOUNT, node->name, fields[4], 0);
	}
	return ret || feof(file) ? ret : -EIO;
}

int ub_users_read_swaps(FILE *file, const struct ub_nodes *nodes, struct ub_users *users)
{
	_cleanup_free_ char *line = NULL;
	size_t size = 0;
	char *fields[2];
	int ret = 0;

	while (!ret && getline(&line, &size, file) > 0) {
		const struct ub_node *node;

		if (split(line, fields, UB_ARRAY_SIZE(fields)) < 2 ||
		    strcmp(fields[1], "partition") != 0)
			continue;
		ub_unescape_octal(fields[0]);
		node = ub_nodes_by_path(nodes, fields[0]);
		if (node)
			ret = ub_users_add(users, UB_USER_SWAP, node->name, "", 0);
	}
	return ret || feof(file) ? ret : -EIO;
}

/* A device mapper's number says little: its name is added. */
static int add_holder(const struct ub_node *node, const char *name, struct ub_users *users)
{
	char alias[128], what[2 * sizeof(alias)];

	if (ub_sysfs_line(alias, sizeof(alias), "/sys/block/%s/dm/name", name) > 0)
		(void)snprintf(what, sizeof(what), "%.100s, %s", name, alias);
	else
		(void)snprintf(what, sizeof(what), "%s", name);
	return ub_users_add(users, UB_USER_HOLDER, node->name, what, 0);
}

static int add_holders(const struct ub_node *node, struct ub_users *users)
{
	char path[96];
	struct dirent *entry;
	int ret = 0;
	DIR *dir;

	/* Disks and partitions alike. */
	(void)snprintf(path, sizeof(path), "/sys/class/block/%s/holders", node->name);
	dir = opendir(path);
	if (!dir)
		return ub_users_are_none(-errno) ? 0 : -errno;
	while (!ret && (entry = readdir(dir)))
		if (entry->d_name[0] != '.')
			ret = add_holder(node, entry->d_name, users);
	(void)closedir(dir);
	return ret;
}

/* A loop device over ours opens it from the kernel, without a claim: nothing else shows it. */
static int add_loops(const struct ub_nodes *nodes, struct ub_users *users)
{
	struct dirent *entry;
	char file[4096];
	int ret = 0;
	DIR *dir = opendir("/sys/block");

	if (!dir)
		return ub_users_are_none(-errno) ? 0 : -errno;
	while (!ret && (entry = readdir(dir))) {
		const struct ub_node *node;

		if (strncmp(entry->d_name, "loop", 4) != 0)
			continue;
		ret = ub_sysfs_line(file, sizeof(file), "/sys/block/%s/loop/backing_file",
				    entry->d_name);
		if (ret < 0 && !ub_users_are_none(ret))
			break;
		node = ret > 0 ? ub_nodes_by_path(nodes, file) : NULL;
		ret = 0;
		if (node)
			ret = ub_users_add(users, UB_USER_HOLDER, node->name, entry->d_name, 0);
	}
	(void)closedir(dir);
	return ret;
}

int ub_users_find_holders(const struct ub_nodes *nodes, struct ub_users *users)
{
	int ret = 0;

	for (size_t i = 0; !ret && i < nodes->count; i++)
		ret = add_holders(&nodes->list[i], users);
	return ret ? ret : add_loops(nodes, users);
}
