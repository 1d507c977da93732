/* SPDX-License-Identifier: MIT */
#include "config_folder.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clean.h"
#include "base/retry.h"
#include "config_file.h"
#include "record/dir.h"

#define LOCK_NAME ".apply.lock"

static void closedirp(DIR **dir)
{
	if (*dir)
		(void)closedir(*dir);
}

static bool is_config(const char *name)
{
	size_t len = strlen(name), suffix = strlen(UB_CONFIG_SUFFIX);

	return name[0] != '.' && len > suffix && strcmp(name + len - suffix, UB_CONFIG_SUFFIX) == 0;
}

/* Takes one more file, "NAME" and @suffix, if it is not there already. Return: 0 or -ENOMEM. */
static int add_file(struct ub_config_folder *folder, const char *name, const char *suffix)
{
	char *path, **files;

	if (asprintf(&path, "%s/%s%s", folder->path, name, suffix) < 0)
		return -ENOMEM;
	for (size_t i = 0; i < folder->count; i++) {
		if (strcmp(folder->files[i], path) == 0) {
			free(path);
			return 0;
		}
	}
	files = reallocarray(folder->files, folder->count + 1, sizeof(*files));
	if (!files) {
		free(path);
		return -ENOMEM;
	}
	files[folder->count++] = path;
	folder->files = files;
	return 0;
}

static int list_all(struct ub_config_folder *folder)
{
	int fd = openat(folder->fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	_cleanup_(closedirp)
	DIR *dir = fd < 0 ? NULL : fdopendir(fd);
	struct dirent *entry;
	int ret = 0;

	if (!dir) {
		ret = -errno;
		ub_close(&fd);
		return ret;
	}
	while (!ret && (errno = 0, entry = readdir(dir)))
		if (is_config(entry->d_name))
			ret = add_file(folder, entry->d_name, "");
	return ret ? ret : -errno;
}

static int list_named(struct ub_config_folder *folder, const char *const *names, size_t count,
		      struct ub_error *err)
{
	int ret = 0;

	for (size_t i = 0; i < count && !ret; i++) {
		/* Nothing leads out of the folder. */
		if (!names[i][0] || names[i][0] == '.' || strchr(names[i], '/'))
			return ub_fail_usage(err, "'%.60s' is no name of a configuration file",
					     names[i]);
		ret = add_file(folder, names[i], UB_CONFIG_SUFFIX);
	}
	return ret;
}

static int compare(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

int ub_config_folder_read(const char *path, const char *const *names, size_t count,
			  struct ub_config_folder *ret_folder, struct ub_error *err)
{
	struct ub_config_folder folder = {.path = realpath(path, NULL), .fd = -1};
	int ret;

	if (folder.path)
		folder.fd = open(folder.path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	ret = folder.fd < 0 ? -errno : ub_config_check_owner(folder.path, folder.fd, err);
	if (folder.fd < 0)
		(void)ub_fail(err, UB_STAGE_CONFIG, ret, "cannot read %s", path);
	if (!ret) {
		ret = count ? list_named(&folder, names, count, err) : list_all(&folder);
		if (ret && (!err->code))
			(void)ub_fail(err, UB_STAGE_CONFIG, ret, "cannot read %s", path);
	}
	if (ret) {
		ub_config_folder_done(&folder);
		return ret;
	}
	if (folder.count)
		qsort(folder.files, folder.count, sizeof(*folder.files), compare);
	*ret_folder = folder;
	return 0;
}

void ub_config_folder_done(struct ub_config_folder *folder)
{
	for (size_t i = 0; i < folder->count; i++)
		free(folder->files[i]);
	free(folder->files);
	free(folder->path);
	ub_close(&folder->fd);
	*folder = (struct ub_config_folder){.fd = -1};
}

bool ub_config_folder_lost(const struct ub_config_folder *folder, const char *config)
{
	const char *last = strrchr(config, '/');
	_cleanup_free_ char *where = last ? strndup(config, (size_t)(last - config) + 1) : NULL;
	struct stat its, ours;

	if (!where || stat(where, &its) != 0 || fstat(folder->fd, &ours) != 0 ||
	    its.st_dev != ours.st_dev || its.st_ino != ours.st_ino)
		return false;
	return faccessat(folder->fd, last + 1, F_OK, AT_SYMLINK_NOFOLLOW) != 0 && errno == ENOENT;
}

int ub_config_lock(unsigned timeout_s, struct ub_error *err)
{
	/* Of the process: a helper that hangs, and is left behind, does not have it. */
	struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
	_cleanup_close_ int dir = ub_record_dir_open(true, err), fd = -1;
	struct ub_retry retry;
	int ret;

	if (dir < 0)
		return dir;
	fd = openat(dir, LOCK_NAME, O_RDWR | O_CREAT | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC, 0600);
	if (fd < 0)
		return ub_fail(err, UB_STAGE_CONFIG, -errno, "cannot open %s", LOCK_NAME);
	ub_retry_init(&retry, timeout_s * 1000);
	do
		ret = fcntl(fd, F_SETLK, &lock) == 0 ? 0 : -errno;
	while ((ret == -EAGAIN || ret == -EACCES) && ub_retry_wait(&retry));
	if (ret == -EAGAIN || ret == -EACCES)
		return ub_fail_text(
			err, UB_STAGE_CONFIG, -ETIMEDOUT,
			"cannot apply the configuration: another ublk apply is at work");
	return ret ? ub_fail(err, UB_STAGE_CONFIG, ret, "cannot lock %s", LOCK_NAME)
		   : UB_TAKE_FD(fd);
}
