/* SPDX-License-Identifier: MIT */
#include "process/spawn.h"

#include <fcntl.h>
#include <spawn.h>

static int set_attributes(const struct ub_spawn *s, posix_spawnattr_t *attributes)
{
	int ret = s->held ? posix_spawnattr_setsigmask(attributes, s->held) : 0;

	if (!ret)
		ret = posix_spawnattr_setpgroup(attributes, 0);
	if (!ret)
		ret = posix_spawnattr_setflags(attributes,
					       (short)((s->held ? POSIX_SPAWN_SETSIGMASK : 0) |
						       (s->group ? POSIX_SPAWN_SETPGROUP : 0)));
	return ret;
}

static int set_files(const struct ub_spawn *s, posix_spawn_file_actions_t *files)
{
	int ret = 0;

	for (unsigned i = 0; i < s->nr_fds && !ret; i++) {
		const struct ub_spawn_fd *fd = &s->fds[i];

		ret = fd->from < 0 ? posix_spawn_file_actions_addopen(files, fd->to, "/dev/null",
								      O_RDWR, 0)
				   : posix_spawn_file_actions_adddup2(files, fd->from, fd->to);
	}
	return ret;
}

int ub_spawn(const struct ub_spawn *s, pid_t *ret_pid)
{
	posix_spawn_file_actions_t files;
	posix_spawnattr_t attributes;
	int ret = posix_spawn_file_actions_init(&files);

	if (ret)
		return -ret;
	ret = posix_spawnattr_init(&attributes);
	if (!ret) {
		ret = set_attributes(s, &attributes);
		if (!ret)
			ret = set_files(s, &files);
		if (!ret)
			ret = posix_spawn(ret_pid, s->path, &files, &attributes, s->argv,
					  s->environment);
		(void)posix_spawnattr_destroy(&attributes);
	}
	(void)posix_spawn_file_actions_destroy(&files);
	return -ret;
}
