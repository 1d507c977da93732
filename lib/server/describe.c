/* SPDX-License-Identifier: MIT */
#include "server/describe.h"

#include <errno.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

#include "base/clean.h"
#include "base/escape.h"
#include "base/parse.h"
#include "kernel/ctrl.h"
#include "kernel/node.h"
#include "kernel/sysfs.h"
#include "process/helper.h"
#include "record/store.h"
#include "spec/check.h"

/* How long the driver may take: it answers at once, unless it is broken. */
#define ANSWER_MS 2000

/* In a helper: a worker of udev that hangs holds up all later events of the disk. */
static int call_info(const void *arg)
{
	struct ublksrv_ctrl_dev_info *const *info = arg;
	_cleanup_(ub_ctrl_closep)
	struct ub_ctrl *ctrl = NULL;
	int ret = ub_ctrl_open(&ctrl, NULL);

	return ret ? ret : ub_ctrl_get_info(ctrl, (*info)->dev_id, *info);
}

static int ask(uint32_t id, struct ublksrv_ctrl_dev_info *ret_info)
{
	struct ublksrv_ctrl_dev_info *info = mmap(NULL, sizeof(*info), PROT_READ | PROT_WRITE,
						  MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	struct ub_helper helper = UB_HELPER_INIT;
	int ret, result = 0;

	if (info == MAP_FAILED)
		return -errno;
	info->dev_id = id;
	ret = ub_helper_start(&helper, call_info, &info);
	if (!ret)
		ret = ub_helper_wait(&helper, ANSWER_MS, &result);
	ub_helper_end(&helper);
	*ret_info = *info;
	(void)munmap(info, sizeof(*info));
	return ret ? ret : result;
}

/*
 * Is the number still that of the disk that the event is about? The kernel never gives a sequence
 * number twice, and a disk is there from its start to its stop: if it is the same one now, what the
 * driver has said before was about this device.
 */
static int check_disk(uint32_t id, uint64_t seq)
{
	uint64_t now;
	int ret = ub_sysfs_u64(&now, "/sys/block/ublkb%u/diskseq", id);

	return ret ? ret : now == seq ? 0 : -ESTALE;
}

static bool is_roots(const struct ublksrv_ctrl_dev_info *info)
{
	return !(info->flags & UBLK_F_UNPRIVILEGED_DEV) && info->owner_uid == 0;
}

/* Return: 0, -ENOENT (no device of ours), or another negative errno. */
static int print_record(const struct ublksrv_ctrl_dev_info *info)
{
	_cleanup_(ub_record_done)
	struct ub_record record = {0};
	int ret = info->ublksrv_flags
			  ? ub_record_read(info->dev_id, info->ublksrv_flags, &record, NULL)
			  : -ENOENT;

	if (ret)
		return ret;
	(void)printf("UBLK_PROBE=%s\n", record.spec.no_partition_scan ? "no" : "yes");
	if (record.spec.name && ub_spec_check_name(record.spec.name, NULL) == 0)
		(void)printf("UBLK_NAME=%s\n", record.spec.name);
	return 0;
}

static int describe(const char *path, const char *text)
{
	struct ublksrv_ctrl_dev_info info = {0};
	uint64_t seq;
	uint32_t id;
	int ret;

	if (ub_parse_dev_id(path, &id) != 0 || ub_parse_u64(text, UINT64_MAX, &seq) != 0)
		return -EINVAL;
	ret = ask(id, &info);
	if (!ret)
		ret = check_disk(id, seq);
	if (ret)
		return ret;
	if (!is_roots(&info))
		(void)printf("UBLK_PROBE=no\n");
	else
		ret = print_record(&info);
	if (ret == -ENOENT) {
		ret = 0;
		(void)printf("UBLK_PROBE=other\n");
	}
	return !ret && fflush(stdout) != 0 ? -errno : ret;
}

int server_describe_main(const char *path, const char *seq)
{
	int ret = describe(path, seq);
	char shown[PATH_MAX];

	/* One that has gone in the meantime has nothing to be told. */
	if (ret == 0 || ret == -ENOENT || ret == -ENODEV || ret == -ESTALE)
		return ret ? 1 : 0;
	ub_escape(path, shown, sizeof(shown));
	(void)fprintf(stderr, "ublk-server: error: cannot describe %s to udev: %s\n", shown,
		      strerror(-ret));
	return 1;
}
