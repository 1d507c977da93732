/* SPDX-License-Identifier: MIT */
/*
 * A record from JSON. The text is input: every type, range and length is checked; what is unknown
 * is left out, since a newer version may have put it there; an option that is missing has its
 * default, since an older version did not know it.
 */

#include "record/json.h"

#include <errno.h>
#include <json-c/json.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/clean.h"
#include "kernel/node.h"
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

	if ((ret = ub_json_get_part(p, obj, "spec", &part)) ||
	    (ret = ub_json_read_options(p, part, ub_spec_options, spec)) ||
	    (ret = ub_json_get_part(p, obj, "target", &part)) ||
	    (ret = ub_json_get_string(p, part, "type", &type)))
		return ret;
	target = ub_target_find(type);
	if (!target)
		return ub_json_bad(p, "type", "has a value that this version does not know");
	if (ub_spec_set_target(spec, target) != 0)
		return ub_json_no_memory(p);
	return ub_json_read_options(p, part, target->options, spec->target_args);
}

static int read_granted(struct ub_json_in *p, struct json_object *obj, struct ub_record *r)
{
	struct json_object *part, *path, *reason;
	int ret;

	if ((ret = ub_json_get_part(p, obj, "granted", &part)) ||
	    (ret = ub_json_get_u32(p, part, "queues", UBLK_MAX_NR_QUEUES, &r->queues)) ||
	    (ret = ub_json_get_u32(p, part, "depth", UBLK_MAX_QUEUE_DEPTH, &r->depth)) ||
	    (ret = ub_json_get_u32(p, part, "max_io", UINT32_MAX, &r->max_io)) ||
	    (ret = ub_json_get_hex(p, part, "flags", &r->flags)) ||
	    (ret = ub_json_get(p, part, "data_path", json_type_string, &path)) ||
	    (ret = ub_json_get(p, part, "path_reason", json_type_string, &reason)) ||
	    (ret = ub_json_to_choice(p, "data_path", path, ub_data_path_names, &r->data_path)))
		return ret;
	return ub_json_to_choice(p, "path_reason", reason, ub_path_reason_names,
				 &r->spec.path_reason);
}

static int read_server(struct ub_json_in *p, struct json_object *obj, struct ub_record *r)
{
	struct json_object *part, *taking_over;
	uint32_t pid;
	int ret;

	if ((ret = ub_json_get_part(p, obj, "server", &part)) ||
	    (ret = ub_json_get_u32(p, part, "pid", INT32_MAX, &pid)) ||
	    (ret = ub_json_get_u64(p, part, "start_time", UINT64_MAX, &r->start_time)) ||
	    (ret = ub_json_get_u32(p, part, "threads", UINT32_MAX, &r->threads)) ||
	    (ret = ub_json_get(p, part, "taking_over", json_type_boolean, &taking_over)))
		return ret;
	r->pid = (int32_t)pid;
	r->taking_over = json_object_get_boolean(taking_over);
	return 0;
}

static int read_range(struct ub_json_in *p, struct json_object *obj, const char *key,
		      const char *at, uint64_t *ret_where, uint64_t *ret_size)
{
	struct json_object *part;
	int ret;

	if ((ret = ub_json_get_part(p, obj, key, &part)) ||
	    (ret = ub_json_get_hex(p, part, at, ret_where)))
		return ret;
	return ub_json_get_u64(p, part, "size", INT64_MAX, ret_size);
}

static int read_plan(struct ub_json_in *p, struct json_object *obj,
		     struct ub_plan_region plan[UB_REGION_COUNT])
{
	struct json_object *part, *region;
	int ret = ub_json_get_part(p, obj, "plan", &part);

	for (unsigned kind = 0; kind < UB_REGION_COUNT && !ret; kind++) {
		struct ub_plan_region *r = &plan[kind];

		*r = (struct ub_plan_region){.kind = kind, .queue = -1, .node = -1};
		if ((ret = ub_json_get_part(p, part, ub_region_names[kind], &region)) ||
		    (ret = ub_json_get_u64(p, region, "mapped", INT64_MAX, &r->mapped)) ||
		    (ret = ub_json_get_u64(p, region, "start", INT64_MAX, &r->start)) ||
		    (ret = ub_json_get_u64(p, region, "most", INT64_MAX, &r->most)) ||
		    (ret = ub_json_get_u64(p, region, "locked", INT64_MAX, &r->locked)) ||
		    (ret = ub_json_get_u64(p, region, "pinned", INT64_MAX, &r->pinned)))
			return ret;
		ret = ub_json_get_u64(p, region, "charged", INT64_MAX, &r->charged);
	}
	return ret;
}

static int read_memory(struct ub_json_in *p, struct json_object *obj, struct ub_record *r)
{
	struct ub_record_memory *m = &r->memory;
	struct json_object *part;
	int ret;

	m->layout.queues = r->queues;
	m->layout.threads = r->queues && r->threads >= r->queues ? r->threads / r->queues : 1;
	if ((ret = ub_json_get_part(p, obj, "memory", &part)) ||
	    (ret = ub_json_get_hex(p, part, "base", &m->base)) ||
	    (ret = ub_json_get_u64(p, part, "stride", INT64_MAX, &m->layout.stride)) ||
	    (ret = read_range(p, part, "target", "base", &m->target_base, &m->target_size)))
		return ret;
	for (unsigned i = 0; i < UB_PART_COUNT && !ret; i++)
		ret = read_range(p, part, ub_part_names[i], "offset", &m->layout.offset[i],
				 &m->layout.size[i]);
	return ret ? ret : read_plan(p, part, m->plan);
}

