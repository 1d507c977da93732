/* SPDX-License-Identifier: MIT */
#include <string.h>

#include "layer/layer.h"

extern const struct ub_layer ub_layer_delay, ub_layer_error, ub_layer_rate, ub_layer_readonly_after,
	ub_layer_log;

const struct ub_layer *const ub_layer_types[] = {
	&ub_layer_delay,          &ub_layer_error, &ub_layer_rate,
	&ub_layer_readonly_after, &ub_layer_log,   NULL,
};

const struct ub_layer *ub_layer_find(const char *name)
{
	for (const struct ub_layer *const *type = ub_layer_types; *type; type++)
		if (strcmp((*type)->name, name) == 0)
			return *type;
	return NULL;
}
