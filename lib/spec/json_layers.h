/* SPDX-License-Identifier: MIT */
/* Layers to JSON and back: an array of objects, outermost first, each with its "name" and its options. */
#pragma once

#include "layer/layer.h"
#include "spec/json_in.h"

/* Return: a reference that is the caller's, or NULL without memory. */
struct json_object *ub_json_new_layers(const struct ub_layer_list *layers);

/* Into @layers, in the place of what is there. Return: 0, -EBADMSG, -ENOMEM. */
int ub_json_read_layers(const struct ub_json_in *p, const char *key, struct json_object *value,
			struct ub_layer_list *layers);
