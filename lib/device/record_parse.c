/* SPDX-License-Identifier: MIT */
/*
 * A record from JSON. The text is input: every type, range and length is checked; what is unknown
 * is left out, since a newer version may have put it there; an option that is missing has its
 * default, since an older version did not know it.
 */
#include "device/record_json.h"

#include <errno.h>
#include <json-c/json.h>
#include <limits.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/clean.h"
#include "base/parse.h"
#include "device/record.h"

#define DEPTH_MAX 8
#define ERRNO_MAX 4095
#define DEV_ID_MAX ((1U << 20) - 1)

struct parse {
	struct ub_error *err;
	const char *part; /* what is being read, for messages */
};

/* Notes what is wrong. Return: -EBADMSG. */
static int bad(const struct parse *p, const char *key, const char *what)
{
	return ub_fail_text(p->err, UB_STAGE_RECORD, -EBADMSG, "%s%s%.60s %s", p->part,
			    *p->part ? "." : "", key, what);
}

static int no_memory(const struct parse *p)
{
	return ub_fail(p->err, UB_STAGE_RECORD, -ENOMEM, "cannot read a record");
}

static int get(const struct parse *p, struct json_object *obj, const char *key, enum json_type type,
	       struct json_object **ret_value)
{
	struct json_object *value;

	if (!json_object_object_get_ex(obj, key, &value))
		return bad(p, key, "is missing");
	if (!json_object_is_type(value, type))
		return bad(p, key, "has the wrong type");
	*ret_value = value;
	return 0;
}

/* A member that is an object, and what follows is about. */
static int get_part(struct parse *p, struct json_object *obj, const char *key,
		    struct json_object **ret_part)
{
	p->part = "";
	if (get(p, obj, key, json_type_object, ret_part) != 0)
		return -EBADMSG;
	p->part = key;
	return 0;
}

static int to_u64(const struct parse *p, const char *key, struct json_object *value, uint64_t min,
		  uint64_t max, uint64_t *ret_number)
{
	uint64_t number;

	if (!json_object_is_type(value, json_type_int))
		return bad(p, key, "is no whole number");
	/* The one makes a negative number 0, the other a large one INT64_MAX. */
	if (json_object_get_int64(value) < 0)
		return bad(p, key, "is negative");
	number = json_object_get_uint64(value);
	if (number < min || number > max)
		return bad(p, key, "is out of range");
	*ret_number = number;
	return 0;
}

static int get_u64(const struct parse *p, struct json_object *obj, const char *key, uint64_t max,
		   uint64_t *ret_number)
{
	struct json_object *value;
	int ret = get(p, obj, key, json_type_int, &value);

	return ret ? ret : to_u64(p, key, value, 0, max, ret_number);
}

static int get_u32(const struct parse *p, struct json_object *obj, const char *key, uint32_t max,
		   uint32_t *ret_number)
{
	uint64_t number;
	int ret = get_u64(p, obj, key, max, &number);

	if (!ret)
		*ret_number = (uint32_t)number;
	return ret;
}

/* A string without a NUL within. Return: 0 with a borrowed one. */
static int to_string(const struct parse *p, const char *key, struct json_object *value,
		     const char **ret_text)
{
	const char *text;

	if (!json_object_is_type(value, json_type_string))
		return bad(p, key, "is no string");
	text = json_object_get_string(value);
	if (strlen(text) != (size_t)json_object_get_string_len(value))
		return bad(p, key, "has a NUL in it");
	*ret_text = text;
	return 0;
}

static int get_string(const struct parse *p, struct json_object *obj, const char *key,
		      const char **ret_text)
{
	struct json_object *value;
	int ret = get(p, obj, key, json_type_string, &value);

	return ret ? ret : to_string(p, key, value, ret_text);
}

static int get_hex(const struct parse *p, struct json_object *obj, const char *key,
		   uint64_t *ret_number)
{
	const char *text;
	int ret = get_string(p, obj, key, &text);

	if (ret)
		return ret;
	if (strncmp(text, "0x", 2) != 0 || ub_parse_u64(text, UINT64_MAX, ret_number) != 0)
		return bad(p, key, "is no hexadecimal number");
	return 0;
}

static int to_choice(const struct parse *p, const char *key, struct json_object *value,
		     const char *const *names, int *ret_index)
{
	const char *text;
	int ret = to_string(p, key, value, &text);

	if (ret)
		return ret;
	for (int i = 0; names[i]; i++) {
		if (strcmp(names[i], text) == 0) {
			*ret_index = i;
			return 0;
		}
	}
	return bad(p, key, "has a value that this version does not know");
}

