/* SPDX-License-Identifier: MIT */
/*
 * JSON documents: one envelope with a schema's name and a list of objects. The only file of the
 * command line that knows json-c. Running out of memory is noted and told by ub_doc_print().
 */
#pragma once

#include <stdbool.h>
#include <stdio.h>

#include "field.h"

struct ub_doc;

/* {"schema": SCHEMA, LIST: []}; without @list just the schema. Return: NULL without memory. */
struct ub_doc *ub_doc_new(const char *schema, const char *list);
void ub_doc_free(struct ub_doc *doc);

/* Appends an object to the list. */
void ub_doc_add(struct ub_doc *doc, const struct ub_field *fields, const void *object);

/* Puts an object's fields into the envelope itself. */
void ub_doc_set(struct ub_doc *doc, const struct ub_field *fields, const void *object);

/* Whether it has a list, and whether one has no element. */
bool ub_doc_has_list(const struct ub_doc *doc);
bool ub_doc_is_empty(const struct ub_doc *doc);

/* Return: 0 or -ENOMEM; writing is checked later. */
int ub_doc_print(const struct ub_doc *doc, FILE *file);
