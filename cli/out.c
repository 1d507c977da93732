/* SPDX-License-Identifier: MIT */
#include "out.h"

#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "base/clean.h"
#include "term.h"
#include "text.h"

#define ERROR_SCHEMA "ublk.error/1"

struct ub_problem {
	char code[16];
	const char *stage;
	char *message;
	char *device;
	struct ub_hints hints;
};

static const struct ub_problem *problem_of(const void *object)
{
	return object;
}

static void get_code(const void *object, struct ub_value *value)
{
	ub_value_text(value, problem_of(object)->code);
}

static void get_stage(const void *object, struct ub_value *value)
{
	ub_value_text(value, problem_of(object)->stage);
}

static void get_message(const void *object, struct ub_value *value)
{
	ub_value_text(value, problem_of(object)->message);
}

static void get_device(const void *object, struct ub_value *value)
{
	ub_value_text(value, problem_of(object)->device);
}

static void get_hints(const void *object, struct ub_value *value)
{
	ub_value_number(value, problem_of(object)->hints.count);
}

static const void *hint_at(const void *object, size_t index)
{
	return problem_of(object)->hints.text[index];
}

static const struct ub_field problem_fields[] = {
	{.key = "code", .type = UB_FIELD_STRING, .get = get_code},
	{.key = "stage", .type = UB_FIELD_STRING, .get = get_stage},
	{.key = "message", .type = UB_FIELD_STRING, .get = get_message},
	{.key = "hints", .type = UB_FIELD_LIST, .get = get_hints, .at = hint_at},
	{.key = "device", .type = UB_FIELD_STRING, .get = get_device},
	UB_FIELD_END,
};

static void get_problems(const void *object, struct ub_value *value)
{
	ub_value_number(value, ((const struct ub_out *)object)->nr_problems);
}

static const void *problem_at(const void *object, size_t index)
{
	return &((const struct ub_out *)object)->problems[index];
}

/* In an envelope with results: what went wrong with the other devices. */
static const struct ub_field errors_field[] = {
	{.key = "errors",
	 .type = UB_FIELD_LIST,
	 .get = get_problems,
	 .fields = problem_fields,
	 .at = problem_at},
	UB_FIELD_END,
};

/* In an envelope of its own. */
static const struct ub_field error_field[] = {
	{.key = "error", .type = UB_FIELD_OBJECT, .fields = problem_fields},
	UB_FIELD_END,
};

void ub_out_init(struct ub_out *out, FILE *file)
{
	*out = (struct ub_out){.file = file, .colour = ub_term_has_colour(file)};
}

void ub_out_done(struct ub_out *out)
{
	for (size_t i = 0; i < out->nr_problems; i++) {
		free(out->problems[i].message);
		free(out->problems[i].device);
	}
	free(out->problems);
	ub_doc_free(out->doc);
	*out = (struct ub_out){0};
}

int ub_out_begin(struct ub_out *out, const char *schema, const char *list)
{
	if (!out->json)
		return 0;
	out->doc = out->line_schema ? ub_doc_new_lines(out->line_schema, out->file)
				    : ub_doc_new(schema, list);
	return out->doc ? 0 : -ENOMEM;
}

static void tell(const char *kind, const char *text)
{
	(void)fputs(kind, stderr);
	ub_put_escaped(stderr, text);
	(void)fputc('\n', stderr);
}

void ub_out_note(const char *fmt, ...)
{
	char text[512];
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	tell("ublk: note: ", text);
}

void ub_out_notes(const struct ub_notes *notes)
{
	for (unsigned i = 0; i < notes->count; i++)
		tell("ublk: note: ", notes->text[i]);
}

static void keep(struct ub_out *out, const struct ub_error *err, const struct ub_facts *facts,
		 const struct ub_hints *hints)
{
	size_t size = (out->nr_problems + 1) * sizeof(*out->problems);
	struct ub_problem *problem = realloc(out->problems, size);
	char name[16];

	if (!problem)
		return;
	out->problems = problem;
	problem += out->nr_problems++;
	*problem = (struct ub_problem){
		.stage = ub_stage_name(err->stage),
		.message = strdup(err->msg),
		.device = facts->device ? strdup(facts->device) : NULL,
		.hints = *hints,
	};
	(void)snprintf(problem->code, sizeof(problem->code), "%s", ub_errno_name(err->code, name));
}

/* Those that have not been printed yet: as they come. */
static void print_error_lines(struct ub_out *out)
{
	struct ub_doc *doc = ub_doc_new_lines(ERROR_SCHEMA, out->file);

	for (; doc && out->nr_printed < out->nr_problems; out->nr_printed++)
		ub_doc_add(doc, error_field, &out->problems[out->nr_printed]);
	ub_doc_free(doc);
}

enum ub_exit ub_out_fail(struct ub_out *out, const struct ub_error *err,
			 const struct ub_facts *facts)
{
	struct ub_hints hints;

	ub_hints_find(err, facts, &hints);
	/* What has been printed stands before what went wrong after it. */
	(void)fflush(out->file);
	tell("ublk: error: ", err->msg);
	for (unsigned i = 0; i < hints.count; i++)
		tell("hint: ", hints.text[i]);
	if (out->json && !out->finished)
		keep(out, err, facts, &hints);
	if (out->line_schema && !out->finished)
		print_error_lines(out);
	return ub_exit_of(err->stage, err->code);
}

static int print_error_doc(struct ub_out *out)
{
	struct ub_doc *doc = ub_doc_new(ERROR_SCHEMA, NULL);
	int ret = -ENOMEM;

	if (doc) {
		ub_doc_set(doc, error_field, &out->problems[0]);
		ret = ub_doc_print(doc, out->file);
	}
	ub_doc_free(doc);
	return ret;
}

static int print_doc(struct ub_out *out)
{
	bool nothing = !out->doc || ub_doc_is_empty(out->doc);

	if (out->line_schema)
		return out->doc ? ub_doc_print(out->doc, out->file) : 0;
	if (nothing && out->nr_problems == 1)
		return print_error_doc(out);
	if (!out->doc)
		return 0;
	if (ub_doc_has_list(out->doc))
		ub_doc_set(out->doc, errors_field, out);
	return ub_doc_print(out->doc, out->file);
}

bool ub_out_flush(struct ub_out *out)
{
	if (!out->write_error && fflush(out->file) != 0)
		out->write_error = -errno;
	return !out->write_error && !ferror(out->file);
}

enum ub_exit ub_out_finish(struct ub_out *out)
{
	struct ub_error err = {0};
	int ret = 0;

	if (out->finished)
		return UB_EXIT_DONE;
	out->finished = true;
	if (out->json)
		ret = print_doc(out);
	errno = 0;
	if (ret == 0)
		ret = out->write_error;
	if (ret == 0 && (fflush(out->file) != 0 || ferror(out->file)))
		ret = errno ? -errno : -EIO;
	if (ret == 0)
		return UB_EXIT_DONE;
	(void)ub_fail(&err, UB_STAGE_OUTPUT, ret, "cannot write to standard output");
	return ub_out_fail(out, &err, &(struct ub_facts){0});
}
