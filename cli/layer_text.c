/* SPDX-License-Identifier: MIT */
#include "layer_text.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clean.h"
#include "guess.h"
#include "target/path.h"
#include "scalar.h"

static const struct ub_opt *find_key(const struct ub_layer *type, const char *key)
{
	for (const struct ub_opt *opt = type->options; opt->name; opt++)
		if (strcmp(opt->name, key) == 0)
			return opt;
	return NULL;
}

static int no_such_layer(const char *name, struct ub_error *err)
{
	struct ub_guess guess;

	(void)ub_fail_usage(err, "option '--layer': '%.60s' is not one of: ", name);
	ub_guess_init(&guess, name);
	for (const struct ub_layer *const *type = ub_layer_types; *type; type++) {
		ub_error_add(err, "%s%s", type == ub_layer_types ? "" : ", ", (*type)->name);
		ub_guess_offer(&guess, (*type)->name);
	}
	ub_guess_ask(&guess, "", err);
	return -EINVAL;
}

static int no_such_key(const struct ub_layer *type, const char *key, struct ub_error *err)
{
	struct ub_guess guess;

	(void)ub_fail_usage(err, "layer %s has no key '%.60s'", type->name, key);
	ub_guess_init(&guess, key);
	for (const struct ub_opt *opt = type->options; opt->name; opt++)
		ub_guess_offer(&guess, opt->name);
	ub_guess_ask(&guess, "", err);
	return -EINVAL;
}

/* Cuts the next element off, in place: up to a comma that stands alone; two are one of the text. Return: it,
 * or NULL behind the last one. */
static char *next_element(char **rest)
{
	char *element = *rest, *to = element;

	if (!element)
		return NULL;
	for (char *from = element;; from++) {
		if (*from == ',' && from[1] == ',')
			from++;
		else if (!*from || *from == ',') {
			*rest = *from ? from + 1 : NULL;
			*to = '\0';
			return element;
		}
		*to++ = *from;
	}
}

static int read_pair(const struct ub_layer_asked *layer, char *pair, uint64_t *given,
		     struct ub_error *err)
{
	char *value = strchr(pair, '=');
	const struct ub_opt *opt;
	uint64_t bit;

	if (!value)
		return ub_fail_usage(err, "layer %s: '%.60s' is no KEY=VALUE", layer->type->name,
				     pair);
	*value++ = '\0';
	opt = find_key(layer->type, pair);
	if (!opt)
		return no_such_key(layer->type, pair, err);
	bit = 1ULL << (opt - layer->type->options);
	if (*given & bit)
		return ub_fail_usage(err, "layer %s: key '%s' is given twice", layer->type->name,
				     pair);
	*given |= bit;
	if (ub_scalar_store(opt, value, layer->args, err) != 0) {
		ub_error_prefix(err, "layer %s", layer->type->name);
		return -EINVAL;
	}
	return 0;
}

int ub_layer_read(const char *text, struct ub_layer_list *layers, struct ub_error *err)
{
	_cleanup_free_ char *copy = strdup(text);
	char *rest = copy, *element;
	const struct ub_layer *type;
	uint64_t given = 0;
	int ret;

	if (!copy)
		return ub_fail(err, UB_STAGE_NONE, -ENOMEM, "cannot read option '--layer'");
	element = next_element(&rest);
	type = ub_layer_find(element);
	if (!type)
		return no_such_layer(element, err);
	ret = ub_layer_list_add(layers, type);
	if (ret == -E2BIG)
		return ub_fail_usage(err, "option '--layer': there are at most %u", UB_LAYERS_MAX);
	if (ret)
		return ub_fail(err, UB_STAGE_NONE, ret, "cannot read option '--layer'");
	while (!ret && (element = next_element(&rest)))
		ret = read_pair(&layers->layer[layers->count - 1], element, &given, err);
	return ret;
}

static void put_value(FILE *file, const char *text)
{
	for (; *text; text++) {
		if (*text == ',')
			(void)fputc(',', file);
		(void)fputc(*text, file);
	}
}

