/* SPDX-License-Identifier: MIT */
/* ublk apply: makes the machine's devices match the configuration files. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "apply.h"
#include "base/clean.h"
#include "commands.h"
#include "config_folder.h"
#include "device/driver.h"
#include "device/stop.h"
#include "devices.h"
#include "interrupt.h"
#include "kernel/node.h"
#include "table.h"

#define SCHEMA "ublk.apply/1"

struct apply_args {
	bool dry_run, prune;
	char *folder;
	uint32_t timeout_s;
	struct ub_config_folder files;
	struct ub_apply *list; /* one for each file, and for each device without one */
	size_t count;
	int lock;
	struct ub_interrupt interrupt;
	struct ub_common_status common;
};

#define AT(field) .offset = offsetof(struct apply_args, field)

/* clang-format off */
static const struct ub_opt options[] = {
	{ .name = "dry-run", .type = UB_OPT_FLAG, AT(dry_run),
	  .help = "only tell what would be done" },
	{ .name = "prune", .type = UB_OPT_FLAG, AT(prune),
	  .help = "remove devices whose configuration file is gone, unless they are in use" },
	{ .name = "folder", .type = UB_OPT_STRING, AT(folder), .metavar = "DIR", .completer = "dir",
	  .help = "where the files are (default: " UB_CONFIG_FOLDER ")" },
	{ .name = "timeout", .type = UB_OPT_U32, AT(timeout_s), .metavar = "SEC", .min = 1,
	  .max = 86400, .help = "give a device up after so many seconds (default: 60)" },
	UB_OPT_END,
};

static const char *const result_names[] = {
	[UB_APPLY_SKIPPED] = "skipped", [UB_APPLY_FAILED] = "failed", [UB_APPLY_UNCHANGED] = "unchanged",
	[UB_APPLY_DIFFERS] = "differs", [UB_APPLY_ADDED] = "added",
	[UB_APPLY_RECOVERED] = "recovered", [UB_APPLY_REMOVED] = "removed",
	[UB_APPLY_WOULD_ADD] = "would-add", [UB_APPLY_WOULD_RECOVER] = "would-recover",
	[UB_APPLY_WOULD_REMOVE] = "would-remove",
};
/* clang-format on */

static void get_result(const void *object, struct ub_value *value)
{
	ub_value_text(value, result_names[((const struct ub_apply *)object)->result]);
}

static void get_path(const void *object, struct ub_value *value)
{
	const struct ub_apply *apply = object;

	if (apply->id >= 0)
		ub_value_text(value, ub_dev_block_path((uint32_t)apply->id, value->buf));
}

static const char *describe(const void *element, char *buf, size_t size)
{
	const struct ub_difference *one = element;

	(void)snprintf(buf, size, "%s", one->key);
	return buf;
}

/* clang-format off */
static const struct ub_field difference_fields[] = {
	{ .key = "key", .type = UB_FIELD_STRING, UB_AT(struct ub_difference, key) },
	{ .key = "configured", .type = UB_FIELD_STRING, UB_AT(struct ub_difference, configured) },
	{ .key = "actual", .type = UB_FIELD_STRING, UB_AT(struct ub_difference, actual) },
	UB_FIELD_END,
};

static const struct ub_field apply_fields[] = {
	{ .key = "config", .type = UB_FIELD_STRING, .column = "CONFIG",
	  .help = "the configuration file", UB_AT(struct ub_apply, config) },
	{ .key = "name", .type = UB_FIELD_STRING, .column = "NAME", .help = "the device's name",
	  UB_AT(struct ub_apply, name) },
	{ .key = "result", .type = UB_FIELD_STRING, .column = "RESULT",
	  .help = "what was done, or would be", .get = get_result },
	{ .key = "id", .type = UB_FIELD_NUMBER, .column = "ID", .help = "the device's number",
	  UB_AT(struct ub_apply, id) },
	{ .key = "path", .type = UB_FIELD_STRING, .column = "DEVICE", .help = "the device",
	  .get = get_path },
	{ .key = "differences", .type = UB_FIELD_LIST, .column = "DIFFERS",
	  .help = "the keys by which the device differs from the file",
	  .fields = difference_fields, .describe = describe,
	  UB_LIST_AT(struct ub_apply, differences, count) },
	UB_FIELD_END,
};
/* clang-format on */

static int print(struct ub_call *call)
{
	const struct apply_args *args = call->args;
	struct ub_columns columns;
	int ret;

	if (call->out.json) {
		ret = ub_out_begin(&call->out, SCHEMA, "files");
		for (size_t i = 0; i < args->count && ret == 0; i++)
			ub_doc_add(call->out.doc, apply_fields, &args->list[i]);
		return ret;
	}
	if (!args->count)
		return 0;
	ret = ub_columns_choose(apply_fields, "NAME,RESULT,DEVICE,DIFFERS", NULL, &columns, NULL);
	return ret ? ret
		   : ub_table_print(call->out.file, &columns, args->list, args->count,
				    sizeof(*args->list), call->out.colour);
}

