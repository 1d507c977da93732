/* SPDX-License-Identifier: MIT */
#include "device/flush.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "base/clean.h"
#include "device/users_internal.h"
#include "kernel/node.h"

static int flush(const struct ub_node *node)
{
	char path[sizeof("/dev/") + sizeof(node->name)];
	_cleanup_close_ int fd = -1;

	(void)snprintf(path, sizeof(path), "/dev/%s", node->name);
	fd = ub_node_open_any(path, S_IFBLK, makedev(node->major, node->minor),
			      O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	if (fd < 0)
		return fd;
	/* Syncs the file system that has it mounted, where fsync() writes the disk's own pages alone. */
	(void)ioctl(fd, BLKFLSBUF);
	return fsync(fd) == 0 ? 0 : -errno;
}

int ub_flush(uint32_t id)
{
	const struct ub_users_query query = {.id = id};
	struct ub_nodes nodes = {0};
	int ret = ub_nodes_add(&query, &nodes);

	if (!ret && !nodes.count)
		ret = -ENODEV;
	for (size_t i = 0; i < nodes.count; i++) {
		int code = flush(&nodes.list[i]);

		ret = ret ? ret : code;
	}
	/* File systems that no node of the device leads to: of a volume or another mapping on it. */
	if (nodes.count)
		sync();
	ub_nodes_done(&nodes);
	return ret;
}
