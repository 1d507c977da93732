/* SPDX-License-Identifier: MIT */
#include "spec/json_options.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "layer/layer.h"
#include "spec/json_out.h"

const char *ub_opt_key(const struct ub_opt *opt, char buf[static UB_OPT_KEY_SIZE])
{
	size_t i = 0;

	/* By hand: a record has a hundred of them, and a list of devices their records. */
	for (; opt->name[i] && i + 1 < UB_OPT_KEY_SIZE; i++)
		buf[i] = opt->name[i] == '-' ? '_' : opt->name[i];
	buf[i] = '\0';
	return buf;
}

static int read_string_option(const struct ub_json_in *p, const char *key,
			      struct json_object *value, char **field)
{
	const char *text;
	char *copy;
	int ret;

	if (!value)
		return 0;
	ret = ub_json_to_string(p, key, value, &text);
	if (ret)
		return ret;
	copy = strdup(text);
	if (!copy)
		return ub_json_no_memory(p);
	free(*field);
	*field = copy;
	return 0;
}

static int read_int_option(const struct ub_json_in *p, const char *key, const struct ub_opt *opt,
			   struct json_object *value, int *field)
{
	uint64_t number, max = opt->max && opt->max < INT_MAX ? opt->max : INT_MAX;
	int ret;

	/* -1 is "not given". */
	if (json_object_is_type(value, json_type_int) && json_object_get_int64(value) == -1) {
		*field = -1;
		return 0;
	}
	ret = ub_json_to_u64(p, key, value, opt->min, max, &number);
	if (!ret)
		*field = (int)number;
	return ret;
}

/* @now: the default, which need not lie in the range: often it is 0 for "the target's own". */
static int read_size_option(const struct ub_json_in *p, const char *key, const struct ub_opt *opt,
			    struct json_object *value, uint64_t limit, uint64_t now,
			    uint64_t *ret_number)
{
	uint64_t number, max = opt->max && opt->max < limit ? opt->max : limit;
	int ret = ub_json_to_u64(p, key, value, 0, limit, &number);

	if (ret)
		return ret;
	if (number != now && (number < opt->min || number > max))
		return ub_json_bad(p, key, "is out of range");
	*ret_number = number;
	return 0;
}

static int read_layer(const struct ub_json_in *p, const char *key, struct json_object *value,
		      struct ub_layer_list *layers)
{
	const struct ub_json_in in = {.err = p->err, .part = key, .lenient = p->lenient};
	const struct ub_layer *type;
	const char *name;
	int ret;

	if (!json_object_is_type(value, json_type_object))
		return ub_json_bad(p, key, "has something that is no object");
	ret = ub_json_get_string(&in, value, "name", &name);
	if (ret)
		return ret;
	type = ub_layer_find(name);
	if (!type)
		return ub_json_bad(p, key, "has a layer that this version does not know");
	ret = ub_layer_list_add(layers, type);
	if (ret)
		return ret == -ENOMEM ? ub_json_no_memory(p)
				      : ub_json_bad(p, key, "has too many layers");
	return ub_json_read_options(&in, value, type->options,
				    layers->layer[layers->count - 1].args);
}

static int read_layers(const struct ub_json_in *p, const char *key, struct json_object *value,
		       struct ub_layer_list *layers)
{
	size_t count;
	int ret = 0;

	if (!json_object_is_type(value, json_type_array))
		return ub_json_bad(p, key, "is no array");
	ub_layer_list_done(layers);
	count = json_object_array_length(value);
	for (size_t i = 0; i < count && !ret; i++)
		ret = read_layer(p, key, json_object_array_get_idx(value, i), layers);
	return ret;
}

static int read_option(const struct ub_json_in *p, const struct ub_opt *opt, const char *key,
		       struct json_object *value, void *field)
{
	uint64_t number = 0;
	int ret;

