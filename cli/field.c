/* SPDX-License-Identifier: MIT */
#include "field.h"

#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

#include "base/clean.h"
#include "base/parse.h"
#include "flags.h"
#include "text.h"

static void set_number(const struct ub_field *field, struct ub_value *value, uint64_t number)
{
	if (field->positive && !number)
		return;
	if (field->names)
		ub_value_text(value, field->names[number]);
	else
		ub_value_number(value, number);
}

static void read_store(const struct ub_field *field, const void *at, struct ub_value *value)
{
	switch (field->store) {
	case UB_STORE_NONE:
		value->known = true;
		value->number = field->count;
		break;
	case UB_STORE_BOOL:
		set_number(field, value, *(const bool *)at);
		break;
	case UB_STORE_U16:
		set_number(field, value, *(const uint16_t *)at);
		break;
	case UB_STORE_U32:
		set_number(field, value, *(const uint32_t *)at);
		break;
	case UB_STORE_U64:
		set_number(field, value, *(const uint64_t *)at);
		break;
	case UB_STORE_INT:
		if (*(const int32_t *)at >= 0)
			set_number(field, value, (uint64_t) * (const int32_t *)at);
		break;
	case UB_STORE_TEXT:
		ub_value_text(value, *(char *const *)at);
		break;
	case UB_STORE_CHARS:
		ub_value_text(value, *(const char *)at ? at : NULL);
		break;
	}
}

void ub_field_get(const struct ub_field *field, const void *object, struct ub_value *ret_value)
{
	*ret_value = (struct ub_value){0};
	if (field->when && !field->when(object))
		return;
	if (field->get)
		field->get(object, ret_value);
	else
		read_store(field, (const char *)object + field->offset, ret_value);
}

const void *ub_field_within(const struct ub_field *field, const void *object)
{
	return (const char *)object + field->offset;
}

const void *ub_field_at(const struct ub_field *field, const void *object, size_t index)
{
	const void *where = (const char *)object + field->items;
	const char *const *list = where;

	if (field->at)
		return field->at(object, index);
	return (field->items_here ? (const char *)where : *list) + index * field->item_size;
}

static void put_flags(FILE *file, uint64_t mask, const char *separator)
{
	struct ub_flag_names names;

	ub_flag_names(mask, &names);
	for (unsigned i = 0; i < names.count; i++)
		(void)fprintf(file, "%s%s", i ? separator : "", names.names[i]);
}

static void put_list(FILE *file, const struct ub_field *field, const void *object, uint64_t count,
		     const char *separator)
{
	char buf[512];

	for (uint64_t i = 0; i < count; i++) {
		const void *element = ub_field_at(field, object, i);

		if (i)
			(void)fputs(separator, file);
		ub_put_escaped(file, field->describe ? field->describe(element, buf, sizeof(buf))
						     : element);
	}
}

static void put_value(FILE *file, const struct ub_field *field, const void *object,
		      const struct ub_value *value, const char *separator)
{
	char buf[32];

	switch (field->type) {
	case UB_FIELD_NUMBER:
		(void)fprintf(file, "%llu", (unsigned long long)value->number);
		break;
	case UB_FIELD_SIZE:
		(void)fputs(ub_format_size(value->number, buf, sizeof(buf)), file);
		break;
	case UB_FIELD_TIME:
		(void)fputs(ub_format_time(value->number, buf, sizeof(buf)), file);
		break;
	case UB_FIELD_BOOL:
		(void)fputs(value->number ? "yes" : "no", file);
		break;
	case UB_FIELD_FLAGS:
		put_flags(file, value->number, separator);
		break;
	case UB_FIELD_LIST:
		put_list(file, field, object, value->number, separator);
		break;
	case UB_FIELD_STRING:
	case UB_FIELD_STATE:
	case UB_FIELD_OPTIONS:
		ub_put_escaped(file, value->text);
		if (value->more)
			(void)fprintf(file, " (and %u more)", value->more);
		break;
	case UB_FIELD_OBJECT:
	case UB_FIELD_INCLUDE:
		break;
	}
}

char *ub_field_text(const struct ub_field *field, const void *object, const char *separator)
{
	struct ub_value value;
	char *text = NULL;
	size_t size;
	FILE *file = open_memstream(&text, &size);

	if (!file)
		return NULL;
	ub_field_get(field, object, &value);
	if (value.known)
		put_value(file, field, object, &value, separator);
	/* Nothing would make the next column stand in this one's place. */
	if (fflush(file) == 0 && size == 0)
		(void)fputc('-', file);
	if (fclose(file) != 0) {
		free(text);
		return NULL;
	}
	return text;
}

const struct ub_field *ub_field_find(const struct ub_field *fields, const char *column)
{
	for (const struct ub_field *field = fields; field->key; field++) {
		const struct ub_field *found = NULL;

		if (field->column && strcasecmp(field->column, column) == 0)
			return field;
		if (field->type == UB_FIELD_OBJECT || field->type == UB_FIELD_INCLUDE)
			found = ub_field_find(field->fields, column);
		if (found)
			return found;
	}
	return NULL;
}

void ub_field_each_column(const struct ub_field *fields,
			  void (*each)(const struct ub_field *field, void *arg), void *arg)
{
	for (const struct ub_field *field = fields; field->key; field++) {
		if (field->column)
			each(field, arg);
		if (field->type == UB_FIELD_OBJECT || field->type == UB_FIELD_INCLUDE)
			ub_field_each_column(field->fields, each, arg);
	}
}
