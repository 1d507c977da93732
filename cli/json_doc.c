/* SPDX-License-Identifier: MIT */
#include "json_doc.h"

#include <errno.h>
#include <inttypes.h>
#include <json-c/json.h>
#include <stdlib.h>
#include <string.h>

#include "base/clean.h"
#include "base/escape.h"
#include "flags.h"
#include "layer/layer.h"
#include "spec/json_options.h"
#include "value.h"

#define REPLACEMENT "\xef\xbf\xbd" /* U+FFFD */

struct ub_doc {
	json_object *root;  /* NULL: of lines */
	json_object *list;  /* of root's; NULL: it has none */
	const char *schema; /* of each line */
	FILE *lines;        /* where they go; NULL: it is an envelope */
	bool failed;        /* memory ran out: what there is would be wrong */
	int write_error;    /* of a line: negative errno */
};

static bool is_utf8(const char *text)
{
	for (size_t len; *text; text += len) {
		len = ub_utf8_length(text);
		if (!len)
			return false;
	}
	return true;
}

/* In a string as json-c writes it, the characters that it leaves to the terminal: as \uNNNN, which
 * means the same. Return: text to be freed, or NULL without memory. */
static char *harmless(const char *json)
{
	char *text = NULL;
	size_t size;
	FILE *file = open_memstream(&text, &size);

	if (!file)
		return NULL;
	while (*json) {
		size_t len = ub_utf8_length(json);
		uint32_t c = ub_harmful_char(json, len);

		if (c)
			(void)fprintf(file, "\\u%04" PRIx32, c);
		else
			(void)fwrite(json, 1, len, file);
		json += len;
	}
	if (fclose(file) == 0)
		return text;
	free(text);
	return NULL;
}

static bool has_harmful(const char *text)
{
	for (; *text; text += ub_utf8_length(text))
		if (ub_harmful_char(text, ub_utf8_length(text)))
			return true;
	return false;
}

/* @clean: it is UTF-8 */
static json_object *new_clean_string(const char *clean)
{
	json_object *string = json_object_new_string(clean);
	char *text;

	if (!string || !has_harmful(clean))
		return string;
	text = harmless(json_object_to_json_string_ext(string, JSON_C_TO_STRING_NOSLASHESCAPE));
	if (text) {
		json_object_set_serializer(string, json_object_userdata_to_json_string, text,
					   json_object_free_userdata);
		return string;
	}
	json_object_put(string);
	return NULL;
}

/* A string as JSON demands it: what is no UTF-8 is replaced, byte by byte. */
static json_object *new_string(const char *text)
{
	_cleanup_free_ char *clean = NULL;
	size_t size;
	FILE *file;

	if (is_utf8(text))
		return new_clean_string(text);
	file = open_memstream(&clean, &size);
	if (!file)
		return NULL;
	while (*text) {
		size_t len = ub_utf8_length(text);

		if (len)
			(void)fwrite(text, 1, len, file);
		else
			(void)fputs(REPLACEMENT, file);
		text += len ? len : 1;
	}
	return fclose(file) == 0 ? new_clean_string(clean) : NULL;
}

/* Takes @value; NULL stands for what could not be made. */
static void put(struct ub_doc *doc, json_object *to, const char *key, json_object *value)
{
	if (value && json_object_object_add(to, key, value) == 0)
		return;
	json_object_put(value);
	doc->failed = true;
}

static void put_null(struct ub_doc *doc, json_object *to, const char *key)
{
	if (json_object_object_add(to, key, NULL) != 0)
		doc->failed = true;
}

static void append(struct ub_doc *doc, json_object *to, json_object *value)
{
	if (value && json_object_array_add(to, value) == 0)
		return;
	json_object_put(value);
	doc->failed = true;
}

static json_object *new_flags(struct ub_doc *doc, uint64_t mask)
{
	json_object *list = json_object_new_array();
	struct ub_flag_names names;

	ub_flag_names(mask, &names);
	for (unsigned i = 0; list && i < names.count; i++)
		append(doc, list, json_object_new_string(names.names[i]));
	return list;
}

