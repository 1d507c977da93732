/* SPDX-License-Identifier: MIT */
/* ublk memory: what all devices of the machine, or some, have in memory, by device and by part. */
#include <errno.h>
#include <stdlib.h>

#include "base/clean.h"
#include "base/parse.h"
#include "commands.h"
#include "device_fields.h"
#include "devices.h"
#include "table.h"

#define SCHEMA "ublk.memory/1"

static const char columns[] = "ID,NAME,PID,MAPPED,RESIDENT,DIRTY,SWAPPED,LOCKED,PINNED,CHARGED";

struct memory_args {
	struct ub_device_args devices;
	/* Those that were named, as far as they are there. */
	struct ub_dev *named;
	size_t count;
};

/* Pieces of one kind, or all of them. */
struct sum {
	const char *name;
	struct ub_usage usage;
	uint64_t pinned, charged;
};

/* All devices together. */
struct whole {
	struct sum total;
	struct sum parts[UB_REGION_COUNT];
	size_t measured;
};

static const char *describe(const void *element, char *buf, size_t size)
{
	const struct sum *sum = element;
	char resident[16], mapped[16];

	(void)snprintf(buf, size, "%s: %s resident of %s mapped", sum->name,
		       ub_format_size(sum->usage.resident, resident, sizeof(resident)),
		       ub_format_size(sum->usage.mapped, mapped, sizeof(mapped)));
	return buf;
}

/* clang-format off */
static const struct ub_opt options[] = {
	UB_OPT_DEVICE_ID(struct memory_args),
	UB_OPT_END,
};

#define SUM(member) UB_AT(struct sum, member)

static const struct ub_field amount_fields[] = {
	{ .key = "mapped", .type = UB_FIELD_SIZE, SUM(usage.mapped) },
	{ .key = "resident", .type = UB_FIELD_SIZE, SUM(usage.resident) },
	{ .key = "dirty", .type = UB_FIELD_SIZE, SUM(usage.dirty) },
	{ .key = "swapped", .type = UB_FIELD_SIZE, SUM(usage.swapped) },
	{ .key = "locked", .type = UB_FIELD_SIZE, SUM(usage.locked) },
	UB_FIELD_END,
};

static const struct ub_field part_fields[] = {
	{ .key = "name", .type = UB_FIELD_STRING, SUM(name) },
	{ .key = "amounts", .type = UB_FIELD_INCLUDE, .fields = amount_fields },
	UB_FIELD_END,
};

static const struct ub_field total_fields[] = {
	{ .key = "amounts", .type = UB_FIELD_INCLUDE, .fields = amount_fields },
	{ .key = "pinned", .type = UB_FIELD_SIZE, SUM(pinned) },
	{ .key = "charged", .type = UB_FIELD_SIZE, SUM(charged) },
	UB_FIELD_END,
};

static const struct ub_field whole_fields[] = {
	{ .key = "measured", .type = UB_FIELD_NUMBER, UB_AT(struct whole, measured) },
	{ .key = "total", .type = UB_FIELD_OBJECT, .fields = total_fields,
	  UB_WITHIN(struct whole, total) },
	{ .key = "parts", .type = UB_FIELD_LIST, .fields = part_fields, .describe = describe,
	  UB_LIST_ALL(struct whole, parts) },
	UB_FIELD_END,
};

static const struct ub_field device_fields[] = {
	{ .key = "device", .type = UB_FIELD_INCLUDE, .fields = ub_deleted_fields },
	{ .key = "memory", .type = UB_FIELD_OBJECT, .fields = ub_memory_fields },
	{ .key = "regions", .type = UB_FIELD_INCLUDE, .fields = ub_region_list_fields },
	UB_FIELD_END,
};
/* clang-format on */

static void add_up(struct whole *whole, const struct ub_dev *devs, size_t count)
{
	for (unsigned kind = 0; kind < UB_REGION_COUNT; kind++)
		whole->parts[kind].name = ub_region_names[kind];
	for (size_t i = 0; i < count; i++) {
		const struct ub_footprint *f = &devs[i].memory;

		whole->measured += f->known;
		ub_usage_add(&whole->total.usage, &f->total);
		whole->total.pinned += f->pinned;
		whole->total.charged += f->charged;
		for (size_t r = 0; r < f->count; r++)
			ub_usage_add(&whole->parts[f->regions[r].kind].usage, &f->regions[r].usage);
	}
}

