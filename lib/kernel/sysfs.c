/* SPDX-License-Identifier: MIT */
#include "kernel/sysfs.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/clean.h"
#include "base/parse.h"

#define NODES_MAX 1024 /* of the kernel (CONFIG_NODES_SHIFT) */

static int read_line(char *buf, size_t size, const char *fmt, va_list ap)
{
	_cleanup_free_ char *path = NULL;
	_cleanup_close_ int fd = -1;
	ssize_t n;

	buf[0] = '\0';
	if (vasprintf(&path, fmt, ap) < 0) {
		path = NULL;
		return -ENOMEM;
	}
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	/* An attribute comes whole with one read. */
	n = read(fd, buf, size - 1);
	if (n < 0)
		return -errno;
	buf[n] = '\0';
	buf[strcspn(buf, "\n")] = '\0';
	return (int)strlen(buf);
}

int ub_sysfs_line(char *buf, size_t size, const char *fmt, ...)
{
	va_list ap;
	int ret;

	va_start(ap, fmt);
	ret = read_line(buf, size, fmt, ap);
	va_end(ap);
	return ret;
}

int ub_sysfs_u64(uint64_t *ret_value, const char *fmt, ...)
{
	char text[32];
	va_list ap;
	int ret;

	va_start(ap, fmt);
	ret = read_line(text, sizeof(text), fmt, ap);
	va_end(ap);
	return ret < 0 ? ret : ub_parse_u64(text, UINT64_MAX, ret_value);
}

int ub_sysfs_cpu_node(unsigned cpu)
{
	struct dirent *entry;
	uint64_t node;
	int ret = -ENOENT;
	char path[64];
	DIR *dir;

	(void)snprintf(path, sizeof(path), "/sys/devices/system/cpu/cpu%u", cpu);
	dir = opendir(path);
	if (!dir)
		return -errno;
	while (ret < 0 && (entry = readdir(dir)))
		if (strncmp(entry->d_name, "node", 4) == 0 &&
		    ub_parse_u64(entry->d_name + 4, INT32_MAX, &node) == 0)
			ret = (int)node;
	(void)closedir(dir);
	return ret;
}

int ub_sysfs_cpus_node(const cpu_set_t *cpus, size_t size)
{
	int node = -1;

	for (unsigned cpu = 0; cpu < size * 8 && node < 0; cpu++)
		if (CPU_ISSET_S(cpu, size, cpus))
			node = ub_sysfs_cpu_node(cpu);
	return node < 0 ? -1 : node;
}

bool ub_sysfs_has_nodes(void)
{
	char nodes[64];

	/* "0", or "0-1", "0,2". */
	return ub_sysfs_line(nodes, sizeof(nodes), "/sys/devices/system/node/online") > 0 &&
	       strpbrk(nodes, ",-");
}

bool ub_sysfs_node_has_memory(int node)
{
	unsigned nodes[NODES_MAX];
	char list[256];
	int count = ub_sysfs_line(list, sizeof(list), "/sys/devices/system/node/has_memory");

	if (count > 0)
		count = ub_parse_cpus(list, NODES_MAX - 1, nodes, NODES_MAX);
	for (int i = 0; i < count; i++)
		if (nodes[i] == (unsigned)node)
			return true;
	return false;
}

int ub_parse_devt(const char *text, uint32_t *ret_major, uint32_t *ret_minor)
{
	const char *colon = strchr(text, ':');
	uint64_t major, minor;
	char left[12];

	if (!colon || (size_t)(colon - text) >= sizeof(left))
		return -EINVAL;
	memcpy(left, text, (size_t)(colon - text));
	left[colon - text] = '\0';
	if (ub_parse_u64(left, UINT32_MAX, &major) != 0 ||
	    ub_parse_u64(colon + 1, UINT32_MAX, &minor) != 0)
		return -EINVAL;
	*ret_major = (uint32_t)major;
	*ret_minor = (uint32_t)minor;
	return 0;
}

int ub_sysfs_devt(uint32_t *ret_major, uint32_t *ret_minor, const char *fmt, ...)
{
	char text[32];
	va_list ap;
	int ret;

	va_start(ap, fmt);
	ret = read_line(text, sizeof(text), fmt, ap);
	va_end(ap);
	return ret < 0 ? ret : ub_parse_devt(text, ret_major, ret_minor);
}
