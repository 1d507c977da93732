/* SPDX-License-Identifier: MIT */
#include "device/links.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/inotify.h>
#include <unistd.h>

#include "base/clean.h"
#include "base/clock.h"
#include "device/udev.h"
#include "record/dir.h"

#define BY_NAME "/dev/disk/by-ublk"
/* Where udev's program, which has no environment of ours, looks for records. */
#define RECORDS "/run/ublk"
/* udev has been told of the last disk's end before its number could be given away. */
#define STALE_MS 2000

/* Is it "../../ublkb3", or, of @parts as well, a partition of that? */
static bool leads_to(int dirfd, const char *name, uint32_t id, bool parts)
{
	char target[NAME_MAX], node[32];
	ssize_t size = readlinkat(dirfd, name, target, sizeof(target) - 1);
	const char *last;
	size_t len;

	if (size < 0)
		return false;
	target[size] = '\0';
	last = strrchr(target, '/');
	last = last ? last + 1 : target;
	len = (size_t)snprintf(node, sizeof(node), "ublkb%u", id);
	return strncmp(last, node, len) == 0 && (!last[len] || (parts && last[len] == 'p'));
}

/* Takes what there is: that something has happened is enough. */
static void drain(int watch)
{
	char events[4096];

	while (read(watch, events, sizeof(events)) > 0)
		;
}

static int watch_for_link(int watch)
{
	static const char *const folders[] = {"/dev", "/dev/disk", BY_NAME};
	int ret = -ENOENT;

	/* The folders come with the first link. */
	for (size_t i = 0; i < UB_ARRAY_SIZE(folders); i++)
		if (inotify_add_watch(watch, folders[i], IN_CREATE | IN_MOVED_TO | IN_ONLYDIR) >= 0)
			ret = 0;
		else if (errno != ENOENT)
			return -errno;
	return ret;
}

static bool is_expected(void)
{
	char path[PATH_MAX];
	const char *folder;

	return ub_udev_runs() && ub_record_dir(path, sizeof(path)) && strcmp(path, RECORDS) == 0 &&
	       ub_udev_find_rules(UB_LINKS_RULES, &folder) == UB_UDEV_RULES_THERE;
}

int ub_links_await(const char *name, uint32_t id, int interrupt_fd, int timeout_ms)
{
	int64_t deadline = ub_now_ms() + timeout_ms;
	_cleanup_close_ int watch = -1;
	char path[PATH_MAX];
	int ret;

	if (!is_expected())
		return -EOPNOTSUPP;
	watch = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
	if (watch < 0)
		return -errno;
	(void)snprintf(path, sizeof(path), BY_NAME "/%s", name);
	for (;;) {
		struct pollfd fds[] = {
			{.fd = watch, .events = POLLIN},
			{.fd = interrupt_fd, .events = POLLIN},
		};

		ret = watch_for_link(watch);
		if (ret || leads_to(AT_FDCWD, path, id, false))
			return ret;
		ret = poll(fds, UB_ARRAY_SIZE(fds), ub_left_ms(deadline));
		if (ret < 0 && errno != EINTR)
			return -errno;
		if (ret == 0)
			return -ETIMEDOUT;
		if (ret > 0 && fds[1].revents)
			return -EINTR;
		drain(watch);
	}
}

struct stale {
	int dev_fd;
	uint32_t id;
	int watch;   /* for their end, or -1 */
	bool remove; /* them */
};

static void closedirp(DIR **dir)
{
	if (*dir)
		(void)closedir(*dir);
}

static DIR *open_folder(int at, const char *name)
{
	int fd = openat(at, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	DIR *dir = fd < 0 ? NULL : fdopendir(fd);

	if (!dir)
		ub_close(&fd);
	return dir;
}

/* Return: how many links of the folder lead there. */
static unsigned look_into(const struct stale *s, int at, const char *folder)
{
	_cleanup_(closedirp)
	DIR *dir = open_folder(at, folder);
	const struct dirent *entry;
	unsigned found = 0;
	char path[32];

	if (dir && s->watch >= 0) {
		(void)snprintf(path, sizeof(path), "/proc/self/fd/%d", dirfd(dir));
		(void)inotify_add_watch(s->watch, path, IN_DELETE | IN_MOVED_TO);
	}
	while (dir && (entry = readdir(dir))) {
		if (entry->d_type != DT_LNK || !leads_to(dirfd(dir), entry->d_name, s->id, true))
			continue;
		found++;
		if (s->remove)
			(void)unlinkat(dirfd(dir), entry->d_name, 0);
	}
	return found;
}

static unsigned look(const struct stale *s)
{
	_cleanup_(closedirp)
	DIR *dir = open_folder(s->dev_fd, "disk");
	const struct dirent *entry;
	unsigned found = 0;

	while (dir && (entry = readdir(dir)))
		if (entry->d_type == DT_DIR && strncmp(entry->d_name, "by-", 3) == 0)
			found += look_into(s, dirfd(dir), entry->d_name);
	return found;
}

void ub_links_clear(int dev_fd, uint32_t id)
{
	int64_t deadline = ub_now_ms() + STALE_MS;
	struct stale s = {.dev_fd = dev_fd, .id = id, .watch = -1};
	_cleanup_close_ int watch = -1;

	if (look(&s) == 0)
		return;
	watch = s.watch = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
	while (look(&s) > 0 && watch >= 0 && ub_left_ms(deadline) > 0) {
		struct pollfd pfd = {.fd = watch, .events = POLLIN};

		(void)poll(&pfd, 1, ub_left_ms(deadline));
		drain(watch);
	}
	s.watch = -1;
	s.remove = true;
	(void)look(&s);
}