static int read_string_option(const struct parse *p, const char *key, struct json_object *value,
			      char **field)
{
	const char *text;
	char *copy;
	int ret;

	if (!value)
		return 0;
	ret = to_string(p, key, value, &text);
	if (ret)
		return ret;
	copy = strdup(text);
	if (!copy)
		return no_memory(p);
	free(*field);
	*field = copy;
	return 0;
}

static int read_int_option(const struct parse *p, const char *key, const struct ub_opt *opt,
			   struct json_object *value, int *field)
{
	uint64_t number, max = opt->max && opt->max < INT_MAX ? opt->max : INT_MAX;
	int ret;

	/* -1 is "not given". */
	if (json_object_is_type(value, json_type_int) && json_object_get_int64(value) == -1) {
		*field = -1;
		return 0;
	}
	ret = to_u64(p, key, value, opt->min, max, &number);
	if (!ret)
		*field = (int)number;
	return ret;
}

/* @now: the default, which need not lie in the range: often it is 0 for "the target's own". */
static int read_size_option(const struct parse *p, const char *key, const struct ub_opt *opt,
			    struct json_object *value, uint64_t limit, uint64_t now,
			    uint64_t *ret_number)
{
	uint64_t number, max = opt->max && opt->max < limit ? opt->max : limit;
	int ret = to_u64(p, key, value, 0, limit, &number);

	if (ret)
		return ret;
	if (number != now && (number < opt->min || number > max))
		return bad(p, key, "is out of range");
	*ret_number = number;
	return 0;
}

static int read_option(const struct parse *p, const struct ub_opt *opt, const char *key,
		       struct json_object *value, void *field)
{
	uint64_t number;
	int ret;

	switch (opt->type) {
	case UB_OPT_FLAG:
		if (!json_object_is_type(value, json_type_boolean))
			return bad(p, key, "is neither true nor false");
		*(bool *)field = json_object_get_boolean(value);
		return 0;
	case UB_OPT_SWITCH:
		if (value && !json_object_is_type(value, json_type_boolean))
			return bad(p, key, "is neither true nor false nor null");
		*(int *)field = value ? json_object_get_boolean(value) : -1;
		return 0;
	case UB_OPT_INT:
		return read_int_option(p, key, opt, value, field);
	case UB_OPT_U32:
	case UB_OPT_SIZE32:
		ret = read_size_option(p, key, opt, value, UINT32_MAX, *(uint32_t *)field, &number);
		if (!ret)
			*(uint32_t *)field = (uint32_t)number;
		return ret;
	case UB_OPT_SIZE:
		return read_size_option(p, key, opt, value, INT64_MAX, *(uint64_t *)field, field);
	case UB_OPT_STRING:
		return read_string_option(p, key, value, field);
	case UB_OPT_CHOICE:
		/* null: not chosen, so the default. */
		return value ? to_choice(p, key, value, opt->choices, field) : 0;
	}
	return bad(p, key, "is of no known type");
}

static int read_options(const struct parse *p, struct json_object *obj, const struct ub_opt *opt,
			void *args)
{
	char key[UB_OPT_KEY_SIZE];
	struct json_object *value;
	int ret = 0;

	for (; opt && opt->name && !ret; opt++) {
		if (json_object_object_get_ex(obj, ub_opt_key(opt, key), &value))
			ret = read_option(p, opt, key, value, (char *)args + opt->offset);
	}
	return ret;
}

static int read_spec(struct parse *p, struct json_object *obj, struct ub_spec *spec)
{
	const struct ub_target *target;
	struct json_object *part;
	const char *type;
	int ret;

	if ((ret = get_part(p, obj, "spec", &part)) ||
	    (ret = read_options(p, part, ub_spec_options, spec)) ||
	    (ret = get_part(p, obj, "target", &part)) || (ret = get_string(p, part, "type", &type)))
		return ret;
	target = ub_target_find(type);
	if (!target)
		return bad(p, "type", "has a value that this version does not know");
	if (ub_spec_set_target(spec, target) != 0)
		return no_memory(p);
	return read_options(p, part, target->options, spec->target_args);
}

static int read_granted(struct parse *p, struct json_object *obj, struct ub_record *r)
{
	struct json_object *part, *path;
	int ret;

	if ((ret = get_part(p, obj, "granted", &part)) ||
	    (ret = get_u32(p, part, "queues", UBLK_MAX_NR_QUEUES, &r->queues)) ||
	    (ret = get_u32(p, part, "depth", UBLK_MAX_QUEUE_DEPTH, &r->depth)) ||
	    (ret = get_u32(p, part, "max_io", UINT32_MAX, &r->max_io)) ||
	    (ret = get_hex(p, part, "flags", &r->flags)) ||
	    (ret = get(p, part, "data_path", json_type_string, &path)))
		return ret;
	return to_choice(p, "data_path", path, ub_data_path_names, &r->data_path);
}