static int read_backing(struct ub_json_in *p, struct json_object *obj, struct ub_backing *b)
{
	struct json_object *part, *writable;
	const char *path;
	int ret;

	if (json_object_object_get_ex(obj, "backing", &part) && !part)
		return 0;
	if ((ret = ub_json_get_part(p, obj, "backing", &part)) ||
	    (ret = ub_json_get_string(p, part, "path", &path)) ||
	    (ret = ub_json_get_u64(p, part, "dev", UINT64_MAX, &b->dev)) ||
	    (ret = ub_json_get_u64(p, part, "ino", UINT64_MAX, &b->ino)) ||
	    (ret = ub_json_get_u64(p, part, "rdev", UINT64_MAX, &b->rdev)) ||
	    (ret = ub_json_get_u64(p, part, "size", INT64_MAX, &b->size)) ||
	    (ret = ub_json_get(p, part, "writable", json_type_boolean, &writable)))
		return ret;
	if (path[0] != '/')
		return ub_json_bad(p, "path", "is not absolute");
	b->writable = json_object_get_boolean(writable);
	b->path = strdup(path);
	return b->path ? 0 : ub_json_no_memory(p);
}

static int read_notes(struct ub_json_in *p, struct json_object *obj, struct ub_notes *notes)
{
	struct json_object *part;
	const char *text;
	int ret = ub_json_get(p, obj, "notes", json_type_array, &part);

	for (size_t i = 0; !ret && i < json_object_array_length(part); i++) {
		ret = ub_json_to_string(p, "notes", json_object_array_get_idx(part, i), &text);
		if (!ret)
			ub_note(notes, "%s", text);
	}
	return ret;
}

static int read_write_error(struct ub_json_in *p, struct json_object *obj, int *ret_error)
{
	struct json_object *value;
	int64_t number;
	int ret;

	p->part = "";
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
	const char *schema, *version;
	int ret;

	if (!json_object_is_type(obj, json_type_object))
		return ub_json_bad(p, "the record", "is no object");
	if ((ret = ub_json_get_string(p, obj, "schema", &schema)))
		return ret;
	if (strcmp(schema, UB_RECORD_SCHEMA) != 0)
		return ub_json_bad(p, "schema", "is not " UB_RECORD_SCHEMA);
	if ((ret = ub_json_get_string(p, obj, "version", &version)))
		return ret;
	if (strlen(version) >= sizeof(r->version))
		return ub_json_bad(p, "version", "is too long");
	memcpy(r->version, version, strlen(version) + 1);
	ret = ub_json_get_u32(p, obj, "id", UB_DEV_ID_MAX, &r->id);
	return ret ? ret : ub_json_get_hex(p, obj, "token", &r->token);
}

static int read_record(struct json_object *obj, struct ub_record *r, struct ub_error *err)
{
	struct ub_json_in p = {.err = err, .part = ""};
	int ret;

	if ((ret = read_head(&p, obj, r)) || (ret = read_spec(&p, obj, &r->spec)) ||
	    (ret = read_granted(&p, obj, r)) || (ret = read_server(&p, obj, r)) ||
	    (ret = read_memory(&p, obj, r)) || (ret = read_backing(&p, obj, &r->backing)) ||
	    (ret = read_write_error(&p, obj, &r->write_error)))
		return ret;
	return read_notes(&p, obj, &r->notes);
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

int ub_record_from_json(const char *text, size_t len, struct ub_record *ret_record,
			struct ub_error *err)
{
	_cleanup_(free_tokenerp)
	struct json_tokener *tok = json_tokener_new_ex(DEPTH_MAX);
	_cleanup_json_ struct json_object *obj = NULL;
	struct ub_record record = {0};
	size_t end;
	int ret;

	if (!tok)
		return ub_fail(err, UB_STAGE_RECORD, -ENOMEM, "cannot read a record");
	if (len > UB_RECORD_TEXT_MAX)
		return ub_fail_text(err, UB_STAGE_RECORD, -EBADMSG, "it is too large");
	/* Strict: what json-c would clamp or overlook in silence is an error. */
	json_tokener_set_flags(tok, JSON_TOKENER_STRICT | JSON_TOKENER_ALLOW_TRAILING_CHARS);
	obj = json_tokener_parse_ex(tok, text, (int)len);
	end = json_tokener_get_parse_end(tok);
	if (json_tokener_get_error(tok) != json_tokener_success || !is_blank(text + end, len - end))
		return ub_fail_text(err, UB_STAGE_RECORD, -EBADMSG, "it is not JSON");
	ub_spec_init(&record.spec);
	ret = read_record(obj, &record, err);
	if (ret) {
		ub_record_done(&record);
		return ret;
	}
	*ret_record = record;
	return 0;
}
