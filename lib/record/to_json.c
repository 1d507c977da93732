/* SPDX-License-Identifier: MIT */
/* A record to JSON. */
#include "record/json.h"

#include <stdbool.h>
#include <stdio.h>

#include "record/parts.h"
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

static bool add_part(struct json_object *obj, const char *key, const struct ub_opt *fields,
		     const void *values)
{
	struct json_object *part = ub_json_add_object(obj, key);

	return part && ub_json_add_options(part, fields, values, false);
}

static bool add_plan(struct json_object *obj, const struct ub_plan_region plan[UB_REGION_COUNT])
{
	struct json_object *part = ub_json_add_object(obj, "plan");
	bool ok = part;

	for (unsigned kind = 0; kind < UB_REGION_COUNT && ok; kind++)
		ok = add_part(part, ub_region_names[kind], ub_record_region, &plan[kind]);
	return ok;
}

static bool add_memory(struct json_object *obj, const struct ub_record *r)
{
	struct json_object *part = ub_json_add_object(obj, "memory");
	bool ok = part && ub_json_add_options(part, ub_record_memory, r, false) &&
		  add_part(part, "target", ub_record_target_memory, r);

	for (unsigned i = 0; i < UB_PART_COUNT && ok; i++)
		ok = add_part(part, ub_part_names[i], ub_record_range, &r->memory.layout.offset[i]);
	return ok && (!r->memory.planned || add_plan(part, r->memory.plan));
}

/* Several stand in a list, and in place of the one: a version that knows of one alone refuses the record. */
static bool add_backings(struct json_object *obj, const struct ub_backings *backings)
{
	struct json_object *list;
	bool ok;

	if (!backings->count)
		return ub_json_add(obj, "backing", NULL, true);
	if (backings->count == 1)
		return add_part(obj, "backing", ub_record_backing, backings->at);
	list = json_object_new_array();
	ok = ub_json_add(obj, "backings", list, false);
	for (unsigned i = 0; i < backings->count && ok; i++) {
		struct json_object *part = json_object_new_object();

		ok = part && json_object_array_add(list, part) == 0;
		if (ok)
			ok = ub_json_add_options(part, ub_record_backing, &backings->at[i], false);
		else
			json_object_put(part);
	}
	return ok;
}

static bool add_remote(struct json_object *obj, const struct ub_remote *remote)
{
	return !remote->id || add_part(obj, "remote", ub_record_remote, remote);
}

static bool add_export(struct json_object *obj, const struct ub_export *export)
{
	return !export->size || add_part(obj, "export", ub_record_export, export);
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
	    !ub_json_add_options(obj, ub_record_head, record, false) ||
	    !add_spec(obj, &record->spec, launch) ||
	    !add_part(obj, "granted", ub_record_granted, record) ||
	    !add_part(obj, "server", ub_record_server, record) || !add_memory(obj, record) ||
	    !add_backings(obj, &record->backings) || !add_remote(obj, &record->remote) ||
	    !add_export(obj, &record->export) ||
	    !ub_json_add_int(obj, "write_error", record->write_error) ||
	    !add_notes(obj, &record->notes))
		return NULL;
	text = json_object_to_json_string_ext(obj, JSON_C_TO_STRING_PRETTY |
							   JSON_C_TO_STRING_NOSLASHESCAPE);
	if (!text || asprintf(&copy, "%s\n", text) < 0)
		return NULL;
	return copy;
}
