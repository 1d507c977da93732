/* SPDX-License-Identifier: MIT */
#include "budget/cgroup.h"

#include <errno.h>
#include <limits.h>
#include <string.h>

#include "base/clean.h"
#include "base/parse.h"
#include "kernel/sysfs.h"

/* Splits a line of mountinfo: the mount's root, and where it is. Return: is it of cgroup v2? */
static int is_cgroup(char *line, char **ret_root, char **ret_point)
{
	const char *type = strstr(line, " - ");
	char *field = line;

	if (!type || strncmp(type, " - cgroup2 ", strlen(" - cgroup2 ")) != 0)
		return 0;
	for (int i = 0; i < 5 && field; i++) {
		char *word = strsep(&field, " ");

		if (i == 3)
			*ret_root = word;
		if (i == 4)
			*ret_point = word;
	}
	if (!field || **ret_root != '/' || **ret_point != '/')
		return 0;
	ub_unescape_octal(*ret_root);
	ub_unescape_octal(*ret_point);
	return 1;
}

/* What follows @root in @path, or NULL: it is elsewhere. Both may begin with "/..", when they lie
 * outside of the namespace. */
static const char *below(const char *path, const char *root)
{
	size_t len = strcmp(root, "/") == 0 ? 0 : strlen(root);

	if (strncmp(path, root, len) != 0 || (path[len] != '/' && path[len] != '\0'))
		return NULL;
	path += len;
	return strncmp(path, "/..", 3) == 0 && (path[3] == '/' || !path[3]) ? NULL : path;
}

int ub_cgroup_find(FILE *mountinfo, const char *path, char *buf, size_t size)
{
	_cleanup_free_ char *line = NULL;
	size_t room = 0;

	while (getline(&line, &room, mountinfo) > 0) {
		char *root = NULL, *point = NULL;
		const char *rest;
		int n;

		if (!is_cgroup(line, &root, &point))
			continue;
		rest = below(path, root);
		n = rest ? snprintf(buf, size, "%s%s", point, strcmp(rest, "/") == 0 ? "" : rest)
			 : -1;
		if (n >= 0 && (size_t)n < size)
			return (int)strlen(point);
	}
	return -ENOENT;
}

char *ub_cgroup_of(int32_t pid)
{
	_cleanup_fclose_ FILE *groups = NULL;
	_cleanup_free_ char *line = NULL;
	char path[32] = "/proc/self/cgroup";
	size_t size = 0;

	if (pid)
		(void)snprintf(path, sizeof(path), "/proc/%d/cgroup", pid);
	groups = fopen(path, "re");
	/* On a mixed machine it is one of several lines. */
	while (groups && getline(&line, &size, groups) > 0) {
		line[strcspn(line, "\n")] = '\0';
		if (strncmp(line, "0::", 3) == 0)
			return strdup(line + 3);
	}
	return NULL;
}

int ub_cgroup_path(const char *group, char *buf, size_t size)
{
	_cleanup_fclose_ FILE *mounts = fopen("/proc/self/mountinfo", "re");

	return mounts ? ub_cgroup_find(mounts, group, buf, size) : -ENOENT;
}

uint64_t ub_cgroup_memory_max(const char *group)
{
	uint64_t least = UINT64_MAX, value;
	char path[PATH_MAX], text[32];
	int top = ub_cgroup_path(group, path, sizeof(path));

	while (top >= 0 && (int)strlen(path) >= top) {
		if (ub_sysfs_line(text, sizeof(text), "%s/memory.max", path) >= 0 &&
		    ub_parse_u64(text, UINT64_MAX, &value) == 0 && value < least)
			least = value;
		*strrchr(path, '/') = '\0';
	}
	return least;
}
