/* SPDX-License-Identifier: MIT */
/* A record to JSON, the options by their tables. */
#include "device/record_json.h"

#include <inttypes.h>
#include <json-c/json.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clean.h"
#include "device/record.h"

const char *ub_opt_key(const struct ub_opt *opt, char buf[static UB_OPT_KEY_SIZE])
{
	(void)snprintf(buf, UB_OPT_KEY_SIZE, "%s", opt->name);
	for (char *p = buf; *p; p++)
		if (*p == '-')
			*p = '_';
	return buf;
}

static void put_objectp(struct json_object **obj)
{
	json_object_put(*obj);
	*obj = NULL;
}

#define _cleanup_json_ _cleanup_(put_objectp)

/*
 * Adds a value to an object; takes @value. A JSON null is a NULL in json-c, as is what could not be
 * allocated: @null tells which of them it may be.
 */
static bool add(struct json_object *obj, const char *key, struct json_object *value, bool null)
{
	if ((!value && !null) || json_object_object_add(obj, key, value) != 0) {
		json_object_put(value);
		return false;
	}
	return true;
}

static bool add_string(struct json_object *obj, const char *key, const char *text)
{
	return add(obj, key, text ? json_object_new_string(text) : NULL, !text);
}

static bool add_u64(struct json_object *obj, const char *key, uint64_t value)
{
	return add(obj, key, json_object_new_uint64(value), false);
}

static bool add_int(struct json_object *obj, const char *key, int64_t value)
{
	return add(obj, key, json_object_new_int64(value), false);
}

static bool add_bool(struct json_object *obj, const char *key, bool value)
{
	return add(obj, key, json_object_new_boolean(value), false);
}

/* Of 64 bits, which not every reader of JSON numbers keeps. */
static bool add_hex(struct json_object *obj, const char *key, uint64_t value)
{
	char text[20];

	(void)snprintf(text, sizeof(text), "0x%" PRIx64, value);
	return add_string(obj, key, text);
}

/* An index out of the range of the names is a value that has none, such as "not chosen yet". */
static bool add_choice(struct json_object *obj, const char *key, const char *const *names,
		       int index)
{
	int count = 0;

	while (names[count])
		count++;
	return add_string(obj, key, index >= 0 && index < count ? names[index] : NULL);
}

static bool add_option(struct json_object *obj, const struct ub_opt *opt, const void *args)
{
	const void *field = (const char *)args + opt->offset;
	char key[UB_OPT_KEY_SIZE];
	int number;

	ub_opt_key(opt, key);
	switch (opt->type) {
	case UB_OPT_FLAG:
		return add_bool(obj, key, *(const bool *)field);
	case UB_OPT_U32:
	case UB_OPT_SIZE32:
		return add_u64(obj, key, *(const uint32_t *)field);
	case UB_OPT_INT:
		return add_int(obj, key, *(const int *)field);
	case UB_OPT_SIZE:
		return add_u64(obj, key, *(const uint64_t *)field);
	case UB_OPT_STRING:
		return add_string(obj, key, *(char *const *)field);
	case UB_OPT_CHOICE:
		return add_choice(obj, key, opt->choices, *(const int *)field);
	case UB_OPT_SWITCH:
		number = *(const int *)field;
		return number < 0 ? add(obj, key, NULL, true) : add_bool(obj, key, number);
	}
	return false;
}

static bool add_options(struct json_object *obj, const struct ub_opt *opt, const void *args,
			bool launch)
{
	for (; opt && opt->name; opt++)
		if ((launch || !opt->transient) && !add_option(obj, opt, args))
			return false;
	return true;
}

/* Adds a new object under @key. Return: it, borrowed from @obj, or NULL. */
static struct json_object *add_object(struct json_object *obj, const char *key)
{
	struct json_object *part = json_object_new_object();

	return add(obj, key, part, false) ? part : NULL;
}

static bool add_spec(struct json_object *obj, const struct ub_spec *spec, bool launch)
{
	struct json_object *part = add_object(obj, "spec");

	if (!part || !add_options(part, ub_spec_options, spec, launch))
		return false;
	part = add_object(obj, "target");
	return part && add_string(part, "type", spec->target->name) &&
	       add_options(part, spec->target->options, spec->target_args, launch);
}

