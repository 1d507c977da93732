/* SPDX-License-Identifier: MIT */
/* ublk memory: what all devices of the machine have in memory, by device and by part. */
#include <stdlib.h>

#include "base/clean.h"
#include "base/parse.h"
#include "commands.h"
#include "device_fields.h"
#include "table.h"

#define SCHEMA "ublk.memory/1"
#define GETTER(name) static void get_##name(const void *object, struct ub_value *value)

static const char columns[] = "ID,NAME,PID,MAPPED,RESIDENT,DIRTY,SWAPPED,LOCKED,PINNED,CHARGED";

/* Pieces of one kind, or all of them. */
struct sum {
	const char *name;
	struct ub_usage usage;
	uint64_t pinned, charged;
};

/* All devices together. */
struct whole {
	struct sum total; /* first: a sum's fields work on the whole */
	struct sum parts[UB_REGION_COUNT];
	size_t measured;
};

static const struct sum *sum_of(const void *object)
{
	return object;
}

GETTER(name)
{
	ub_value_text(value, sum_of(object)->name);
}

GETTER(mapped)
{
	ub_value_number(value, sum_of(object)->usage.mapped);
}

GETTER(resident)
{
	ub_value_number(value, sum_of(object)->usage.resident);
}

GETTER(dirty)
{
	ub_value_number(value, sum_of(object)->usage.dirty);
}

GETTER(swapped)
{
	ub_value_number(value, sum_of(object)->usage.swapped);
}

GETTER(locked)
{
	ub_value_number(value, sum_of(object)->usage.locked);
}

GETTER(pinned)
{
	ub_value_number(value, sum_of(object)->pinned);
}

GETTER(charged)
{
	ub_value_number(value, sum_of(object)->charged);
}

GETTER(measured)
{
	ub_value_number(value, ((const struct whole *)object)->measured);
}

GETTER(total)
{
	(void)object;
	value->known = true;
}

GETTER(parts)
{
	(void)object;
	ub_value_number(value, UB_REGION_COUNT);
}

static const void *part_at(const void *object, size_t index)
{
	return &((const struct whole *)object)->parts[index];
}

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
static const struct ub_field amount_fields[] = {
	{ .key = "mapped", .type = UB_FIELD_SIZE, .get = get_mapped },
	{ .key = "resident", .type = UB_FIELD_SIZE, .get = get_resident },
	{ .key = "dirty", .type = UB_FIELD_SIZE, .get = get_dirty },
	{ .key = "swapped", .type = UB_FIELD_SIZE, .get = get_swapped },
	{ .key = "locked", .type = UB_FIELD_SIZE, .get = get_locked },
	UB_FIELD_END,
};

static const struct ub_field part_fields[] = {
	{ .key = "name", .type = UB_FIELD_STRING, .get = get_name },
	{ .key = "amounts", .type = UB_FIELD_INCLUDE, .fields = amount_fields },
	UB_FIELD_END,
};

static const struct ub_field total_fields[] = {
	{ .key = "amounts", .type = UB_FIELD_INCLUDE, .fields = amount_fields },
	{ .key = "pinned", .type = UB_FIELD_SIZE, .get = get_pinned },
	{ .key = "charged", .type = UB_FIELD_SIZE, .get = get_charged },
	UB_FIELD_END,
};

static const struct ub_field whole_fields[] = {
	{ .key = "measured", .type = UB_FIELD_NUMBER, .get = get_measured },
	{ .key = "total", .type = UB_FIELD_OBJECT, .get = get_total, .fields = total_fields },
	{ .key = "parts", .type = UB_FIELD_LIST, .get = get_parts, .fields = part_fields,
	  .at = part_at, .describe = describe },
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
