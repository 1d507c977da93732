/* SPDX-License-Identifier: MIT */
#include "machine.h"

#include <stdio.h>
#include <string.h>
#include <sys/utsname.h>

#include "base/clean.h"
#include "kernel/sysfs.h"

/* Calls @line for each line, without its end, until it returns true. */
static bool any_line(const char *path, bool (*match)(const char *line))
{
	_cleanup_fclose_ FILE *file = fopen(path, "re");
	_cleanup_free_ char *line = NULL;
	size_t size = 0;

	if (!file)
		return false;
	while (getline(&line, &size, file) > 0) {
		line[strcspn(line, "\n")] = '\0';
		if (match(line))
			return true;
	}
	return false;
}

/* "kernel/drivers/block/ublk_drv.ko.xz: ..." */
static bool is_module_line(const char *line)
{
	return strstr(line, "/ublk_drv.ko");
}

bool ub_machine_has_module(void)
{
	_cleanup_free_ char *path = NULL;
	struct utsname name;

	if (uname(&name) != 0)
		return false;
	if (asprintf(&path, "/lib/modules/%s/modules.dep", name.release) < 0) {
		path = NULL;
		return false;
	}
	return any_line(path, is_module_line);
}

static bool is_bookworm_line(const char *line)
{
	return strcmp(line, "VERSION_CODENAME=bookworm") == 0;
}

bool ub_machine_is_debian_12(void)
{
	return any_line("/etc/os-release", is_bookworm_line);
}

static bool is_filtered_line(const char *line)
{
	return strcmp(line, "Seccomp:\t2") == 0;
}

bool ub_machine_has_seccomp(void)
{
	return any_line("/proc/self/status", is_filtered_line);
}

int ub_machine_io_uring_disabled(void)
{
	uint64_t value;

	return ub_sysfs_u64(&value, "/proc/sys/kernel/io_uring_disabled") == 0 ? (int)value : -1;
}

/* Of /proc/self/mountinfo: "27 1 0:5 / /dev rw - devtmpfs ..." Return: 1 it is the kernel's, 0 it is
 * something else's, -1 it is not about /dev. */
static int is_dev_line(const char *line)
{
	const char *type = strstr(line, " - ");
	char point[8];

	if (!type || sscanf(line, "%*s %*s %*s %*s %7s", point) != 1 || strcmp(point, "/dev") != 0)
		return -1;
	return strncmp(type, " - devtmpfs ", strlen(" - devtmpfs ")) == 0;
}

bool ub_machine_makes_nodes(void)
{
	_cleanup_fclose_ FILE *file = fopen("/proc/self/mountinfo", "re");
	_cleanup_free_ char *line = NULL;
	size_t size = 0;
	int last = 0;

	/* The last mount is the one on top. */
	while (file && getline(&line, &size, file) > 0) {
		int ret = is_dev_line(line);

		last = ret < 0 ? last : ret;
	}
	/* Without /proc it can't be told, and that is told. */
	return !file || last;
}
