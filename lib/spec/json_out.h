/* SPDX-License-Identifier: MIT */
/*
 * Building JSON, a member at a time; each function tells whether there was memory. Strings are
 * bytes as they are: a path need not be UTF-8, and json-c passes through what is not.
 */
#pragma once

#include <json-c/json.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/clean.h"

static inline void ub_json_putp(struct json_object **obj)
{
	json_object_put(*obj);
	*obj = NULL;
}

#define _cleanup_json_ _cleanup_(ub_json_putp)

/*
 * Adds a value to an object; takes @value. A JSON null is a NULL in json-c, as is what could not be
 * allocated: @null tells which of them it may be.
 */
bool ub_json_add(struct json_object *obj, const char *key, struct json_object *value, bool null);
bool ub_json_add_string(struct json_object *obj, const char *key, const char *text);
bool ub_json_add_u64(struct json_object *obj, const char *key, uint64_t value);
bool ub_json_add_int(struct json_object *obj, const char *key, int64_t value);
bool ub_json_add_bool(struct json_object *obj, const char *key, bool value);
/* Of 64 bits, which not every reader of JSON numbers keeps. */
bool ub_json_add_hex(struct json_object *obj, const char *key, uint64_t value);
/* An index out of the range of the names is a value that has none, such as "not chosen yet". */
bool ub_json_add_choice(struct json_object *obj, const char *key, const char *const *names,
			int index);
/* Adds a new object under @key. Return: it, borrowed from @obj, or NULL. */
struct json_object *ub_json_add_object(struct json_object *obj, const char *key);