static bool add_granted(struct json_object *obj, const struct ub_record *r)
{
	struct json_object *part = add_object(obj, "granted");

	return part && add_u64(part, "queues", r->queues) && add_u64(part, "depth", r->depth) &&
	       add_u64(part, "max_io", r->max_io) && add_hex(part, "flags", r->flags) &&
	       add_choice(part, "data_path", ub_data_path_names, r->data_path) &&
	       add_choice(part, "path_reason", ub_path_reason_names, r->spec.path_reason);
}

static bool add_server(struct json_object *obj, const struct ub_record *r)
{
	struct json_object *part = add_object(obj, "server");

	return part && add_int(part, "pid", r->pid) && add_u64(part, "start_time", r->start_time) &&
	       add_u64(part, "threads", r->threads) &&
	       add_bool(part, "taking_over", r->taking_over);
}

static bool add_range(struct json_object *obj, const char *key, const char *at, uint64_t where,
		      uint64_t size)
{
	struct json_object *part = add_object(obj, key);

	return part && add_hex(part, at, where) && add_u64(part, "size", size);
}

static bool add_plan(struct json_object *obj, const struct ub_plan_region plan[UB_REGION_COUNT])
{
	struct json_object *part = add_object(obj, "plan"), *region;

	if (!part)
		return false;
	for (unsigned kind = 0; kind < UB_REGION_COUNT; kind++) {
		const struct ub_plan_region *r = &plan[kind];

		region = add_object(part, ub_region_names[kind]);
		if (!region || !add_u64(region, "mapped", r->mapped) ||
		    !add_u64(region, "start", r->start) || !add_u64(region, "most", r->most) ||
		    !add_u64(region, "locked", r->locked) ||
		    !add_u64(region, "pinned", r->pinned) ||
		    !add_u64(region, "charged", r->charged))
			return false;
	}
	return true;
}

static bool add_memory(struct json_object *obj, const struct ub_record_memory *m)
{
	struct json_object *part = add_object(obj, "memory");

	if (!part || !add_hex(part, "base", m->base) ||
	    !add_u64(part, "stride", m->layout.stride) ||
	    !add_range(part, "target", "base", m->target_base, m->target_size))
		return false;
	for (unsigned i = 0; i < UB_PART_COUNT; i++)
		if (!add_range(part, ub_part_names[i], "offset", m->layout.offset[i],
			       m->layout.size[i]))
			return false;
	return add_plan(part, m->plan);
}

static bool add_backing(struct json_object *obj, const struct ub_backing *b)
{
	struct json_object *part;

	if (!b->path)
		return add(obj, "backing", NULL, true);
	part = add_object(obj, "backing");
	return part && add_string(part, "path", b->path) && add_u64(part, "dev", b->dev) &&
	       add_u64(part, "ino", b->ino) && add_u64(part, "rdev", b->rdev) &&
	       add_u64(part, "size", b->size) && add_bool(part, "writable", b->writable);
}

static bool add_notes(struct json_object *obj, const struct ub_notes *notes)
{
	struct json_object *part = json_object_new_array();

	if (!add(obj, "notes", part, false))
		return false;
	for (unsigned i = 0; i < notes->count; i++) {
		struct json_object *text = json_object_new_string(notes->text[i]);

		if (!text || json_object_array_add(part, text) != 0) {
			json_object_put(text);
			return false;
		}
	}
	return true;
}

char *ub_record_to_json(const struct ub_record *record, bool launch)
{
	_cleanup_json_ struct json_object *obj = json_object_new_object();
	const char *text;
	char *copy;

	if (!obj || !add_string(obj, "schema", UB_RECORD_SCHEMA) ||
	    !add_string(obj, "version", record->version) || !add_u64(obj, "id", record->id) ||
	    !add_hex(obj, "token", record->token) || !add_spec(obj, &record->spec, launch) ||
	    !add_granted(obj, record) || !add_server(obj, record) ||
	    !add_memory(obj, &record->memory) || !add_backing(obj, &record->backing) ||
	    !add_int(obj, "write_error", record->write_error) || !add_notes(obj, &record->notes))
		return NULL;
	text = json_object_to_json_string_ext(obj, JSON_C_TO_STRING_PRETTY |
							   JSON_C_TO_STRING_NOSLASHESCAPE);
	if (!text || asprintf(&copy, "%s\n", text) < 0)
		return NULL;
	return copy;
}