static json_object *new_layers(struct ub_doc *doc, const struct ub_layer_list *layers);

static json_object *new_option(struct ub_doc *doc, const struct ub_opt *opt, const void *values)
{
	const void *field = (const char *)values + opt->offset;
	char hex[20];

	switch (opt->type) {
	case UB_OPT_FLAG:
		return json_object_new_boolean(*(const bool *)field);
	case UB_OPT_SIZE:
		return json_object_new_uint64(*(const uint64_t *)field);
	case UB_OPT_U32:
	case UB_OPT_SIZE32:
		return json_object_new_uint64(*(const uint32_t *)field);
	case UB_OPT_STRING:
		return new_string(*(char *const *)field);
	case UB_OPT_CHOICE:
		return json_object_new_string(opt->choices[*(const int *)field]);
	case UB_OPT_INT:
		return json_object_new_int(*(const int *)field);
	case UB_OPT_SWITCH:
		return json_object_new_boolean(*(const int *)field);
	case UB_OPT_HEX:
		(void)snprintf(hex, sizeof(hex), "0x%" PRIx64, *(const uint64_t *)field);
		return json_object_new_string(hex);
	case UB_OPT_LAYERS:
		return new_layers(doc, field);
	}
	return NULL;
}

static void put_options(struct ub_doc *doc, json_object *to, const struct ub_opt *options,
			const void *values)
{
	char key[UB_OPT_KEY_SIZE];

	for (const struct ub_opt *opt = options; opt && opt->name; opt++) {
		if (opt->transient)
			continue;
		if (ub_opt_is_given(opt, values))
			put(doc, to, ub_opt_key(opt, key), new_option(doc, opt, values));
		else
			put_null(doc, to, ub_opt_key(opt, key));
	}
}

static json_object *new_layers(struct ub_doc *doc, const struct ub_layer_list *layers)
{
	json_object *list = json_object_new_array();

	for (unsigned i = 0; list && i < layers->count; i++) {
		const struct ub_layer_asked *layer = &layers->layer[i];
		json_object *object = json_object_new_object();

		if (object) {
			put(doc, object, "name", new_string(layer->type->name));
			put_options(doc, object, layer->type->options, layer->args);
		}
		append(doc, list, object);
	}
	return list;
}

static json_object *new_options(struct ub_doc *doc, const struct ub_value *value)
{
	json_object *object = json_object_new_object();

	if (!object)
		return NULL;
	if (value->text)
		put(doc, object, "type", new_string(value->text));
	put_options(doc, object, value->options, value->values);
	return object;
}

static void put_fields(struct ub_doc *doc, json_object *to, const struct ub_field *fields,
		       const void *object);

static json_object *new_object(struct ub_doc *doc, const struct ub_field *fields,
			       const void *object)
{
	json_object *ret = json_object_new_object();

	if (ret)
		put_fields(doc, ret, fields, object);
	return ret;
}

static json_object *new_list(struct ub_doc *doc, const struct ub_field *field, const void *object,
			     uint64_t count)
{
	json_object *list = json_object_new_array();

	for (uint64_t i = 0; list && i < count; i++) {
		const void *element = ub_field_at(field, object, i);

		append(doc, list,
		       field->fields ? new_object(doc, field->fields, element)
				     : new_string(element));
	}
	return list;
}

static json_object *new_value(struct ub_doc *doc, const struct ub_field *field, const void *object,
			      const struct ub_value *value)
{
	switch (field->type) {
	case UB_FIELD_NUMBER:
	case UB_FIELD_SIZE:
	case UB_FIELD_TIME:
		return json_object_new_uint64(value->number);
	case UB_FIELD_STRING:
	case UB_FIELD_STATE:
		return new_string(value->text);
	case UB_FIELD_BOOL:
		return json_object_new_boolean(value->number != 0);
	case UB_FIELD_FLAGS:
		return new_flags(doc, value->number);
	case UB_FIELD_OPTIONS:
		return new_options(doc, value);
	case UB_FIELD_OBJECT:
		return new_object(doc, field->fields, ub_field_within(field, object));
	case UB_FIELD_LIST:
		return new_list(doc, field, object, value->number);
	case UB_FIELD_INCLUDE:
		break;
	}
	return NULL;
}

