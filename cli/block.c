/* SPDX-License-Identifier: MIT */
/* One object as lines of "key: value", as `ublk show` prints it. */
#include "table.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/clean.h"
#include "term.h"
#include "text.h"
#include "value.h"

#define KEY_WIDTH 24
#define INDENT 2

/* "server pid:", and blanks up to where values stand. */
static void put_key(FILE *file, const char *parent, const char *key)
{
	char text[64];
	int len;

	(void)snprintf(text, sizeof(text), "%s%s%s:", parent ? parent : "", parent ? " " : "", key);
	for (char *c = text; *c; c++)
		*c = *c == '_' ? ' ' : *c;
	len = fprintf(file, "%*s%s", INDENT, "", text);
	(void)fprintf(file, "%*s", len < KEY_WIDTH + INDENT ? KEY_WIDTH + INDENT - len : 1, "");
}

static int print_list(FILE *file, const char *parent, const struct ub_field *field,
		      const void *object, size_t count)
{
	char buf[512];

	for (size_t i = 0; i < count; i++) {
		const void *element = ub_field_at(field, object, i);

		if (i == 0)
			put_key(file, parent, field->key);
		else
			(void)fprintf(file, "%*s", KEY_WIDTH + INDENT, "");
		ub_put_escaped(file, field->describe ? field->describe(element, buf, sizeof(buf))
						     : element);
		(void)fputc('\n', file);
	}
	return 0;
}

/* What is as it would be anyhow is not worth a line. */
static void print_options(FILE *file, const char *parent, const struct ub_value *value)
{
	for (const struct ub_opt *opt = value->options; opt && opt->name; opt++) {
		_cleanup_free_ char *text = NULL;

		if (opt->transient ||
		    (value->defaults && ub_opt_is_same(opt, value->values, value->defaults)))
			continue;
		text = ub_opt_text(opt, value->values);
		if (!text)
			continue;
		put_key(file, parent, opt->name);
		ub_put_escaped(file, text);
		(void)fputc('\n', file);
	}
}

static int print_field(FILE *file, const char *parent, const struct ub_field *field,
		       const void *object, bool colour)
{
	_cleanup_free_ char *text = ub_field_text(field, object, ", ");
	char remark[128];

	if (!text)
		return -ENOMEM;
	put_key(file, parent, field->key);
	if (field->type == UB_FIELD_STATE)
		ub_term_put_state(file, text, colour);
	else
		(void)fputs(text, file);
	if (field->remark && field->remark(object, remark, sizeof(remark))) {
		(void)fputs(" (", file);
		ub_put_escaped(file, remark);
		(void)fputc(')', file);
	}
	(void)fputc('\n', file);
	return 0;
}

static int print_fields(FILE *file, const char *parent, const struct ub_field *fields,
			const void *object, bool colour)
{
	struct ub_value value;
	int ret = 0;

	for (const struct ub_field *field = fields; field->key && ret == 0; field++) {
		ub_field_get(field, object, &value);
		if (!value.known || field->json_only)
			continue;
		if (field->type == UB_FIELD_LIST)
			ret = print_list(file, parent, field, object, value.number);
		else if (field->type == UB_FIELD_INCLUDE)
			ret = print_fields(file, parent, field->fields,
					   ub_field_within(field, object), colour);
		else if (field->type == UB_FIELD_OBJECT)
			ret = print_fields(file, field->flat ? NULL : field->key, field->fields,
					   ub_field_within(field, object), colour);
		else if (field->type != UB_FIELD_OPTIONS || value.text)
			ret = print_field(file, parent, field, object, colour);
		if (ret == 0 && field->type == UB_FIELD_OPTIONS)
			print_options(file, field->key, &value);
	}
	return ret;
}

int ub_block_print(FILE *file, const struct ub_field *fields, const void *object, bool colour)
{
	return print_fields(file, NULL, fields, object, colour);
}
