/* SPDX-License-Identifier: MIT */
#include "config.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/clean.h"
#include "guess.h"
#include "layer_text.h"
#include "targets.h"
#include "text.h"
#include "value.h"

#define TYPE "type"

static bool is_key(const struct ub_opt *opt)
{
	return !opt->transient && strcmp(opt->name, "config") != 0;
}

static const struct ub_opt *find_key(const struct ub_opt *options, const char *key)
{
	for (const struct ub_opt *opt = options; opt && opt->name; opt++)
		if (strcmp(opt->name, key) == 0)
			return opt;
	return NULL;
}

static void offer_keys(struct ub_guess *guess, const struct ub_opt *options)
{
	for (const struct ub_opt *opt = options; opt && opt->name; opt++)
		if (is_key(opt))
			ub_guess_offer(guess, opt->name);
}

/* It is another target's, or nobody's. */
static int unknown_key(const struct ub_config_file *file, const struct ub_config_line *line,
		       const struct ub_target *target, struct ub_error *err)
{
	char owners[128] = "", hint[96] = "";
	struct ub_guess guess;
	size_t len = 0;

	for (const struct ub_target *const *t = ub_targets; *t && len < sizeof(owners); t++)
		if (find_key((*t)->options, line->key))
			len += (size_t)snprintf(owners + len, sizeof(owners) - len, "%starget %s",
						len ? ", " : "", (*t)->name);
	if (len)
		return ub_config_bad(file, line->number, err,
				     "key '%s' is one of %s, not of "
				     "target %s",
				     line->key, owners, target->name);
	ub_guess_init(&guess, line->key);
	ub_guess_offer(&guess, TYPE);
	offer_keys(&guess, ub_spec_options);
	offer_keys(&guess, target->options);
	if (guess.best)
		(void)snprintf(hint, sizeof(hint), " (did you mean '%s'?)", guess.best);
	return ub_config_bad(file, line->number, err, "unknown key '%.60s'%s", line->key, hint);
}

/* An error of the tables, told of the file. */
static int at_line(const struct ub_config_file *file, const struct ub_config_line *line,
		   struct ub_error *err)
{
	int code = err->code;

	ub_error_prefix(err, "cannot read %s: line %u", file->path, line->number);
	err->stage = UB_STAGE_CONFIG;
	return code;
}

/* A flag takes a word here. Return: 1, 0, or -EINVAL. */
static int read_flag(const struct ub_config_file *file, const struct ub_config_line *line,
		     struct ub_error *err)
{
	if (strcmp(line->value, "yes") == 0)
		return 1;
	if (strcmp(line->value, "no") == 0)
		return 0;
	return ub_config_bad(file, line->number, err, "key '%s': '%.60s' is neither yes nor no",
			     line->key, line->value);
}

static int store_line(const struct ub_config_file *file, const struct ub_config_line *line,
		      const struct ub_args *typed, struct ub_spec *spec, struct ub_error *err)
{
	const struct ub_opt *opt = find_key(ub_spec_options, line->key);
	void *values = spec;
	int ret;

	if (!opt) {
		opt = find_key(spec->target->options, line->key);
		values = spec->target_args;
	}
	if (!opt)
		return unknown_key(file, line, spec->target, err);
	if (!is_key(opt))
		return ub_config_bad(file, line->number, err,
				     "option '--%s' is of one call, and no key", opt->name);
	if (typed && ub_args_find(typed, opt))
		return 0;
	if (opt->type == UB_OPT_FLAG) {
		ret = read_flag(file, line, err);
		if (ret <= 0)
			return ret;
	}
	/* It is read in another directory than it was written in. */
	if (opt->completer && strcmp(opt->completer, "file") == 0 && line->value[0] != '/')
		return ub_config_bad(file, line->number, err,
				     "key '%s' is no absolute path: %.200s", opt->name,
				     line->value);
	ret = ub_opt_store(opt, line->value, values, err);
	if (!ret && opt->type == UB_OPT_LAYERS)
		ret = ub_layers_resolve(&spec->layers, false, err);
	return ret ? at_line(file, line, err) : 0;
}

static bool is_repeatable(const char *key)
{
	const struct ub_opt *opt = find_key(ub_spec_options, key);

	return opt && opt->type == UB_OPT_LAYERS;
}

/* Each key once, but for layers. Return: the line of `type` in @ret_type, or NULL. */
static int check_lines(const struct ub_config_file *file, const struct ub_config_line **ret_type,
		       struct ub_error *err)
{
	const struct ub_config_line *end = file->lines + file->count;

