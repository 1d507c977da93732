/* SPDX-License-Identifier: MIT */
#include "kernel/node.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>

#include "base/clean.h"
#include "base/parse.h"

int ub_parse_dev_id(const char *text, uint32_t *ret_id)
{
	const char *p = text;
	uint64_t id;

	if (strncmp(p, "/dev/", 5) == 0) {
		p += 5;
		if (strncmp(p, "ublk", 4) != 0)
			return -EINVAL;
	}
	if (strncmp(p, "ublkb", 5) == 0 || strncmp(p, "ublkc", 5) == 0)
		p += 5;
	/* The kernel writes no leading zeroes and no 0x, so nothing with them is a device. */
	if (*p == '0' && p[1])
		return -EINVAL;
	if (ub_parse_u64(p, UB_DEV_ID_MAX, &id) != 0)
		return -EINVAL;
	*ret_id = (uint32_t)id;
	return 0;
}

const char *ub_dev_block_path(uint32_t id, char buf[static 32])
{
	(void)snprintf(buf, 32, "/dev/ublkb%u", id);
	return buf;
}

const char *ub_dev_char_path(uint32_t id, char buf[static 32])
{
	(void)snprintf(buf, 32, "/dev/ublkc%u", id);
	return buf;
}

static int check(const struct stat *st, mode_t type, dev_t devt)
{
	if ((st->st_mode & S_IFMT) != type)
		return -ENOTBLK;
	return st->st_rdev == devt ? 0 : -ESTALE;
}

int ub_node_open(int dirfd, const char *path, mode_t type, dev_t devt, int flags)
{
	_cleanup_close_ int fd = -1;
	struct stat st;
	int ret;

	/* First without opening: what is not ours may be harmed by it. */
	if (fstatat(dirfd, path, &st, 0) != 0)
		return -errno;
	ret = check(&st, type, devt);
	if (ret)
		return ret;
	fd = openat(dirfd, path, flags);
	if (fd < 0 || fstat(fd, &st) != 0)
		return -errno;
	ret = check(&st, type, devt);
	return ret ? ret : UB_TAKE_FD(fd);
}

int ub_node_open_private(mode_t type, dev_t devt, int flags)
{
	_cleanup_close_ int fs = fsopen("tmpfs", FSOPEN_CLOEXEC);
	_cleanup_close_ int dir = -1;
	int fd;

	if (fs < 0 || fsconfig(fs, FSCONFIG_CMD_CREATE, NULL, NULL, 0) != 0)
		return -errno;
	/* Attached nowhere: it goes with its descriptor. */
	dir = fsmount(fs, FSMOUNT_CLOEXEC, 0);
	if (dir < 0 || mknodat(dir, "node", type | 0600, devt) != 0)
		return -errno;
	fd = openat(dir, "node", flags);
	return fd < 0 ? -errno : fd;
}

int ub_node_open_any(const char *path, mode_t type, dev_t devt, int flags)
{
	int fd = ub_node_open(AT_FDCWD, path, type, devt, flags);

	return fd == -ENOENT || fd == -ENOTDIR || fd == -ENOTBLK || fd == -ESTALE
		       ? ub_node_open_private(type, devt, flags)
		       : fd;
}
