/* SPDX-License-Identifier: MIT */
#include "device/upgrade.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include "base/clean.h"
#include "base/retry.h"
#include "device/control.h"
#include "device/launch.h"
#include "device/quiesce.h"
#include "device/restart.h"
#include "device/same.h"
#include "process/program.h"

/* How long a server may take to say what it is. */
#define ANSWER_MS 2000

/* How a device changes its server. */
struct change {
	const char *verb; /* of the command, for its messages */
	bool kills;       /* the old server, which else parks */
};

static int refuse(const struct ub_dev *dev, const struct change *c, struct ub_error *err, int code,
		  const char *why)
{
	return ub_fail_text(err, UB_STAGE_UPGRADE, code, "cannot %s ublkb%u: %s", c->verb, dev->id,
			    why);
}

/* Return: why, or NULL. */
static const char *why_kept(uint64_t flags)
{
	if (flags & UB_CONTROL_FOREGROUND)
		return "its server is in the foreground, and whoever started it waits for its end";
	if (flags & UB_CONTROL_BOUND)
		return "it goes with the command that it was made for";
	if (flags & UB_CONTROL_SPARED && *ub_program_server_name() != '@')
		return "systemd ends its server last of all, and would not spare another one, "
		       "unless this program is called as @ublk";
	return NULL;
}

bool ub_dev_keeps_server(const struct ub_dev *dev, const char **ret_why)
{
	uint64_t flags;

	(void)ub_dev_ask_status(dev, ANSWER_MS, &flags);
	*ret_why = why_kept(flags);
	return *ret_why;
}

static int check_server(const struct ub_dev *dev, const struct change *c, struct ub_error *err)
{
	uint64_t flags;
	int ret = ub_dev_ask_status(dev, ANSWER_MS, &flags);

	/* Which may never come to its end, if its requests don't. */
	if (flags & UB_CONTROL_PARKS && !c->kills)
		return refuse(dev, c, err, -EBUSY, "its server has been told to park already");
	if (why_kept(flags))
		return refuse(dev, c, err, -EINVAL, why_kept(flags));
	/* Of one without a socket it is not known; it is killed all the same, as it might be by anybody. */
	if (!ret || (c->kills && ret == -ENOENT))
		return 0;
	return refuse(dev, c, err, ret,
		      ret == -ENOENT      ? "its server has no control socket here"
		      : ret == -ETIMEDOUT ? "its server does not answer"
					  : "its server can't be spoken with");
}

/* Return: 0, or a negative errno with why. */
static int check_flags(const struct ub_dev *dev, bool by_recovery, const char **ret_why)
{
	int ret = ub_dev_check_ours(dev, ret_why);

	if (ret || !by_recovery)
		return ret ? ret : ub_dev_check_parks(dev, ret_why);
	*ret_why = "what its server has in hand would fail, since it was not made with --recovery "
		   "reissue";
	return dev->info.flags & UBLK_F_USER_RECOVERY_REISSUE ? 0 : -EINVAL;
}

bool ub_dev_can_upgrade(const struct ub_dev *dev, bool by_recovery, const char **ret_why)
{
	return check_flags(dev, by_recovery, ret_why) == 0;
}

static int check(const struct ub_dev *dev, const struct change *c, struct ub_error *err)
{
	const char *why;
	int ret = check_flags(dev, c->kills, &why);

	if (!ret && !ub_dev_is_live(dev)) {
		bool is_lost =
			dev->record.spec.target->hand_over && dev->server.answer == UB_SERVED_NO;

		why = is_lost ? "its data has died with its server" : "it has no server";
		ret = is_lost ? -ENODATA : -ENOTCONN;
	}
	return ret ? refuse(dev, c, err, ret, why) : check_server(dev, c, err);
}

static int rehearse(const struct ub_dev *dev, const struct change *c, int interrupt_fd,
		    struct ub_error *err)
{
	struct ub_notes notes = {0};
	struct ub_launch *launch;
	uint32_t id;
	int ret = ub_launch(UB_LAUNCH_REHEARSE, &dev->record, -1, interrupt_fd, &launch, &id,
			    &notes, err);

	if (!ret)
		ub_launch_abort(launch);
	else
		ub_error_prefix(err, "cannot %s ublkb%u, whose server goes on", c->verb, dev->id);
	return ret;
}

