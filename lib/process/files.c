/* SPDX-License-Identifier: MIT */
#include "process/files.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "base/clean.h"
#include "base/parse.h"
#include "process/process.h"

/* What a look at a process is made with. */
struct look {
	const char *folder;
	ub_process_visit visit;
	void *arg;
	bool any; /* there was something */
};

static int visit_one(struct look *look, int dirfd, const char *name)
{
	struct statx stx;

	look->any = true;
	/* Follows the link without opening anything; and as no file system is asked for news, one that
	 * hangs can't hold this up. What does not let root look at it, as a user's own may, is no
	 * device. */
	if (statx(dirfd, name, AT_STATX_DONT_SYNC, STATX_TYPE, &stx) == 0)
		return look->visit(look->arg, &stx);
	return errno == ENOMEM ? -errno : 0;
}

/* @id: of a thread, or a process, which is its first one. */
static int look_at(int32_t id, struct look *look)
{
	struct dirent *entry;
	char path[48];
	int ret = 0;
	DIR *dir;

	(void)snprintf(path, sizeof(path), "/proc/%d/%s", id, look->folder);
	dir = opendir(path);
	if (!dir)
		return errno == ENOENT || errno == ESRCH ? 0 : -errno;
	while (!ret && (errno = 0, entry = readdir(dir)))
		if (entry->d_name[0] != '.')
			ret = visit_one(look, dirfd(dir), entry->d_name);
	/* Gone meanwhile, it has nothing open. */
	if (!ret && !entry && errno != ENOENT && errno != ESRCH)
		ret = -errno;
	(void)closedir(dir);
	return ret;
}

/* One that has something open has what all have. */
static int look_at_threads(int32_t pid, struct look *look)
{
	struct dirent *entry;
	uint64_t thread;
	char path[32];
	int ret = 0;
	DIR *dir;

	(void)snprintf(path, sizeof(path), "/proc/%d/task", pid);
	dir = opendir(path);
	if (!dir)
		return errno == ENOENT || errno == ESRCH ? 0 : -errno;
	while (!ret && !look->any && (entry = readdir(dir)))
		if (ub_parse_u64(entry->d_name, INT32_MAX, &thread) == 0 && (int32_t)thread != pid)
			ret = look_at((int32_t)thread, look);
	(void)closedir(dir);
	return ret;
}

int ub_process_each_open(int32_t pid, const char *folder, ub_process_visit visit, void *arg)
{
	struct look look = {.folder = folder, .visit = visit, .arg = arg};
	int ret = look_at(pid, &look);

	/* Without its memory it is root's, whosever it was (task_dump_owner()). */
	if ((ret == -EACCES || ret == -EPERM || (ret == 0 && !look.any)) &&
	    ub_process_first_thread_has_ended(pid))
		ret = look_at_threads(pid, &look);
	return ret;
}

static int is_device(void *arg, const struct statx *stx)
{
	return S_ISCHR(stx->stx_mode) &&
	       makedev(stx->stx_rdev_major, stx->stx_rdev_minor) == *(const uint64_t *)arg;
}

int ub_process_has_open(int32_t pid, uint64_t rdev)
{
	return ub_process_each_open(pid, "fd", is_device, &rdev);
}

int32_t ub_process_find_open(uint64_t rdev, bool *ret_all)
{
	DIR *dir = opendir("/proc");
	struct dirent *entry;
	uint64_t pid;
	int32_t found = 0;

	*ret_all = dir && ub_process_sees_all() && !ub_process_hides_others();
	while (dir && !found && (entry = readdir(dir))) {
		int has;

		if (ub_parse_u64(entry->d_name, INT32_MAX, &pid) != 0 || (pid_t)pid == getpid())
			continue;
		has = ub_process_has_open((int32_t)pid, rdev);
		if (has > 0)
			found = (int32_t)pid;
		else if (has < 0)
			*ret_all = false;
	}
	if (dir)
		(void)closedir(dir);
	return found;
}
