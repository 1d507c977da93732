/* SPDX-License-Identifier: MIT */
/* ublk memory: what all devices of the machine have in memory, by device and by part. */
#include <stdlib.h>

#include "base/clean.h"
#include "base/parse.h"
#include "commands.h"
#include "device_fields.h"
#include "table.h"

#define SCHEMA "ublk.memory/1"

static const char columns[] = "ID,NAME,PID,MAPPED,RESIDENT,DIRTY,SWAPPED,LOCKED,PINNED,CHARGED";

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
		ret = ub_out_begin(out, SCHEMA, "devices");
		for (size_t i = 0; i < count && ret == 0; i++)
			ub_doc_add(out->doc, device_fields, &devs[i]);
		if (ret == 0)
			ub_doc_set(out->doc, whole_fields, &whole);
		return ret;
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

static enum ub_exit run(struct ub_call *call)
{
	_cleanup_(ub_ctrl_closep)
	struct ub_ctrl *ctrl = NULL;
	struct ub_error err = {0};
	struct ub_dev *devs = NULL;
	size_t count = 0;
	int ret = ub_ctrl_open(&ctrl, &err);

	if (ret == 0)
		ret = ub_dev_list(ctrl, &devs, &count, &err);
	for (size_t i = 0; i < count; i++)
		ub_dev_measure(&devs[i]);
	if (ret == 0) {
		ret = print(call, devs, count);
		if (ret < 0)
			(void)ub_fail(&err, UB_STAGE_OUTPUT, ret, "cannot print the memory");
	}
	ub_dev_list_free(devs, count);
	return ret < 0 ? ub_call_fail(call, &err) : UB_EXIT_DONE;
}

const struct ub_command ub_cmd_memory = {
	.name = "memory",
	.summary = "show what all devices have in memory",
	.synopsis = "[OPTIONS]",
	.about =
		"Measure what the servers of all devices have in memory, and add it up, by device\n"
		"and by part.\n",
	.json = true,
	.run = run,
};
