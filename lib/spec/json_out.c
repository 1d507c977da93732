/* SPDX-License-Identifier: MIT */
#include "spec/json_out.h"

#include <inttypes.h>
#include <stdio.h>

bool ub_json_add(struct json_object *obj, const char *key, struct json_object *value, bool null)
{
	if ((!value && !null) || json_object_object_add(obj, key, value) != 0) {
		json_object_put(value);
		return false;
	}
	return true;
}

bool ub_json_add_string(struct json_object *obj, const char *key, const char *text)
{
	return ub_json_add(obj, key, text ? json_object_new_string(text) : NULL, !text);
}

bool ub_json_add_u64(struct json_object *obj, const char *key, uint64_t value)
{
	return ub_json_add(obj, key, json_object_new_uint64(value), false);
}

bool ub_json_add_int(struct json_object *obj, const char *key, int64_t value)
{
	return ub_json_add(obj, key, json_object_new_int64(value), false);
}

bool ub_json_add_bool(struct json_object *obj, const char *key, bool value)
{
	return ub_json_add(obj, key, json_object_new_boolean(value), false);
}

/* Of 64 bits, which not every reader of JSON numbers keeps. */
bool ub_json_add_hex(struct json_object *obj, const char *key, uint64_t value)
{
	char text[20];

	(void)snprintf(text, sizeof(text), "0x%" PRIx64, value);
	return ub_json_add_string(obj, key, text);
}

/* An index out of the range of the names is a value that has none, such as "not chosen yet". */
bool ub_json_add_choice(struct json_object *obj, const char *key, const char *const *names,
			int index)
{
	int count = 0;

	while (names[count])
		count++;
	return ub_json_add_string(obj, key, index >= 0 && index < count ? names[index] : NULL);
}

struct json_object *ub_json_add_object(struct json_object *obj, const char *key)
{
	struct json_object *part = json_object_new_object();

	return ub_json_add(obj, key, part, false) ? part : NULL;
}
