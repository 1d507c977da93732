/* SPDX-License-Identifier: MIT */
#include "value.h"

#include <string.h>

#include "base/clean.h"
#include "layer_text.h"

static struct ub_layer_list *layers_of(const struct ub_opt *opt, const void *values)
{
	return (void *)((const char *)values + opt->offset);
}

int ub_opt_store(const struct ub_opt *opt, const char *value, void *values, struct ub_error *err)
{
	if (opt->type == UB_OPT_LAYERS)
		return ub_layer_read(value, layers_of(opt, values), err);
	return ub_scalar_store(opt, value, values, err);
}

bool ub_opt_is_given(const struct ub_opt *opt, const void *values)
{
	if (opt->type == UB_OPT_LAYERS)
		return layers_of(opt, values)->count > 0;
	return ub_scalar_is_given(opt, values);
}

static char *text_of_layers(const struct ub_opt *opt, const void *values)
{
	return ub_opt_is_given(opt, values) ? ub_layers_text(layers_of(opt, values)) : NULL;
}

char *ub_opt_text(const struct ub_opt *opt, const void *values)
{
	if (opt->type == UB_OPT_LAYERS)
		return text_of_layers(opt, values);
	return ub_scalar_text(opt, values);
}

char *ub_opt_exact(const struct ub_opt *opt, const void *values)
{
	if (opt->type == UB_OPT_LAYERS)
		return text_of_layers(opt, values);
	return ub_scalar_exact(opt, values);
}

bool ub_opt_is_same(const struct ub_opt *opt, const void *values, const void *others)
{
	_cleanup_free_ char *a = ub_opt_text(opt, values), *b = ub_opt_text(opt, others);

	return a && b ? strcmp(a, b) == 0 : a == b;
}