	*ret_type = NULL;
	for (const struct ub_config_line *line = file->lines; line < end; line++) {
		if (strcmp(line->key, TYPE) == 0 && !*ret_type)
			*ret_type = line;
		for (const struct ub_config_line *before = file->lines; before < line; before++)
			if (strcmp(before->key, line->key) == 0 && !is_repeatable(line->key))
				return ub_config_bad(file, line->number, err,
						     "key '%.60s' is in line %u already", line->key,
						     before->number);
	}
	return 0;
}

/* Are there the options that the target can't be without? */
static int check_required(const struct ub_config_file *file, const struct ub_args *typed,
			  const struct ub_spec *spec, struct ub_error *err)
{
	for (const struct ub_opt *opt = spec->target->options; opt && opt->name; opt++)
		if (opt->required && !ub_opt_is_given(opt, spec->target_args) &&
		    !(typed && ub_args_find(typed, opt)))
			return ub_fail_text(err, UB_STAGE_CONFIG, -EINVAL,
					    "cannot read %s: target %s needs the key '%s'",
					    file->path, spec->target->name, opt->name);
	return 0;
}

int ub_config_store(const struct ub_config_file *file, const struct ub_args *typed,
		    struct ub_spec *spec, struct ub_error *err)
{
	const struct ub_config_line *type;
	int ret = check_lines(file, &type, err);

	if (ret)
		return ret;
	if (!type)
		return ub_fail_text(err, UB_STAGE_CONFIG, -EINVAL,
				    "cannot read %s: there is no key '" TYPE "'", file->path);
	if (ub_target_choose_for(spec, type->value, err) != 0)
		return at_line(file, type, err);
	for (size_t i = 0; i < file->count && !ret; i++)
		if (&file->lines[i] != type)
			ret = store_line(file, &file->lines[i], typed, spec, err);
	if (!ret)
		ret = check_required(file, typed, spec, err);
	if (!ret && !spec->name) {
		spec->name = strdup(file->name);
		if (!spec->name)
			ret = ub_fail(err, UB_STAGE_CONFIG, -ENOMEM, "cannot read %s", file->path);
	}
	return ret;
}

static int print_key(FILE *file, const char *key, const char *value)
{
	_cleanup_free_ char *text = value ? ub_config_quote(value) : NULL;

	if (!text)
		return -ENOMEM;
	(void)fprintf(file, "%s = %s\n", key, text);
	return 0;
}

static int print_layers(FILE *file, const struct ub_opt *opt, const void *values)
{
	const struct ub_layer_list *layers = (const void *)((const char *)values + opt->offset);
	int ret = 0;

	for (unsigned i = 0; i < layers->count && !ret; i++) {
		_cleanup_free_ char *text = ub_layer_text(&layers->layer[i]);

		ret = print_key(file, opt->name, text);
	}
	return ret;
}

static int print_options(FILE *file, const struct ub_opt *options, const void *values,
			 const void *defaults, const void *left_out)
{
	int ret = 0;

	for (const struct ub_opt *opt = options; opt && opt->name && !ret; opt++) {
		_cleanup_free_ char *value = NULL, *usual = NULL;

		if (!is_key(opt) || (const char *)values + opt->offset == left_out)
			continue;
		if (opt->type == UB_OPT_LAYERS) {
			ret = print_layers(file, opt, values);
			continue;
		}
		/* What was not given has no word for it. */
		value = ub_opt_exact(opt, values);
		if (!value && !ub_opt_is_given(opt, values))
			continue;
		usual = ub_opt_exact(opt, defaults);
		if (!value || !usual || strcmp(value, usual) != 0)
			ret = print_key(file, opt->name, value);
	}
	return ret;
}

int ub_config_print(FILE *file, const struct ub_spec *spec)
{
	bool asked = spec->path_reason == UB_REASON_ASKED || spec->path_reason < 0;
	struct ub_spec defaults;
	int ret;

	ub_spec_init(&defaults);
	ret = ub_spec_set_target(&defaults, spec->target);
	if (!ret)
		ret = print_key(file, TYPE, spec->target->name);
	if (!ret)
		ret = print_options(file, spec->target->options, spec->target_args,
				    defaults.target_args, NULL);
	/* The path that serving has chosen need not be there with another kernel. */
	if (!ret)
		ret = print_options(file, ub_spec_options, spec, &defaults,
				    asked ? NULL : &spec->data_path);
	ub_spec_done(&defaults);
	return ret;
}