static int print(struct ub_call *call, const struct ub_dev *devs, size_t count)
{
	struct ub_out *out = &call->out;
	struct whole whole = {0};
	struct ub_columns chosen;
	int ret;

	add_up(&whole, devs, count);
	if (out->json) {
		for (size_t i = 0; i < count; i++)
			ub_doc_add(out->doc, device_fields, &devs[i]);
		ub_doc_set(out->doc, whole_fields, &whole);
		return 0;
	}
	ret = ub_columns_choose(ub_device_fields, columns, NULL, &chosen, NULL);
	if (ret == 0)
		ret = ub_table_print(out->file, &chosen, devs, count, sizeof(*devs), out->colour);
	if (ret == 0) {
		(void)fputc('\n', out->file);
		ret = ub_block_print(out->file, whole_fields, &whole, out->colour);
	}
	return ret;
}

static enum ub_exit fail_print(struct ub_call *call, int code)
{
	struct ub_error err = {0};

	(void)ub_fail(&err, UB_STAGE_OUTPUT, code, "cannot print the memory");
	return ub_call_fail(call, &err);
}

/* Return: UB_EXIT_DONE, or the status of an error, which is told. */
static enum ub_exit measure(struct ub_call *call, struct ub_dev *devs, size_t count)
{
	int ret;

	for (size_t i = 0; i < count; i++)
		ub_dev_measure(&devs[i]);
	ret = print(call, devs, count);
	return ret ? fail_print(call, ret) : UB_EXIT_DONE;
}

static enum ub_exit measure_all(struct ub_call *call)
{
	_cleanup_(ub_ctrl_closep)
	struct ub_ctrl *ctrl = NULL;
	struct ub_error err = {0};
	struct ub_dev *devs = NULL;
	enum ub_exit status;
	size_t count = 0;
	int ret;

	if (ub_ctrl_open(&ctrl, &err) < 0 || ub_dev_list(ctrl, &devs, &count, &err) < 0)
		return ub_call_fail(call, &err);
	ret = ub_out_begin(&call->out, SCHEMA, "devices");
	status = ret ? fail_print(call, ret) : measure(call, devs, count);
	ub_dev_list_free(devs, count);
	return status;
}

/* Takes what is known of the device. */
static enum ub_exit keep(struct ub_call *call, struct ub_ctrl *ctrl, struct ub_dev *dev)
{
	struct memory_args *args = call->args;

	(void)ctrl;
	args->named[args->count++] = *dev;
	*dev = (struct ub_dev){0};
	return UB_EXIT_DONE;
}

static enum ub_exit measure_named(struct ub_call *call)
{
	static const struct ub_device_job job = {.run = keep};
	struct memory_args *args = call->args;
	enum ub_exit found, printed;

	args->named = calloc(call->nr_operands + 1, sizeof(*args->named));
	if (!args->named || ub_out_begin(&call->out, SCHEMA, "devices") < 0) {
		free(args->named);
		return fail_print(call, -ENOMEM);
	}
	found = ub_devices_run(call, &args->devices, &job);
	/* Of no device there is nothing to be told. */
	printed = args->count || call->out.json ? measure(call, args->named, args->count)
						: UB_EXIT_DONE;
	ub_dev_list_free(args->named, args->count);
	return found ? found : printed;
}

static enum ub_exit run(struct ub_call *call)
{
	const struct memory_args *args = call->args;

	return call->nr_operands || args->devices.id >= 0 ? measure_named(call) : measure_all(call);
}

static void defaults(void *args)
{
	((struct memory_args *)args)->devices.id = -1;
}

const struct ub_command ub_cmd_memory = {
	.name = "memory",
	.summary = "show what all devices have in memory, or some",
	.synopsis = "[OPTIONS] [DEV...]",
	.about = "Measure what the servers of all devices, or of those that are named, have in "
		 "memory,\n"
		 "and add it up, by device and by part.\n",
	.options = options,
	.args_size = sizeof(struct memory_args),
	.max_operands = SIZE_MAX,
	.completer = "device",
	.json = true,
	.defaults = defaults,
	.run = run,
};
