/* SPDX-License-Identifier: MIT */
/* A record to JSON. */
#include "record/json.h"

#include <stdbool.h>
#include <stdio.h>

#include "spec/json_options.h"
#include "spec/json_out.h"

static bool add_spec(struct json_object *obj, const struct ub_spec *spec, bool launch)
{
	struct json_object *part = ub_json_add_object(obj, "spec");

	if (!part || !ub_json_add_options(part, ub_spec_options, spec, launch))
		return false;
	part = ub_json_add_object(obj, "target");
	return part && ub_json_add_string(part, "type", spec->target->name) &&
	       ub_json_add_options(part, spec->target->options, spec->target_args, launch);
}

static bool add_granted(struct json_object *obj, const struct ub_record *r)
{
	struct json_object *part = ub_json_add_object(obj, "granted");

	return part && ub_json_add_u64(part, "queues", r->queues) &&
	       ub_json_add_u64(part, "depth", r->depth) &&
	       ub_json_add_u64(part, "max_io", r->max_io) &&
	       ub_json_add_hex(part, "flags", r->flags) &&
	       ub_json_add_choice(part, "data_path", ub_data_path_names, r->data_path) &&
	       ub_json_add_choice(part, "path_reason", ub_path_reason_names, r->spec.path_reason);
}

static bool add_server(struct json_object *obj, const struct ub_record *r)
{
	struct json_object *part = ub_json_add_object(obj, "server");

	return part && ub_json_add_int(part, "pid", r->pid) &&
	       ub_json_add_u64(part, "start_time", r->start_time) &&
	       ub_json_add_u64(part, "threads", r->threads) &&
	       ub_json_add_bool(part, "taking_over", r->taking_over);
}

static bool add_range(struct json_object *obj, const char *key, const char *at, uint64_t where,
		      uint64_t size)
{
	struct json_object *part = ub_json_add_object(obj, key);

	return part && ub_json_add_hex(part, at, where) && ub_json_add_u64(part, "size", size);
}

static bool add_plan(struct json_object *obj, const struct ub_plan_region plan[UB_REGION_COUNT])
{
	struct json_object *part = ub_json_add_object(obj, "plan"), *region;

	if (!part)
		return false;
	for (unsigned kind = 0; kind < UB_REGION_COUNT; kind++) {
		const struct ub_plan_region *r = &plan[kind];

		region = ub_json_add_object(part, ub_region_names[kind]);
		if (!region || !ub_json_add_u64(region, "mapped", r->mapped) ||
		    !ub_json_add_u64(region, "start", r->start) ||
		    !ub_json_add_u64(region, "most", r->most) ||
		    !ub_json_add_u64(region, "locked", r->locked) ||
		    !ub_json_add_u64(region, "pinned", r->pinned) ||
		    !ub_json_add_u64(region, "charged", r->charged))
			return false;
	}
	return true;
}

static bool add_memory(struct json_object *obj, const struct ub_record_memory *m)
{
	struct json_object *part = ub_json_add_object(obj, "memory");

	if (!part || !ub_json_add_hex(part, "base", m->base) ||
	    !ub_json_add_u64(part, "stride", m->layout.stride) ||
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
		return ub_json_add(obj, "backing", NULL, true);
	part = ub_json_add_object(obj, "backing");
	return part && ub_json_add_string(part, "path", b->path) &&
	       ub_json_add_u64(part, "dev", b->dev) && ub_json_add_u64(part, "ino", b->ino) &&
	       ub_json_add_u64(part, "rdev", b->rdev) && ub_json_add_u64(part, "size", b->size) &&
	       ub_json_add_bool(part, "writable", b->writable);
}

static bool add_notes(struct json_object *obj, const struct ub_notes *notes)
{
	struct json_object *part = json_object_new_array();

	if (!ub_json_add(obj, "notes", part, false))
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

	if (!obj || !ub_json_add_string(obj, "schema", UB_RECORD_SCHEMA) ||
	    !ub_json_add_string(obj, "version", record->version) ||
	    !ub_json_add_u64(obj, "id", record->id) ||
	    !ub_json_add_hex(obj, "token", record->token) ||
	    !add_spec(obj, &record->spec, launch) || !add_granted(obj, record) ||
	    !add_server(obj, record) || !add_memory(obj, &record->memory) ||
	    !add_backing(obj, &record->backing) ||
	    !ub_json_add_int(obj, "write_error", record->write_error) ||
	    !add_notes(obj, &record->notes))
		return NULL;
	text = json_object_to_json_string_ext(obj, JSON_C_TO_STRING_PRETTY |
							   JSON_C_TO_STRING_NOSLASHESCAPE);
	if (!text || asprintf(&copy, "%s\n", text) < 0)
		return NULL;
	return copy;
}