static int read_server(struct parse *p, struct json_object *obj, struct ub_record *r)
{
	struct json_object *part;
	uint32_t pid;
	int ret;

	if ((ret = get_part(p, obj, "server", &part)) ||
	    (ret = get_u32(p, part, "pid", INT32_MAX, &pid)) ||
	    (ret = get_u64(p, part, "start_time", UINT64_MAX, &r->start_time)) ||
	    (ret = get_u32(p, part, "threads", UINT32_MAX, &r->threads)))
		return ret;
	r->pid = (int32_t)pid;
	return 0;
}

static int read_backing(struct parse *p, struct json_object *obj, struct ub_backing *b)
{
	struct json_object *part, *writable;
	const char *path;
	int ret;

	if (json_object_object_get_ex(obj, "backing", &part) && !part)
		return 0;
	if ((ret = get_part(p, obj, "backing", &part)) ||
	    (ret = get_string(p, part, "path", &path)) ||
	    (ret = get_u64(p, part, "dev", UINT64_MAX, &b->dev)) ||
	    (ret = get_u64(p, part, "ino", UINT64_MAX, &b->ino)) ||
	    (ret = get_u64(p, part, "rdev", UINT64_MAX, &b->rdev)) ||
	    (ret = get_u64(p, part, "size", INT64_MAX, &b->size)) ||
	    (ret = get(p, part, "writable", json_type_boolean, &writable)))
		return ret;
	if (path[0] != '/')
		return bad(p, "path", "is not absolute");
	b->writable = json_object_get_boolean(writable);
	b->path = strdup(path);
	return b->path ? 0 : no_memory(p);
}

static int read_notes(struct parse *p, struct json_object *obj, struct ub_notes *notes)
{
	struct json_object *part;
	const char *text;
	int ret = get(p, obj, "notes", json_type_array, &part);

	for (size_t i = 0; !ret && i < json_object_array_length(part); i++) {
		ret = to_string(p, "notes", json_object_array_get_idx(part, i), &text);
		if (!ret)
			ub_note(notes, "%s", text);
	}
	return ret;
}

static int read_write_error(struct parse *p, struct json_object *obj, int *ret_error)
{
	struct json_object *value;
	int64_t number;
	int ret;

	p->part = "";
	ret = get(p, obj, "write_error", json_type_int, &value);
	if (ret)
		return ret;
	number = json_object_get_int64(value);
	if (number > 0 || number < -ERRNO_MAX)
		return bad(p, "write_error", "is out of range");
	*ret_error = (int)number;
	return 0;
}

static int read_head(struct parse *p, struct json_object *obj, struct ub_record *r)
{
	const char *schema, *version;
	int ret;

	if (!json_object_is_type(obj, json_type_object))
		return bad(p, "the record", "is no object");
	if ((ret = get_string(p, obj, "schema", &schema)))
		return ret;
	if (strcmp(schema, UB_RECORD_SCHEMA) != 0)
		return bad(p, "schema", "is not " UB_RECORD_SCHEMA);
	if ((ret = get_string(p, obj, "version", &version)))
		return ret;
	if (strlen(version) >= sizeof(r->version))
		return bad(p, "version", "is too long");
	memcpy(r->version, version, strlen(version) + 1);
	ret = get_u32(p, obj, "id", DEV_ID_MAX, &r->id);
	return ret ? ret : get_hex(p, obj, "token", &r->token);
}

static int read_record(struct json_object *obj, struct ub_record *r, struct ub_error *err)
{
	struct parse p = {.err = err, .part = ""};
	int ret;

	if ((ret = read_head(&p, obj, r)) || (ret = read_spec(&p, obj, &r->spec)) ||
	    (ret = read_granted(&p, obj, r)) || (ret = read_server(&p, obj, r)) ||
	    (ret = read_backing(&p, obj, &r->backing)) ||
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

static void put_objectp(struct json_object **obj)
{
	json_object_put(*obj);
}

int ub_record_from_json(const char *text, size_t len, struct ub_record *ret_record,
			struct ub_error *err)
{
	_cleanup_(free_tokenerp)
	struct json_tokener *tok = json_tokener_new_ex(DEPTH_MAX);
	_cleanup_(put_objectp)
	struct json_object *obj = NULL;
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
