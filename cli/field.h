/* SPDX-License-Identifier: MIT */
/*
 * What a field of an object is. One static table per kind of object gives the columns of tables,
 * `-o`, the lines of `ublk show`, the JSON and its schema. Tables stand with their objects; this
 * file knows neither devices nor any form of output.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "base/opt.h"

enum ub_field_type {
	UB_FIELD_NUMBER,
	UB_FIELD_SIZE, /* bytes: for people in K, M, ...; in JSON as they are */
	UB_FIELD_STRING,
	UB_FIELD_STATE, /* a string of ours that tells a state */
	UB_FIELD_BOOL,
	UB_FIELD_FLAGS,   /* UBLK_F_* bits: sorted names */
	UB_FIELD_OPTIONS, /* an object: a type and what its option table holds */
	UB_FIELD_OBJECT,  /* fields of the same object, one level down in JSON */
	UB_FIELD_INCLUDE, /* fields of the same object, on this level */
	UB_FIELD_LIST,    /* objects (with fields) or strings (without) */
};

/* One field's value; all zero before get() is called. */
struct ub_value {
	bool known;       /* false: null, "-" */
	uint64_t number;  /* of numbers, sizes, booleans and flags; how many a list has */
	const char *text; /* of strings: of the object, or constant, or buf; of options: the type */
	const struct ub_opt *options;
	const void *values;
	char buf[64];
};

struct ub_field {
	const char *key; /* in JSON, and with blanks for '_' in `show` */
	enum ub_field_type type;
	const char *column; /* head of the column; NULL: it is none */
	const char *help;   /* what it is: one line */
	/* NULL for includes and for objects that are always there. */
	void (*get)(const void *object, struct ub_value *ret_value);
	const struct ub_field *fields; /* of objects and lists */
	/* An element of a list: an object, or a string. */
	const void *(*at)(const void *object, size_t index);
	/* An element as one line for people; NULL: it is a string. */
	const char *(*describe)(const void *element, char *buf, size_t size);
	/* What `show` adds to the value in parentheses, such as what was asked for; may be NULL.
	 * Return: true if there is something to say. */
	bool (*remark)(const void *object, char *buf, size_t size);
	bool measured;  /* knowing it costs something: only where it is asked for */
	bool json_only; /* not in `show`, which says it in another way */
	bool flat;      /* of objects: in `show` the key is not put before the fields' keys */
};

static inline void ub_value_number(struct ub_value *value, uint64_t number)
{
	value->number = number;
	value->known = true;
}

/* @text: NULL for unknown. */
static inline void ub_value_text(struct ub_value *value, const char *text)
{
	value->text = text;
	value->known = text;
}

#define UB_FIELD_END        \
	{                   \
		.key = NULL \
	}

/* A field's value; known is true for what has no get(). */
void ub_field_get(const struct ub_field *field, const void *object, struct ub_value *ret_value);

/*
 * A value as text for people, escaped: sizes as "512K", booleans as "yes" and "no", what is unknown
 * as "-". @separator stands between flags and between a list's elements.
 * Return: text to be freed, or NULL without memory.
 */
char *ub_field_text(const struct ub_field *field, const void *object, const char *separator);

/* The field that has this column (in any case), or NULL. */
const struct ub_field *ub_field_find(const struct ub_field *fields, const char *column);

/* Calls @each for every field that has a column. */
void ub_field_each_column(const struct ub_field *fields,
			  void (*each)(const struct ub_field *field, void *arg), void *arg);
