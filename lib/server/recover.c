/* SPDX-License-Identifier: MIT */
/*
 * `ublk recover`: a new server for a device whose server died. Everything that can fail comes
 * before the first fetch: a server that dies half-fetched wedges the device for good on Linux 6.12
 * to 6.19, and on 6.12 one that dies between mapping and fetching too. Until then nothing is
 * changed, and a failure leaves the device as it was.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <syslog.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fault.h"
#include "device/device.h"
#include "server/server.h"

/* There is no event for "quiesced", nor for the old server's last reference: ask again. */
#define RETRY_MS 20

static int check_interrupted(struct server *s, struct ub_error *err)
{
	if (s->terms || s->parent_gone)
		return ub_fail_text(err, UB_STAGE_RECOVER, -EINTR, "interrupted");
	return 0;
}

/* It lives, and by another server than the one that this recovery is about. */
static bool is_recovered(const struct server *s, const struct ublksrv_ctrl_dev_info *now)
{
	return now->state == UBLK_S_DEV_LIVE && now->ublksrv_pid > 0 &&
	       now->ublksrv_pid != s->record.pid;
}

static int recovered_meanwhile(const struct server *s, struct ub_error *err)
{
	return ub_fail_text(err, UB_STAGE_RECOVER, -EBUSY,
			    "cannot recover ublkb%u: another recovery was faster", s->record.id);
}

static int check_state(struct server *s, int64_t deadline, struct ub_error *err)
{
	uint32_t id = s->record.id;
	int ret;

	for (;;) {
		ret = ub_ctrl_get_info(s->ctrl, id, s->info);
		if (ret)
			return ub_fail(err, UB_STAGE_RECOVER, ret, "cannot recover ublkb%u", id);
		if (s->info->ublksrv_flags != s->record.token)
			return ub_fail_text(
				err, UB_STAGE_RECOVER, -ESTALE,
				"cannot recover ublkb%u: its record is of another device", id);
		if (!(s->info->flags & UBLK_F_USER_RECOVERY) || s->info->state == UBLK_S_DEV_DEAD)
			return ub_fail_text(
				err, UB_STAGE_RECOVER, -EINVAL,
				"cannot recover ublkb%u: it was not made to be recovered", id);
		if (s->info->state == UBLK_S_DEV_QUIESCED || s->info->state == UBLK_S_DEV_FAIL_IO)
			return 0;
		if (is_recovered(s, s->info))
			return recovered_meanwhile(s, err);
		if (ub_left_ms(deadline) == 0)
			return ub_fail_text(err, UB_STAGE_RECOVER, -EBUSY,
					    "cannot recover ublkb%u: it still has a server", id);
		server_wait(s, RETRY_MS);
		ret = check_interrupted(s, err);
		if (ret)
			return ret;
	}
}

/*
 * The backing's lock first: the dead server's description held it, so having it proves that its
 * last write is over and can't land on newer data. It comes without an event.
 */
static int open_locked(struct server *s, const struct ub_open_request *req, int64_t deadline,
		       struct ub_error *err)
{
	struct ub_notes old = s->record.notes;
	struct ublksrv_ctrl_dev_info now;
	int ret;

	for (;;) {
		s->record.notes.count = 0;
		ret = server_open_target(s, req, err);
		if (ret != -EBUSY || err->stage != UB_STAGE_LOCK || ub_left_ms(deadline) == 0)
			break;
		server_wait(s, RETRY_MS);
		ret = check_interrupted(s, err);
		if (!ret && ub_ctrl_get_info(s->ctrl, s->record.id, &now) == 0 &&
		    is_recovered(s, &now))
			ret = recovered_meanwhile(s, err);
		if (ret)
			break;
	}
	if (ret)
		s->record.notes = old;
	return ret;
}

