/* SPDX-License-Identifier: MIT */
#include "devices.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clean.h"
#include "device_fields.h"

/* So many have their turn at once, at the most. */
#define AT_ONCE_MAX 256

/* Puts the users' names behind "cannot remove ublkb3: Device or resource busy". */
static void name_users(struct ub_error *err, const struct ub_users *users)
{
	char user[UB_USER_TEXT_SIZE];
	size_t len = strlen(err->msg);

	for (size_t i = 0; i < users->count; i++) {
		(void)ub_user_describe(&users->list[i], user, sizeof(user));
		/* The library may have named some. */
		if (strstr(err->msg, user))
			continue;
		len += (size_t)snprintf(err->msg + len, sizeof(err->msg) - len, "%s %s",
					i ? "," : ":", user);
		if (len >= sizeof(err->msg)) {
			(void)strcpy(err->msg + sizeof(err->msg) - sizeof("..."), "...");
			return;
		}
	}
}

enum ub_exit ub_device_fail(struct ub_call *call, uint32_t id, const struct ub_users *users,
			    const struct ub_error *err)
{
	struct ub_error told = *err;
	char device[16];

	if (err->code == -EBUSY && users)
		name_users(&told, users);
	(void)snprintf(device, sizeof(device), "%u", id);
	return ub_out_fail(
		&call->out, &told,
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

static enum ub_exit fail_list(struct ub_call *call)
{
	struct ub_error err = {0};

	(void)ub_fail(&err, UB_STAGE_LOOKUP, -ENOMEM, "cannot list the devices");
	return ub_call_fail(call, &err);
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

/* Some devices that have their turn at once. */
struct turn {
	struct ublksrv_ctrl_dev_info infos[AT_ONCE_MAX];
	struct ub_dev devs[AT_ONCE_MAX];
	struct ub_dev *wanted[AT_ONCE_MAX];
	const struct named *names[AT_ONCE_MAX];
};

/* Looks at @count of @list. Return: how many are there. */
static size_t find(struct ub_call *call, struct ub_ctrl *ctrl, const struct named *list,
		   size_t count, const struct ub_device_job *job, struct turn *t,
		   struct ub_common_status *common)
{
	size_t found = 0;

	for (size_t i = 0; i < count; i++) {
		struct ub_error err = {0};
		int ret = ub_dev_get_info(ctrl, list[i].id, &t->infos[found], &err);

		if (!ret)
			t->names[found++] = &list[i];
		/* One that nobody named, and that has gone meanwhile, is nobody's concern. */
		else if (!list[i].text)
			continue;
		else if (ret == -ENODEV && job->missing_is_done)
			ub_common_add(common, UB_EXIT_DONE);
		else
			ub_common_add(common, fail_lookup(call, list[i].text, &err));
	}
	ub_dev_fill(t->infos, found, t->devs);
	return found;
}

static void run_turn(struct ub_call *call, struct ub_ctrl *ctrl, const struct named *list,
		     size_t count, const struct ub_device_job *job, struct turn *t,
		     struct ub_common_status *common)
{
	size_t found = find(call, ctrl, list, count, job, t, common), wanted = 0;

	for (size_t i = 0; i < found; i++)
		if (t->names[i]->text || !job->wants || job->wants(call, &t->devs[i]))
			t->wanted[wanted++] = &t->devs[i];
	if (wanted && job->run_some)
		ub_common_add(common, job->run_some(call, ctrl, t->wanted, wanted));
	else if (wanted)
		ub_common_add(common, job->run(call, ctrl, t->wanted[0]));
	for (size_t i = 0; i < found; i++)
		ub_dev_done(&t->devs[i]);
}

/* All of them, each looked at anew in its turn: those before it may have taken their time. */
static enum ub_exit run_turns(struct ub_call *call, struct ub_ctrl *ctrl, const struct named *list,
			      size_t count, const struct ub_device_job *job,
			      struct ub_common_status *common)
{
	_cleanup_free_ struct turn *turn = calloc(1, sizeof(*turn));
	size_t at_once = job->run_some ? AT_ONCE_MAX : 1, some;

	if (!turn)
		return fail_list(call);
	for (size_t i = 0; i < count; i += some) {
		some = count - i < at_once ? count - i : at_once;
		run_turn(call, ctrl, &list[i], some, job, turn, common);
	}
	return common->status;
}

static enum ub_exit run_named(struct ub_call *call, struct ub_ctrl *ctrl, int id,
			      const struct ub_device_job *job)
{
	struct ub_common_status common = {0};
	_cleanup_free_ struct named *list = calloc(call->nr_operands + 1, sizeof(*list));
	size_t count = 0;
	char number[16];

	if (!list)
		return fail_list(call);
	if (id >= 0) {
		(void)snprintf(number, sizeof(number), "%d", id);
		list[count++].text = number;
	}
	for (size_t i = 0; i < call->nr_operands; i++)
		list[count++].text = call->operands[i];
	count = resolve(call, ctrl, list, count, job, &common);
	return run_turns(call, ctrl, list, count, job, &common);
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
	for (size_t i = 0; list && i < count; i++)
		list[i].id = devs[i].id;
	ub_dev_list_free(devs, count);
	return list ? run_turns(call, ctrl, list, count, job, &common) : fail_list(call);
}

enum ub_exit ub_devices_run(struct ub_call *call, const struct ub_device_args *args,
			    const struct ub_device_job *job)
{
	_cleanup_(ub_ctrl_closep)
	struct ub_ctrl *ctrl = NULL;
	struct ub_error err = {0};

	if (!args->all && !call->nr_operands && args->id < 0)
		return ub_call_usage(call, "no device is named");
	if (ub_ctrl_open(&ctrl, &err) < 0)
		return ub_call_fail(call, &err);
	return args->all ? run_all(call, ctrl, job) : run_named(call, ctrl, args->id, job);
}

void ub_device_tell(struct ub_call *call, struct ub_ctrl *ctrl, uint32_t id)
{
	_cleanup_(ub_dev_done)
	struct ub_dev now = {0};
	char path[32];

	if (!call->out.json) {
		(void)fprintf(call->out.file, "%s\n", ub_dev_block_path(id, path));
	} else if (ub_dev_get(ctrl, id, &now, NULL) == 0) {
		ub_dev_measure(&now);
		ub_doc_add(call->out.doc, ub_device_fields, &now);
	}
}
