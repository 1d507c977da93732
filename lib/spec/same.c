/* SPDX-License-Identifier: MIT */
#include "spec/same.h"

#include <string.h>

#include "base/clean.h"

static const char *string_at(const void *args, const struct ub_opt *opt)
{
	const char *const *field = (const void *)((const char *)args + opt->offset);

	return *field;
}

/* A record has what a descriptor leads to. */
static bool is_same_string(const char *asked, const char *kept)
{
	_cleanup_free_ char *name = NULL;

	if (asked && ub_caller_is_descriptor(asked))
		asked = name = ub_caller_name(asked);
	return asked && kept ? strcmp(asked, kept) == 0 : asked == kept;
}

static size_t size_of(enum ub_opt_type type)
{
	switch (type) {
	case UB_OPT_FLAG:
		return sizeof(bool);
	case UB_OPT_SIZE:
		return sizeof(uint64_t);
	default:
		return sizeof(uint32_t);
	}
}

static const struct ub_layer_list *layers_at(const void *args, const struct ub_opt *opt)
{
	return (const void *)((const char *)args + opt->offset);
}

static bool is_same_option(const struct ub_opt *opt, const void *asked, const void *kept,
			   const void *defaults);

static bool are_same_layers(const struct ub_layer_list *asked, const struct ub_layer_list *kept)
{
	bool same = asked->count == kept->count;

	for (unsigned i = 0; same && i < asked->count; i++) {
		const struct ub_layer_asked *a = &asked->layer[i], *k = &kept->layer[i];

		same = a->type == k->type;
		for (const struct ub_opt *opt = a->type->options; same && opt->name; opt++)
			same = is_same_option(opt, a->args, k->args, NULL);
	}
	return same;
}

static bool is_same_option(const struct ub_opt *opt, const void *asked, const void *kept,
			   const void *defaults)
{
	size_t at = opt->offset, size = size_of(opt->type);

	if (opt->type == UB_OPT_STRING)
		return is_same_string(string_at(asked, opt), string_at(kept, opt));
	if (opt->type == UB_OPT_LAYERS)
		return are_same_layers(layers_at(asked, opt), layers_at(kept, opt));
	if (opt->chosen && memcmp((const char *)asked + at, (const char *)defaults + at, size) == 0)
		return true;
	return memcmp((const char *)asked + at, (const char *)kept + at, size) == 0;
}

struct compare {
	ub_spec_each_fn *each;
	void *arg;
	int count;
};

static void compare_all(struct compare *c, const struct ub_opt *options, const void *asked,
			const void *kept, const void *defaults)
{
	for (const struct ub_opt *opt = options; opt && opt->name; opt++) {
		if (opt->transient || opt->elsewhere || is_same_option(opt, asked, kept, defaults))
			continue;
		c->count++;
		if (c->each)
			c->each(c->arg, opt, asked, kept);
	}
}

int ub_spec_differ(const struct ub_spec *asked, const struct ub_spec *kept, ub_spec_each_fn *each,
		   void *arg)
{
	struct compare c = {.each = each, .arg = arg};
	struct ub_spec defaults;
	int ret;

	if (asked->target != kept->target)
		return 1;
	ub_spec_init(&defaults);
	ret = ub_spec_set_target(&defaults, asked->target);
	if (ret == 0) {
		compare_all(&c, asked->target->options, asked->target_args, kept->target_args,
			    defaults.target_args);
		compare_all(&c, ub_spec_options, asked, kept, &defaults);
	}
	ub_spec_done(&defaults);
	return ret ? ret : c.count;
}

bool ub_spec_is_same(const struct ub_spec *asked, const struct ub_spec *kept)
{
	return ub_spec_differ(asked, kept, NULL, NULL) == 0;
}
