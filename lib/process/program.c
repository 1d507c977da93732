/* SPDX-License-Identifier: MIT */
#include "process/program.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* There in an initial RAM file system, and nowhere else. */
#define INITRD "/etc/initrd-release"
#define ITSELF "/proc/self/exe"

int ub_program_check_proc(struct ub_error *err)
{
	if (access("/proc/self/fd", X_OK) == 0)
		return 0;
	return ub_fail_text(err, UB_STAGE_SPAWN, -ENOENT,
			    "cannot serve a device: /proc is not mounted");
}

int ub_program_find(const char *name, char path[static PATH_MAX])
{
	ssize_t len;
	char *slash;

	if (!name)
		name = UB_SERVER_NAME;
	len = readlink(ITSELF, path, PATH_MAX - 1);
	if (len > 0) {
		path[len] = '\0';
		slash = strrchr(path, '/') + 1;
		if (snprintf(slash, (size_t)(path + PATH_MAX - slash), "%s", name) <
			    path + PATH_MAX - slash &&
		    access(path, X_OK) == 0)
			return 0;
	}
	(void)snprintf(path, PATH_MAX, "%s/ublk/%s", UB_LIBEXECDIR, name);
	return access(path, X_OK) == 0 ? 0 : -errno;
}

int ub_program_find_own(char path[static PATH_MAX])
{
	ssize_t len = readlink(ITSELF, path, PATH_MAX - 1);

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

int ub_program_open_server(const char *name)
{
	char path[PATH_MAX];
	ssize_t len = readlink(ITSELF, path, sizeof(path) - 1);
	const char *own;
	int fd;

	/* The server itself may have left the mount namespace that the path is of. */
	path[len < 0 ? 0 : len] = '\0';
	own = strrchr(path, '/');
	if (own && strcmp(own + 1, name ? name : UB_SERVER_NAME) == 0)
		(void)strcpy(path, ITSELF);
	else if ((fd = ub_program_find(name, path)) < 0)
		return fd;
	fd = open(path, O_RDONLY | O_CLOEXEC);
	return fd < 0 ? -errno : fd;
}

/* What ub_program_again() gives; the descriptor stays open. */
static char again[32] = ITSELF;

int ub_program_keep_static(void)
{
	int fd = ub_program_open_server(NULL);

	if (fd < 0)
		return fd;
	(void)snprintf(again, sizeof(again), "/proc/self/fd/%d", fd);
	return 0;
}

const char *ub_program_again(void)
{
	return again;
}