static void put_fields(struct ub_doc *doc, json_object *to, const struct ub_field *fields,
		       const void *object)
{
	struct ub_value value;

	for (const struct ub_field *field = fields; field->key; field++) {
		if (field->type == UB_FIELD_INCLUDE) {
			put_fields(doc, to, field->fields, ub_field_within(field, object));
			continue;
		}
		ub_field_get(field, object, &value);
		if (!value.known && field->type != UB_FIELD_LIST)
			put_null(doc, to, field->key);
		else
			put(doc, to, field->key, new_value(doc, field, object, &value));
	}
}

struct ub_doc *ub_doc_new(const char *schema, const char *list)
{
	struct ub_doc *doc = calloc(1, sizeof(*doc));

	if (!doc)
		return NULL;
	doc->root = json_object_new_object();
	if (!doc->root) {
		free(doc);
		return NULL;
	}
	put(doc, doc->root, "schema", json_object_new_string(schema));
	if (list) {
		doc->list = json_object_new_array();
		put(doc, doc->root, list, doc->list);
	}
	return doc;
}

struct ub_doc *ub_doc_new_lines(const char *schema, FILE *file)
{
	struct ub_doc *doc = calloc(1, sizeof(*doc));

	if (doc)
		*doc = (struct ub_doc){.schema = schema, .lines = file};
	return doc;
}

void ub_doc_free(struct ub_doc *doc)
{
	if (!doc)
		return;
	json_object_put(doc->root);
	free(doc);
}

static const char *line_of(json_object *object)
{
	return json_object_to_json_string_ext(object, JSON_C_TO_STRING_PLAIN |
							      JSON_C_TO_STRING_NOSLASHESCAPE);
}

/* Whoever reads it need not wait for the next one. */
static void print_line(struct ub_doc *doc, const struct ub_field *fields, const void *object)
{
	json_object *line = json_object_new_object();
	const char *text;

	if (line) {
		put(doc, line, "schema", json_object_new_string(doc->schema));
		put_fields(doc, line, fields, object);
	}
	text = line && !doc->failed ? line_of(line) : NULL;
	if (!text)
		doc->failed = true;
	else if (fprintf(doc->lines, "%s\n", text) < 0 || fflush(doc->lines) != 0)
		doc->write_error = -errno;
	json_object_put(line);
}

void ub_doc_add(struct ub_doc *doc, const struct ub_field *fields, const void *object)
{
	if (doc->failed || doc->write_error)
		return;
	if (doc->lines)
		print_line(doc, fields, object);
	else
		append(doc, doc->list, new_object(doc, fields, object));
}

char *ub_doc_text(const struct ub_field *fields, const void *object)
{
	struct ub_doc doc = {0};
	json_object *line = new_object(&doc, fields, object);
	const char *text = line && !doc.failed ? line_of(line) : NULL;
	char *copy = text ? strdup(text) : NULL;

	json_object_put(line);
	return copy;
}

void ub_doc_set(struct ub_doc *doc, const struct ub_field *fields, const void *object)
{
	if (!doc->failed)
		put_fields(doc, doc->root, fields, object);
}

bool ub_doc_has_list(const struct ub_doc *doc)
{
	return doc->list;
}

bool ub_doc_is_empty(const struct ub_doc *doc)
{
	return !doc->list || json_object_array_length(doc->list) == 0;
}

int ub_doc_print(const struct ub_doc *doc, FILE *file)
{
	const char *text;

	if (doc->failed)
		return -ENOMEM;
	if (doc->lines)
		return doc->write_error;
	text = json_object_to_json_string_ext(doc->root, JSON_C_TO_STRING_PRETTY |
								 JSON_C_TO_STRING_NOSLASHESCAPE);
	if (!text)
		return -ENOMEM;
	(void)fprintf(file, "%s\n", text);
	return 0;
}