static void put_layer(FILE *file, const struct ub_layer_asked *layer)
{
	_cleanup_free_ void *defaults = calloc(1, layer->type->args_size);

	(void)fputs(layer->type->name, file);
	if (defaults && layer->type->defaults)
		layer->type->defaults(defaults);
	for (const struct ub_opt *opt = layer->type->options; defaults && opt->name; opt++) {
		_cleanup_free_ char *value = NULL, *usual = NULL;

		usual = ub_scalar_exact(opt, defaults);
		value = ub_scalar_exact(opt, layer->args);
		if (!ub_scalar_is_given(opt, layer->args) ||
		    (value && usual && strcmp(value, usual) == 0))
			continue;
		(void)fprintf(file, ",%s=", opt->name);
		put_value(file, value ? value : "");
	}
}

static char *text_of(const struct ub_layer_asked *layers, unsigned count)
{
	char *text = NULL;
	size_t size;
	FILE *file = open_memstream(&text, &size);

	if (!file)
		return NULL;
	for (unsigned i = 0; i < count; i++) {
		if (i)
			(void)fputc(' ', file);
		put_layer(file, &layers[i]);
	}
	return fclose(file) == 0 ? text : NULL;
}

char *ub_layer_text(const struct ub_layer_asked *layer)
{
	return text_of(layer, 1);
}

char *ub_layers_text(const struct ub_layer_list *layers)
{
	return text_of(layers->layer, layers->count);
}

static int resolve(const struct ub_layer_asked *layer, const struct ub_opt *opt, bool may,
		   struct ub_error *err)
{
	char **field = (void *)((char *)layer->args + opt->offset), *path;

	if (*field &&
	    (strncmp(*field, "/dev/fd/", 8) == 0 || strncmp(*field, "/proc/self/", 11) == 0))
		return ub_fail_usage(err, "layer %s: %s is of one process: %.200s",
				     layer->type->name, opt->name, *field);
	if (!*field || **field == '/')
		return 0;
	if (!may)
		return ub_fail_usage(err, "layer %s: %s is no absolute path: %.200s",
				     layer->type->name, opt->name, *field);
	path = ub_path_absolute(*field);
	if (!path)
		return ub_fail(err, UB_STAGE_USAGE, -errno, "layer %s: cannot find %s",
			       layer->type->name, *field);
	free(*field);
	*field = path;
	return 0;
}

int ub_layers_resolve(struct ub_layer_list *layers, bool may, struct ub_error *err)
{
	int ret = 0;

	for (unsigned i = 0; i < layers->count; i++)
		for (const struct ub_opt *opt = layers->layer[i].type->options; opt->name && !ret;
		     opt++)
			if (opt->completer && strcmp(opt->completer, "file") == 0)
				ret = resolve(&layers->layer[i], opt, may, err);
	return ret;
}

static void offer_types(FILE *file)
{
	for (const struct ub_layer *const *type = ub_layer_types; *type; type++)
		ub_offer(file, (*type)->name, (*type)->summary);
}

static bool has_key(const struct ub_completing *c, const char *key)
{
	size_t len = strlen(key);

	for (const char *p = c->value; (p = strchr(p, ',')) && p < c->value + c->begun; p++)
		if (strncmp(p + 1, key, len) == 0 && p[len + 1] == '=')
			return true;
	return false;
}

static void offer_keys(const struct ub_completing *c, const struct ub_layer *type)
{
	char word[64];

	for (const struct ub_opt *opt = type->options; opt->name; opt++) {
		if (has_key(c, opt->name))
			continue;
		(void)snprintf(word, sizeof(word), "%s=", opt->name);
		ub_offer(c->file, word, opt->help);
	}
}

static void offer_values(const struct ub_completing *c, const struct ub_layer *type)
{
	const char *end = c->value + c->begun - 1, *key = end;
	_cleanup_free_ char *name = NULL;
	const struct ub_opt *opt;

	while (key > c->value && key[-1] != ',')
		key--;
	name = strndup(key, (size_t)(end - key));
	opt = name ? find_key(type, name) : NULL;
	for (const char *const *word = opt ? ub_opt_words(opt) : NULL; word && *word; word++)
		ub_offer(c->file, *word, "");
}

void ub_offer_layers(const struct ub_completing *c)
{
	_cleanup_free_ char *name = strndup(c->value, strcspn(c->value, ","));
	const struct ub_layer *type = name ? ub_layer_find(name) : NULL;

	if (!c->begun)
		offer_types(c->file);
	else if (type && c->value[c->begun - 1] == ',')
		offer_keys(c, type);
	else if (type)
		offer_values(c, type);
}
