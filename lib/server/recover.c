/* SPDX-License-Identifier: MIT */
/*
 * `ublk recover`: a new server for a device whose server died. Everything that can fail comes
 * before the first fetch: a server that dies half-fetched wedges the device for good on Linux 6.12
 * to 6.19, and on 6.12 one that dies between mapping and fetching too. Until then nothing is
 * changed, and a failure leaves the device as it was.
 */
#include <errno.h>
#include <linux/membarrier.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fault.h"
#include "device/namespace.h"
#include "device/same.h"
#include "device/steady.h"
#include "process/process.h"
#include "record/store.h"
#include "server/server.h"

/* There is no event for "quiesced", nor for the old server's last reference: ask again. */
#define RETRY_MS 20
/* How often, so long after the server before was told to end. */
#define SOON_RETRY_MS 2
#define SOON_MS 500
/* What a question to the driver has at the least, so that the answer is the error that is told. */
#define CHECK_MS 1000
/* What the last step has at the least: there is no way back from it. */
#define END_MS 5000

/* After an orderly end there is little to wait for, and requests wait, too. */
static int retry_ms(const struct server *s)
{
	return s->irreversible && ub_now_ms() - s->ended_ms < SOON_MS ? SOON_RETRY_MS : RETRY_MS;
}

/* Waits a moment. Return: 0, or -EINTR with a message. */
static int wait_a_moment(struct server *s, int ms, struct ub_error *err)
{
	server_wait(s, ms);
	if (!s->irreversible && (s->terms || s->parent_gone))
		return ub_fail_text(err, UB_STAGE_RECOVER, -EINTR, "interrupted");
	return 0;
}

/* Of a takeover: is it still the server before that serves? */
static bool is_the_other(const struct server *s)
{
	struct ub_record now = {0};
	bool is;

	if (!s->ended_ms || ub_record_read(s->record.id, s->record.token, &now, NULL) != 0)
		return false;
	is = now.pid == s->other_pid && now.start_time == s->other_start;
	ub_record_done(&now);
	return is;
}

static int fail_dead(const struct server *s, struct ub_error *err)
{
	return ub_fail_text(err, UB_STAGE_RECOVER, -ENOTRECOVERABLE,
			    "cannot recover ublkb%u: it is dead, stopped meanwhile", s->record.id);
}

/*
 * Asks whether the device waits for a server. By errand: a command of this process would leave a
 * kernel worker behind that stays in the mount namespace which is yet to be left.
 * Return: 0, -EBUSY while it still has its old server, or why it can't be recovered; a message.
 */
static int check_state(struct server *s, struct ub_error *err)
{
	int left = ub_left_ms(s->deadline);
	int ret = server_errand(s, ERRAND_CHECK, left < CHECK_MS ? CHECK_MS : left);
	uint32_t id = s->record.id;

	if (ret == -EALREADY && is_the_other(s))
		ret = -EBUSY;
	switch (ret) {
	case 0:
		return 0;
	case -EBUSY:
		return ub_fail_text(err, UB_STAGE_RECOVER, ret,
				    "cannot recover ublkb%u: it still has a server", id);
	case -EALREADY:
		return ub_fail_text(err, UB_STAGE_RECOVER, ret,
				    "cannot recover ublkb%u: another recovery was faster", id);
	case -ENOTRECOVERABLE:
		return fail_dead(s, err);
	case -EINVAL:
		return ub_fail_text(err, UB_STAGE_RECOVER, ret,
				    "cannot recover ublkb%u: it was not made to be recovered", id);
	default:
		return ub_fail(err, UB_STAGE_RECOVER, ret, "cannot recover ublkb%u", id);
	}
}

static int wait_state(struct server *s, struct ub_error *err)
{
	int ret = check_state(s, err);

	while (ret == -EBUSY && ub_left_ms(s->deadline) > 0) {
		if (s->ended_ms && retry_ms(s) == RETRY_MS && server_other_goes_on(s))
			return ub_fail_text(err, UB_STAGE_UPGRADE, -EPERM,
					    "the driver does not let the server of ublkb%u park it",
					    s->record.id);
		ret = wait_a_moment(s, retry_ms(s), err);
		if (!ret)
			ret = check_state(s, err);
	}
	return ret;
}

static bool is_being_taken_over(const struct ub_record *r)
{
	return r->taking_over && r->start_time && ub_process_is_alive(r->pid, r->start_time);
}

