/* SPDX-License-Identifier: MIT */
#include "textfile.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clean.h"
#include "interrupt.h"
#include "prometheus.h"

static int fill(int fd, const struct ub_stat *stats, size_t count)
{
	FILE *file = fdopen(fd, "w");
	int ret = 0;

	if (!file) {
		ret = -errno;
		ub_close(&fd);
		return ret;
	}
	/* Whatever this user's umask is. */
	if (fchmod(fd, 0644) != 0)
		ret = -errno;
	errno = 0;
	ub_prometheus_print(file, stats, count);
	if (ferror(file) && !ret)
		ret = errno ? -errno : -EIO;
	if (fclose(file) != 0 && !ret)
		ret = -errno;
	return ret;
}

/* Not named as what the exporter reads. */
static int write_beside(char *temp, const char *path, const struct ub_stat *stats, size_t count)
{
	int fd = mkostemp(temp, O_CLOEXEC), ret;

	if (fd < 0)
		return -errno;
	ret = fill(fd, stats, count);
	if (!ret && rename(temp, path) != 0)
		ret = -errno;
	if (ret)
		(void)unlink(temp);
	return ret;
}

int ub_textfile_write(const char *folder, const struct ub_stat *stats, size_t count,
		      struct ub_error *err)
{
	_cleanup_free_ char *path = NULL, *temp = NULL;
	struct ub_interrupt interrupt = {.fd = -1};
	int ret = -ENOMEM;

	if (asprintf(&path, "%s/ublk.prom", folder) < 0)
		path = NULL;
	if (asprintf(&temp, "%s/.ublk.prom.XXXXXX", folder) < 0)
		temp = NULL;
	/* Who is interrupted removes what lies beside it first. */
	if (path && temp)
		ret = ub_interrupt_open(&interrupt);
	if (!ret)
		ret = write_beside(temp, path, stats, count);
	if (ret)
		(void)ub_fail(err, UB_STAGE_NONE, ret, "cannot write %s/ublk.prom", folder);
	ub_interrupt_close(&interrupt);
	return ret;
}
