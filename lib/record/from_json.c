/* SPDX-License-Identifier: MIT */
/*
 * A record from JSON. The text is input: every type, range and length is checked. It may be another
 * version's: what is unknown is left out, what is missing has its default, and so has what only
 * informs, whatever is wrong with it. What a server has to have to serve the device as it was (id,
 * token, target, options, backings, remote, export, the write that failed) is refused if it is there and can't be
 * read.
 */

#include "record/json.h"

#include <errno.h>
#include <json-c/json.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clean.h"
#include "record/file.h"
#include "record/parts.h"
#include "spec/json_in.h"
#include "spec/json_options.h"
#include "spec/json_out.h"

#define DEPTH_MAX 8
#define ERRNO_MAX 4095

static int read_spec(struct ub_json_in *p, struct json_object *obj, struct ub_spec *spec)
{
	const struct ub_target *target;
	struct json_object *part;
	const char *type;
	int ret;

	if (json_object_object_get_ex(obj, "spec", NULL) &&
	    ((ret = ub_json_get_part(p, obj, "spec", &part)) ||
	     (ret = ub_json_read_options(p, part, ub_spec_options, spec))))
		return ret;
	if ((ret = ub_json_get_part(p, obj, "target", &part)) ||
	    (ret = ub_json_get_string(p, part, "type", &type)))
		return ret;
	target = ub_target_find(type);
	if (!target)
		return ub_json_bad(p, "type", "has a value that this version does not know");
	if (ub_spec_set_target(spec, target) != 0)
		return ub_json_no_memory(p);
	return ub_json_read_options(p, part, target->options, spec->target_args);
}

/* A part that only informs. Return: 0 or -ENOMEM. */
static int read_part(struct json_object *obj, const char *key, const struct ub_opt *fields,
		     void *values)
{
	const struct ub_json_in p = {.part = key, .lenient = true};
	struct json_object *part;

	if (!json_object_object_get_ex(obj, key, &part) ||
	    !json_object_is_type(part, json_type_object))
		return 0;
	return ub_json_read_options(&p, part, fields, values);
}

static int read_granted(struct json_object *obj, struct ub_record *r)
{
	/* Not known. */
	r->spec.path_reason = -1;
	return read_part(obj, "granted", ub_record_granted, r);
}

static int read_plan(struct json_object *obj, struct ub_record_memory *m)
{
	struct json_object *part;
	int ret = 0;

	m->planned = json_object_object_get_ex(obj, "plan", &part) &&
		     json_object_is_type(part, json_type_object);
	for (unsigned kind = 0; kind < UB_REGION_COUNT && m->planned && !ret; kind++) {
		m->plan[kind] = (struct ub_plan_region){.kind = kind, .queue = -1, .node = -1};
		ret = read_part(part, ub_region_names[kind], ub_record_region, &m->plan[kind]);
	}
	return ret;
}

static int read_memory(struct json_object *obj, struct ub_record *r)
{
	struct ub_record_memory *m = &r->memory;
	struct json_object *part;
	int ret = read_part(obj, "memory", ub_record_memory, r);

	m->layout.queues = r->queues;
	m->layout.threads = r->queues && r->threads >= r->queues ? r->threads / r->queues : 1;
	m->layout.share = r->threads && r->threads < r->queues
				  ? (r->queues + r->threads - 1) / r->threads
				  : 1;
	if (ret || !json_object_object_get_ex(obj, "memory", &part) ||
	    !json_object_is_type(part, json_type_object))
		return ret;
	ret = read_part(part, "target", ub_record_target_memory, r);
	for (unsigned i = 0; i < UB_PART_COUNT && !ret; i++)
		ret = read_part(part, ub_part_names[i], ub_record_range, &m->layout.offset[i]);
	return ret ? ret : read_plan(part, m);
}

static int read_backing(const struct ub_json_in *p, struct json_object *part,
			struct ub_backings *backings)
{
	struct ub_backing *b = &backings->at[backings->count++];
	int ret = ub_json_read_options(p, part, ub_record_backing, b);

	if (ret)
		return ret;
	if (!b->path || b->path[0] != '/')
		return ub_json_bad(p, "path", "is not absolute");
	return 0;
}

static int read_several(struct ub_json_in *p, struct json_object *obj, struct ub_backings *backings)
{
	struct json_object *list;
	size_t count;
	int ret;

	p->part = "";
	ret = ub_json_get(p, obj, "backings", json_type_array, &list);
	if (ret)
		return ret;
	count = json_object_array_length(list);
	if (!count || count > UB_BACKINGS_MAX)
		return ub_json_bad(p, "backings", "are none, or more than this version can serve");
	p->part = "backings";
	for (size_t i = 0; i < count && !ret; i++) {
		struct json_object *part = json_object_array_get_idx(list, i);

		ret = json_object_is_type(part, json_type_object)
			      ? read_backing(p, part, backings)
			      : ub_json_bad(p, "path", "is missing: it is no object");
	}
	return ret;
}

/* A file's identity is not to be guessed. */
static int read_backings(struct ub_json_in *p, struct json_object *obj,
			 struct ub_backings *backings)
{
	struct json_object *part;
	int ret;

	if (json_object_object_get_ex(obj, "backings", NULL))
		return read_several(p, obj, backings);
	if (json_object_object_get_ex(obj, "backing", &part) && !part)
		return 0;
	ret = ub_json_get_part(p, obj, "backing", &part);
	return ret ? ret : read_backing(p, part, backings);
}

/* Nor what another one calls what it serves, and whose lock may be broken. */
static int read_remote(struct ub_json_in *p, struct json_object *obj, struct ub_remote *remote)
{
	struct json_object *part;
	int ret;

	if (!json_object_object_get_ex(obj, "remote", NULL))
		return 0;
	ret = ub_json_get_part(p, obj, "remote", &part);
	return ret ? ret : ub_json_read_options(p, part, ub_record_remote, remote);
}

