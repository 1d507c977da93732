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
	UB_FIELD_TIME, /* nanoseconds: for people in ns, us, ms, s; in JSON as they are */
	UB_FIELD_STRING,
	UB_FIELD_STATE, /* a string of ours that tells a state */
	UB_FIELD_BOOL,
	UB_FIELD_FLAGS,   /* UBLK_F_* bits: sorted names */
	UB_FIELD_OPTIONS, /* an object: a type and what its option table holds */
	UB_FIELD_OBJECT,  /* fields of the same object, one level down in JSON */
	UB_FIELD_INCLUDE, /* fields of the same object, on this level */
	UB_FIELD_LIST,    /* objects (with fields) or strings (without) */
};

/* Where a value stands: in its object, as the field's offset says, and as what. */
enum ub_store {
	UB_STORE_NONE, /* it is found by get() */
	UB_STORE_BOOL,
	UB_STORE_U16,
	UB_STORE_U32,
	UB_STORE_U64,
	UB_STORE_INT,   /* negative: unknown */
	UB_STORE_TEXT,  /* a pointer, NULL: unknown */
	UB_STORE_CHARS, /* an array, "": unknown */
};

/* One field's value; all zero before get() is called. */
struct ub_value {
	bool known;       /* false: null, "-" */
	uint64_t number;  /* of numbers, sizes, booleans and flags; how many a list has */
	const char *text; /* of strings: of the object, or constant, or buf; of options: the type */
	uint32_t more;    /* of strings: others of the kind, which people are told of beside it */
	const struct ub_opt *options;
	const void *values;
	const void *defaults; /* options that have their default are not for people; may be NULL */
	char buf[64];
};

struct ub_field {
	const char *key; /* in JSON, and with blanks for '_' in `show` */
	enum ub_field_type type;
	const char *column;  /* head of the column; NULL: it is none */
	const char *help;    /* what it is: one line */
	enum ub_store store; /* of a list: of the number of its elements */
	uint32_t offset;     /* of the value; of an object: where its fields are counted from */
	const char *const *names;         /* of a number that is shown as a word, by it */
	bool positive;                    /* of a number: 0 is unknown */
	bool (*when)(const void *object); /* otherwise it is unknown; NULL: always known */
	/* What does not stand there, or not as it is to be told; NULL with a store, for includes
	 * and for objects. */
	void (*get)(const void *object, struct ub_value *ret_value);
	const struct ub_field *fields; /* of objects and lists */
	/* Of lists: where the elements are, or where the pointer to them is. */
	uint32_t items, item_size;
	bool items_here;
	uint32_t count; /* of all elements, where no value says how many */
	/* An element of a list, where it does not stand in an array. */
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

/* For a row: a member of the object, as what it is declared. */
#define UB_AT(object, member) \
	.offset = offsetof(object, member),                                                       \
	.store = _Generic(((object *)NULL)->member, bool: UB_STORE_BOOL, uint16_t: UB_STORE_U16, \
			  uint32_t: UB_STORE_U32, uint64_t: UB_STORE_U64, int32_t: UB_STORE_INT, \
			  char *: UB_STORE_TEXT, const char *: UB_STORE_TEXT)
#define UB_AT_CHARS(object, member) .offset = offsetof(object, member), .store = UB_STORE_CHARS
/* Of an object: its own fields stand in this member; not where they are columns. */
#define UB_WITHIN(object, member) .offset = offsetof(object, member)
/* Of a list: a pointer to its elements, or an array of them, and how many there are. */
#define UB_LIST_AT(object, member, number)                        \
	UB_AT(object, number), .items = offsetof(object, member), \
			       .item_size = sizeof(*((object *)NULL)->member)
#define UB_LIST_IN(object, member, number) UB_LIST_AT(object, member, number), .items_here = true
/* Of a list: all elements of an array. */
#define UB_LIST_ALL(object, member)                                                        \
	.items = offsetof(object, member), .item_size = sizeof(*((object *)NULL)->member), \
	.items_here = true,                                                                \
	.count = sizeof(((object *)NULL)->member) / sizeof(*((object *)NULL)->member)

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

/* A field's value. */
void ub_field_get(const struct ub_field *field, const void *object, struct ub_value *ret_value);

/* What the fields of a field that is an object, or included, are about. */
const void *ub_field_within(const struct ub_field *field, const void *object);

/* An element of a list, for its fields or as a string. */
const void *ub_field_at(const struct ub_field *field, const void *object, size_t index);

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