	switch (opt->type) {
	case UB_OPT_FLAG:
		if (!json_object_is_type(value, json_type_boolean))
			return ub_json_bad(p, key, "is neither true nor false");
		*(bool *)field = json_object_get_boolean(value);
		return 0;
	case UB_OPT_SWITCH:
		if (value && !json_object_is_type(value, json_type_boolean))
			return ub_json_bad(p, key, "is neither true nor false nor null");
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
		return read_size_option(p, key, opt, value, opt->max ? opt->max : INT64_MAX,
					*(uint64_t *)field, field);
	case UB_OPT_STRING:
		return read_string_option(p, key, value, field);
	case UB_OPT_CHOICE:
		/* null: not chosen, so the default. */
		return value ? ub_json_to_choice(p, key, value, opt->choices, field) : 0;
	case UB_OPT_HEX:
		return ub_json_to_hex(p, key, value, field);
	case UB_OPT_LAYERS:
		return read_layers(p, key, value, field);
	}
	return ub_json_bad(p, key, "is of no known type");
}

int ub_json_read_options(const struct ub_json_in *p, struct json_object *obj,
			 const struct ub_opt *opt, void *args)
{
	char key[UB_OPT_KEY_SIZE];
	struct json_object *value;
	int ret = 0;

	for (; opt && opt->name && !ret; opt++) {
		if (json_object_object_get_ex(obj, ub_opt_key(opt, key), &value))
			ret = read_option(p, opt, key, value, (char *)args + opt->offset);
		else if (opt->required)
			ret = ub_json_bad(p, key, "is missing");
		if (p->lenient && ret == -EBADMSG)
			ret = 0;
	}
	return ret;
}

static struct json_object *new_layer(const struct ub_layer_asked *layer)
{
	struct json_object *one = json_object_new_object();

	if (!one || !ub_json_add_string(one, "name", layer->type->name) ||
	    !ub_json_add_options(one, layer->type->options, layer->args, false)) {
		json_object_put(one);
		return NULL;
	}
	return one;
}

static struct json_object *new_layers(const struct ub_layer_list *layers)
{
	struct json_object *list = json_object_new_array();

	for (unsigned i = 0; list && i < layers->count; i++) {
		struct json_object *one = new_layer(&layers->layer[i]);

		if (!one || json_object_array_add(list, one) != 0) {
			json_object_put(one);
			json_object_put(list);
			return NULL;
		}
	}
	return list;
}

static bool add_option(struct json_object *obj, const struct ub_opt *opt, const void *args)
{
	const void *field = (const char *)args + opt->offset;
	char key[UB_OPT_KEY_SIZE];
	int number;

	ub_opt_key(opt, key);
	switch (opt->type) {
	case UB_OPT_FLAG:
		return ub_json_add_bool(obj, key, *(const bool *)field);
	case UB_OPT_U32:
	case UB_OPT_SIZE32:
		return ub_json_add_u64(obj, key, *(const uint32_t *)field);
	case UB_OPT_INT:
		return ub_json_add_int(obj, key, *(const int *)field);
	case UB_OPT_SIZE:
		return ub_json_add_u64(obj, key, *(const uint64_t *)field);
	case UB_OPT_STRING:
		return ub_json_add_string(obj, key, *(char *const *)field);
	case UB_OPT_CHOICE:
		return ub_json_add_choice(obj, key, opt->choices, *(const int *)field);
	case UB_OPT_SWITCH:
		number = *(const int *)field;
		return number < 0 ? ub_json_add(obj, key, NULL, true)
				  : ub_json_add_bool(obj, key, number);
	case UB_OPT_HEX:
		return ub_json_add_hex(obj, key, *(const uint64_t *)field);
	case UB_OPT_LAYERS:
		return ub_json_add(obj, key, new_layers(field), false);
	}
	return false;
}

bool ub_json_add_options(struct json_object *obj, const struct ub_opt *opt, const void *args,
			 bool transient)
{
	for (; opt && opt->name; opt++)
		if ((transient || !opt->transient) && !add_option(obj, opt, args))
			return false;
	return true;
}
