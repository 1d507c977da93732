/* SPDX-License-Identifier: MIT */
#include "spec/json_layers.h"

#include <errno.h>

#include "spec/json_options.h"
#include "spec/json_out.h"

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

struct json_object *ub_json_new_layers(const struct ub_layer_list *layers)
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

int ub_json_read_layers(const struct ub_json_in *p, const char *key, struct json_object *value,
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
