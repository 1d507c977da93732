/* SPDX-License-Identifier: MIT */
/*
 * JSON documents: one envelope with a schema's name and a list of objects, or a row of objects, a
 * line each, that have a schema's name each. The only file of the command line that knows json-c.
 * Running out of memory is noted and told by ub_doc_print().
 */
#pragma once

#include <stdbool.h>
#include <stdio.h>

#include "field.h"

struct ub_doc;

/* {"schema": SCHEMA, LIST: []}; without @list just the schema. Return: NULL without memory. */
struct ub_doc *ub_doc_new(const char *schema, const char *list);

/* A row of lines: what is added is printed to @file at once, {"schema": SCHEMA, FIELDS}. */
struct ub_doc *ub_doc_new_lines(const char *schema, FILE *file);
void ub_doc_free(struct ub_doc *doc);

/* Appends an object to the list, or prints it as a line. */
void ub_doc_add(struct ub_doc *doc, const struct ub_field *fields, const void *object);

/* Puts an object's fields into the envelope itself. */
void ub_doc_set(struct ub_doc *doc, const struct ub_field *fields, const void *object);

/* Whether it has a list, and whether one has no element. */
bool ub_doc_has_list(const struct ub_doc *doc);
bool ub_doc_is_empty(const struct ub_doc *doc);

/* One object as a line without its end, to be freed, or NULL without memory. */
char *ub_doc_text(const struct ub_field *fields, const void *object);

/* Prints the envelope; of lines there is nothing left to print.
 * Return: 0 or -ENOMEM, writing is checked later; or why a line could not be written. */
int ub_doc_print(const struct ub_doc *doc, FILE *file);