static int open_backing(struct server *s, int64_t deadline, struct ub_error *err)
{
	const struct ub_spec *spec = &s->record.spec;
	struct ub_open_request req = {
		.read_only = spec->read_only,
		.no_discard = spec->no_discard,
		.no_lock = spec->no_lock,
		.expect = &s->record.backing,
		.write_error = s->record.write_error,
	};
	struct ublk_params params;
	int ret = ub_ctrl_get_params(s->ctrl, s->info, &params);

	if (ret)
		return ub_fail(err, UB_STAGE_RECOVER, ret, "cannot read the parameters of ublkb%u",
			       s->record.id);
	req.logical_block_size = 1U << params.basic.logical_bs_shift;
	req.read_only |= params.basic.attrs & UBLK_ATTR_READ_ONLY;
	ret = open_locked(s, &req, deadline, err);
	if (ret)
		return ret;
	if (s->target.size >> 9 != params.basic.dev_sectors ||
	    s->target.logical_block_size != req.logical_block_size ||
	    (s->target.read_only && !(params.basic.attrs & UBLK_ATTR_READ_ONLY)))
		return ub_fail_text(err, UB_STAGE_BACKING, -ESTALE,
				    "cannot recover ublkb%u: what it serves has changed",
				    s->record.id);
	return 0;
}

static int start_recovery(struct server *s, int64_t deadline, struct ub_error *err)
{
	int ret = ub_fault("start-recovery");

	while (!ret) {
		ret = ub_ctrl_simple(s->ctrl, s->info, UBLK_U_CMD_START_USER_RECOVERY, 0, -1);
		/* Linux 6.12 says so when an earlier attempt got as far as here and no further:
		 * then its reset of the queues has been done already. */
		if (ret == -EINVAL)
			return 0;
		if (ret != -EBUSY)
			break;
		if (ub_left_ms(deadline) == 0 || s->terms || s->parent_gone)
			break;
		ret = 0;
		server_wait(s, RETRY_MS);
	}
	if (ret)
		return ub_fail(err, UB_STAGE_RECOVER, ret, "cannot recover ublkb%u", s->record.id);
	return 0;
}

static int end_recovery(struct server *s, struct ub_error *err)
{
	struct ub_ctrl_cmd cmd = {
		.op = UBLK_U_CMD_END_USER_RECOVERY,
		.dev_id = s->record.id,
		.data = (uint64_t)getpid(),
	};
	int ret = ub_fault("end-recovery");

	if (!ret)
		ret = server_command(s, &cmd, (int)s->record.spec.timeout_s * 1000);
	if (ret < 0)
		return ub_fail(err, UB_STAGE_RECOVER, ret, "cannot recover ublkb%u", s->record.id);
	s->live = true;
	return 0;
}

int server_recover(struct server *s, struct ub_error *err)
{
	int64_t deadline = ub_now_ms() + (int64_t)s->record.spec.timeout_s * 1000;
	int ret;

	(void)snprintf(s->log.name, sizeof(s->log.name), "ublkb%u", s->record.id);
	ret = check_state(s, deadline, err);
	if (!ret)
		ret = open_backing(s, deadline, err);
	if (ret)
		return ret;
	server_leave_namespace(s);
	ret = server_make_queues(s, err);
	if (!ret)
		ret = start_recovery(s, deadline, err);
	if (!ret)
		ret = server_write_record(s, err);
	if (!ret)
		ret = server_open_char(s, err);
	if (!ret)
		ret = check_interrupted(s, err);
	if (ret)
		return ret;
	s->recorded = true;
	/* An interruption has to wait from here on until the device is live: Linux 6.12 keeps the
	 * device for the process that has mapped it until all is fetched (ublk_ch_mmap()). */
	s->irreversible = true;
	ret = server_map_queues(s, err);
	if (ret)
		return ret;
	server_fetch(s);
	ret = end_recovery(s, err);
	if (!ret)
		ub_log(&s->log, LOG_NOTICE, "recovered");
	return ret;
}
