/* SPDX-License-Identifier: MIT */
/* Users that are processes: those whose descriptors or, as root sees it, mappings lead to the device. */
#include "device/users_internal.h"

#include <dirent.h>
#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/caps.h"
#include "base/clean.h"
#include "base/parse.h"
#include "kernel/sysfs.h"
#include "process/files.h"
#include "process/process.h"

/* How far a program that a rule of udev has started may be from its worker. */
#define ANCESTORS_MAX 5

/* Whether this process's earlier descriptors have led to the node already. */
static bool is_known(const struct ub_users *users, const struct ub_node *node, int32_t pid)
{
	for (size_t i = users->count; i-- > 0;) {
		const struct ub_user *user = &users->list[i];

		if (user->kind != UB_USER_OPENER || user->pid != pid)
			return false;
		if (strcmp(user->device, node->name) == 0)
			return true;
	}
	return false;
}

/* Its daemon, one of its workers, or what a rule has started. */
static bool is_udev(int32_t pid, const char *name)
{
	static const char *const names[] = {"systemd-udevd", "udevd", "(udev-worker)"};
	char parent_name[64];

	for (int i = 0; i < ANCESTORS_MAX && pid > 1; i++) {
		for (size_t n = 0; n < UB_ARRAY_SIZE(names); n++)
			if (strcmp(name, names[n]) == 0)
				return true;
		if (ub_process_parent(pid, &pid) != 0 ||
		    ub_sysfs_line(parent_name, sizeof(parent_name), "/proc/%d/comm", pid) <= 0)
			return false;
		name = parent_name;
	}
	return false;
}

/* A look at one process. */
struct opener {
	const struct ub_nodes *nodes;
	struct ub_users *users;
	int32_t pid;
};

static int add_opener(void *arg, const struct statx *stx)
{
	const struct opener *opener = arg;
	struct ub_users *users = opener->users;
	int32_t pid = opener->pid;
	const struct ub_node *node;
	char name[64];
	int ret, len;

	if (!S_ISBLK(stx->stx_mode))
		return 0;
	node = ub_nodes_by_devt(opener->nodes, stx->stx_rdev_major, stx->stx_rdev_minor);
	if (!node || pid == node->except[0] || pid == node->except[1] || is_known(users, node, pid))
		return 0;
	len = ub_sysfs_line(name, sizeof(name), "/proc/%d/comm", pid);
	/* Gone meanwhile, it uses nothing. */
	if (len == -ENOENT || len == -ESRCH)
		return 0;
	if (len <= 0)
		(void)snprintf(name, sizeof(name), "a process");
	ret = ub_users_add(users, UB_USER_OPENER, node->name, name, pid);
	if (!ret)
		users->list[users->count - 1].is_udev = is_udev(pid, name);
	return ret;
}

/* Looks through @folder of all processes. Return: 0 or a negative errno. */
static int scan_processes(const char *folder, const struct ub_nodes *nodes, struct ub_users *users)
{
	struct opener opener = {.nodes = nodes, .users = users};
	DIR *proc = opendir("/proc");
	struct dirent *entry;
	uint64_t pid;
	int ret = 0;

	if (!proc)
		return ub_users_are_none(-errno) ? 0 : -errno;
	while (!ret && (errno = 0, entry = readdir(proc))) {
		if (ub_parse_u64(entry->d_name, INT32_MAX, &pid) != 0 || (int32_t)pid == getpid())
			continue;
		opener.pid = (int32_t)pid;
		ret = ub_process_each_open(opener.pid, folder, add_opener, &opener);
		if (ret == -EACCES || ret == -EPERM) {
			users->forbidden = true;
			ret = 0;
		}
	}
	if (!ret && !entry)
		ret = -errno;
	(void)closedir(proc);
	return ret;
}

int ub_users_find_openers(const struct ub_nodes *nodes, struct ub_users *users)
{
	users->forbidden = ub_process_hides_others();
	return scan_processes("fd", nodes, users);
}

int ub_users_find_mappers(const struct ub_nodes *nodes, struct ub_users *users)
{
	return ub_has_cap(CAP_SYS_ADMIN) ? scan_processes("map_files", nodes, users) : 0;
}
