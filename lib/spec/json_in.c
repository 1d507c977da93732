/* SPDX-License-Identifier: MIT */
#include "spec/json_in.h"

#include <errno.h>
#include <string.h>

#include "base/parse.h"

int ub_json_bad(const struct ub_json_in *p, const char *key, const char *what)
{
	return ub_fail_text(p->err, UB_STAGE_RECORD, -EBADMSG, "%s%s%.60s %s", p->part,
			    *p->part ? "." : "", key, what);
}

int ub_json_no_memory(const struct ub_json_in *p)
{
	return ub_fail(p->err, UB_STAGE_RECORD, -ENOMEM, "cannot read a record");
}

int ub_json_get(const struct ub_json_in *p, struct json_object *obj, const char *key,
		enum json_type type, struct json_object **ret_value)
{
	struct json_object *value;

	if (!json_object_object_get_ex(obj, key, &value))
		return ub_json_bad(p, key, "is missing");
	if (!json_object_is_type(value, type))
		return ub_json_bad(p, key, "has the wrong type");
	*ret_value = value;
	return 0;
}

int ub_json_get_part(struct ub_json_in *p, struct json_object *obj, const char *key,
		     struct json_object **ret_part)
{
	p->part = "";
	if (ub_json_get(p, obj, key, json_type_object, ret_part) != 0)
		return -EBADMSG;
	p->part = key;
	return 0;
}

int ub_json_to_u64(const struct ub_json_in *p, const char *key, struct json_object *value,
		   uint64_t min, uint64_t max, uint64_t *ret_number)
{
	uint64_t number;

	if (!json_object_is_type(value, json_type_int))
		return ub_json_bad(p, key, "is no whole number");
	/* The one makes a negative number 0, the other a large one INT64_MAX. */
	if (json_object_get_int64(value) < 0)
		return ub_json_bad(p, key, "is negative");
	number = json_object_get_uint64(value);
	if (number < min || number > max)
		return ub_json_bad(p, key, "is out of range");
	*ret_number = number;
	return 0;
}

int ub_json_to_string(const struct ub_json_in *p, const char *key, struct json_object *value,
		      const char **ret_text)
{
	const char *text;

	if (!json_object_is_type(value, json_type_string))
		return ub_json_bad(p, key, "is no string");
	text = json_object_get_string(value);
	if (strlen(text) != (size_t)json_object_get_string_len(value))
		return ub_json_bad(p, key, "has a NUL in it");
	*ret_text = text;
	return 0;
}

int ub_json_get_string(const struct ub_json_in *p, struct json_object *obj, const char *key,
		       const char **ret_text)
{
	struct json_object *value = NULL;
	int ret = ub_json_get(p, obj, key, json_type_string, &value);

	return ret ? ret : ub_json_to_string(p, key, value, ret_text);
}

int ub_json_to_hex(const struct ub_json_in *p, const char *key, struct json_object *value,
		   uint64_t *ret_number)
{
	const char *text = "";
	int ret = ub_json_to_string(p, key, value, &text);

	if (ret)
		return ret;
	if (strncmp(text, "0x", 2) != 0 || ub_parse_u64(text, UINT64_MAX, ret_number) != 0)
		return ub_json_bad(p, key, "is no hexadecimal number");
	return 0;
}

int ub_json_to_choice(const struct ub_json_in *p, const char *key, struct json_object *value,
		      const char *const *names, int *ret_index)
{
	const char *text = NULL;
	int ret = ub_json_to_string(p, key, value, &text);

	if (ret)
		return ret;
	for (int i = 0; names[i]; i++) {
		if (strcmp(names[i], text) == 0) {
			*ret_index = i;
			return 0;
		}
	}
	return ub_json_bad(p, key, "has a value that this version does not know");
}
