/* SPDX-License-Identifier: MIT */
/* `ublk add`: from a specification to a live device. Whatever fails, server_undo() takes back. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#include "base/clean.h"
#include "base/clock.h"
#include "base/fault.h"
#include "kernel/node.h"
#include "record/dir.h"
#include "record/store.h"
#include "spec/data_path.h"
#include "device/device.h"
#include "device/namespace.h"
#include "device/quota.h"
#include "device/steady.h"
#include "device/udev.h"
#include "server/server.h"

/* How long udev may take for a node, and how often to look. */
#define UDEV_MS 20000
#define POLL_MS 10
/* How long a deleted device may take to let its number go. */
#define GOING_MS 5000

/* Claims are looked for wherever they may be, but the record is to be found where it was at first. */
static int settle(struct ub_error *err)
{
	int ret = ub_record_dir_settle();

	return ret ? ub_fail(err, UB_STAGE_RECORD, ret, "cannot keep to the records' folder") : 0;
}

static uint64_t recovery_flags(int recovery)
{
	switch (recovery) {
	case UB_RECOVERY_REQUEUE:
		return UBLK_F_USER_RECOVERY;
	case UB_RECOVERY_REISSUE:
		return UBLK_F_USER_RECOVERY | UBLK_F_USER_RECOVERY_REISSUE;
	case UB_RECOVERY_FAIL:
		return UBLK_F_USER_RECOVERY | UBLK_F_USER_RECOVERY_FAIL_IO;
	default:
		return 0;
	}
}

static int ask_flags(struct server *s, uint64_t *ret_flags, struct ub_error *err)
{
	const struct ub_spec *spec = &s->record.spec;
	uint64_t features = ub_ctrl_features(s->ctrl), flags = recovery_flags(spec->recovery);

	if (flags & ~features)
		return ub_fail_text(err, UB_STAGE_ADD, -EOPNOTSUPP,
				    "cannot add a device with --recovery %s: this kernel's driver "
				    "does not have it",
				    ub_recovery_names[spec->recovery]);
	/* So that it can be parked: ublk quiesce. */
	if (flags && (features & UBLK_F_QUIESCE))
		flags |= UBLK_F_QUIESCE;
	flags |= ub_spec_path_flags(spec);
	if (flags & ~features & UBLK_F_BATCH_IO)
		return ub_fail_text(err, UB_STAGE_ADD, -EOPNOTSUPP,
				    "cannot add a device with --batch on: that needs Linux 7.0");
	if (flags & ~features)
		return ub_fail_text(err, UB_STAGE_ADD, -EOPNOTSUPP,
				    "cannot add a device with data path %s: this kernel's driver "
				    "does not have it",
				    ub_data_path_names[ub_spec_path(spec)]);
	if (ub_spec_threads_per_queue(spec, spec->depth) > 1 && !(features & UBLK_F_PER_IO_DAEMON))
		return ub_fail_text(err, UB_STAGE_ADD, -EOPNOTSUPP,
				    "cannot add a device with several threads to a queue: that "
				    "needs Linux 6.16");
	*ret_flags = flags;
	if (spec->unprivileged) {
		*ret_flags |= UBLK_F_UNPRIVILEGED_DEV;
		return 0;
	}
	/* With it the scan is asked for when the node is there, and `add` returns when partitions
	 * are; without, the driver scans while (6.12) or some time after (6.18) it starts. */
	if ((features & UBLK_F_NO_AUTO_PART_SCAN) && (spec->no_partition_scan || !spec->no_wait))
		flags |= UBLK_F_NO_AUTO_PART_SCAN;
	else if (spec->no_partition_scan)
		ub_note(&s->record.notes,
			"partitions are scanned all the same: not scanning needs Linux 7.0");
	*ret_flags = flags;
	return 0;
}

/* The driver clamps and masks in silence: what was granted is read back, and differences told. */
static int check_granted(struct server *s, uint64_t flags, struct ub_error *err)
{
	const struct ub_spec *spec = &s->record.spec;
	const struct ublksrv_ctrl_dev_info *info = s->info;
	struct ub_notes *notes = &s->record.notes;
	unsigned before = notes->count, threads;

	if (flags & ~info->flags)
		return ub_fail_text(err, UB_STAGE_ADD, -EOPNOTSUPP,
				    "cannot add the device: the driver does not grant what it "
				    "says to have");
	if (info->nr_hw_queues != spec->queues)
		ub_note(notes, "%u queues asked for, %u granted: not more than the machine's CPUs",
			spec->queues, info->nr_hw_queues);
	threads = ub_spec_threads(spec, info->nr_hw_queues, info->queue_depth);
	if (spec->threads > threads)
		ub_note(notes,
			"%u threads asked for, %u serve: as many for each queue, or queues for "
			"each of them",
			spec->threads, threads);
	if (info->queue_depth != spec->depth)
		ub_note(notes, "depth %u asked for, %u granted", spec->depth, info->queue_depth);
	if (info->max_io_buf_bytes != spec->max_io)
		ub_note(notes, "requests of %u bytes asked for, %u granted", spec->max_io,
			info->max_io_buf_bytes);
	if (spec->strict && notes->count > before)
		return ub_fail_text(err, UB_STAGE_ADD, -EOPNOTSUPP,
				    "cannot add the device as asked: %s", notes->text[before]);
	return 0;
}

