/* SPDX-License-Identifier: MIT */
#include "process/program.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* There in an initial RAM file system, and nowhere else. */
#define INITRD "/etc/initrd-release"

int ub_program_check_proc(struct ub_error *err)
{
	if (access("/proc/self/fd", X_OK) == 0)
		return 0;
	return ub_fail_text(err, UB_STAGE_SPAWN, -ENOENT,
			    "cannot serve a device: /proc is not mounted");
}

int ub_program_find_server(char path[static PATH_MAX])
{
	ssize_t len = readlink("/proc/self/exe", path, PATH_MAX - sizeof("/" UB_SERVER_NAME));
	char *slash;

	if (len > 0) {
		path[len] = '\0';
		slash = strrchr(path, '/');
		(void)snprintf(slash, sizeof("/" UB_SERVER_NAME), "/%s", UB_SERVER_NAME);
		if (access(path, X_OK) == 0)
			return 0;
	}
	(void)snprintf(path, PATH_MAX, "%s/ublk/%s", UB_LIBEXECDIR, UB_SERVER_NAME);
	return access(path, X_OK) == 0 ? 0 : -errno;
}

int ub_program_find_own(char path[static PATH_MAX])
{
	ssize_t len = readlink("/proc/self/exe", path, PATH_MAX - 1);

	if (len < 0)
		return -errno;
	path[len] = '\0';
	return access(path, X_OK) == 0 ? 0 : -errno;
}

const char *ub_program_server_name(void)
{
	return *program_invocation_name == '@' || access(INITRD, F_OK) == 0 ? "@" UB_SERVER_NAME
									    : UB_SERVER_NAME;
}

int ub_program_open_server(void)
{
	char path[PATH_MAX];
	ssize_t len = readlink("/proc/self/exe", path, sizeof(path) - 1);
	const char *name;
	int fd;

	/* The server itself may have left the mount namespace that the path is of. */
	path[len < 0 ? 0 : len] = '\0';
	name = strrchr(path, '/');
	if (name && strcmp(name + 1, UB_SERVER_NAME) == 0)
		(void)strcpy(path, "/proc/self/exe");
	else if ((fd = ub_program_find_server(path)) < 0)
		return fd;
	fd = open(path, O_RDONLY | O_CLOEXEC);
	return fd < 0 ? -errno : fd;
}
