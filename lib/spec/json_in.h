/* SPDX-License-Identifier: MIT */
/*
 * Checked reading of JSON that is input: types, ranges and lengths; each function notes what is
 * wrong and where. For the files that read it, alone.
 */
#pragma once

#include <json-c/json.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"

struct ub_json_in {
	struct ub_error *err;
	const char *part; /* the object that is being read, for messages; "": the whole */
	bool lenient;     /* of options: one that can't be read keeps its default */
};

/* Notes "PART.KEY WHAT". Return: -EBADMSG. */
int ub_json_bad(const struct ub_json_in *p, const char *key, const char *what);
/* Return: -ENOMEM. */
int ub_json_no_memory(const struct ub_json_in *p);

/*
 * A member by its key: it has to be there and of the type. Strings are borrowed and have no NUL
 * within. Return: 0 or -EBADMSG.
 */
int ub_json_get(const struct ub_json_in *p, struct json_object *obj, const char *key,
		enum json_type type, struct json_object **ret_value);
int ub_json_get_string(const struct ub_json_in *p, struct json_object *obj, const char *key,
		       const char **ret_text);
/* A member that is an object, which what is read from now on belongs to. */
int ub_json_get_part(struct ub_json_in *p, struct json_object *obj, const char *key,
		     struct json_object **ret_part);

/* A value, @key being its name in messages. */
int ub_json_to_u64(const struct ub_json_in *p, const char *key, struct json_object *value,
		   uint64_t min, uint64_t max, uint64_t *ret_number);
int ub_json_to_string(const struct ub_json_in *p, const char *key, struct json_object *value,
		      const char **ret_text);
/* "0x1f", of 64 bits. */
int ub_json_to_hex(const struct ub_json_in *p, const char *key, struct json_object *value,
		   uint64_t *ret_number);
int ub_json_to_choice(const struct ub_json_in *p, const char *key, struct json_object *value,
		      const char *const *names, int *ret_index);