/*
 * ADD_DEV. The number of a deleted device is free when the last one has closed it, which the kernel does
 * for a process's ring some time after that has ended: who adds it anew may be there before.
 */
static int get_number(struct server *s)
{
	int id = s->record.spec.id;
	struct ub_ctrl_cmd cmd = {
		.op = UBLK_U_CMD_ADD_DEV,
		.dev_id = (uint32_t)id,
		.buf = s->info,
		.len = sizeof(*s->info),
	};
	int64_t until = ub_now_ms() + GOING_MS;
	int ret;

	while ((ret = server_command(s, &cmd, ub_left_ms(s->deadline))) == -EEXIST &&
	       ub_dev_is_going((uint32_t)id)) {
		if (ub_left_ms(until) == 0 || ub_left_ms(s->deadline) == 0)
			return -EBUSY;
		server_wait(s, POLL_MS);
		ret = server_reason_to_stop(s);
		if (ret)
			return ret;
	}
	return ret;
}

static int add_device(struct server *s, struct ub_error *err)
{
	const struct ub_spec *spec = &s->record.spec;
	uint64_t flags = 0;
	int ret = ask_flags(s, &flags, err);

	if (ret)
		return ret;
	/* All of it zero but what is asked: some kernels keep a state that user space presets. */
	memset(s->info, 0, sizeof(*s->info));
	s->info->nr_hw_queues = (uint16_t)spec->queues;
	s->info->queue_depth = (uint16_t)spec->depth;
	s->info->max_io_buf_bytes = spec->max_io;
	s->info->dev_id = (uint32_t)spec->id;
	s->info->flags = flags;
	if (getrandom(&s->record.token, sizeof(s->record.token), 0) != sizeof(s->record.token))
		return ub_fail(err, UB_STAGE_ADD, -errno, "cannot get random bytes");
	s->info->ublksrv_flags = s->record.token;

	ret = ub_fault("add");
	if (!ret)
		ret = get_number(s);
	if (ret == -EACCES && spec->unprivileged)
		return ub_quota_fail(err);
	if (ret == -EBUSY && spec->id >= 0)
		return ub_fail_text(
			err, UB_STAGE_ADD, ret,
			"cannot add device %d: the number stays taken until all who have "
			"the deleted one open have closed it",
			spec->id);
	if (ret < 0 && spec->id >= 0)
		return ub_fail(err, UB_STAGE_ADD, ret, "cannot add device %d", spec->id);
	if (ret < 0)
		return ub_fail(err, UB_STAGE_ADD, ret, "cannot add a device");
	s->added = true;
	s->record.id = s->info->dev_id;
	(void)snprintf(s->log.name, sizeof(s->log.name), "ublkb%u", s->record.id);
	ret = ub_fault("added");
	if (ret)
		return ub_fail(err, UB_STAGE_ADD, ret, "cannot add a device");
	return check_granted(s, flags, err);
}

/* Whose node nobody opens to him can't even delete his device. */
static int check_udev(const struct server *s, struct ub_error *err)
{
	if (!s->record.spec.unprivileged || ub_udev_runs())
		return 0;
	return ub_fail_text(err, UB_STAGE_CHAR, -EACCES,
			    "cannot add a device: udev, which would open its node to user %u, does "
			    "not run",
			    getuid());
}

/* An ordinary user's node is root's until udev has opened it to him, and every command needs it. */
static int wait_for_char(struct server *s, struct ub_error *err)
{
	int64_t deadline = ub_now_ms() + UDEV_MS;
	char path[32];
	int ret;

	if (!s->record.spec.unprivileged)
		return 0;
	if (deadline > s->deadline)
		deadline = s->deadline;
	while (access(ub_dev_char_path(s->record.id, path), R_OK | W_OK) != 0) {
		ret = server_reason_to_stop(s);
		if (ret)
			return ub_fail(err, UB_STAGE_CHAR, ret, "cannot add a device");
		if (ub_left_ms(deadline) == 0)
			return ub_fail_text(err, UB_STAGE_CHAR, -EACCES,
					    "cannot use %s: udev has not opened it to user %u; "
					    "root may delete it",
					    path, getuid());
		server_wait(s, POLL_MS);
	}
	return 0;
}