/* @code: what keeps this recovery from beginning, and is told in @err. */
static int taken_over_half(const struct server *s, int code, struct ub_error *err)
{
	const struct ub_record *r = &s->record;

	if (is_being_taken_over(r))
		return ub_fail_text(err, UB_STAGE_RECOVER, -EBUSY,
				    "cannot recover ublkb%u: another recovery (process %d) has "
				    "begun, and does not come to its end",
				    r->id, r->pid);
	if (r->flags & UBLK_F_SAFE_STOP_DEV) /* Linux 7.0 */
		return code;
	return ub_fail_text(err, UB_STAGE_RECOVER, code,
			    "cannot recover ublkb%u: an earlier recovery died in the middle, and "
			    "before Linux 7.0 the driver can't begin again",
			    r->id);
}

/*
 * The backing's lock first: the dead server's description held it, so having it proves that its
 * last write is over and can't land on newer data. It comes without an event, and meanwhile
 * somebody else may recover the device.
 */
static int open_backing(struct server *s, struct ub_error *err)
{
	const struct ub_spec *spec = &s->record.spec;
	const struct ub_open_request req = {
		.logical_block_size = spec->logical_block_size,
		.read_only = spec->read_only,
		.no_discard = spec->no_discard,
		.threads = ub_spec_threads_to_come(spec),
		.no_lock = spec->no_lock,
		.probe = s->mode == UB_LAUNCH_REHEARSE,
		.lock = spec->mlock,
		.zero_copy = spec->data_path == UB_PATH_ZERO_COPY,
		.recovers = true,
		.memory = spec->caller_fd,
		.expect = s->record.backings.count ? &s->record.backings : NULL,
		.remote = &s->record.remote,
		.export = s->record.export.size ? &s->record.export : NULL,
		.write_error = s->record.write_error,
		.size = server_size_to_serve(s),
	};
	struct ub_notes old = s->record.notes;
	int ret;

	for (;;) {
		s->record.notes.count = 0;
		ret = server_open_target(s, &req, err);
		if (ret != -EBUSY || err->stage != UB_STAGE_LOCK || ub_left_ms(s->deadline) == 0)
			break;
		ret = wait_a_moment(s, retry_ms(s), err);
		if (!ret)
			ret = check_state(s, err);
		if (ret)
			break;
	}
	if (ret)
		s->record.notes = old;
	/* Perhaps the kernel has not let go of one that died in the middle. */
	if (ret == -EBUSY && err->stage == UB_STAGE_LOCK) {
		server_read_record(s);
		if (s->record.taking_over)
			return taken_over_half(s, ret, err);
	}
	return ret;
}

/* Can START_USER_RECOVERY be sent? After a recovery that died between its mapping and the end of its
 * fetches Linux 6.12 crashes if some queues were fetched and others not (ublk_queue_reinit()), and
 * else keeps the device for the dead process. */
static int start_if_possible(struct server *s)
{
	bool is_old = !(ub_ctrl_features(s->ctrl) & UBLK_F_USER_RECOVERY_FAIL_IO);

	server_read_record(s);
	if (s->record.taking_over && is_old)
		return is_being_taken_over(&s->record) ? -EBUSY : -ENOTRECOVERABLE;
	return ub_same_command(s->ctrl, s->info, UBLK_U_CMD_START_USER_RECOVERY, 0,
			       UB_CTRL_NO_TIMEOUT);
}

static int start_recovery(struct server *s, struct ub_error *err)
{
	int ret = ub_fault("start-recovery");

	while (!ret) {
		ret = start_if_possible(s);
		/* Linux 6.12 says so when an earlier attempt got as far as here and no further:
		 * then its reset of the queues has been done already. */
		if (ret == -EINVAL)
			return 0;
		if (ret != -EBUSY)
			break;
		if (ub_left_ms(s->deadline) == 0)
			break;
		ret = wait_a_moment(s, retry_ms(s), err);
		/* It may live by now: another recovery was faster. */
		if (!ret)
			ret = check_state(s, err);
		if (ret && ret != -EBUSY)
			return ret;
		ret = 0;
	}
	if (ret)
		(void)ub_fail(err, UB_STAGE_RECOVER, ret, "cannot recover ublkb%u", s->record.id);
	if (ret == -ENOTRECOVERABLE || (ret == -EBUSY && s->record.taking_over))
		return taken_over_half(s, ret, err);
	return ret;
}

/*
 * So that nobody begins again where the kernel can't. Only with the char device open: of several
 * recoveries the driver lets one do that, and the others must not touch the record of that one.
 * What cannot be written is no reason to let requests wait, mostly: the next server has less to go by if
 * this one dies before it could. Return: 0 or a negative errno.
 */
static int note_take_over(struct server *s, bool taking_over)
{
	bool told = s->unwritten;
	int ret;

	s->record.taking_over = taking_over;
	ret = server_write_record(s, NULL);
	if (ret && !told)
		ub_note(&s->record.notes, "its record could not be written, and will be later: %s",
			strerror(-ret));
	return ret;
}