/* Return: a descriptor of the program that serves, or a negative errno. */
static int open_program(const struct ub_dev *dev)
{
	char path[32];
	int fd;

	(void)snprintf(path, sizeof(path), "/proc/%d/exe", dev->server.pid);
	fd = dev->server.pid > 0 ? open(path, O_PATH | O_CLOEXEC) : -1;
	return fd < 0 ? -errno : fd;
}

/* Has it data that dies with this process and the servers? */
static bool has_memory(const struct ub_dev *dev)
{
	return dev->record.spec.caller_fd >= 0;
}

static int serve(enum ub_launch_mode mode, const struct ub_dev *dev, int program, int interrupt_fd,
		 struct ub_notes *notes, struct ub_error *err)
{
	struct ub_launch *launch;
	uint32_t id;
	int ret = ub_launch(mode, &dev->record, program, has_memory(dev) ? -1 : interrupt_fd,
			    &launch, &id, notes, err);

	return ret ? ret : ub_launch_commit(launch, NULL, err);
}

/* Return: how to take over then; one that does not come to its end is taken over when it does. */
static enum ub_launch_mode wait_parked(struct ub_ctrl *ctrl, const struct ub_dev *dev)
{
	struct ublksrv_ctrl_dev_info now;
	struct ub_retry retry;

	ub_retry_init(&retry, dev->record.spec.timeout_s * 1000);
	do
		if (ub_same_info(ctrl, &dev->info, &now) != 0 || now.state != UBLK_S_DEV_LIVE)
			return UB_LAUNCH_RECOVER;
	while (ub_retry_wait(&retry));
	return UB_LAUNCH_PARK;
}

/* As it is now, with what the user wants of its next server. Return: 0, or -ENODEV. */
static int look_again(struct ub_ctrl *ctrl, const struct ub_dev *dev, struct ub_dev *ret_now)
{
	if (ub_dev_get(ctrl, dev->id, ret_now, NULL) != 0 ||
	    ret_now->info.ublksrv_flags != dev->info.ublksrv_flags || !ret_now->managed)
		return -ENODEV;
	ret_now->record.spec.timeout_s = dev->record.spec.timeout_s;
	ret_now->record.spec.stay = dev->record.spec.stay;
	ret_now->record.spec.caller_fd = dev->record.spec.caller_fd;
	return 0;
}

static bool bring_back(struct ub_ctrl *ctrl, const struct ub_dev *dev, int program,
		       struct ub_notes *notes)
{
	_cleanup_(ub_dev_done)
	struct ub_dev now = {0};
	enum ub_launch_mode mode;

	if (program < 0)
		return false;
	mode = wait_parked(ctrl, dev);
	return look_again(ctrl, dev, &now) == 0 && serve(mode, &now, program, -1, notes, NULL) == 0;
}

static bool goes_on(const struct ub_dev *now)
{
	uint64_t flags;

	return ub_dev_is_live(now) && now->server.answer == UB_SERVED_YES && !now->server.ending &&
	       ub_dev_ask_status(now, ANSWER_MS, &flags) == 0 && !(flags & UB_CONTROL_PARKS);
}

/* Has another command been faster? Then a note says so. @ret_now: as it is; -ENODEV: it is another device, or none. */
static int look_for_another(struct ub_ctrl *ctrl, const struct ub_dev *dev, struct ub_dev *ret_now,
			    struct ub_notes *notes)
{
	if (look_again(ctrl, dev, ret_now) != 0)
		return -ENODEV;
	if (ret_now->info.ublksrv_pid == dev->info.ublksrv_pid || !goes_on(ret_now))
		return 0;
	ub_note(notes, "ublkb%u has got another server meanwhile", dev->id);
	return 1;
}

/* The new server has failed. Return: 0 if another one has taken the device over; else @code. */
static int make_good(struct ub_ctrl *ctrl, const struct ub_dev *dev, const struct change *c,
		     int program, int code, struct ub_notes *notes, struct ub_error *err)
{
	_cleanup_(ub_dev_done)
	struct ub_dev now = {0};
	_cleanup_(ub_dev_done)
	struct ub_dev later = {0};

	int found;

	ub_error_prefix(err, "cannot %s ublkb%u", c->verb, dev->id);
	found = look_for_another(ctrl, dev, &now, notes);
	if (found)
		return found < 0 ? code : 0;
	/* This process has not waited for its end; it has. */
	if ((code == -ETIMEDOUT || code == -EINTR) && !has_memory(dev))
		ub_error_add(err, "; if it has begun, it goes on by itself");
	else if (goes_on(&now))
		ub_error_add(err, "; its server goes on");
	else if (bring_back(ctrl, dev, program, notes))
		ub_error_add(err, "; a server of the program before has it again");
	else if (look_again(ctrl, dev, &later) == 0 && goes_on(&later))
		ub_error_add(err, "; another server has it by now");
	else if (has_memory(dev) && later.server.answer == UB_SERVED_NO)
		ub_error_add(err, "; its data is lost: ublk del %u", dev->id);
	else if (has_memory(dev))
		ub_error_add(err, "; it has a server that does not answer: ublk show %u", dev->id);
	else
		ub_error_add(err, "; it waits for a server: ublk recover %u", dev->id);
	return code;
}