static void fail(struct ub_call *call, struct ub_apply *apply, const struct ub_users *users,
		 const struct ub_error *err)
{
	struct apply_args *args = call->args;

	if (apply->result == UB_APPLY_SKIPPED)
		apply->result = UB_APPLY_FAILED;
	ub_common_add(&args->common, apply->id >= 0
					     ? ub_device_fail(call, (uint32_t)apply->id, users, err)
					     : ub_call_fail(call, err));
}

/* Two files, one name. */
static int check_name(const struct apply_args *args, const struct ub_apply *apply,
		      struct ub_error *err)
{
	for (const struct ub_apply *other = args->list; other < apply; other++)
		if (other->name && strcmp(other->name, apply->name) == 0)
			return ub_fail_text(err, UB_STAGE_CONFIG, -EINVAL,
					    "cannot read %s: the name '%s' is that of %s",
					    apply->config, apply->name, other->config);
	return 0;
}

/* Reads all files before anything is done. */
static int read_files(struct ub_call *call)
{
	struct apply_args *args = call->args;

	args->list = calloc(args->files.count + 1, sizeof(*args->list));
	if (!args->list)
		return -ENOMEM;
	for (size_t i = 0; i < args->files.count; i++) {
		struct ub_apply *apply = &args->list[args->count++];
		struct ub_error err = {0};
		int ret = ub_apply_read(args->files.files[i], apply, &err);

		if (ret == 0)
			ret = check_name(args, apply, &err);
		apply->unread = ret < 0;
		if (ret < 0)
			fail(call, apply, NULL, &err);
	}
	return 0;
}

static void apply_files(struct ub_call *call, struct ub_ctrl *ctrl)
{
	struct apply_args *args = call->args;
	const struct ub_apply_how how = {.dry_run = args->dry_run,
					 .timeout_s = args->timeout_s,
					 .interrupt_fd = args->interrupt.fd};

	for (size_t i = 0; i < args->count; i++) {
		struct ub_apply *apply = &args->list[i];
		struct ub_error err = {0};
		int ret;

		/* The signal ends the whole, not one device of it. */
		if (apply->unread || ub_interrupt_is_there(&args->interrupt))
			continue;
		ret = ub_apply_device(ctrl, &how, apply, &err);
		/* What it had begun has been undone. */
		if (ret == -EINTR && ub_interrupt_is_there(&args->interrupt))
			continue;
		if (ret < 0)
			fail(call, apply, NULL, &err);
		else
			ub_common_add(&args->common, UB_EXIT_DONE);
	}
}

static bool is_named(const struct apply_args *args, const char *name)
{
	for (size_t i = 0; name && i < args->files.count; i++)
		if (args->list[i].name && strcmp(args->list[i].name, name) == 0)
			return true;
	return false;
}

static int prune_one(struct ub_call *call, struct ub_ctrl *ctrl, const struct ub_dev *dev)
{
	struct apply_args *args = call->args;
	struct ub_del del = {.dev = dev};
	struct ub_apply *list = reallocarray(args->list, args->count + 1, sizeof(*list));
	struct ub_apply *apply;

	if (!list)
		return -ENOMEM;
	args->list = list;
	apply = &list[args->count++];
	*apply = (struct ub_apply){
		.config = strdup(dev->record.spec.config),
		.name = dev->record.spec.name ? strdup(dev->record.spec.name) : NULL,
		.id = (int)dev->id,
		.result = UB_APPLY_WOULD_REMOVE,
	};
	if (args->dry_run) {
		ub_common_add(&args->common, UB_EXIT_DONE);
		return 0;
	}
	ub_devices_del(ctrl, &del, 1,
		       &(struct ub_del_options){.timeout_ms = (int)args->timeout_s * 1000});
	apply->result = del.code ? UB_APPLY_FAILED : UB_APPLY_REMOVED;
	if (del.code)
		fail(call, apply, &del.users, &del.err);
	else
		ub_common_add(&args->common, UB_EXIT_DONE);
	ub_users_done(&del.users);
	return 0;
}

/* A file that could not be read may be that of any device. */
static bool can_prune(struct apply_args *args)
{
	for (size_t i = 0; i < args->count; i++) {
		if (!args->list[i].unread)
			continue;
		ub_out_note("nothing is removed: %s could not be read", args->list[i].config);
		return false;
	}
	return true;
}

static bool is_lost(const struct apply_args *args, const struct ub_dev *dev)
{
	const struct ub_spec *spec = &dev->record.spec;

	return dev->managed && spec->config && !is_named(args, spec->name) &&
	       ub_config_folder_lost(&args->files, spec->config);
}

