/* SPDX-License-Identifier: MIT */
/*
 * Users in the kernel that export the device to other machines, set up through configfs: NVMe over
 * fabrics and LIO. The first opens it without a claim and no process has it open, so nothing else
 * shows it.
 */
#include "device/users_internal.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/mount.h>

#include "base/clean.h"

#define CONFIGFS "/sys/kernel/config"

/* DIR/GROUP[/MIDDLE]/ITEM/PATH is a file with the path of what is exported. */
struct tree {
	const char *dir, *middle, *path, *name;
};

static const struct tree trees[] = {
	{"nvmet/subsystems", "namespaces", "device_path", "nvmet"},
	{"target/core", ".", "udev_path", "LIO"},
};

/* Return: 0 (NULL: there is none) or a negative errno. */
static int open_dir(int at, const char *path, DIR **ret_dir)
{
	_cleanup_close_ int fd = openat(at, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	*ret_dir = fd < 0 ? NULL : fdopendir(fd);
	if (!*ret_dir)
		return ub_users_are_none(-errno) || errno == ENOTDIR ? 0 : -errno;
	(void)UB_TAKE_FD(fd);
	return 0;
}

/* Return: its length (0: there is none) or a negative errno. */
static int read_line(int at, const char *path, char *buf, size_t size)
{
	_cleanup_close_ int fd = openat(at, path, O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? -1 : read(fd, buf, size - 1);

	if (n < 0)
		return ub_users_are_none(-errno) || errno == ENOTDIR ? 0 : -errno;
	buf[n] = '\0';
	buf[strcspn(buf, "\n")] = '\0';
	return (int)strlen(buf);
}

static int add_item(int at, const struct tree *tree, const char *group, const char *item,
		    const struct ub_nodes *nodes, struct ub_users *users)
{
	char path[NAME_MAX + 32], text[PATH_MAX], what[2 * NAME_MAX];
	const struct ub_node *node;
	int ret;

	(void)snprintf(path, sizeof(path), "%s/enable", item);
	ret = read_line(at, path, text, sizeof(text));
	if (ret <= 0 || strcmp(text, "1") != 0)
		return ret < 0 ? ret : 0;
	(void)snprintf(path, sizeof(path), "%s/%s", item, tree->path);
	ret = read_line(at, path, text, sizeof(text));
	if (ret <= 0)
		return ret;
	node = ub_nodes_by_path(nodes, text);
	if (!node)
		return 0;
	(void)snprintf(what, sizeof(what), "%s, %.200s/%.100s", tree->name, group, item);
	return ub_users_add(users, UB_USER_HOLDER, node->name, what, 0);
}

static int add_group(int at, const struct tree *tree, const char *group,
		     const struct ub_nodes *nodes, struct ub_users *users)
{
	char path[NAME_MAX + 32];
	struct dirent *entry;
	DIR *dir;
	int ret;

	(void)snprintf(path, sizeof(path), "%s/%s", group, tree->middle);
	ret = open_dir(at, path, &dir);
	while (dir && !ret && (entry = readdir(dir)))
		if (entry->d_name[0] != '.')
			ret = add_item(dirfd(dir), tree, group, entry->d_name, nodes, users);
	if (dir)
		(void)closedir(dir);
	return ret;
}

/* It may be mounted nowhere that this process sees. The folder is there if the kernel has it. */
static int open_configfs(void)
{
	_cleanup_close_ int fd = open(CONFIGFS, O_RDONLY | O_DIRECTORY | O_CLOEXEC), fs = -1;
	int mount;

	if (fd < 0)
		return -errno;
	if (faccessat(fd, "nvmet", F_OK, 0) == 0 || faccessat(fd, "target", F_OK, 0) == 0)
		return UB_TAKE_FD(fd);
	fs = fsopen("configfs", FSOPEN_CLOEXEC);
	if (fs < 0 || fsconfig(fs, FSCONFIG_CMD_CREATE, NULL, NULL, 0) != 0)
		return -errno;
	mount = fsmount(fs, FSMOUNT_CLOEXEC, 0);
	return mount < 0 ? -errno : mount;
}

/* An ordinary user may not mount it, and his disks nobody exports for him. */
static bool can_be_none(int error)
{
	return ub_users_are_none(error) || error == -EPERM;
}

int ub_users_find_exports(const struct ub_nodes *nodes, struct ub_users *users)
{
	_cleanup_close_ int configfs = open_configfs();
	struct dirent *entry;
	int ret = 0;

	if (configfs < 0)
		return can_be_none(configfs) ? 0 : configfs;
	for (size_t i = 0; i < UB_ARRAY_SIZE(trees) && !ret; i++) {
		DIR *dir;

		ret = open_dir(configfs, trees[i].dir, &dir);
		while (dir && !ret && (entry = readdir(dir)))
			if (entry->d_name[0] != '.')
				ret = add_group(dirfd(dir), &trees[i], entry->d_name, nodes, users);
		if (dir)
			(void)closedir(dir);
	}
	return ret;
}
