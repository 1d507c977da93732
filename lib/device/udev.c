/* SPDX-License-Identifier: MIT */
#include "device/udev.h"

#include <limits.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clean.h"

bool ub_udev_runs(void)
{
	return access(UB_UDEV_CONTROL, F_OK) == 0;
}

enum ub_udev_rules ub_udev_find_rules(const char *name, const char **ret_folder)
{
	static const char *const folders[] = {
		"/etc/udev/rules.d",     "/run/udev/rules.d", "/usr/local/lib/udev/rules.d",
		"/usr/lib/udev/rules.d", "/lib/udev/rules.d",
	};
	char path[PATH_MAX];
	struct stat st;

	for (size_t i = 0; i < UB_ARRAY_SIZE(folders); i++) {
		*ret_folder = folders[i];
		(void)snprintf(path, sizeof(path), "%s/%s", folders[i], name);
		/* A link to /dev/null is no less empty. */
		if (stat(path, &st) == 0)
			return S_ISREG(st.st_mode) && st.st_size ? UB_UDEV_RULES_THERE
								 : UB_UDEV_RULES_EMPTY;
	}
	return UB_UDEV_RULES_NONE;
}
