/* SPDX-License-Identifier: MIT */
#include "devices.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/clean.h"

enum ub_exit ub_device_fail(struct ub_call *call, uint32_t id, const struct ub_users *users,
			    const struct ub_error *err)
{
	char device[16];

	(void)snprintf(device, sizeof(device), "%u", id);
	return ub_out_fail(
		&call->out, err,
		&(struct ub_facts){.verb = call->command->name, .device = device, .users = users});
}

/* One device that is meant. */
struct named {
	const char *text; /* what named it; NULL: --all */
	uint32_t id;
};

static bool is_among(const struct named *list, size_t count, uint32_t id)
{
	for (size_t i = 0; i < count; i++)
		if (list[i].id == id)
			return true;
	return false;
}

static enum ub_exit fail_lookup(struct ub_call *call, const char *text, const struct ub_error *err)
{
	return ub_out_fail(&call->out, err,
			   &(struct ub_facts){.verb = call->command->name, .device = text});
}

/* All names are looked up before anything is done: the first device may be gone by then. Return: how
 * many are left at the beginning of @list, each device once. */
static size_t resolve(struct ub_call *call, struct ub_ctrl *ctrl, struct named *list, size_t count,
		      const struct ub_device_job *job, struct ub_common_status *common)
{
	size_t kept = 0;

	for (size_t i = 0; i < count; i++) {
		struct named one = list[i];
		struct ub_error err = {0};
		int ret = ub_dev_resolve(ctrl, one.text, &one.id, &err);

		if (ret == -ENODEV && job->missing_is_done)
			ub_common_add(common, UB_EXIT_DONE);
		else if (ret < 0)
			ub_common_add(common, fail_lookup(call, one.text, &err));
		else if (!is_among(list, kept, one.id))
			list[kept++] = one;
	}
	return kept;
}

/* One device's turn, from its beginning to its end. */
struct turn {
	struct ub_dev dev;
	struct ub_work_result result;
	struct ub_parallel parallel;
	const char *text; /* what named it */
	enum { TURN_OVER, TURN_MISSING, TURN_RUNS, TURN_PARALLEL } state;
};

/* @text: what named the device; NULL: nobody did. @abreast: others are at work, too. */
static void begin_turn(struct ub_call *call, struct ub_ctrl *ctrl, uint32_t id, const char *text,
		       const struct ub_device_job *job, bool abreast, struct turn *t)
{
	*t = (struct turn){.text = text};
	t->result.code = ub_dev_get(ctrl, id, &t->dev, &t->result.err);
	if (t->result.code < 0) {
		/* One that nobody named, and that has gone meanwhile, is nobody's concern. */
		t->state = !text || (t->result.code == -ENODEV && job->missing_is_done)
				   ? TURN_OVER
				   : TURN_MISSING;
		return;
	}
	if (!text && job->wants && !job->wants(call, &t->dev))
		return;
	t->state = TURN_RUNS;
	if (abreast && job->work &&
	    ub_parallel_begin(&t->parallel, job->work, call->args, &t->dev) == 0)
		t->state = TURN_PARALLEL;
}

static void end_turn(struct ub_call *call, struct ub_ctrl *ctrl, const struct ub_device_job *job,
		     struct turn *t, struct ub_common_status *common)
{
	if (t->state == TURN_MISSING)
		ub_common_add(common, fail_lookup(call, t->text, &t->result.err));
	else if (t->state == TURN_OVER && t->text)
		ub_common_add(common, UB_EXIT_DONE);
	else if (t->state == TURN_RUNS && !job->work)
		ub_common_add(common, job->run(call, ctrl, &t->dev));
	else if (t->state == TURN_RUNS)
		job->work(call->args, ctrl, &t->dev, &t->result);
	else if (t->state == TURN_PARALLEL)
		ub_parallel_end(&t->parallel, &t->result);
	if (t->state >= TURN_RUNS && job->work)
		ub_common_add(common, job->tell(call, &t->dev, &t->result));
	ub_users_done(&t->result.users);
	ub_dev_done(&t->dev);
}

/* All of them: some at once, where the command's work is such, and told in their order. */
static void run_turns(struct ub_call *call, struct ub_ctrl *ctrl, const struct named *list,
		      size_t count, const struct ub_device_job *job,
		      struct ub_common_status *common)
{
	_cleanup_free_ struct turn *turns = calloc(UB_PARALLEL_MAX, sizeof(*turns));
	size_t at_once = job->work && turns ? UB_PARALLEL_MAX : 1, ended = 0;
	struct turn one = {0}, *at = turns ? turns : &one;

	for (size_t begun = 0; begun < count; begun++) {
		if (begun - ended == at_once)
			end_turn(call, ctrl, job, &at[ended++ % at_once], common);
		begin_turn(call, ctrl, list[begun].id, list[begun].text, job,
			   at_once > 1 && count > 1, &at[begun % at_once]);
	}
	while (ended < count)
		end_turn(call, ctrl, job, &at[ended++ % at_once], common);
}

static enum ub_exit run_named(struct ub_call *call, struct ub_ctrl *ctrl, int id,
			      const struct ub_device_job *job)
{
	struct ub_common_status common = {0};
	_cleanup_free_ struct named *list = calloc(call->nr_operands + 1, sizeof(*list));
	struct ub_error err = {0};
	size_t count = 0;
	char number[16];

	if (!list) {
		(void)ub_fail(&err, UB_STAGE_LOOKUP, -ENOMEM, "cannot list the devices");
		return ub_call_fail(call, &err);
	}
	if (id >= 0) {
		(void)snprintf(number, sizeof(number), "%d", id);
		list[count++].text = number;
	}
	for (size_t i = 0; i < call->nr_operands; i++)
		list[count++].text = call->operands[i];
	run_turns(call, ctrl, list, resolve(call, ctrl, list, count, job, &common), job, &common);
	return common.status;
}

static enum ub_exit run_all(struct ub_call *call, struct ub_ctrl *ctrl,
			    const struct ub_device_job *job)
{
	struct ub_common_status common = {0};
	_cleanup_free_ struct named *list = NULL;
	struct ub_dev *devs = NULL;
	struct ub_error err = {0};
	size_t count = 0;

	if (ub_dev_list(ctrl, &devs, &count, &err) < 0)
		return ub_call_fail(call, &err);
	list = calloc(count + 1, sizeof(*list));
	/* Each is looked at anew in its turn: those before it may have taken their time. */
	for (size_t i = 0; list && i < count; i++)
		list[i].id = devs[i].id;
	ub_dev_list_free(devs, count);
	if (!list) {
		(void)ub_fail(&err, UB_STAGE_LOOKUP, -ENOMEM, "cannot list the devices");
		return ub_call_fail(call, &err);
	}
	run_turns(call, ctrl, list, count, job, &common);
	return common.status;
}

enum ub_exit ub_devices_run(struct ub_call *call, const struct ub_device_args *args,
			    const struct ub_device_job *job)
{
	_cleanup_(ub_ctrl_closep)
	struct ub_ctrl *ctrl = NULL;
	bool named = call->nr_operands || args->id >= 0;
	struct ub_error err = {0};

	if (!named && !args->all)
		return ub_call_usage(call, "no device is named");
	if (named && args->all)
		return ub_call_usage(call, "--all and a device exclude each other");
	if (ub_ctrl_open(&ctrl, &err) < 0)
		return ub_call_fail(call, &err);
	return args->all ? run_all(call, ctrl, job) : run_named(call, ctrl, args->id, job);
}