/*
 * A request that comes while there is no server goes back to the block layer, which END_USER_RECOVERY
 * asks, once, to send what it has got back (ublk_ctrl_end_recovery()). Who has seen that there is no
 * server, but gives his request back only after that (__ublk_queue_rq_common() does not exclude it), is
 * never answered. He does both within one RCU read-side section (__blk_mq_run_dispatch_ops()), and none
 * begins any more that sees no server, since all tags are fetched: so it is enough to wait until those
 * that have begun are over, which this call does. A kernel with nohz_full refuses it. Read in Linux
 * 7.3; 6.12 lets no request come meanwhile.
 */
static void wait_for_dispatchers(void)
{
	(void)syscall(SYS_membarrier, MEMBARRIER_CMD_GLOBAL, 0, 0);
}

static int end_recovery(struct server *s, struct ub_error *err)
{
	struct ub_ctrl_cmd cmd = {
		.op = UBLK_U_CMD_END_USER_RECOVERY,
		.dev_id = s->record.id,
		.data = (uint64_t)getpid(),
	};
	int left = ub_left_ms(s->deadline);
	int ret = ub_fault("end-recovery");

	wait_for_dispatchers();
	if (!ret)
		ret = server_command(s, &cmd, left < END_MS ? END_MS : left);
	if (ret < 0)
		return ub_fail(err, UB_STAGE_RECOVER, ret, "cannot recover ublkb%u", s->record.id);
	s->live = true;
	return 0;
}

/* Somebody may have stopped it since the recovery began, or is about to. */
static int still_waits(struct server *s, struct ub_error *err)
{
	struct ublksrv_ctrl_dev_info now;
	int ret = ub_same_info(s->ctrl, s->info, &now);

	if (ret)
		return ub_fail(err, UB_STAGE_RECOVER, ret, "cannot recover ublkb%u", s->record.id);
	return now.state == UBLK_S_DEV_DEAD ? fail_dead(s, err) : 0;
}

/* From here on nobody else serves it. What is kept of the device is written only while nobody stops it, who
 * would remove that. */
static int take_over(struct server *s, struct ub_error *err)
{
	int ret = still_waits(s, err);

	if (!ret)
		server_read_record(s);
	if (!ret)
		ret = wait_a_moment(s, 0, err);
	if (ret)
		return ret;
	s->record.parked = s->record.flushed = false;
	server_name_control(s);
	ret = note_take_over(s, true);
	/* What is written from here on would be taken for durable if this server died. */
	if (ret && s->target.flushed)
		return ub_fail(err, UB_STAGE_RECORD, ret, "cannot write the record of ublkb%u",
			       s->record.id);
	s->recorded = true;
	server_open_control(s);
	server_open_stats(s);
	/* An interruption has to wait from here on until the device is live: Linux 6.12 keeps the
	 * device for the process that has mapped it until all is fetched (ublk_ch_mmap()). */
	s->irreversible = true;
	ret = server_map_queues(s, err);
	if (!ret)
		ret = server_fetch(s, err);
	if (ret)
		return ret;
	(void)note_take_over(s, false);
	return end_recovery(s, err);
}

int server_recover(struct server *s, struct ub_error *err)
{
	int ret = 0, hold;

	/* END_USER_RECOVERY would be refused, after the fetches: too late. */
	if (ub_namespace_is_in_the_way())
		return server_fail_namespace(s, UB_STAGE_RECOVER, err);
	(void)snprintf(s->log.name, sizeof(s->log.name), "ublkb%u", s->record.id);
	if (s->mode == UB_LAUNCH_PARK || s->mode == UB_LAUNCH_KILL)
		ret = server_end_other(s, err);
	if (!ret && s->mode != UB_LAUNCH_REHEARSE)
		ret = wait_state(s, err);
	server_take_loss(&s->record);
	if (!ret)
		ret = open_backing(s, err);
	if (!ret)
		ret = server_leave_namespace(s, err);
	if (!ret)
		ret = ub_ctrl_open(&s->ctrl, err);
	if (!ret)
		ret = server_compare(s, err);
	if (!ret)
		ret = server_make_queues(s, err);
	if (ret || s->mode == UB_LAUNCH_REHEARSE)
		return ret;
	ret = start_recovery(s, err);
	if (!ret)
		ret = server_open_char(s, err);
	if (ret)
		return ret;
	(void)ub_fault("opened");
	hold = server_hold_steady(s);
	ret = take_over(s, err);
	ub_steady_let_go(s->record.id, &hold);
	if (ret)
		return ret;
	server_take_size(s);
	server_let_program_go(s);
	/* What is left to do may fail, and be interrupted, as ever. */
	s->deadline = ub_now_ms() + (int64_t)s->record.spec.timeout_s * 1000;
	return 0;
}
