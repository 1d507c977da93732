/* SPDX-License-Identifier: MIT */
/* ublk run: makes a device for as long as a command runs. */
#include <errno.h>
#include <stdio.h>

#include "adding.h"
#include "base/clean.h"
#include "captive.h"
#include "commands.h"
#include "device/driver.h"
#include "device/launch.h"
#include "device/stop.h"
#include "devices.h"
#include "prepare.h"

struct run_args {
	struct ub_adding adding;
	bool force;
};

/* clang-format off */
static const struct ub_opt options[] = {
	UB_OPT_TYPE(struct run_args),
	{ .name = "force", .type = UB_OPT_FLAG, .offset = offsetof(struct run_args, force),
	  .help = "remove the device even if it is in use when COMMAND has ended" },
	UB_OPT_END,
};
/* clang-format on */

/* The device that was made, as long as it is needed. */
struct made {
	struct ub_ctrl *ctrl;
	struct ub_dev dev;
	int bond; /* until it is closed, the server keeps it */
};

static void made_done(struct made *made)
{
	ub_dev_done(&made->dev);
	ub_ctrl_close(made->ctrl);
	ub_close(&made->bond);
}

/* It stays as long as it is used. If it still has the server that it was made with, that knows. */
static void tell_what_remains(const struct ub_dev *before, const struct ub_dev *now)
{
	if (ub_dev_is_live(now) && now->server.pid == before->server.pid &&
	    now->server.start_time == before->server.start_time)
		ub_out_note("ublkb%u is removed when its last user has let it go", now->id);
}

static enum ub_exit remove_device(struct ub_call *call, struct made *made)
{
	const struct run_args *args = call->args;
	const struct ub_del_options opt = {
		.force = args->force,
		.timeout_ms = (int)args->adding.record.spec.timeout_s * 1000,
	};
	_cleanup_(ub_dev_done)
	struct ub_dev now = {0};
	_cleanup_(ub_users_done)
	struct ub_users users = {0};
	struct ub_error err = {0};
	struct ub_del del = {.dev = &now};
	enum ub_exit status;
	int ret = ub_dev_get(made->ctrl, made->dev.id, &now, &err);

	/* Somebody else has removed it, and its number may be another device's by now. */
	if (ret == -ENODEV || (ret == 0 && now.info.ublksrv_flags != made->dev.info.ublksrv_flags))
		return UB_EXIT_DONE;
	if (ret < 0)
		return ub_device_fail(call, made->dev.id, NULL, &err);
	ub_devices_del(made->ctrl, &del, 1, &opt);
	users = del.users;
	if (del.code == 0 || del.code == -ENODEV)
		return UB_EXIT_DONE;
	status = ub_device_fail(call, now.id, &users, &del.err);
	if (del.code == -EBUSY)
		tell_what_remains(&made->dev, &now);
	return status;
}

static enum ub_exit fail_start(struct ub_call *call, const struct ub_error *err)
{
	(void)ub_call_fail(call, err);
	return err->code == -ENOENT ? UB_EXIT_NOT_FOUND : UB_EXIT_CANNOT_EXECUTE;
}

static int start_command(struct ub_call *call, uint32_t id, struct ub_captive *captive,
			 struct ub_error *err)
{
	const struct run_args *args = call->args;
	char path[32], dev[64], number[32];
	char *const variables[] = {dev, number, NULL};

	(void)snprintf(dev, sizeof(dev), "UBLK_DEV=%s", ub_dev_block_path(id, path));
	(void)snprintf(number, sizeof(number), "UBLK_ID=%u", id);
	return ub_captive_start(captive, call->operands, variables, &args->adding.interrupt.before,
				err);
}

/* Of a device that has been made: either the command runs and it is committed, or nothing is left. */
static enum ub_exit start(struct ub_call *call, struct ub_launch *launched, uint32_t id,
			  struct made *made, struct ub_captive *captive)
{
	struct ub_error err = {0};
	enum ub_exit status = UB_EXIT_DONE;
	int ret = ub_ctrl_open(&made->ctrl, &err);

