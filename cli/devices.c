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

/* One device that was named. */
struct named {
	const char *text;
	uint32_t id;
	bool skip; /* not there, or named before */
};

static bool is_repeated(const struct named *list, const struct named *one)
{
	for (; list < one; list++) {
		if (!list->skip && list->id == one->id)
			return true;
	}
	return false;
}

static enum ub_exit fail_lookup(struct ub_call *call, const char *text, const struct ub_error *err)
{
	return ub_out_fail(&call->out, err,
			   &(struct ub_facts){.verb = call->command->name, .device = text});
}

/* All names are looked up before anything is done: the first device may be gone by then. */
static void resolve(struct ub_call *call, struct ub_ctrl *ctrl, struct named *list, size_t count,
		    const struct ub_device_job *job, struct ub_common_status *common)
{
	for (struct named *one = list; one < list + count; one++) {
		struct ub_error err = {0};
		int ret = ub_dev_resolve(ctrl, one->text, &one->id, &err);

		one->skip = ret < 0 || is_repeated(list, one);
		if (ret == -ENODEV && job->missing_is_done)
			ub_common_add(common, UB_EXIT_DONE);
		else if (ret < 0)
			ub_common_add(common, fail_lookup(call, one->text, &err));
	}
}

static enum ub_exit run_one(struct ub_call *call, struct ub_ctrl *ctrl, const struct named *one,
			    const struct ub_device_job *job)
{
	struct ub_error err = {0};
	_cleanup_(ub_dev_done)
	struct ub_dev dev = {0};
	int ret = ub_dev_get(ctrl, one->id, &dev, &err);

	if (ret == -ENODEV && job->missing_is_done)
		return UB_EXIT_DONE;
	if (ret < 0)
		return fail_lookup(call, one->text, &err);
	return job->run(call, ctrl, &dev);
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
	resolve(call, ctrl, list, count, job, &common);
	for (size_t i = 0; i < count; i++) {
		if (!list[i].skip)
			ub_common_add(&common, run_one(call, ctrl, &list[i], job));
	}
	return common.status;
}

struct dev_list {
	struct ub_dev *devs;
	size_t count;
};

static void free_dev_list(struct dev_list *list)
{
	ub_dev_list_free(list->devs, list->count);
}

static enum ub_exit run_all(struct ub_call *call, struct ub_ctrl *ctrl,
			    const struct ub_device_job *job)
{
	_cleanup_(free_dev_list)
	struct dev_list list = {0};
	struct ub_common_status common = {0};
	struct ub_error err = {0};

	if (ub_dev_list(ctrl, &list.devs, &list.count, &err) < 0)
		return ub_call_fail(call, &err);
	for (size_t i = 0; i < list.count; i++) {
		_cleanup_(ub_dev_done)
		struct ub_dev now = {0};

		/* Those before it may have taken their time. */
		if (ub_dev_get(ctrl, list.devs[i].id, &now, NULL) == 0 &&
		    (!job->wants || job->wants(call, &now)))
			ub_common_add(&common, job->run(call, ctrl, &now));
	}
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