/* Nor what it was that is away. */
static int read_export(struct ub_json_in *p, struct json_object *obj, struct ub_export *export)
{
	struct json_object *part;
	int ret;

	if (!json_object_object_get_ex(obj, "export", NULL))
		return 0;
	ret = ub_json_get_part(p, obj, "export", &part);
	return ret ? ret : ub_json_read_options(p, part, ub_record_export, export);
}

static void read_notes(struct json_object *obj, struct ub_notes *notes)
{
	const struct ub_json_in p = {.part = ""};
	struct json_object *part;
	const char *text;

	if (!json_object_object_get_ex(obj, "notes", &part) ||
	    !json_object_is_type(part, json_type_array))
		return;
	for (size_t i = 0; i < json_object_array_length(part); i++)
		if (ub_json_to_string(&p, "notes", json_object_array_get_idx(part, i), &text) == 0)
			ub_note(notes, "%s", text);
}

static int read_write_error(struct ub_json_in *p, struct json_object *obj, int *ret_error)
{
	struct json_object *value;
	int64_t number;
	int ret;

	p->part = "";
	if (!json_object_object_get_ex(obj, "write_error", NULL))
		return 0;
	ret = ub_json_get(p, obj, "write_error", json_type_int, &value);
	if (ret)
		return ret;
	number = json_object_get_int64(value);
	if (number > 0 || number < -ERRNO_MAX)
		return ub_json_bad(p, "write_error", "is out of range");
	*ret_error = (int)number;
	return 0;
}

static int read_head(struct ub_json_in *p, struct json_object *obj, struct ub_record *r)
{
	struct json_object *value;
	const char *schema;
	int ret;

	if (!json_object_is_type(obj, json_type_object))
		return ub_json_bad(p, "the record", "is no object");
	if ((ret = ub_json_get_string(p, obj, "schema", &schema)))
		return ret;
	if (strcmp(schema, UB_RECORD_SCHEMA) != 0)
		return ub_json_bad(p, "schema", "is not " UB_RECORD_SCHEMA);
	if (json_object_object_get_ex(obj, "version", &value) &&
	    json_object_is_type(value, json_type_string))
		(void)snprintf(r->version, sizeof(r->version), "%s", json_object_get_string(value));
	return ub_json_read_options(p, obj, ub_record_head, r);
}

static int read_record(struct json_object *obj, struct ub_record *r, struct ub_error *err)
{
	struct ub_json_in p = {.err = err, .part = ""};
	int ret;

	if ((ret = read_head(&p, obj, r)) || (ret = read_spec(&p, obj, &r->spec)) ||
	    (ret = read_backings(&p, obj, &r->backings)) ||
	    (ret = read_remote(&p, obj, &r->remote)) || (ret = read_export(&p, obj, &r->export)) ||
	    (ret = read_write_error(&p, obj, &r->write_error)) || (ret = read_granted(obj, r)) ||
	    (ret = read_part(obj, "server", ub_record_server, r)))
		return ret;
	read_notes(obj, &r->notes);
	return read_memory(obj, r);
}

static bool is_blank(const char *text, size_t len)
{
	for (size_t i = 0; i < len; i++)
		if (!strchr(" \t\r\n", text[i]) || !text[i])
			return false;
	return true;
}

static void free_tokenerp(struct json_tokener **tok)
{
	if (*tok)
		json_tokener_free(*tok);
}

static int parse(const char *text, size_t len, struct json_object **ret_obj, struct ub_error *err)
{
	_cleanup_(free_tokenerp)
	struct json_tokener *tok = json_tokener_new_ex(DEPTH_MAX);
	size_t end;

	if (!tok)
		return ub_fail(err, UB_STAGE_RECORD, -ENOMEM, "cannot read a record");
	if (len > UB_RECORD_TEXT_MAX)
		return ub_fail_text(err, UB_STAGE_RECORD, -EBADMSG, "it is too large");
	/* Strict: what json-c would clamp or overlook in silence is an error. */
	json_tokener_set_flags(tok, JSON_TOKENER_STRICT | JSON_TOKENER_ALLOW_TRAILING_CHARS);
	*ret_obj = json_tokener_parse_ex(tok, text, (int)len);
	end = json_tokener_get_parse_end(tok);
	if (json_tokener_get_error(tok) != json_tokener_success || !is_blank(text + end, len - end))
		return ub_fail_text(err, UB_STAGE_RECORD, -EBADMSG, "it is not JSON");
	return 0;
}

int ub_record_from_json(const char *text, size_t len, struct ub_record *ret_record,
			struct ub_error *err)
{
	_cleanup_json_ struct json_object *obj = NULL;
	struct ub_record record = {0};
	int ret = parse(text, len, &obj, err);

	if (ret)
		return ret;
	ub_spec_init(&record.spec);
	ret = read_record(obj, &record, err);
	if (ret) {
		ub_record_done(&record);
		return ret;
	}
	*ret_record = record;
	return 0;
}

int ub_record_token_from_json(const char *text, size_t len, uint32_t *ret_id, uint64_t *ret_token)
{
	const struct ub_json_in p = {.part = ""};
	_cleanup_json_ struct json_object *obj = NULL;
	struct ub_record record = {0};
	int ret = parse(text, len, &obj, NULL);

	if (ret)
		return ret;
	if (!json_object_is_type(obj, json_type_object))
		return -EBADMSG;
	ret = ub_json_read_options(&p, obj, ub_record_head, &record);
	*ret_id = record.id;
	*ret_token = record.token;
	return ret;
}
