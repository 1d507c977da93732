/* SPDX-License-Identifier: MIT */
/* The folder of the configuration files: which there are, and who is at work with them. Knows nothing of
 * what is in them. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "base/error.h"

#define UB_CONFIG_FOLDER "/etc/ublk"

struct ub_config_folder {
	char *path;   /* without links */
	int fd;       /* of it: what was mounted when it was read stays to be asked */
	char **files; /* paths below that, in the order of their names */
	size_t count;
};

/*
 * Looks at a folder that this process's user may believe.
 * @names: of files, without ".conf": those alone, each once, whether they are there or not; none: all
 *	that are there, but for hidden ones
 * Return: 0, or with a message -EINVAL (no such name can be), -EPERM (not safe to believe), or another
 * negative errno.
 */
int ub_config_folder_read(const char *path, const char *const *names, size_t count,
			  struct ub_config_folder *ret_folder, struct ub_error *err);

/* Frees what it owns; takes one that was never read, with zeros and -1. */
void ub_config_folder_done(struct ub_config_folder *folder);

/* Does @config lie in the folder, by whatever path to that, and is there no such file any more? */
bool ub_config_folder_lost(const struct ub_config_folder *folder, const char *config);

/*
 * Keeps everybody else of this user from applying configuration files, as long as this process lives and
 * has the descriptor open.
 * Return: a descriptor, -ETIMEDOUT, or another negative errno; with a message.
 */
int ub_config_lock(unsigned timeout_s, struct ub_error *err);
