/* SPDX-License-Identifier: MIT */
/*
 * What a command says: the result on standard output, as text or as one JSON document; notes,
 * errors and hints on standard error. A result that could not be written is a failure.
 */
#pragma once

#include <stdbool.h>
#include <stdio.h>

#include "base/error.h"
#include "base/notes.h"
#include "json_doc.h"
#include "hints.h"
#include "status.h"

struct ub_problem; /* an error that has been told */

struct ub_out {
	FILE *file; /* standard output, for text */
	bool json;
	bool colour;
	bool finished;
	int write_error;         /* negative errno of a flush */
	const char *line_schema; /* of JSON lines; NULL: it is one document */
	struct ub_doc *doc;      /* the JSON document; NULL as long as none was begun */
	struct ub_problem *problems;
	size_t nr_problems;
	size_t nr_printed; /* of them, as JSON lines */
};

void ub_out_init(struct ub_out *out, FILE *file);
void ub_out_done(struct ub_out *out);

/* In JSON mode, begins the document: an envelope with an empty list, or a row of lines. Return: 0 or -ENOMEM. */
int ub_out_begin(struct ub_out *out, const char *schema, const char *list);

/* Tells what the user shall know. */
void ub_out_note(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
void ub_out_notes(const struct ub_notes *notes);

/*
 * Tells an error: "ublk: error: ..." and hints on standard error; in JSON mode it is kept for the
 * document too, or is a line.
 * Return: the exit status that it means.
 */
enum ub_exit ub_out_fail(struct ub_out *out, const struct ub_error *err,
			 const struct ub_facts *facts);

/* What has been printed goes to whoever reads it, now. Return: false if it cannot, or could not
 * before: then there is nothing more to print, and ub_out_finish() tells why. */
bool ub_out_flush(struct ub_out *out);

/*
 * Writes what is to be written and checks that it has arrived; does so once. A document without a
 * result and with one error becomes that error's, ublk.error/1.
 * Return: UB_EXIT_DONE, or UB_EXIT_FAILED after having told why.
 */
enum ub_exit ub_out_finish(struct ub_out *out);
