/* SPDX-License-Identifier: MIT */
#include "spec/json_live.h"

#include <errno.h>
#include <string.h>

#include "spec/json_options.h"
#include "spec/json_out.h"
#include "spec/live.h"

#define DEPTH_MAX 4

/* The table of these options alone; @ret_options: with room for all. */
static void pick(uint64_t set, struct ub_opt ret_options[static 64])
{
	for (const struct ub_opt *opt = ub_spec_options; opt->name; opt++)
		if (set & ub_live_bit(opt))
			*ret_options++ = *opt;
	*ret_options = (struct ub_opt)UB_OPT_END;
}

char *ub_live_to_json(const struct ub_spec *spec, uint64_t set)
{
	_cleanup_json_ struct json_object *obj = json_object_new_object();
	struct ub_opt options[64];
	const char *text;

	pick(set, options);
	if (!obj || !ub_json_add_options(obj, options, spec, false))
		return NULL;
	text = json_object_to_json_string_ext(obj, JSON_C_TO_STRING_PLAIN |
							   JSON_C_TO_STRING_NOSLASHESCAPE);
	return text ? strdup(text) : NULL;
}

static const struct ub_opt *find(const char *key)
{
	char buf[UB_OPT_KEY_SIZE];

	for (const struct ub_opt *opt = ub_spec_options; opt->name; opt++)
		if (opt->live && strcmp(ub_opt_key(opt, buf), key) == 0)
			return opt;
	return NULL;
}

static void free_tokenerp(struct json_tokener **tok)
{
	if (*tok)
		json_tokener_free(*tok);
}

static struct json_object *parse(const char *text, size_t len)
{
	_cleanup_(free_tokenerp)
	struct json_tokener *tok = json_tokener_new_ex(DEPTH_MAX);
	_cleanup_json_ struct json_object *obj = NULL;

	if (!tok)
		return NULL;
	json_tokener_set_flags(tok, JSON_TOKENER_STRICT);
	obj = json_tokener_parse_ex(tok, text, (int)len);
	return json_tokener_get_error(tok) == json_tokener_success &&
			       json_tokener_get_parse_end(tok) == len &&
			       json_object_is_type(obj, json_type_object)
		       ? UB_TAKE_PTR(obj)
		       : NULL;
}

int ub_live_from_json(const char *text, size_t len, struct ub_spec *spec, uint64_t *ret_set,
		      struct ub_error *err)
{
	const struct ub_json_in in = {.err = err, .part = ""};
	_cleanup_json_ struct json_object *obj = parse(text, len);
	struct ub_opt options[64];
	const struct ub_opt *opt;
	uint64_t set = 0;

	if (!obj)
		return ub_json_bad(&in, "what is to be changed", "is no JSON object");
	json_object_object_foreach(obj, key, value)
	{
		(void)value;
		opt = find(key);
		if (!opt)
			return ub_json_bad(&in, key, "is nothing that can be changed");
		set |= ub_live_bit(opt);
	}
	/* What is out of an option's range may be its default. */
	ub_live_reset(spec, set);
	pick(set, options);
	*ret_set = set;
	return ub_json_read_options(&in, obj, options, spec);
}