/* What would die with its server is kept open from here on, and goes to whichever server comes next. */
static int take_memory(struct ub_dev *dev, const struct change *c, struct ub_error *err)
{
	int ret;

	if (!dev->record.spec.target->hand_over)
		return 0;
	ret = ub_control_ask_hand_over(dev->id, dev->info.ublksrv_flags, ANSWER_MS);
	if (ret < 0)
		return ub_fail(err, UB_STAGE_UPGRADE, ret,
			       "cannot %s ublkb%u: its server does not hand its data over", c->verb,
			       dev->id);
	dev->record.spec.caller_fd = ret;
	return 0;
}

static int change_server(struct ub_ctrl *ctrl, struct ub_dev *dev, const struct change *c,
			 int interrupt_fd, struct ub_notes *notes, struct ub_error *err)
{
	_cleanup_close_ int program = open_program(dev);
	_cleanup_(ub_dev_done)
	struct ub_dev now = {0};
	int ret = rehearse(dev, c, interrupt_fd, err), claim;

	/* What was in the way may have been the server that somebody else has just started. */
	if (ret && look_for_another(ctrl, dev, &now, notes) > 0)
		return 0;
	if (!ret)
		ret = take_memory(dev, c, err);
	if (ret)
		return ret;
	/* Nobody restarts it meanwhile. */
	claim = ub_restart_hold(dev);
	ret = serve(c->kills ? UB_LAUNCH_KILL : UB_LAUNCH_PARK, dev, -1, interrupt_fd, notes, err);
	if (ret)
		ret = make_good(ctrl, dev, c, program, ret, notes, err);
	ub_restart_let_go(dev, &claim);
	ub_close(&dev->record.spec.caller_fd);
	return ret;
}

bool ub_dev_is_fenced(const struct ub_dev *dev)
{
	const struct ub_control_request request = {.op = UB_CONTROL_AWAY};
	struct ub_control_answer answer;

	return dev->managed && dev->record.spec.target->remote && ub_dev_is_live(dev) &&
	       ub_control_ask(dev->id, dev->info.ublksrv_flags, &request, ANSWER_MS, &answer) ==
		       0 &&
	       answer.value[3];
}

/* The server may wait for ever for what it has in hand. */
static int replace_fenced(struct ub_ctrl *ctrl, struct ub_dev *dev, const char *verb,
			  int interrupt_fd, struct ub_notes *notes, struct ub_error *err)
{
	const char *why;
	const struct change c = {.verb = verb, .kills = true};
	int ret = ub_dev_check_parks(dev, &why);

	if (!ret || ret == -EOPNOTSUPP)
		ret = ub_dev_check_ours(dev, &why);
	if (!ret)
		ret = check_server(dev, &c, err);
	else
		(void)refuse(dev, &c, err, ret, why);
	return ret ? ret : change_server(ctrl, dev, &c, interrupt_fd, notes, err);
}

int ub_dev_upgrade(struct ub_ctrl *ctrl, struct ub_dev *dev, bool by_recovery, int interrupt_fd,
		   struct ub_notes *notes, struct ub_error *err)
{
	const struct change c = {.verb = "upgrade", .kills = by_recovery};
	int ret;

	if (!by_recovery && ub_dev_is_fenced(dev))
		return replace_fenced(ctrl, dev, c.verb, interrupt_fd, notes, err);
	ret = check(dev, &c, err);
	return ret ? ret : change_server(ctrl, dev, &c, interrupt_fd, notes, err);
}

int ub_dev_replace_fenced(struct ub_ctrl *ctrl, struct ub_dev *dev, int interrupt_fd,
			  struct ub_notes *notes, struct ub_error *err)
{
	return replace_fenced(ctrl, dev, "recover", interrupt_fd, notes, err);
}