/* Before anything is made: the same again, with what was granted, when the queues are. */
static int check_plan(struct server *s, struct ub_error *err)
{
	struct ub_allowance allowance;
	struct ub_plan plan;
	int ret = ub_fault("plan");

	if (ret)
		return ub_fail(err, UB_STAGE_PLAN, ret, "cannot plan the device's memory");
	server_read_allowance(s, &allowance);
	ret = ub_budget_fit(&s->record.spec, &s->target, &allowance, &s->record.notes, err);
	if (!ret)
		ret = server_plan(s, NULL, &plan, err);
	if (!ret)
		ub_plan_done(&plan);
	return ret;
}

static int set_params(struct server *s, struct ub_error *err)
{
	struct ublk_params params;
	int ret = ub_fault("params");

	server_fill_params(s, &params);
	if (!ret)
		ret = ub_ctrl_set_params(s->ctrl, s->info, &params);
	if (ret)
		return ub_fail(err, UB_STAGE_PARAMS, ret, "cannot set the parameters of ublkb%u",
			       s->record.id);
	return 0;
}

int server_fail_namespace(struct server *s, enum ub_stage stage, struct ub_error *err)
{
	return ub_fail_text(err, stage, -EOPNOTSUPP,
			    "cannot %s ublkb%u: on Linux 6.16 and 6.17 the driver wants this "
			    "server's number outside of its process namespace",
			    stage == UB_STAGE_START ? "start" : "recover", s->record.id);
}

static enum server_errand start_errand(const struct server *s)
{
	const struct ub_spec *spec = &s->record.spec;

	if (spec->no_wait)
		return ERRAND_START;
	return (s->info->flags & UBLK_F_NO_AUTO_PART_SCAN) && !spec->no_partition_scan
		       ? ERRAND_START_SCAN
		       : ERRAND_START_OPEN;
}

/* All in one errand: a program's start costs more than what it has to do. */
static int start_device(struct server *s, struct ub_error *err)
{
	int ret = ub_fault("start");

	if (!ret)
		ret = server_errand(s, start_errand(s), ub_left_ms(s->deadline));
	if (ret == -EINVAL && !s->live && ub_namespace_is_in_the_way())
		return server_fail_namespace(s, UB_STAGE_START, err);
	if (!s->live && ret)
		return ub_fail(err, UB_STAGE_START, ret, "cannot start ublkb%u", s->record.id);
	if (!ret && (ret = ub_fault("started")) != 0)
		return ub_fail(err, UB_STAGE_START, ret, "cannot start ublkb%u", s->record.id);
	if (!ret && !s->record.spec.no_wait)
		ret = ub_fault("node");
	return ret ? server_fail_node(s, ret, err) : 0;
}

/* It is gone in a moment: nothing is made for it, not even the folder of the records. */
int server_try(struct server *s, struct ub_error *err)
{
	const struct ub_spec *spec = &s->record.spec;
	const struct ub_open_request req = {
		.logical_block_size = spec->logical_block_size,
		.read_only = spec->read_only,
		.no_discard = spec->no_discard,
		.no_lock = true,
		.zero_copy = spec->data_path == UB_PATH_ZERO_COPY,
		.probe = true,
	};

	s->left = true;
	return server_open_target(s, &req, err);
}

int server_add(struct server *s, struct ub_error *err)
{
	const struct ub_spec *spec = &s->record.spec;
	const struct ub_open_request req = {
		.logical_block_size = spec->logical_block_size,
		.read_only = spec->read_only,
		.no_discard = spec->no_discard,
		.threads = ub_spec_threads_to_come(spec),
		.no_lock = spec->no_lock,
		.lock = spec->mlock,
		.zero_copy = spec->data_path == UB_PATH_ZERO_COPY,
	};
	int ret = server_open_target(s, &req, err), hold;

	if (!ret)
		ret = server_leave_namespace(s, err);
	if (!ret)
		ret = ub_ctrl_open(&s->ctrl, err);
	if (ret)
		return ret;
	ub_spec_choose_path(&s->record.spec, &s->target, ub_ctrl_features(s->ctrl),
			    &s->record.notes);
	ret = server_check_claims(s, err);
	if (!ret)
		ret = server_claim_name(s, err);
	if (!ret)
		ret = settle(err);
	if (!ret)
		ret = check_plan(s, err);
	if (!ret)
		ret = check_udev(s, err);
	if (!ret)
		ret = add_device(s, err);
	if (!ret)
		ret = wait_for_char(s, err);
	if (!ret)
		ret = server_make_queues(s, err);
	if (!ret)
		ret = server_open_char(s, err);
	if (!ret)
		ret = set_params(s, err);
	if (!ret)
		ret = server_map_queues(s, err);
	if (ret)
		return ret;
	server_name_control(s);
	ret = server_write_record(s, err);
	if (ret)
		return ret;
	s->recorded = true;
	server_open_control(s);
	server_open_stats(s);
	ub_record_release_name(spec->name, &s->name_lock);
	hold = server_hold_steady(s);
	ret = server_fetch(s, err);
	ub_steady_let_go(s->record.id, &hold);
	return ret ? ret : start_device(s, err);
}
