/* SPDX-License-Identifier: MIT */
/* Users that are processes: those whose descriptors lead to the device. */
#include "device/users_internal.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clean.h"
#include "base/parse.h"
#include "kernel/sysfs.h"
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

static int add_opener(const struct ub_nodes *nodes, const struct statx *stx, int32_t pid,
		      struct ub_users *users)
{
	const struct ub_node *node;
	char name[64];
	int ret;

	if (!S_ISBLK(stx->stx_mode))
		return 0;
	node = ub_nodes_by_devt(nodes, stx->stx_rdev_major, stx->stx_rdev_minor);
	if (!node || is_known(users, node, pid))
		return 0;
	if (ub_sysfs_line(name, sizeof(name), "/proc/%d/comm", pid) <= 0)
		(void)snprintf(name, sizeof(name), "a process");
	ret = ub_users_add(users, UB_USER_OPENER, node->name, name, pid);
	if (!ret)
		users->list[users->count - 1].is_udev = is_udev(pid, name);
	return ret;
}

static int scan_process(int procfd, const char *pid_name, int32_t pid, const struct ub_nodes *nodes,
			struct ub_users *users)
{
	char path[32];
	struct dirent *entry;
	int fd, ret = 0;
	DIR *dir;

	(void)snprintf(path, sizeof(path), "%.20s/fd", pid_name);
	fd = openat(procfd, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0) {
		/* Or it is gone. */
		if (errno != ENOENT && errno != ESRCH)
			users->forbidden = true;
		return 0;
	}
	dir = fdopendir(fd);
	if (!dir) {
		ub_close(&fd);
		return -ENOMEM;
	}
	while (!ret && (entry = readdir(dir))) {
		struct statx stx;

		/* Follows the descriptor without opening anything; and as no file system is asked
		 * for news, one that hangs can't hold this up. */
		if (entry->d_name[0] != '.' &&
		    statx(fd, entry->d_name, AT_STATX_DONT_SYNC, STATX_TYPE, &stx) == 0)
			ret = add_opener(nodes, &stx, pid, users);
	}
	(void)closedir(dir);
	return ret;
}

int ub_users_find_openers(const struct ub_nodes *nodes, int32_t except, struct ub_users *users)
{
	DIR *dir = opendir("/proc");
	struct dirent *entry;
	int ret = 0;

	if (!dir)
		return errno == ENOMEM ? -ENOMEM : 0;
	users->forbidden = ub_process_hides_others();
	while (!ret && (entry = readdir(dir))) {
		uint64_t pid;

		if (ub_parse_u64(entry->d_name, INT32_MAX, &pid) != 0 || (int32_t)pid == except ||
		    (int32_t)pid == getpid())
			continue;
		ret = scan_process(dirfd(dir), entry->d_name, (int32_t)pid, nodes, users);
	}
	(void)closedir(dir);
	return ret;
}