	if (ret == 0)
		ret = ub_dev_get(made->ctrl, id, &made->dev, &err);
	if (ret < 0)
		status = ub_call_fail(call, &err);
	else if (start_command(call, id, captive, &err) < 0)
		status = fail_start(call, &err);
	if (status) {
		ub_launch_abort(launched);
		return status;
	}
	if (ub_launch_commit(launched, &made->bond, &err) == 0)
		return UB_EXIT_DONE;
	ub_captive_kill(captive);
	return ub_call_fail(call, &err);
}

static enum ub_exit make_and_start(struct ub_call *call, struct made *made,
				   struct ub_captive *captive)
{
	struct run_args *args = call->args;
	struct ub_adding *adding = &args->adding;
	struct ub_launch *launched = NULL;
	struct ub_notes notes = {0};
	struct ub_error err = {0};
	uint32_t id;
	int ret = ub_launch(UB_LAUNCH_ADD, &adding->record, -1, adding->interrupt.fd, &launched,
			    &id, &notes, &err);

	/* The server has its own; the command is to have none of ours. */
	ub_close(&adding->record.spec.caller_fd);
	/* The signal is the answer; it kills when it is let go. */
	if (ret == -EINTR && ub_interrupt_is_there(&adding->interrupt))
		return UB_EXIT_FAILED;
	if (ret < 0)
		return ub_call_fail(call, ub_driver_cause(&adding->no_driver, &err));
	ub_out_notes(&notes);
	if (ub_interrupt_is_there(&adding->interrupt)) {
		ub_launch_abort(launched);
		return UB_EXIT_FAILED;
	}
	return start(call, launched, id, made, captive);
}

/* A signal that comes while the device is removed ends this process as ever: then the server goes on. */
static enum ub_exit wait_and_remove(struct ub_call *call, struct made *made,
				    struct ub_captive *captive)
{
	struct run_args *args = call->args;
	int status = ub_captive_wait(captive);
	enum ub_exit removed;

	ub_interrupt_close(&args->adding.interrupt);
	removed = remove_device(call, made);
	return status ? (enum ub_exit)status : removed;
}

static enum ub_exit run(struct ub_call *call)
{
	struct run_args *args = call->args;
	struct ub_adding *adding = &args->adding;
	_cleanup_(made_done)
	struct made made = {.bond = -1};
	struct ub_captive captive;
	struct ub_error err = {0};
	enum ub_exit status;
	int ret;

	if (call->nr_operands == 0)
		return ub_call_usage(call, "no command is given");
	adding->record.spec.bound = true;
	ret = ub_prepare(&adding->record.spec, &err);
	if (ret == 0)
		ret = ub_adding_prepare(adding, &err);
	if (ret < 0)
		return ub_call_fail(call, &err);
	ret = ub_interrupt_open(&adding->interrupt);
	if (ret < 0) {
		(void)ub_fail(&err, UB_STAGE_NONE, ret, "cannot watch for signals");
		return ub_call_fail(call, &err);
	}
	status = make_and_start(call, &made, &captive);
	if (status == UB_EXIT_DONE)
		status = wait_and_remove(call, &made, &captive);
	ub_interrupt_close(&adding->interrupt);
	return status;
}

const struct ub_command ub_cmd_run = {
	.name = "run",
	.summary = "make a device for as long as a command runs",
	.synopsis = "-t TYPE [OPTIONS] [OPTIONS OF THE TARGET] -- COMMAND [ARG...]",
	.about = "Make a device as `ublk add` does, run COMMAND with its path in UBLK_DEV and its "
		 "number\n"
		 "in UBLK_ID, and remove the device whatever ends COMMAND. Signals are passed on "
		 "to it.\n"
		 "If the device is still in use then, its users are named, and it is removed when "
		 "they\n"
		 "have let it go. If `ublk run` is killed, so is COMMAND.\n"
		 "Exit status: COMMAND's own; 128 and the number of the signal that has ended it; "
		 "127 if\n"
		 "it is not there, 126 if it cannot be executed; what went wrong with the device\n"
		 "otherwise.\n",
	.options = options,
	.args_size = sizeof(struct run_args),
	.max_operands = SIZE_MAX,
	.completer = "command-line",
	.operands_last = true,
	.defaults = ub_adding_defaults,
	.done = ub_adding_done,
	.more = ub_adding_more,
	.run = run,
};