/* More likely its file system is not mounted than that every device is to go. */
static int refuse_empty(const struct apply_args *args, const struct ub_dev *dev,
			struct ub_error *err)
{
	return ub_fail_text(err, UB_STAGE_CONFIG, -ENODATA,
			    "cannot remove ublkb%u, nor any other device whose file is gone: there "
			    "is no configuration file at all in %s",
			    dev->id, args->files.path);
}

static int prune(struct ub_call *call, struct ub_ctrl *ctrl, struct ub_error *err)
{
	struct apply_args *args = call->args;
	struct ub_dev *devs = NULL;
	size_t count = 0;
	int ret = can_prune(args) ? ub_dev_list(ctrl, &devs, &count, err) : 0;

	for (size_t i = 0; i < count && ret == 0; i++) {
		if (!is_lost(args, &devs[i]) || ub_interrupt_is_there(&args->interrupt))
			continue;
		if (!args->files.count)
			ret = refuse_empty(args, &devs[i], err);
		else if (prune_one(call, ctrl, &devs[i]) < 0)
			ret = ub_fail(err, UB_STAGE_CONFIG, -ENOMEM, "cannot remove ublkb%u",
				      devs[i].id);
	}
	ub_dev_list_free(devs, count);
	return ret;
}

static int start(struct ub_call *call, struct ub_error *err)
{
	struct apply_args *args = call->args;
	const char *path = args->folder ? args->folder : UB_CONFIG_FOLDER;
	int ret;

	/* Files may have changed while another one was at work: the lock is taken first. */
	if (!args->dry_run) {
		args->lock = ub_config_lock(args->timeout_s, err);
		if (args->lock < 0)
			return args->lock;
	}
	ret = ub_config_folder_read(path, call->operands, call->nr_operands, &args->files, err);
	if (ret < 0)
		return ret;
	ret = ub_interrupt_open(&args->interrupt);
	if (ret == 0)
		ret = read_files(call);
	return ret < 0 ? ub_fail(err, UB_STAGE_CONFIG, ret, "cannot apply %s", path) : 0;
}

static bool is_anything_left(const struct apply_args *args)
{
	for (size_t i = 0; i < args->count; i++)
		if (!args->list[i].unread)
			return true;
	return args->prune;
}

static enum ub_exit run(struct ub_call *call)
{
	_cleanup_(ub_ctrl_closep)
	struct ub_ctrl *ctrl = NULL;
	struct apply_args *args = call->args;
	struct ub_error err = {0}, no_driver = {0};
	enum ub_exit written;
	int ret;

	if (args->prune && call->nr_operands)
		return ub_call_usage(call, "--prune and names exclude each other");
	ret = start(call, &err);
	if (ret == 0 && is_anything_left(args)) {
		if (!args->dry_run)
			(void)ub_driver_load(&no_driver);
		ret = ub_ctrl_open(&ctrl, &err);
		if (ret == 0)
			apply_files(call, ctrl);
		if (ret == 0 && args->prune)
			ret = prune(call, ctrl, &err);
	}
	if (ret < 0)
		ub_common_add(&args->common, ub_call_fail(call, ub_driver_cause(&no_driver, &err)));
	ret = args->list ? print(call) : 0;
	if (ret < 0) {
		(void)ub_fail(&err, UB_STAGE_OUTPUT, ret, "cannot print what was applied");
		ub_common_add(&args->common, ub_call_fail(call, &err));
	}
	/* What was done is told before a signal kills. */
	written = ub_out_finish(&call->out);
	if (ub_interrupt_is_there(&args->interrupt))
		ub_common_add(&args->common, UB_EXIT_FAILED);
	ub_interrupt_close(&args->interrupt);
	return args->common.status ? args->common.status : written;
}

static void defaults(void *args)
{
	((struct apply_args *)args)->timeout_s = 60;
	((struct apply_args *)args)->lock = -1;
	((struct apply_args *)args)->files.fd = -1;
	((struct apply_args *)args)->interrupt.fd = -1;
}

static void done(void *data)
{
	struct apply_args *args = data;

	for (size_t i = 0; i < args->count; i++)
		ub_apply_done(&args->list[i]);
	free(args->list);
	ub_config_folder_done(&args->files);
	ub_close(&args->lock);
}

const struct ub_command ub_cmd_apply = {
	.name = "apply",
	.summary = "make the devices match the configuration files",
	.synopsis = "[OPTIONS] [NAME...]",
	.about = "Add the device of each file NAME.conf in " UB_CONFIG_FOLDER
		 ", or of those that are named,\n"
		 "if there is none, and recover it if its server died. One that lives otherwise "
		 "than its\n"
		 "file says is told, and stays as it is; nothing is removed without --prune.\n",
	.options = options,
	.args_size = sizeof(struct apply_args),
	.max_operands = SIZE_MAX,
	.completer = "config",
	.json = true,
	.defaults = defaults,
	.done = done,
	.run = run,
};
